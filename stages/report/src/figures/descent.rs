//! The whole tree of descent: every candidate under its parent, over the attempts.

use std::collections::BTreeMap;

use super::{Figure, WIDTH};
use crate::analysis::lineage;
use crate::draw::theme::{LEVELS, level};
use crate::draw::{Anchor, At, Panel, Scale, Svg, Tip};
use crate::run::Run;
use crate::text::{count, percent, tip};

/// Height of a line of descent: what there is room for, within these.
const ROWS: (f64, f64) = (2.2, 15.0);
/// The drawing is about this high at most, where lines are not too narrow.
const HEIGHT: f64 = 900.0;
/// More candidates than this are dots without texts of their own, which the page finds in its data.
const TEXTS: usize = 150;

/// Where a row of the run lies: its line of descent, and the row that it descends from.
struct Place {
    line: usize,
    parent: Option<usize>,
}

/// None with fewer than two candidates.
///
/// `texts`: whether few candidates may have texts of their own, which are seen without scripts, too.
pub fn descent(run: &Run, texts: bool) -> Option<Figure> {
    let rows = run.rows();
    let last = rows.last()?.attempt;
    if rows.len() < 2 || last < 1 {
        return None;
    }
    let places = places(run);
    let lines = places.iter().map(|place| place.line + 1).max()?;
    let step = (HEIGHT / lines as f64).clamp(ROWS.0, ROWS.1);
    let panel = Panel {
        x: Scale::count(usize::try_from(last).ok()?, 8),
        y: Scale::count(1, 1),
        left: 12.0,
        top: 42.0,
        width: WIDTH - 24.0,
        height: lines as f64 * step,
    };
    let mut svg = Svg::new(WIDTH, panel.bottom() + 48.0);
    let scores: Vec<f64> = rows.iter().filter_map(|row| row.ood_acc).collect();
    let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    key(&mut svg, low, high);
    for (value, text) in panel.x.ticks() {
        let (x, _) = panel.at(value, 0.0);
        svg.line((x, panel.top - 6.0), (x, panel.bottom()), "grid");
        svg.text((x, panel.bottom() + 18.0), Anchor::Middle, "tick", &text);
    }
    svg.text((panel.left + panel.width / 2.0, panel.bottom() + 36.0), Anchor::Middle, "label", "attempt");
    let at = |index: usize| {
        let (row, place) = (rows.get(index)?, places.get(index)?);
        let x = panel.at(row.attempt as f64, 0.0).0;
        Some((x, panel.top + (place.line as f64 + 0.5) * step))
    };
    let winner = run.winner();
    let chain: Vec<&schemas::Candidate> =
        winner.map_or_else(Vec::new, |winner| lineage(run, winner).iter().map(|step| step.row).collect());
    let on_chain =
        |index: usize| rows.get(index).is_some_and(|row| chain.iter().any(|known| std::ptr::eq(*known, row)));
    let mut edges: [Vec<(At, At)>; 2] = Default::default();
    for (index, place) in places.iter().enumerate() {
        if let Some((from, to)) = place.parent.and_then(|parent| at(parent).zip(at(index))) {
            let both = on_chain(index) && place.parent.is_some_and(on_chain);
            if let Some(list) = edges.get_mut(usize::from(both)) {
                list.push((from, to));
            }
        }
    }
    for (class, list) in ["descent", "descent main"].iter().zip(&edges) {
        svg.elbows(list, class);
    }
    let radius = (step * 0.42).clamp(1.5, 4.5);
    let mut dots: BTreeMap<String, Vec<(At, String)>> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let Some(at) = at(index) else { continue };
        if winner.is_some_and(|winner| std::ptr::eq(winner, row)) {
            continue;
        }
        let class = row.ood_acc.map_or("lost".to_owned(), |score| format!("h{}", level(score, low, high)));
        if rows.len() > TEXTS || !texts {
            let class = format!("dot {} {class}", if step > 5.0 { "wide" } else { "small" });
            dots.entry(class).or_default().push((at, run.key(row)));
        } else if row.ood_acc.is_some() {
            svg.circle(at, radius, &format!("scored {class}"), tip(run, row));
        } else {
            svg.cross(at, radius * 0.7, "cross", tip(run, row));
        }
    }
    for (class, list) in &dots {
        svg.dots(class, list);
    }
    if let Some((index, row)) = rows.iter().enumerate().find(|(_, row)| winner.is_some_and(|w| std::ptr::eq(w, *row))) {
        let tip: Tip = tip(run, row);
        if let Some(at) = at(index) {
            svg.star(at, 9.0, "star halo s1", &tip);
        }
    }
    let generations = rows.last()?.generation;
    let lost = rows.len() - scores.len();
    Some(Figure {
        name: "descent".into(),
        title: "The tree of descent".into(),
        description: format!(
            "{} in {}; {} have a score. The winner's line has {}.",
            count(rows.len(), "candidate"),
            count(usize::try_from(generations).unwrap_or(0), "generation"),
            scores.len(),
            count(chain.len().saturating_sub(1), "edit"),
        ),
        caption: format!(
            "All {}, each connected with its parent; the winner's line is on top. Colour: OOD accuracy; without one{}, a program was \
             not trained, or its training has no result.",
            count(rows.len(), "candidate"),
            if lost > 0 { format!(" ({lost})") } else { String::new() },
        ),
        svg,
    })
}

