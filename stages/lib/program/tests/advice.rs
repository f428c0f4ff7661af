//! What refusals advise: the form that is refused gets the advice, the form that was advised is accepted, and means what PyTorch
//! 2.11 computed with it, which is what the refused form computes there wherever `same` says so.
//!
//! Parameters, in the order of their names, and inputs are waves; `numbers` are the sums of both outputs' elements, each times a
//! wave, in evaluation.

use std::fs;
use std::path::{Path, PathBuf};

use program::{Compiled, Options, compile, render};
use serde_json::Value;

mod waves;

use waves::{numbers, seed_with};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn rows() -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(here("../../../tests/fixtures/programs/advice.json")).unwrap()).unwrap()
}

fn checked(code: &str) -> (String, Compiled) {
    let source = seed_with(code);
    let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
    (source, compiled)
}

#[test]
fn what_is_advised_is_accepted_and_means_the_same() {
    let mut wrong = Vec::new();
    for row in rows() {
        let text = |key: &str| row[key].as_str().unwrap();
        let (source, compiled) = checked(text("refused"));
        let first = compiled.diagnostics.iter().find(|d| d.is_error());
        // a name's advice stands in the message
        let said = first.map_or(String::new(), |d| format!("{} {}", d.message, d.help.clone().unwrap_or_default()));
        if first.map(|d| d.code()) != Some(text("code")) || !said.contains(text("help")) {
            wrong.push(format!(
                "{}\nis to be {} with: {}\n{}",
                text("refused"),
                text("code"),
                text("help"),
                render(&source, "", &compiled.diagnostics, false)
            ));
            continue;
        }
        let (source, compiled) = checked(text("advised"));
        let Some(processor) = compiled.processor else {
            wrong.push(format!("is advised\n{}", render(&source, "", &compiled.diagnostics, false)));
            continue;
        };
        let theirs: Vec<f64> = row["numbers"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        let ours = numbers(&processor);
        // running statistics start at what PyTorch's first call leaves: not compared
        let compared = !text("advised").contains("BatchNorm");
        if compared && ours.iter().zip(&theirs).any(|(x, y)| (x - y).abs() > 1e-4 * y.abs().max(1.0)) {
            wrong.push(format!("{}\ncomputes {ours:?}, PyTorch {theirs:?}", text("advised")));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Every advice that stands in the sources word for word has a row, or is one that no other form of the same program follows.
#[test]
fn every_advice_has_a_row() {
    const ABOUT_TEXT: &[&str] = &[
        // about the frame of a program, which the pages of these codes show
        "def forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused)",
        "end its parameters with **unused",
        "add def get_processor_factory(kind, use_ln, nb_triplet_fts, nb_heads=None) that returns factory(out_size)",
        "return ret, tri_msgs (or None in the second place)",
        "start __init__ with super().__init__()",
        "leave out the markdown fence: the file is the program alone",
        "leave what lies outside of the region as it was",
        // about faults of the program, which no form of it means
        "a layer that is None was not created before it is used",
        "a layer with bias=False has no bias",
        "what is indexed here was never assigned a value",
        "sizes may be added, multiplied, and divided where the division always comes out even",
        "use it in forward, or do not make it",
        "concatenate hidden with node_fts",
        "project to fewer features (nb_triplet_fts) before lifting to triples of nodes, or reduce one node axis first",
        // what to do is up to the program
        "compute a new tensor from it instead",
        "keep no tensors in attributes from one call to the next",
        "use nn.Linear over the features",
        "use dataclasses.dataclass",
        "use range(...)",
        "make it with torch.empty(...) and initialise it with nn.init",
        "random values may initialise an nn.Parameter; draw noise in forward, in training only",
    ];
    let rows = rows();
    let known =
        |advice: &str| rows.iter().any(|row| row["help"].as_str() == Some(advice)) || ABOUT_TEXT.contains(&advice);
    let mut open = vec![here("src")];
    let (mut missing, mut found) = (Vec::new(), 0);
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split(".help(\"").skip(1) {
            let advice = part.split("\")").next().unwrap();
            found += 1;
            if !known(advice) {
                missing.push(format!("{}: {advice}", path.display()));
            }
        }
    }
    assert!(found > 40 && missing.is_empty(), "{found} found\n{}", missing.join("\n"));
}

/// What stands for the infinite says nothing of what is finite.
#[test]
fn nan_to_num_leaves_what_is_finite() {
    let of = |expression: &str| {
        let (_, compiled) = checked(&format!("pair = self.t_e_1(edge_fts)\ntri_msgs = self.o3({expression})"));
        numbers(&compiled.processor.unwrap_or_else(|| panic!("{expression}: {:?}", compiled.diagnostics)))
    };
    let plain = of("pair");
    for expression in
        ["pair.nan_to_num(0.0, 0.0, 0.0)", "torch.nan_to_num(pair, neginf=0.0)", "torch.nan_to_num(pair, posinf=0.1)"]
    {
        assert_eq!(of(expression), plain, "{expression}");
    }
    let masked = "pair.masked_fill(pair > 0, float('inf')).nan_to_num(posinf=7.0)";
    assert_eq!(of(masked), of("pair.masked_fill(pair > 0, 7.0)"));
}
