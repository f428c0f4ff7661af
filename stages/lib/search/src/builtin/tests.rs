//! The grammar's laws.

use std::collections::{BTreeMap, BTreeSet};

use schemas::{Candidate, Factor, Status};

pub(crate) use super::random_genome;
use super::*;
use crate::SEED_PROGRAM;
use crate::population::Population;
use crate::population::examples::scored;
use crate::proposer::Parent;
use crate::random::StreamKey;
use crate::region::Region;

pub(crate) fn key(slot: i64) -> StreamKey {
    StreamKey { seed: 11, stage: "propose", generation: 1, slot, redraw: 0 }
}

fn builtin() -> Builtin {
    Builtin::new().unwrap()
}

fn brief<'a>(population: &'a Population<'a>, source: &'a str, slot: i64) -> Brief<'a> {
    Brief { population, parent: Parent { id: "p", source, row: None }, examples: None, diagnosis: None, key: key(slot) }
}

fn edit(factor: Option<Factor>) -> Task<'static> {
    Task { operation: Operation::Edit, factor, directive: None }
}

fn frozen(source: &str) -> String {
    let source = Region::find(source, Factor::OPERATOR).unwrap().splice("");
    Region::find(&source, Factor::ACTION).unwrap().splice("")
}

fn text(source: &str, factor: Factor) -> &str {
    Region::find(source, factor).unwrap().text()
}

#[test]
fn a_scoped_proposal_changes_its_factor_alone() {
    let population = Population::new(&[]);
    let (builtin, mut source) = (builtin(), SEED_PROGRAM.to_owned());
    // Along a lineage, so that all kinds of parents occur.
    for slot in 0..300 {
        let brief = brief(&population, &source, slot);
        let factor = builtin.route(&brief).unwrap();
        let directive = (slot % 2 == 0).then(|| builtin.direct(&brief, Some(factor)).unwrap());
        let task = Task { directive: directive.as_ref(), ..edit(Some(factor)) };
        let draft = builtin.write(&brief, &task).unwrap();
        let other = if factor == Factor::ACTION { Factor::OPERATOR } else { Factor::ACTION };
        assert_ne!(text(&draft.source, factor), text(&source, factor), "{} had no effect", draft.edit);
        assert_eq!(text(&draft.source, other), text(&source, other));
        assert_eq!(frozen(&draft.source), frozen(&source));
        source = draft.source;
    }
}

#[test]
fn unscoped_proposals_touch_both_regions_at_times() {
    let population = Population::new(&[]);
    // a motif is of one region
    let builtin = builtin().with_motifs(false);
    let mut both = 0;
    for slot in 0..400 {
        let draft = builtin.write(&brief(&population, SEED_PROGRAM, slot), &edit(None)).unwrap();
        let touched = |factor| text(&draft.source, factor) != text(SEED_PROGRAM, factor);
        assert!(touched(Factor::OPERATOR) || touched(Factor::ACTION));
        assert_eq!(frozen(&draft.source), frozen(SEED_PROGRAM));
        both += usize::from(touched(Factor::OPERATOR) && touched(Factor::ACTION));
    }
    assert!((50..300).contains(&both), "{both} of 400");
}

#[test]
fn the_law_of_factors() {
    let row = |slot: i64, factor, fitness| {
        let mut row: Candidate = scored(1, slot, 0, fitness);
        row.factor = Some(factor);
        row
    };
    let mut rows = vec![scored(0, 0, 0, 0.5)];
    // OPERATOR: 1 success in 6, rate 2/8. ACTION: 5 in 6, rate 6/8. So OPERATOR is drawn with probability 1/4.
    for slot in 0..6 {
        rows.push(row(slot, Factor::OPERATOR, if slot == 0 { 0.6 } else { 0.4 }));
        rows.push(row(10 + slot, Factor::ACTION, if slot == 0 { 0.4 } else { 0.6 }));
    }
    let share = |rows: &[Candidate]| {
        let population = Population::new(rows);
        let builtin = builtin();
        let drawn = |slot| builtin.route(&brief(&population, SEED_PROGRAM, slot)).unwrap() == Factor::OPERATOR;
        (0..4000).filter(|&slot| drawn(slot)).count() as f64 / 4000.0
    };
    assert!((share(&rows) - 0.25).abs() < 0.035, "{}", share(&rows));
    assert!((share(&[]) - 0.5).abs() < 0.04);
    // Even a factor that always fails keeps its floor.
    for slot in 20..120 {
        rows.push(row(slot, Factor::OPERATOR, 0.1));
    }
    assert!((share(&rows) - FLOOR).abs() < 0.032, "{}", share(&rows));
}

