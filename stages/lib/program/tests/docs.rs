//! The pages of the diagnostics and the specification of shapes are tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use program::{Diagnostic, Factor, Options, Rule, compile, language_page, locality, render, rules};

fn here(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn seed() -> String {
    here("../../../data/seed_pgn.py")
}

/// The code between the markers of a region replaced, at the region's indentation.
fn with_region(source: &str, factor: &str, code: &str) -> String {
    let (begin, end) = (format!("# ===== BEGIN {factor} REGION ====="), format!("# ===== END {factor} REGION ====="));
    let start = source.find(&begin).unwrap() + begin.len() + 1;
    let stop = source.find(&end).unwrap();
    let indented: String =
        code.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("        {l}\n") }).collect();
    let line = source[..stop].rfind('\n').unwrap() + 1;
    format!("{}{indented}{}", &source[..start], &source[line..])
}

/// The fenced blocks of a page: what the fence says behind `python`, and the code.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut current: Option<(String, String)> = None;
    for line in page.lines() {
        match (&mut current, line.strip_prefix("```")) {
            (None, Some(info)) => current = Some((info.trim_start_matches("python").trim().to_string(), String::new())),
            (Some(_), Some(_)) => out.extend(current.take()),
            (Some((_, code)), None) => {
                code.push_str(line);
                code.push('\n');
            }
            (None, None) => {}
        }
    }
    out
}

#[test]
fn every_rule_is_reported_somewhere_and_every_page_has_a_rule() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    // What ends a check from outside is found by the stage, and has its page here.
    let mut folders = vec![here.join("src"), here.join("../../check/src/isolation")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let used: BTreeSet<&str> = sources
        .split("Rule::")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next())
        .collect();
    for rule in Rule::ALL {
        assert!(used.contains(format!("{rule:?}").as_str()), "{rule:?} is never reported");
    }
    let pages = fs::read_dir(here.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| !path.ends_with("shapes.md"));
    let mut pages: Vec<String> = pages.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    pages.sort();
    assert_eq!(pages, Rule::ALL.iter().map(|rule| rule.code()).collect::<Vec<_>>());
}

#[test]
fn pages_have_their_headings_and_their_examples_say_what_they_claim() {
    let mut wrong = Vec::new();
    for rule in Rule::ALL {
        let (code, page) = (rule.code(), rule.page());
        assert!(page.starts_with(&format!("# {code}\n")), "{code}");
        for heading in ["\n## What it says\n\n", "\n## Why\n\n", "\n## Example\n\n"] {
            assert_eq!(page.matches(heading).count(), 1, "{code}: {heading}");
        }
        let examples = blocks(page);
        if examples.is_empty() {
            assert!(
                matches!(rule, Rule::Internal | Rule::BudgetMemory | Rule::BudgetSource | Rule::BudgetTime),
                "{code} has no example"
            );
            continue;
        }
        let parent = seed();
        let mut child = parent.clone();
        for (kind, text) in &examples {
            child = match kind.as_str() {
                "action" => with_region(&child, "ACTION", text),
                "operator" => with_region(&child, "OPERATOR", text),
                "replace" => {
                    let (old, new) = text.split_once("---\n").unwrap();
                    let (old, new) = (old.trim_end_matches('\n'), new.trim_end_matches('\n'));
                    assert!(child.contains(old), "{code}: the seed has no {old:?}");
                    child.replacen(old, new, 1)
                }
                other => panic!("{code}: unknown kind of example: {other}"),
            };
        }
        let mut found: Vec<Diagnostic> = compile(&child, &Options::default()).diagnostics;
        for factor in Factor::PAPER {
            if page.contains(&format!("Selected region: {}.", factor.as_str())) {
                found = locality(&parent, &child, factor).diagnostics;
            }
        }
        if !found.iter().any(|d| d.rule == *rule) {
            wrong.push(format!("{code}:\n{}", render(&child, "x.py", &found, false)));
        }
    }
    assert!(wrong.is_empty(), "{} pages\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn shapes_are_as_specified() {
    let options = Options { reveal: true, ..Options::default() };
    let mut seen = 0;
    for (_, code) in blocks(&here("docs/shapes.md")) {
        let source = with_region(&seed(), "ACTION", &code);
        let compiled = compile(&source, &options);
        let mut expected = Vec::new();
        let mut fault = None;
        for (line, text) in (1_u32..).zip(source.lines()) {
            if let Some((_, shape)) = text.split_once("# revealed: ") {
                expected.push((line, shape.to_string()));
            }
            if let Some((_, code)) = text.split_once("# error: ") {
                fault = Some((line, code.to_string()));
            }
        }
        let found = compiled.diagnostics.first().filter(|d| d.is_error()).map(|d| (d.line, d.code().to_string()));
        assert_eq!(found, fault, "{}", render(&source, "shapes.md", &compiled.diagnostics, false));
        // a faulty block ends before its second call, which is the one that reveals
        if fault.is_none() {
            assert_eq!(compiled.revealed, expected);
            seen += expected.len();
        }
    }
    assert!(seen > 40, "only {seen} shapes were looked at");
}

#[test]
fn reveal_shape_is_no_builtin_of_candidates() {
    let source = with_region(&seed(), "ACTION", "reveal_shape(z)\ntri_msgs = None\n");
    let compiled = compile(&source, &Options::default());
    assert_eq!(compiled.diagnostics[0].code(), "E-NAME-UNDEFINED");
}

#[test]
fn the_language_page_lists_what_there_is() {
    let page = language_page();
    for part in [
        "`nn.Linear(in_features, out_features, bias=",
        "`F.softmax(",
        "`torch.einsum(",
        "`.masked_fill(mask, value)`",
        "`nn.init.orthogonal_(",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("reveal_shape") && !page.contains('$'));
}

#[test]
fn the_data_folder_compiles() {
    let sizes = [
        ("seed_pgn.py", true, true),
        ("processors/gmpnn.py", true, false),
        ("processors/mpnn.py", false, false),
        ("processors/pgn.py", false, false),
    ];
    for (path, gated, triplets) in sizes {
        let source = here(&format!("../../../data/{path}"));
        let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
        assert!(compiled.diagnostics.is_empty(), "{}", render(&source, path, &compiled.diagnostics, false));
        let p = compiled.processor.unwrap();
        let names: Vec<&str> = p.graph.params().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names.contains(&"gate3.bias"), gated, "{path}");
        assert_eq!(names.contains(&"t_e_2.weight"), triplets, "{path}");
        assert_eq!(p.tri_msgs.is_some(), triplets, "{path}");
        let count: usize = p.graph.params().iter().map(|p| p.shape.iter().product::<usize>()).sum();
        // the benchmark's own counts at hidden size 16
        if path == "seed_pgn.py" {
            assert_eq!(count, 5528);
        }
    }
}

/// `UPDATE=1` writes the list anew.
#[test]
fn the_list_of_rules_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/rules.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, rules::index()).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == rules::index(),
        "schemas/rules.md is out of date: set UPDATE=1"
    );
    assert!(Rule::ALL.iter().map(|rule| rule.summary()).all(|says| says.ends_with('.') && !says.contains('#')));
}
