//! The language's side of PyTorch as tables: what each function takes and gives, and which of PyTorch's names there are.

use std::fmt::Write;

use graph::DType;

use crate::eval::{self, Gradient, TYPES};

/// Names of PyTorch 2.11 that a layer of floats on dense tensors may call: its layers, initialisers, functions and methods of
/// tensors, without in-place forms, losses, and what is about sparse, quantised and complex tensors, about factorisations,
/// devices, files and PyTorch's own settings.
const NAMES: &str = include_str!("../torch_names.txt");

/// How much of PyTorch the language has.
pub struct Coverage {
    /// Names that there are.
    pub there: Vec<&'static str>,
    /// The names that are refused, each with what to use instead.
    pub refused: Vec<(&'static str, &'static str)>,
    /// The others.
    pub missing: Vec<&'static str>,
}

/// Looks up all of PyTorch's names.
pub fn coverage() -> Coverage {
    let mut all = Coverage { there: Vec::new(), refused: Vec::new(), missing: Vec::new() };
    for name in NAMES.lines() {
        if eval::is_there(name) {
            all.there.push(name);
        } else if let Some(reason) = eval::refusal(name) {
            all.refused.push((name, reason));
        } else {
            all.missing.push(name);
        }
    }
    all
}

fn word(dtype: Option<DType>) -> &'static str {
    match dtype {
        None => "-",
        Some(DType::Bool) => "bool",
        Some(DType::Int) => "int",
        Some(DType::Float) => "float",
    }
}

/// The tables, in Markdown.
pub fn contract_page() -> String {
    let mut page = String::from(
        "## Element types and gradients\n\nWhat each function gives for tensors of bools, integers of 64 bits and floats (`-`: it takes none, and a \
         program that gives it such is refused), and whether the gradient of floats flows to its first argument. Two tensors of different types \
         meet in the larger one: bool, int, float. Functions that take no tensor, or need more than tensors and axes, are not listed here.\n\n\
         | function |",
    );
    for dtype in TYPES {
        let _ = write!(page, " {} |", word(Some(dtype)));
    }
    page.push_str(" gradient |\n|---|---|---|---|---|\n");
    for row in eval::contracts() {
        let names: Vec<String> = row.names.split(' ').map(|name| format!("`{}`", short(name))).collect();
        let gradient = match row.gradient {
            Gradient::Flows => "flows",
            Gradient::Zero => "0",
            Gradient::Refused => "refused",
        };
        let [bools, ints, floats] = row.gives.map(word);
        let _ = writeln!(page, "| {} | {bools} | {ints} | {floats} | {gradient} |", names.join(" "));
    }
    let Coverage { there, refused, missing } = coverage();
    let all = there.len() + refused.len() + missing.len();
    let _ = write!(
        page,
        "\n## How much of PyTorch there is\n\n{} of {all} names ({:.1} %) of PyTorch 2.11 that a layer of floats on dense tensors may call: layers, \
         initialisers, functions, methods of tensors. In-place forms, losses, and what is about sparse, quantised and complex tensors, \
         factorisations, devices and files are not counted.\n\nRefused by name, with what to use instead:\n\n",
        there.len(),
        100.0 * there.len() as f64 / all.max(1) as f64
    );
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in refused {
        match reasons.iter_mut().find(|known| known.0 == reason) {
            Some(known) => known.1.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    for (reason, names) in reasons {
        let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", short(name))).collect();
        let _ = writeln!(page, "- {}: {reason}", names.join(", "));
    }
    let names: Vec<String> = missing.into_iter().map(|name| format!("`{}`", short(name))).collect();
    let _ = writeln!(page, "\nNot there: {}.", names.join(", "));
    page
}

/// `F.relu`, `nn.Linear`, `torch.abs`, `.abs`
fn short(name: &str) -> String {
    for (start, instead) in [("torch.nn.functional.", "F."), ("torch.nn.", "nn."), ("Tensor.", ".")] {
        if let Some(rest) = name.strip_prefix(start) {
            return format!("{instead}{rest}");
        }
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The document beside the sources is what the code says. `UPDATE=1` writes it anew.
    #[test]
    fn the_document_is_true() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRACT.md");
        let page = format!(
            "# The candidate language: types, gradients, coverage\n\nGenerated from the code: `check --language` prints the same.\n\n{}",
            contract_page()
        );
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &page).expect("the document can be written");
        }
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(known == page, "CONTRACT.md is not what the code says; UPDATE=1 writes it anew");
    }

    #[test]
    fn rows_say_what_torch_does() {
        let rows = eval::contracts();
        let row = |name: &str| rows.iter().find(|row| row.names.split(' ').any(|n| n == name)).expect("is listed");
        let (float, int, bool) = (Some(DType::Float), Some(DType::Int), Some(DType::Bool));
        assert_eq!((row("torch.exp").gives, row("torch.exp").gradient), ([float; 3], Gradient::Flows));
        assert_eq!((row("torch.floor").gives[2], row("torch.floor").gradient), (float, Gradient::Zero));
        assert_eq!(row("torch.sum").gives, [int, int, float]);
        assert_eq!(row("torch.eq").gives, [bool; 3]);
        assert_eq!(row("torch.nn.functional.softmax").gives[2], float);
        assert_eq!(row("torch.argmax").gives[2], int);
        // as integers, and where there is none of integers
        assert_eq!(row("torch.nan_to_num").gives, [bool, int, float]);
        assert_eq!(row("torch.addcmul").gives, [int, int, float]);
        assert_eq!(row("torch.heaviside").gives, [bool, int, float]);
        assert_eq!(row("torch.diag_embed").gives, [bool, int, float]);
        for name in ["torch.hypot", "torch.lerp", "torch.frac", "torch.logaddexp", "torch.nn.functional.glu"] {
            assert_eq!(row(name).gives, [None, None, float], "{name}");
        }
        assert!(rows.len() > 150, "{}", rows.len());
    }

    #[test]
    fn most_of_torch_is_there() {
        let Coverage { there, refused, missing } = coverage();
        let all = there.len() + refused.len() + missing.len();
        assert!(there.len() * 10 > all * 5, "{} of {all}", there.len());
        // nothing is counted twice
        let mut names: Vec<&str> = NAMES.lines().collect();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
