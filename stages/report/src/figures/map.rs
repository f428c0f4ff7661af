//! Where good programs were found: by island and generation, and by cell of the elite archive.

use std::collections::{BTreeMap, BTreeSet};

use super::{Figure, WIDTH};
use crate::draw::theme::{LEVELS, level};
use crate::draw::{Anchor, Svg, short, shorten, text_width};
use crate::run::Run;
use crate::text::{count, percent};

/// Best accuracy and number of scored programs of a tile.
#[derive(Clone, Copy, Debug)]
struct Tile {
    best: f64,
    count: usize,
    elite: bool,
}

/// A heat map: tiles by (column, row), with names of both.
struct Heat {
    columns: Vec<String>,
    rows: Vec<String>,
    tiles: BTreeMap<(usize, usize), Tile>,
}

/// Best accuracy of each island's programs in each generation. None when nothing is scored.
pub fn islands(run: &Run) -> Option<Figure> {
    let scored: Vec<_> = run.rows().iter().filter_map(|row| Some((row, row.ood_acc?))).collect();
    let generations: BTreeSet<i64> = scored.iter().map(|(row, _)| row.generation).collect();
    let islands: BTreeSet<i64> = scored.iter().map(|(row, _)| row.island).collect();
    // a column for each generation while they can be read, else for ranges of generations
    let per_column = generations.len().div_ceil(COLUMNS).max(1);
    let column: BTreeMap<i64, usize> = generations.iter().enumerate().map(|(i, g)| (*g, i / per_column)).collect();
    let line: BTreeMap<i64, usize> = islands.iter().enumerate().map(|(i, island)| (*island, i)).collect();
    let mut tiles: BTreeMap<(usize, usize), Tile> = BTreeMap::new();
    for (row, score) in &scored {
        if let (Some(x), Some(y)) = (column.get(&row.generation), line.get(&row.island)) {
            add(&mut tiles, (*x, *y), *score, row.elite == Some(true));
        }
    }
    let starts: Vec<i64> = generations.iter().copied().step_by(per_column).collect();
    let heat = Heat {
        columns: starts.iter().map(i64::to_string).collect(),
        rows: islands.iter().map(|island| format!("island {island}")).collect(),
        tiles,
    };
    let svg = draw(&heat, "generation")?;
    let width = if per_column > 1 { format!(" Each column holds {per_column} generations.") } else { String::new() };
    Some(Figure {
        name: "islands".into(),
        title: "Islands over generations".into(),
        description: format!(
            "Best OOD accuracy for {} in {}.",
            count(islands.len(), "island"),
            count(generations.len(), "generation")
        ),
        caption: format!(
            "Best OOD accuracy (%) among the programs that an island scored in a generation, and below it how many these were. \
             A frame marks tiles with an elite.{width}"
        ),
        svg,
    })
}

/// Best accuracy in each cell, of all islands. None when rows have no cells.
pub fn cells(run: &Run) -> Option<Figure> {
    let scored: Vec<_> = run.rows().iter().filter_map(|row| Some((row.cell.as_deref()?, row, row.ood_acc?))).collect();
    let coordinates: Vec<Option<(Bin<'_>, Bin<'_>)>> = scored.iter().map(|(cell, ..)| pair(cell)).collect();
    let names: BTreeSet<(&str, &str)> = coordinates.iter().flatten().map(|(a, b)| (a.0, b.0)).collect();
    let two_features = names.len() == 1 && coordinates.iter().all(Option::is_some);
    let mut tiles = BTreeMap::new();
    let (heat, title) = if two_features {
        let (across, up) = names.first()?;
        let range = |values: Vec<i64>| values.iter().copied().min().zip(values.iter().copied().max());
        let (x0, x1) = range(coordinates.iter().flatten().map(|(a, _)| a.1).collect())?;
        let (y0, y1) = range(coordinates.iter().flatten().map(|(_, b)| b.1).collect())?;
        if x1.checked_sub(x0)? > 200 || y1.checked_sub(y0)? > 200 {
            return None;
        }
        for ((_, row, score), ((_, x), (_, y))) in scored.iter().zip(coordinates.iter().flatten()) {
            add(&mut tiles, ((x - x0) as usize, (y1 - y) as usize), *score, row.elite == Some(true));
        }
        let heat = Heat {
            columns: (x0..=x1).map(|x| bin(across, x)).collect(),
            rows: (y0..=y1).rev().map(|y| format!("{} {}", feature(up), bin(up, y))).collect(),
            tiles,
        };
        (heat, feature(across))
    } else {
        let cells: Vec<&str> =
            scored.iter().map(|(cell, ..)| *cell).collect::<BTreeSet<_>>().into_iter().take(60).collect();
        for (cell, row, score) in &scored {
            if let Some(y) = cells.iter().position(|known| known == cell) {
                add(&mut tiles, (0, y), *score, row.elite == Some(true));
            }
        }
        (Heat { columns: vec![String::new()], rows: cells.iter().map(|c| shorten(c, 30)).collect(), tiles }, "cell")
    };
    let (filled, all) = (heat.tiles.len(), heat.columns.len() * heat.rows.len());
    let svg = draw(&heat, title)?;
    Some(Figure {
        name: "cells".into(),
        title: "Cells of the elite archive".into(),
        description: format!("{filled} of {all} cells hold a program."),
        caption: format!(
            "Best OOD accuracy (%) in each cell, all islands together, and the number of scored programs; {filled} of the {all} cells \
             shown are filled. A frame marks cells with an elite."
        ),
        svg,
    })
}

/// A feature of a cell and the number of its bin.
type Bin<'a> = (&'a str, i64);

