//! Programs with more factors than the paper's two.

use program::{Factor, LocalityVerdict, Options, Passage, Verdict, compile, locality, regions, render};

const PGN: &str = include_str!("../../../../data/seed_pgn.py");
const MPNN: &str = include_str!("../../../../data/seed_mpnn.py");

fn named(name: &str) -> Factor {
    Factor::parse(name).unwrap()
}

fn fingerprint(source: &str) -> graph::Fingerprint {
    let compiled = compile(source, &Options::default());
    assert_eq!(compiled.verdict(), Verdict::Accept, "{}", render(source, "x.py", &compiled.diagnostics, false));
    let processor = compiled.processor.unwrap();
    graph::Form::new(&processor.graph, &processor.outputs()).fingerprint()
}

#[test]
fn the_seed_of_seven_factors_computes_what_the_seed_of_two_does() {
    assert_eq!(fingerprint(MPNN), fingerprint(PGN));
    let names: Vec<String> = regions::factors(MPNN).iter().map(Factor::to_string).collect();
    let expected = ["OPERATOR", "ACTION", "AGGREGATION", "MEMORY", "MESSAGE ACTION", "MESSAGE OPERATOR", "READOUT"];
    assert_eq!(names, expected);
}

/// One edit of each factor, by a text of its region and what takes its place.
const EDITS: [(&str, &str, &str); 7] = [
    ("OPERATOR", "self.o3 = nn.Linear(width, size)", "self.o3 = nn.Linear(width, size, bias=False)"),
    ("ACTION", "triplets.amax(dim=1)", "torch.logsumexp(triplets, dim=1)"),
    ("MESSAGE OPERATOR", "self.m_2 = nn.Linear(z_size, size)", "self.m_2 = nn.Linear(z_size, size, bias=False)"),
    ("MESSAGE ACTION", "self.msg_mlp(F.relu(msgs))", "self.msg_mlp(F.gelu(msgs))"),
    ("AGGREGATION", "BLOCKED).amax(dim=1)", "0.0).sum(dim=1)"),
    ("READOUT", "F.relu(self.o1(z)", "torch.tanh(self.o1(z)"),
    ("MEMORY", "ret * gate + hidden", "torch.tanh(ret) * gate + hidden"),
];

#[test]
fn an_edit_is_local_to_its_factor_and_to_no_other() {
    for (name, from, to) in EDITS {
        let factor = named(name);
        let region = Passage::find(MPNN, factor).unwrap();
        let body = region.text().replace(from, to);
        assert_ne!(body, region.text(), "{name}");
        let child = region.splice(&body);
        assert_ne!(fingerprint(&child), fingerprint(MPNN), "{name}");
        for other in regions::factors(MPNN) {
            let found = locality(MPNN, &child, other);
            if other == factor {
                assert_eq!((found.verdict, found.kinds), (LocalityVerdict::Local, vec![]), "{name}");
                let distance = found.edit_distance;
                assert!((distance.operator > 0) == factor.is_operator(), "{name}: {distance:?}");
                assert!((distance.action > 0) != factor.is_operator() && distance.frozen == 0, "{name}: {distance:?}");
            } else {
                assert_eq!(found.kinds, ["other-region"], "{name} as {other}");
                let said = &found.diagnostics[0].message;
                assert_eq!(said, &format!("the {name} region was changed, but only the {other} region was selected"));
            }
        }
    }
}

#[test]
fn what_is_editable_is_the_parents_to_say() {
    let kinds = |child: &str, name: &str| locality(MPNN, child, named(name)).kinds;
    let unmarked = MPNN
        .replace("    # ===== BEGIN READOUT REGION =====\n", "")
        .replace("    # ===== END READOUT REGION =====\n", "");
    assert_eq!(kinds(&unmarked, "MEMORY")[..2], ["region-markers", "frozen-code"]);
    let marked = MPNN.replace(
        "        msgs = self.aggregation(",
        "        # ===== BEGIN STEP REGION =====\n        # ===== END STEP REGION =====\n        msgs = self.aggregation(",
    );
    assert_eq!(kinds(&marked, "MEMORY"), ["region-markers"]);
    let unknown = locality(MPNN, MPNN, named("GATE"));
    assert_eq!(unknown.kinds, ["region-markers"]);
    let said = &unknown.diagnostics[0].message;
    assert!(said.starts_with("the parent has no GATE region; its factors are OPERATOR, ACTION, AGGREGATION"), "{said}");
    let frozen = MPNN.replace("ret = self.readout(z, msgs)", "ret = self.readout(z, 2 * msgs)");
    assert_eq!(kinds(&frozen, "READOUT"), ["frozen-code"]);
}