/// Lines of descent that do not cross: a child that leads to the winner, else the one with most descendants, goes on in its
/// parent's line, and the others begin lines of their own below it.
fn places(run: &Run) -> Vec<Place> {
    let rows = run.rows();
    let index: BTreeMap<*const schemas::Candidate, usize> =
        rows.iter().enumerate().map(|(i, row)| (std::ptr::from_ref(row), i)).collect();
    let of = |row: &schemas::Candidate| index.get(&std::ptr::from_ref(row)).copied();
    // A row descends from one before it: what is not, in a damaged archive, begins a tree of its own.
    let parents: Vec<Option<usize>> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let parent = row.parent_id.as_deref().and_then(|id| run.candidate(id)).and_then(of);
            parent.filter(|parent| *parent < i)
        })
        .collect();
    let mut weight = vec![1_usize; rows.len()];
    for i in (0..rows.len()).rev() {
        if let Some(parent) = parents.get(i).copied().flatten() {
            let own = weight.get(i).copied().unwrap_or_default();
            if let Some(sum) = weight.get_mut(parent) {
                *sum += own;
            }
        }
    }
    for step in run.winner().map_or_else(Vec::new, |winner| lineage(run, winner)) {
        if let Some(own) = of(step.row).and_then(|i| weight.get_mut(i)) {
            *own += rows.len();
        }
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    let mut roots = Vec::new();
    for (i, parent) in parents.iter().enumerate() {
        match parent.and_then(|parent| children.get_mut(parent)) {
            Some(list) => list.push(i),
            None => roots.push(i),
        }
    }
    let heaviest_last = |list: &mut Vec<usize>| list.sort_by_key(|i| (weight.get(*i).copied(), std::cmp::Reverse(*i)));
    children.iter_mut().for_each(heaviest_last);
    heaviest_last(&mut roots);
    let mut places: Vec<Place> = parents.iter().map(|parent| Place { line: 0, parent: *parent }).collect();
    let mut next = 0;
    // The one on top is placed next: a line, then those that branch off its end, then those nearer to its root.
    let mut waiting: Vec<(usize, Option<usize>)> = roots.into_iter().map(|root| (root, None)).collect();
    while let Some((i, line)) = waiting.pop() {
        let line = line.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        if let Some(place) = places.get_mut(i) {
            place.line = line;
        }
        if let Some((heir, others)) = children.get(i).and_then(|list| list.split_last()) {
            waiting.extend(others.iter().map(|child| (*child, None)));
            waiting.push((*heir, Some(line)));
        }
    }
    places
}

/// The colours with the values at their ends.
fn key(svg: &mut Svg, low: f64, high: f64) {
    if high < low {
        return;
    }
    svg.text((0.0, 14.0), Anchor::Start, "label", "OOD accuracy (%)");
    let mut x = 124.0;
    if high > low {
        svg.text((x, 14.0), Anchor::Start, "tick", &percent(low));
        x += 40.0;
        for i in 0..LEVELS {
            svg.rect((x, 3.0), (20.0, 13.0), &format!("h{i}"), "");
            x += 21.0;
        }
        x += 6.0;
    }
    svg.text((x, 14.0), Anchor::Start, "tick", &percent(high));
    svg.cross((x + 70.0, 10.0), 3.5, "cross", "");
    svg.text((x + 80.0, 14.0), Anchor::Start, "note", "no score");
    svg.star((x + 160.0, 10.0), 7.0, "star halo s1", "");
    svg.text((x + 172.0, 14.0), Anchor::Start, "note", "the winner");
}

#[cfg(test)]
mod tests {
    use schemas::{Candidate, Status};

    use super::*;
    use crate::run::Beside;

    fn row(attempt: i64, parent: Option<&str>, score: Option<f64>) -> Candidate {
        Candidate {
            attempt,
            candidate_id: format!("c{attempt}"),
            parent_id: parent.map(str::to_owned),
            ood_acc: score,
            fitness: score,
            status: if score.is_some() { Status::Scored } else { Status::Rejected },
            ..Candidate::default()
        }
    }

    #[test]
    fn the_winners_line_is_straight_and_lines_do_not_cross() {
        let rows = vec![
            row(0, None, Some(0.2)),
            row(1, Some("c0"), Some(0.3)),
            row(2, Some("c0"), None),
            row(3, Some("c1"), Some(0.9)),
            row(4, Some("c1"), Some(0.4)),
            row(5, Some("c2"), None),
            row(6, Some("gone"), None),
        ];
        let run = Run::new("r".into(), rows, Beside::default());
        let places = places(&run);
        let line = |i: usize| places[i].line;
        assert_eq!((line(0), line(1), line(3)), (0, 0, 0), "the winner's line");
        assert_eq!(line(2), line(5), "an only child goes on");
        assert!(line(4) < line(2), "what branches off later lies nearer");
        assert_eq!(line(6), 3, "without a known parent: a tree of its own, below");
        let figure = descent(&run, true).expect("a tree");
        assert_eq!(figure.inline().matches("data-c=").count(), 7, "every candidate is there");
        assert!(!figure.file().contains("data-c"));
    }

    #[test]
    fn a_cycle_in_a_damaged_archive_ends() {
        let rows = vec![row(1, Some("c2"), Some(0.2)), row(2, Some("c1"), Some(0.3)), row(3, Some("c3"), None)];
        assert!(descent(&Run::new("r".into(), rows, Beside::default()), true).is_some());
    }

    #[test]
    fn many_candidates_are_all_there_and_small() {
        let mut rows = vec![row(0, None, Some(0.1))];
        rows.extend((1..3000_i64).map(|n| row(n, Some(&format!("c{}", n / 3)), (n % 4 > 0).then_some(0.2))));
        let figure = descent(&Run::new("r".into(), rows, Beside::default()), true).expect("a tree");
        let text = figure.inline();
        let listed: usize =
            text.split("data-cs=\"").skip(1).map(|part| part.split('"').next().unwrap().split(' ').count()).sum();
        assert_eq!(listed, 2999, "all but the winner, which has a mark of its own");
        assert!(text.len() < 200_000, "{} bytes", text.len());
    }
}
