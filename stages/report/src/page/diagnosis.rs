//! The table of lesions.

use search::diagnosis::Lesion;

use crate::draw::shorten;
use crate::run::Run;
use crate::table::{Cell, Table};
use crate::text::points;

/// Longer names of operators are cut on the page.
const NAME: usize = 40;

/// What the winner loses without each of its parts; None where nothing is known.
pub fn lesion_table(run: &Run) -> Option<Table> {
    let winner = run.winner()?;
    let facts = run.diagnoses.get(&winner.candidate_id)?;
    if facts.operators.is_empty() && facts.channels.is_empty() {
        return None;
    }
    let columns = [
        ("Without", "part", false),
        ("Kind", "kind", false),
        ("Replaced by", "replaced_by", false),
        ("Score lost (points)", "loss", true),
        ("with true hints", "forced_loss", true),
        ("Hints and outputs, mean", "mean_loss", true),
        ("Most lost", "probe", false),
        ("there (points)", "probe_loss", true),
        ("Verdict", "verdict", false),
    ];
    let note = "One part of the trained winner at a time is replaced by a constant, without training again, on graphs of the \
                validation's length. Score lost: accuracy with the part less accuracy without it, in points; negative where the \
                network does better without. Channels are what goes into the processor (node_fts, edge_fts, graph_fts, adj_mat, \
                hidden) or comes out of it (ret, tri_msgs). Idle: no accuracy moves by more than half a point; dead: none moves \
                at all.";
    let mut table = Table::new("lesions", "What the winner's parts are worth", note, &columns);
    let parts = facts.channels.iter().map(|lesion| ("channel", lesion));
    for (kind, lesion) in parts.chain(facts.operators.iter().map(|lesion| ("operator", lesion))) {
        let most = lesion.by_probe.first();
        table.rows.push(vec![
            Cell::both(shorten(&lesion.name, NAME), lesion.name.clone()),
            Cell::text(kind),
            Cell::text(lesion.replaced_by.clone()),
            Cell::number(Some(lesion.loss), points),
            Cell::number(Some(lesion.forced_loss), points),
            Cell::number(Some(lesion.mean_loss()), points),
            most.map_or(Cell::both("–", ""), |(probe, _)| Cell::text(probe.clone())),
            Cell::number(most.map(|(_, loss)| *loss), points),
            Cell::text(verdict(lesion)),
        ]);
    }
    Some(table)
}

fn verdict(lesion: &Lesion) -> &'static str {
    match lesion {
        _ if lesion.is_dead() => "dead",
        _ if lesion.is_idle() => "idle",
        _ if lesion.loss < 0.0 => "in the way",
        _ if lesion.loss > 0.0 => "needed",
        _ => "moves hints only",
    }
}
