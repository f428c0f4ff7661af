//! Programs in the form in which the reference implementation publishes its own: class names, lazy creation, `EVOLVE`
//! markers, two-space indentation, `MPNN(PGN)`, factory. Their numbers against PyTorch's are a test of the network's.

use std::fs;
use std::path::Path;

use program::{Factor, LocalityVerdict, Options, Verdict, compile, locality, render};

fn published(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/published");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// The number of the first line that contains a text, counting from 1.
fn line_of(source: &str, text: &str) -> u32 {
    u32::try_from(source.lines().position(|l| l.contains(text)).unwrap() + 1).unwrap()
}

#[test]
fn they_run_unchanged_and_their_regions_are_found() {
    for name in ["initial_program.py", "two_heads.py"] {
        let source = published(name);
        for kind in ["mpnn", "pgn"] {
            let compiled = compile(&source, &Options { kind: kind.into(), ..Options::default() });
            assert_eq!(compiled.verdict(), Verdict::Accept, "{}", render(&source, name, &compiled.diagnostics, false));
            let regions = compiled.regions.unwrap();
            assert_eq!(
                regions.get(Factor::OPERATOR).unwrap().begin,
                line_of(&source, "EVOLVE TRIPLET PROJECTIONS START")
            );
            assert_eq!(regions.get(Factor::OPERATOR).unwrap().end, line_of(&source, "EVOLVE TRIPLET PROJECTIONS END"));
            assert_eq!(regions.get(Factor::ACTION).unwrap().begin, line_of(&source, "EVOLVE TRI_MSGS START"));
            assert_eq!(regions.get(Factor::ACTION).unwrap().end, line_of(&source, "EVOLVE TRI_MSGS END"));
        }
    }
    let names: Vec<String> = compile(&published("two_heads.py"), &Options::default())
        .processor
        .unwrap()
        .graph
        .params()
        .iter()
        .map(|p| p.name.clone())
        .collect();
    for wanted in [
        "m_1.weight",
        "msgs_mlp.2.bias",
        "heads.0.t_1.weight",
        "heads.1.t_g.bias",
        "o3.weight",
        "gate3.bias",
        "ln.weight",
    ] {
        assert!(names.iter().any(|n| n == wanted), "{wanted}: {names:?}");
    }
}

#[test]
fn edits_of_them_are_told_apart() {
    let parent = published("initial_program.py");
    let action = parent.replace("torch.max(triplets, dim=1)[0])", "torch.logsumexp(triplets, dim=1))");
    let operator = parent.replace("self.t_g = nn.Linear(g_dim, n)", "self.t_g = nn.Linear(g_dim, n, bias=False)");
    let frozen = parent.replace("self.gate3.bias.fill_(-3.0)", "self.gate3.bias.fill_(-1.0)");
    let comment = parent.replace("Returns a function that makes", "Gives a function that makes");
    let both = published("two_heads.py");
    let judge = |child: &str, factor| {
        assert_ne!(child, parent);
        let found = locality(&parent, child, factor);
        assert_eq!(found.verdict == LocalityVerdict::Local, found.kinds.is_empty());
        found.kinds
    };
    assert!(judge(&action, Factor::ACTION).is_empty());
    assert_eq!(judge(&action, Factor::OPERATOR), ["other-region"]);
    assert!(judge(&operator, Factor::OPERATOR).is_empty());
    assert_eq!(judge(&operator, Factor::ACTION), ["other-region"]);
    assert_eq!(judge(&frozen, Factor::ACTION), ["frozen-code"]);
    assert!(judge(&comment, Factor::ACTION).is_empty());
    assert_eq!(judge(&both, Factor::ACTION), ["other-region"]);
    assert_eq!(judge(&both, Factor::OPERATOR), ["other-region"]);
}