#[test]
fn the_law_of_directives() {
    let names: BTreeSet<String> = builtin().motifs.iter().map(|m| m.name.clone()).collect();
    let mut rows = vec![scored(0, 0, 0, 0.5)];
    for slot in 0..28 {
        rows.push(Candidate { edit: Some("directed-path".into()), ..scored(1, slot, 0, 0.9) });
    }
    let population = Population::new(&rows);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for slot in 0..4000 {
        let directive = builtin().direct(&brief(&population, SEED_PROGRAM, slot), Some(Factor::ACTION)).unwrap();
        assert!(!directive.text.is_empty());
        let label = if names.contains(&directive.label) { directive.label } else { String::new() };
        *counts.entry(label).or_default() += 1;
    }
    // Half are not motifs; of the 15 motifs for ACTION, one has the rate 29/30 and fourteen have 1/2.
    let share = |name: &str| counts.get(name).copied().unwrap_or(0) as f64 / 4000.0;
    assert!((share("") - 0.5).abs() < 0.04, "{counts:?}");
    let motifs = builtin().motifs.iter().filter(|m| m.factor == Factor::ACTION).count() as f64;
    let total = 29.0 / 30.0 + 0.5 * (motifs - 1.0);
    assert!((share("directed-path") - 0.5 * 29.0 / 30.0 / total).abs() < 0.02, "{counts:?}");
    assert!((share("two-hops") - 0.25 / total).abs() < 0.015, "{counts:?}");
}

#[test]
fn every_method_meets_the_library_or_none_does() {
    let rows = vec![scored(0, 0, 0, 0.5)];
    let population = Population::new(&rows);
    let names: BTreeSet<String> = builtin().motifs.iter().map(|m| m.name.clone()).collect();
    let share = |builtin: &Builtin, operation: Operation| {
        let hits = (0..1000).filter(|slot| {
            let draft =
                builtin.write(&brief(&population, SEED_PROGRAM, *slot), &Task { operation, ..edit(None) }).unwrap();
            names.contains(&draft.edit)
        });
        hits.count() as f64 / 1000.0
    };
    assert!((share(&builtin(), Operation::Edit) - 0.5).abs() < 0.08);
    assert!((share(&builtin(), Operation::Modify) - 0.5).abs() < 0.08);
    let without = builtin().with_motifs(false);
    assert_eq!(share(&without, Operation::Edit), 0.0);
    for slot in 0..200 {
        let directive = without.direct(&brief(&population, SEED_PROGRAM, slot), None).unwrap();
        assert!(!names.contains(&directive.label), "{}", directive.label);
    }
    // on top of a crossover: more genes than it alone would change
    let changes = |builtin: &Builtin| -> usize {
        let task = Task { operation: Operation::Crossover, ..edit(None) };
        let write = |slot| builtin.write(&brief(&population, SEED_PROGRAM, slot), &task).unwrap().edit;
        (0..300).map(|slot| write(slot).split(' ').count()).sum()
    };
    assert!(changes(&builtin()) > changes(&without) + 100);
}

#[test]
fn a_writer_that_is_not_told_of_the_factor_edits_both_regions() {
    let population = Population::new(&[]);
    let untold = builtin().with_condition(false);
    let outside = (0..200).filter(|slot| {
        let draft = untold.write(&brief(&population, SEED_PROGRAM, *slot), &edit(Some(Factor::ACTION))).unwrap();
        text(&draft.source, Factor::OPERATOR) != text(SEED_PROGRAM, Factor::OPERATOR)
    });
    let outside = outside.count();
    assert!((20..180).contains(&outside), "{outside}");
}

