//! Tables from diagnoses: lesions of the winner, and how far edits change the behaviour of what they leave in place.

use schemas::Candidate;
use search::diagnosis::Lesion;

use crate::analysis::factor_name;
use crate::draw::shorten;
use crate::run::{Run, short_id};
use crate::table::{Cell, Table};
use crate::text::{points, whole};

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

/// Every child whose parent was looked at, too: beside how far its edit reaches in the text and in the graph, how far the worth of
/// operators changed that both have. For the files.
pub fn behaviour_table(run: &Run) -> Option<Table> {
    let columns = [
        ("Attempt", "attempt", true),
        ("Candidate", "candidate_id", false),
        ("Factor", "factor", false),
        ("Locality", "locality", false),
        ("Edit distance, OPERATOR", "edit_distance_operator", true),
        ("ACTION", "edit_distance_action", true),
        ("frozen", "edit_distance_frozen", true),
        ("Graph edit distance", "graph_edit_distance", true),
        ("Shared operators", "shared_operators", true),
        ("Behavioural shift (points)", "behavioural_shift", true),
        ("Most changed", "most_changed", false),
        ("Gain (points)", "gain", true),
    ];
    let note = "Behavioural shift: the mean, over operators that parent and child have by name and over outputs and hints, of the \
                distance between what their lesions lose. Both were trained anew: some of it is the noise of training.";
    let mut table =
        Table::new("behaviour", "How far edits change the behaviour of what they leave in place", note, &columns);
    for row in run.proposals() {
        let parent = row.parent_id.as_deref().and_then(|id| run.candidate(id));
        let facts = |row: &Candidate| run.diagnoses.get(&row.candidate_id);
        let Some(shift) = parent.and_then(|parent| facts(row)?.shift(facts(parent)?)) else { continue };
        let gain = parent.and_then(|parent| Some(row.ood_acc? - parent.ood_acc?));
        table.rows.push(vec![
            Cell::number(Some(row.attempt), whole),
            Cell::both(short_id(&row.candidate_id), &row.candidate_id),
            Cell::text(factor_name(row)),
            row.locality.map_or(Cell::both("–", ""), |locality| Cell::text(locality.as_str())),
            Cell::number(row.edit_distance_operator, whole),
            Cell::number(row.edit_distance_action, whole),
            Cell::number(row.edit_distance_frozen, whole),
            Cell::number(row.graph_edit_distance, whole),
            Cell::count(shift.operators),
            Cell::number(Some(shift.mean), points),
            shift.most.map_or(Cell::both("–", ""), |(name, _)| Cell::text(name)),
            Cell::number(gain, points),
        ]);
    }
    (!table.rows.is_empty()).then_some(table)
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
