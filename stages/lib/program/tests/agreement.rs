//! Pieces of code that were once refused, or accepted, against PyTorch: `numbers` are what PyTorch 2.11 computed with a piece, and
//! `refused` is the code with which we refuse one that PyTorch fails at or that ours could not compute as PyTorch does.

use std::fs;
use std::path::Path;

use program::{Options, compile, render};
use serde_json::Value;

mod waves;

use waves::seed_with;

fn here(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn pieces_mean_what_they_mean_in_pytorch() {
    let text = fs::read_to_string(here("../../../tests/fixtures/programs/agreement.json")).unwrap();
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(rows.len() > 50);
    let mut wrong = Vec::new();
    for row in &rows {
        let source = seed_with(row["code"].as_str().unwrap());
        let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
        let refused = compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| d.code());
        if refused != row["refused"].as_str() {
            wrong.push(format!("{row}\n{}", render(&source, "x.py", &compiled.diagnostics, false)));
        }
        let (Some(theirs), Some(processor)) = (row["numbers"].as_array(), &compiled.processor) else { continue };
        let ours = waves::numbers(processor);
        if ours.iter().zip(theirs).any(|(x, y)| (x - y.as_f64().unwrap()).abs() > 1e-5 * x.abs().max(1.0)) {
            wrong.push(format!("{row}\ncomputes {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// A constant beside draws of the same shape shifts the law that they are drawn by.
#[test]
fn parameters_start_from_shifted_draws() {
    for (start, mean, std) in [
        ("torch.ones(16) + 0.01 * torch.randn(16)", 1.0, 0.01),
        ("0.5 * torch.randn(16) - torch.full((16,), 2.0)", -2.0, 0.5),
        ("torch.ones(16) - 0.25 * torch.randn(16)", 1.0, 0.25),
    ] {
        let piece = format!("if not hasattr(self, 'w'):\n    self.w = nn.Parameter({start})\nz = z * self.w.sum()");
        let source = fs::read_to_string(here("../../../data/seed_pgn.py")).unwrap();
        let at = source.find("        # ===== BEGIN ACTION REGION =====\n").unwrap();
        let at = at + "        # ===== BEGIN ACTION REGION =====\n".len();
        let piece: String = piece.lines().map(|l| format!("        {l}\n")).collect();
        let source = format!("{}{piece}{}", &source[..at], &source[at..]);
        let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
        let processor = compiled.processor.unwrap_or_else(|| panic!("{start}\n{:?}", compiled.diagnostics));
        let w = processor.graph.params().iter().find(|p| p.name == "w").unwrap();
        assert_eq!(w.init, graph::Init::Normal { mean, std }, "{start}");
    }
}

#[test]
fn what_torch_has_and_we_have_not_is_said_to_be_unsupported() {
    for (piece, message) in [
        ("torch.cat([z, z], dim=-1, out=None)", "the parameter 'out' is not supported"),
        ("torch.linspace(0, 1, 4, pin_memory=False)", "the parameter 'pin_memory' is not supported"),
        ("torch.diag_embed(z, dim1=-2)", "the parameter 'dim1' is not supported"),
        ("torch.cat([z, z], bogus=1)", "has no parameter 'bogus'"),
        ("F.relu(z, out=None)", "has no parameter 'out'"),
    ] {
        let compiled = compile(&seed_with(piece), &Options { hidden: 16, ..Options::default() });
        let found = compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| d.message.clone());
        assert!(found.as_ref().is_some_and(|m| m.contains(message)), "{piece}\n{found:?}");
    }
}
