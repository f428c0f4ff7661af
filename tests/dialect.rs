//! Whole programs against PyTorch, where it is installed: what is accepted computes there what it computes here, in evaluation and in
//! training, with its gradients; what PyTorch refuses is refused.
//!
//! The programs are random sequences of statements, and layers as people publish them. `DIALECT_PROGRAMS=1000` asks for more random ones
//! than the default, `DIALECT_SEED` for others.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::python::{TORCH, large_python};
use tests::{bin, finish, root, run};

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Judges all programs of a folder, to which as many random ones are added. Gives the number of those that agree, and what is refused here
/// though PyTorch runs it, by code.
fn judge(folder: &Path, random: &[String]) -> Option<(usize, BTreeMap<String, usize>)> {
    let python = large_python("torch", &["torch", "safetensors.torch"], &TORCH)?;
    let mut oracle = Command::new(python);
    oracle.env("PYTHONDONTWRITEBYTECODE", "1");
    oracle.arg(root().join("tests/dialect/oracle.py")).arg(bin().join("probe")).arg(folder).args(random);
    let told = finish({
        oracle.stdin(Stdio::null());
        oracle
    })
    .ok()
    .rows();
    let paths: Vec<String> =
        told.iter().map(|row| folder.join(row["name"].as_str().expect("a name")).display().to_string()).collect();
    let checked = run("check", [&["--json".to_owned()], paths.as_slice()].concat()).rows();
    assert_eq!(checked.len(), told.len());
    let (mut agreeing, mut refused, mut wrong) = (0, BTreeMap::new(), Vec::new());
    for ((path, row), told) in paths.iter().zip(&checked).zip(&told) {
        let refusal = row["diagnostics"].as_array().expect("a list").iter().find(|found| found["severity"] == "error");
        match (refusal, told["error"].as_str()) {
            (None, None) => {
                let case = Path::new(path).with_extension("safetensors").display().to_string();
                let compared = run("probe", ["program", path, &case, "--device", "cpu"]);
                if compared.code == Some(0) {
                    agreeing += 1;
                } else {
                    wrong.push(format!("{path}\n{}\n{}{}", row["source"], compared.stdout, compared.stderr));
                }
            }
            (None, Some(error)) => wrong.push(format!("{path}\n{}\naccepted; PyTorch: {error}", row["source"])),
            (Some(found), None) => {
                let code = found["code"].as_str().unwrap_or_default();
                if ["E-INTERNAL", "E-TYPE", "E-SYNTAX"].contains(&code) {
                    wrong.push(format!("{path}\n{}\n{found}", row["source"]));
                }
                *refused.entry(code.to_owned()).or_default() += 1;
            }
            (Some(_), Some(_)) => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), paths.len(), wrong.join("\n\n"));
    Some((agreeing, refused))
}

#[test]
fn random_programs_mean_what_they_mean_in_pytorch() {
    let (count, seed) = (setting("DIALECT_PROGRAMS", 40), setting("DIALECT_SEED", 1));
    let folder = tempfile::tempdir().expect("a scratch folder");
    let Some((agreeing, refused)) = judge(folder.path(), &[seed.to_string(), count.to_string()]) else { return };
    println!("seed {seed}: {agreeing} of {count} agree; refused though PyTorch runs them: {refused:?}");
    assert!(agreeing * 2 > count, "only {agreeing} of {count} are accepted: {refused:?}");
}

#[test]
fn published_layers_are_accepted_and_agree() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut count = 0;
    for layer in std::fs::read_dir(root().join("tests/fixtures/programs/layers")).expect("the layers").flatten() {
        std::fs::copy(layer.path(), folder.path().join(layer.file_name())).expect("copies");
        count += 1;
    }
    let Some((agreeing, refused)) = judge(folder.path(), &[]) else { return };
    assert_eq!((agreeing, refused), (count, BTreeMap::new()));
}