#[test]
fn the_law_of_variations() {
    let plan = Plan::of(SEED_PROGRAM, Some(Factor::OPERATOR)).unwrap();
    let mut stream = key(0).stream("edit");
    let mut counts = [0usize; 4];
    for _ in 0..4000 {
        counts[plan.varied(&mut stream).differences(&plan).len()] += 1;
    }
    assert_eq!(counts[0], 0);
    // The seed's action takes no gates: such draws shrink or are repeated, so that single genes gain.
    assert!(counts[1] > counts[2] && counts[2] > counts[3] && counts[3] > 40, "{counts:?}");
}

#[test]
fn gates_wait_for_an_action_that_uses_them() {
    let gated = |source: &str| {
        let plan = Plan::of(source, Some(Factor::OPERATOR)).unwrap();
        let child = plan.with(&[("gate_node".into(), "yes".into())]).unwrap();
        child.render(source, &plan).unwrap().contains("self.gate_node = ")
    };
    assert!(!gated(SEED_PROGRAM));
    let plan = Plan::of(SEED_PROGRAM, Some(Factor::ACTION)).unwrap();
    let opened = plan.with(&[("mask".into(), "path".into())]).unwrap().render(SEED_PROGRAM, &plan).unwrap();
    assert!(gated(&opened));
}

#[test]
fn methods_moves_do_what_they_say() {
    let with = |settings: &[(&str, &str)]| {
        let plan = Plan::of(SEED_PROGRAM, None).unwrap();
        let settings: Vec<(String, String)> = settings.iter().map(|(g, v)| ((*g).into(), (*v).into())).collect();
        plan.with(&settings).unwrap()
    };
    let (a, b) = (with(&[("mask", "path"), ("width", "16")]), with(&[("mask", "path"), ("act", "tanh")]));
    let mut stream = key(5).stream("edit");
    for _ in 0..200 {
        let child = a.common(std::slice::from_ref(&b), &mut stream);
        let changed: Vec<&str> = child.differences(&a).iter().map(|(gene, _)| *gene).collect();
        assert!(changed.iter().all(|gene| ["width", "act"].contains(gene)), "{changed:?}");
        let simple = a.simplified(&mut stream).differences(&a);
        assert!(simple.iter().all(|(gene, value)| [("mask", "none"), ("width", "given")].contains(&(*gene, *value))));
        let tuned = a.tuned(&mut stream).differences(&a);
        assert!((1..=2).contains(&tuned.len()) && tuned.iter().all(|(gene, _)| *gene != "mask"), "{tuned:?}");
        // b came from a by `act` (and lost `width`): these are kept.
        let next = b.continued(std::slice::from_ref(&a), &mut stream).differences(&b);
        assert!(next.iter().all(|(gene, _)| !["act", "width"].contains(gene)), "{next:?}");
        assert!(!a.departed(std::slice::from_ref(&b), &mut stream).differences(&a).is_empty());
    }
    let mut from_b = 0;
    for _ in 0..400 {
        let child = a.crossed(std::slice::from_ref(&b), &mut stream).differences(&a);
        from_b += usize::from(child.contains(&("act", "tanh")));
    }
    assert!((150..260).contains(&from_b), "{from_b}");
}