/// `params=29,distance=3` as two named numbers.
fn pair(cell: &str) -> Option<(Bin<'_>, Bin<'_>)> {
    let part = |text: &'_ str| -> Option<(usize, i64)> {
        let split = text.find('=')?;
        Some((split, text.get(split + 1..)?.trim().parse().ok()?))
    };
    let (a, b) = cell.split_once(',')?;
    let ((split_a, x), (split_b, y)) = (part(a)?, part(b)?);
    Some(((a.get(..split_a)?, x), (b.get(..split_b)?, y)))
}

/// Lower edge of a bin: `select` counts sizes in half octaves. Other features are numbered.
fn bin(name: &str, number: i64) -> String {
    match name {
        "params" | "macs" => short(2f64.powf(number as f64 / 2.0)),
        _ => number.to_string(),
    }
}

fn feature(name: &str) -> &str {
    match name {
        "params" => "parameters from",
        "macs" => "MACs from",
        "distance" => "code distance, bin",
        "fitness" => "fitness, bin",
        other => other,
    }
}

/// More columns than this cannot be read.
const COLUMNS: usize = 24;

fn add(tiles: &mut BTreeMap<(usize, usize), Tile>, at: (usize, usize), score: f64, elite: bool) {
    let tile = tiles.entry(at).or_insert(Tile { best: score, count: 0, elite: false });
    tile.best = tile.best.max(score);
    tile.count += 1;
    tile.elite |= elite;
}

fn draw(heat: &Heat, x_title: &str) -> Option<Svg> {
    let low = heat.tiles.values().map(|tile| tile.best).fold(f64::INFINITY, f64::min);
    let high = heat.tiles.values().map(|tile| tile.best).fold(f64::NEG_INFINITY, f64::max);
    if heat.tiles.is_empty() {
        return None;
    }
    let left = heat.rows.iter().map(|name| text_width(name, 12.0)).fold(40.0, f64::max) + 10.0;
    let width = ((WIDTH - left - 16.0) / heat.columns.len() as f64).min(84.0);
    let height = if heat.rows.len() > 12 { 24.0 } else { 36.0 };
    let top = 34.0;
    let bottom = top + heat.rows.len() as f64 * height;
    let mut svg = Svg::new(WIDTH, bottom + 42.0);
    key(&mut svg, low, high);
    let mut frames = Vec::new();
    for (y, name) in heat.rows.iter().enumerate() {
        let y0 = top + y as f64 * height;
        svg.text((left - 10.0, y0 + height / 2.0 + 4.0), Anchor::End, "tick", name);
        for x in 0..heat.columns.len() {
            let (at, size) = ((left + x as f64 * width + 1.0, y0 + 1.0), (width - 2.0, height - 2.0));
            let Some(tile) = heat.tiles.get(&(x, y)) else {
                svg.rect(at, size, "empty", "");
                continue;
            };
            let shade = level(tile.best, low, high);
            let tip = format!(
                "{name}, {x_title} {}: best {} %, {}",
                heat.columns[x],
                percent(tile.best),
                count(tile.count, "program")
            );
            svg.rect(at, size, &format!("h{shade}"), &tip);
            let ink = if shade >= LEVELS - 2 { "on-high" } else { "on-low" };
            let middle = (at.0 + size.0 / 2.0, at.1 + size.1 / 2.0);
            if size.0 >= 30.0 {
                let raise = if height > 30.0 { -1.0 } else { 4.0 };
                svg.text(
                    (middle.0, middle.1 + raise),
                    Anchor::Middle,
                    &format!("tick strong {ink}"),
                    &format!("{:.1}", tile.best * 100.0),
                );
                if height > 30.0 {
                    svg.text(
                        (middle.0, middle.1 + 12.0),
                        Anchor::Middle,
                        &format!("tick {ink}"),
                        &tile.count.to_string(),
                    );
                }
            }
            if tile.elite {
                frames.push((at, size));
            }
        }
    }
    for (at, size) in frames {
        svg.rect(at, size, "elite", "");
    }
    let every = (text_width("000", 12.0) / width).ceil().max(1.0) as usize;
    for (x, name) in heat.columns.iter().enumerate().step_by(every) {
        svg.text((left + (x as f64 + 0.5) * width, bottom + 16.0), Anchor::Middle, "tick", name);
    }
    svg.text((left + heat.columns.len() as f64 * width / 2.0, bottom + 36.0), Anchor::Middle, "label", x_title);
    Some(svg)
}

/// The colours with the values at their ends.
fn key(svg: &mut Svg, low: f64, high: f64) {
    let mut x = 0.0;
    let text = "OOD accuracy (%)";
    svg.text((x, 14.0), Anchor::Start, "label", text);
    x += text_width(text, 12.0) + 14.0;
    if high > low {
        let from = format!("{:.1}", low * 100.0);
        svg.text((x, 14.0), Anchor::Start, "tick", &from);
        x += text_width(&from, 12.0) + 6.0;
        for i in 0..LEVELS {
            svg.rect((x, 3.0), (20.0, 13.0), &format!("h{i}"), "");
            x += 21.0;
        }
        x += 6.0;
    }
    svg.text((x, 14.0), Anchor::Start, "tick", &format!("{:.1}", high * 100.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_two_features_have_coordinates() {
        assert_eq!(pair("params=29,distance=3"), Some((("params", 29), ("distance", 3))));
        assert_eq!(pair("params=29"), None);
        assert_eq!(pair("a=1,b=2,c=3"), None);
        assert_eq!(pair("ä,ö=1"), None);
    }
}