#[test]
fn foreign_programs_are_edited_as_they_stand_or_rewritten() {
    let population = Population::new(&[]);
    let builtin = builtin();
    let custom = SEED_PROGRAM.replace("t_e_1", "mine").replace("t_1", "yours");
    for factor in [Factor::OPERATOR, Factor::ACTION] {
        let draft = builtin.write(&brief(&population, &custom, 0), &edit(Some(factor))).unwrap();
        assert_eq!(program::locality(&custom, &draft.source, factor).verdict, program::LocalityVerdict::Local);
        assert!(draft.source.contains("mine") && draft.source != custom, "{}", draft.edit);
    }
    let continued = builtin.write(&brief(&population, &custom, 0), &edit(None)).unwrap();
    assert!(continued.source.contains("mine") && !continued.source.contains("# motif"));
    let crossed = Task { operation: Operation::Crossover, ..edit(None) };
    let rewritten = builtin.write(&brief(&population, &custom, 0), &crossed).unwrap();
    assert!(!rewritten.source.contains("mine") && rewritten.source.contains("t_e_1"));
    let bare = "def get_processor_factory(): pass\n";
    assert!(matches!(builtin.write(&brief(&population, bare, 0), &edit(None)), Err(ProposeError::Failed(_))));
}

#[test]
fn failures_count_against_motifs() {
    let mut rows = vec![scored(0, 0, 0, 0.5)];
    for slot in 0..8 {
        let failed = Candidate { status: Status::Rejected, fitness: None, ..scored(1, slot, 0, 0.0) };
        rows.push(Candidate { edit: Some("two-hops".into()), ..failed });
    }
    let record = Population::new(&rows).record(|row| row.edit.as_deref() == Some("two-hops"));
    assert_eq!(record.rate(), 0.1);
}

#[test]
fn thousands_of_programs() {
    assert!(size() > 1_000_000, "{}", size());
    // Not just genomes: programs.
    let mut stream = key(9).stream("genes");
    let mut seen = BTreeSet::new();
    let mut genomes = BTreeSet::new();
    for _ in 0..1000 {
        let (operator, action) =
            (random_genome(Factor::OPERATOR, &mut stream), random_genome(Factor::ACTION, &mut stream));
        seen.insert(splice(&splice(SEED_PROGRAM, &operator).unwrap(), &action).unwrap());
        genomes.insert((operator, action));
    }
    assert_eq!(seen.len(), genomes.len());
    assert!(seen.len() > 990);
}

#[test]
fn a_diagnosis_guides_the_edits() {
    let population = Population::new(&[]);
    let lesion = |name: &str, loss: f64| crate::diagnosis::Lesion {
        name: name.into(),
        loss,
        most: loss.abs(),
        ..crate::diagnosis::Lesion::default()
    };
    // The edge of the pair itself is worth all there is.
    let diagnosis = crate::diagnosis::Diagnosis {
        operators: vec![lesion("t_e_3", 0.4), lesion("t_1", 0.0)],
        ..crate::diagnosis::Diagnosis::default()
    };
    let builtin = builtin().with_motifs(false);
    let share = |diagnosis: Option<&crate::diagnosis::Diagnosis>| {
        let about = |slot| {
            let brief = Brief { diagnosis, ..brief(&population, SEED_PROGRAM, slot) };
            builtin.direct(&brief, Some(Factor::ACTION)).unwrap().genes
        };
        (0..400).filter(|slot| about(*slot).iter().any(|(gene, _)| gene == "direct")).count()
    };
    let (blind, guided) = (share(None), share(Some(&diagnosis)));
    assert!(guided > 2 * blind && blind > 20, "{guided} {blind}");

    // A gate without effect goes.
    let mut gated = Plan::of(SEED_PROGRAM, None).unwrap();
    gated = gated.with(&[("gate_node".into(), "yes".into()), ("inner".into(), "relu".into())]).unwrap();
    let source = gated.render(SEED_PROGRAM, &Plan::of(SEED_PROGRAM, None).unwrap()).unwrap();
    let idle = crate::diagnosis::Diagnosis {
        operators: vec![lesion("gate_node", 0.0), lesion("t_1", 0.1)],
        ..crate::diagnosis::Diagnosis::default()
    };
    let pruned = (0..200).filter(|slot| {
        let brief = Brief { diagnosis: Some(&idle), ..brief(&population, &source, *slot) };
        builtin.direct(&brief, Some(Factor::OPERATOR)).unwrap().genes.contains(&("gate_node".into(), "no".into()))
    });
    let pruned = pruned.count();
    assert!(pruned > 40, "{pruned}");
}
