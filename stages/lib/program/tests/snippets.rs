//! Small pieces of code, each as the ACTION region of the seed program, against what PyTorch 2.11 did with them at
//! (B, N) = (1, 2), (2, 3), (3, 5) and H = 16. `pytorch`: whether it ran; `refused`: the code with which we refuse it.
//!
//! What PyTorch rejects is never accepted. What it runs may be refused: where it would fail or differ for other sizes, or
//! has no fixed tensor graph.

use std::fs;
use std::path::Path;

use program::{Options, compile, render};
use serde_json::Value;

fn seed_with(action: &str) -> String {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py")).unwrap();
    let begin = "# ===== BEGIN ACTION REGION =====\n";
    let start = source.find(begin).unwrap() + begin.len();
    let stop = source[..source.find("# ===== END ACTION REGION =====").unwrap()].rfind('\n').unwrap() + 1;
    let mut code = action.to_string();
    if !code.contains("tri_msgs") {
        code.push_str("\ntri_msgs = self.o3(self.t_e_1(edge_fts))");
    }
    let indented: String =
        code.lines().map(|l| if l.is_empty() { "\n".into() } else { format!("        {l}\n") }).collect();
    format!("{}{indented}{}", &source[..start], &source[stop..])
}

/// What a program of `tests/fixtures/programs/further` means.
fn further(name: &str, hidden: usize) -> graph::Processor {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/further");
    let source = fs::read_to_string(folder.join(name).with_extension("py")).unwrap();
    compile(&source, &Options { hidden, ..Options::default() }).processor.unwrap()
}

#[test]
fn snippets_are_judged_as_by_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs/snippets.json");
    let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(rows.len() > 300);
    let mut wrong = Vec::new();
    for row in &rows {
        let source = seed_with(row["code"].as_str().unwrap());
        let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
        let refused = compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| d.code());
        assert!(
            row["pytorch"].as_bool().unwrap() || row["refused"].is_string(),
            "{row}: accepted what PyTorch rejects"
        );
        if refused != row["refused"].as_str() {
            wrong.push(format!("{row}\n{}", render(&source, "x.py", &compiled.diagnostics, false)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[test]
fn what_is_computed_without_gradients_trains_nothing() {
    let source = seed_with("with torch.no_grad():\n    tri_msgs = self.o3(self.t_e_1(edge_fts))");
    let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
    assert!(compiled.diagnostics.iter().any(|d| d.code() == "W-DEAD-GRADIENT"), "{:?}", compiled.diagnostics);
}

#[test]
fn what_is_multiplied_by_zeros_trains_nothing() {
    for code in [
        "tri_msgs = self.o3(self.t_e_1(edge_fts)) * 0.0",
        "tri_msgs = self.o3(self.t_e_1(edge_fts)) * torch.zeros_like(adj_mat)[..., None]",
    ] {
        let compiled = compile(&seed_with(code), &Options { hidden: 16, ..Options::default() });
        let warned = compiled.diagnostics.iter().find(|d| d.code() == "W-DEAD-GRADIENT");
        assert!(warned.is_some_and(|d| d.message.contains("t_e_1.weight")), "{code}: {:?}", compiled.diagnostics);
    }
    let compiled = compile(
        &seed_with("tri_msgs = self.o3(self.t_e_1(edge_fts)) * 0.5"),
        &Options { hidden: 16, ..Options::default() },
    );
    assert!(!compiled.diagnostics.iter().any(|d| d.code() == "W-DEAD-GRADIENT"));
}

/// Programs that two readers of the language found to be accepted where PyTorch 2.11 fails, or to mean something else.
#[test]
fn what_torch_does_not_take_is_refused() {
    let cases = [
        ("pair / torch.sqrt(z.shape[-1])", "E-TYPE"),
        ("pair * torch.exp(2)", "E-TYPE"),
        ("torch.maximum(pair, 0)", "E-TYPE"),
        ("torch.maximum(0.0, pair)", "E-TYPE"),
        ("pair.minimum(0.0)", "E-TYPE"),
        ("torch.atan2(pair, 1.0)", "E-TYPE"),
        ("pair * torch.gt(0, pair)", "E-TYPE"),
        ("pair * torch.logical_and(pair > 0, True)", "E-TYPE"),
        ("pair * torch.pow(2, 3)", "E-TYPE"),
        ("pair + (pair.argsort(-1) + 1) ** -1", "E-SHAPE-DTYPE"),
        ("pair + torch.pow(pair.argsort(-1) + 1, -1)", "E-SHAPE-DTYPE"),
        ("pair + pair[..., [True, 0] * 4].sum(-1, keepdim=True)", "E-UNSUPPORTED-MASK-INDEX"),
        ("pair * torch.linspace(0, 10, 8, dtype=torch.long)", "E-UNSUPPORTED-OP"),
        ("pair + torch.zeros_like(pair.transpose(1, 3)).view(pair.shape)", "E-SHAPE-VIEW"),
        ("pair + pair.transpose(1, 2).contiguous().mT.view_as(pair)", "E-SHAPE-VIEW"),
        ("pair * self.t_1.bias.mT", "E-SHAPE-AXIS"),
        (
            "pair + F.scaled_dot_product_attention(pair, pair, pair, attn_mask=adj_mat[:, None].long()[..., :1])",
            "E-SHAPE-DTYPE",
        ),
    ];
    for (expression, code) in cases {
        let compiled = compile(
            &seed_with(&format!("pair = self.t_e_1(edge_fts)\ntri_msgs = self.o3({expression})")),
            &Options { hidden: 16, ..Options::default() },
        );
        let found = compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| d.code());
        assert_eq!(found, Some(code), "{expression}: {:?}", compiled.diagnostics);
    }
    for expression in
        ["pair.pow(2)", "torch.pow(2, pair)", "pair * (pair > 0)", "torch.eq(pair, 0) * pair", "2 ** pair"]
    {
        let code = format!("pair = self.t_e_1(edge_fts)\ntri_msgs = self.o3({expression})");
        let compiled = compile(&seed_with(&code), &Options { hidden: 16, ..Options::default() });
        assert!(compiled.processor.is_some(), "{expression}: {:?}", compiled.diagnostics);
    }
}

#[test]
fn a_class_body_shows_its_names_to_nobody_inside() {
    let with = |body: &str, args: &str| {
        let code = format!(
            "class Scale(nn.Module):\n    k = 3\n    hs = [1, 2]\n    v = {body}\n    def __init__(self):\n        super().__init__({args})\ntri_msgs = self.o3(self.t_e_1(edge_fts) * Scale().v[0])"
        );
        let compiled = compile(&seed_with(&code), &Options { hidden: 16, ..Options::default() });
        compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| d.code())
    };
    assert_eq!(with("[h * 2 for h in hs]", ""), None);
    assert_eq!(with("[h * k for h in hs]", ""), Some("E-NAME-UNDEFINED"));
    assert_eq!(with("[h for h in hs if h < k]", ""), Some("E-NAME-UNDEFINED"));
    assert_eq!(with("[k]", ""), None);
    assert_eq!(with("[k]", "3"), Some("E-TYPE"), "nn.Module's constructor takes nothing");
}

/// Functions with several names do what the name says that they are called by.
#[test]
fn each_name_of_a_function_is_its_own() {
    let same = |one: &str, other: &str| {
        let hash = |code: &str| {
            let code = format!("pair = self.t_e_1(edge_fts)\n{code}");
            let compiled = compile(&seed_with(&code), &Options { hidden: 16, ..Options::default() });
            let processor = compiled.processor.unwrap_or_else(|| panic!("{code}: {:?}", compiled.diagnostics));
            processor.fingerprint().to_string()
        };
        assert_eq!(hash(one), hash(other), "{one}");
    };
    let times = |what: &str| format!("tri_msgs = self.o3(pair * {what})");
    same(&times("len({1, 2, 3}.difference({1}))"), &times("2"));
    same(&times("len({1, 2, 3}.intersection({1}))"), &times("1"));
    same(&times("len({1, 2, 3}.symmetric_difference({1, 4}))"), &times("3"));
    same(&times("(3 if {1, 2}.issuperset({1}) else 5)"), &times("3"));
    same(&times("(3 if {1, 2}.isdisjoint({1}) else 5)"), &times("5"));
    let index = "try:\n    at = 'abc'.index('z')\nexcept ValueError:\n    at = 7\ntri_msgs = self.o3(pair * at)";
    same(index, &times("7"));
    let remove = "try:\n    {1}.remove(2)\n    at = 1\nexcept KeyError:\n    at = 7\ntri_msgs = self.o3(pair * at)";
    same(remove, &times("7"));
    let items = "for name, scale in nn.ParameterDict({'a': nn.Parameter(torch.ones(8))}).items():\n    pair = pair * len(name)\ntri_msgs = self.o3(pair * 3)";
    let compiled = compile(
        &seed_with(&format!("pair = self.t_e_1(edge_fts)\n{items}")),
        &Options { hidden: 16, ..Options::default() },
    );
    assert!(!compiled.diagnostics.iter().any(|d| d.message.contains("unpack")), "{:?}", compiled.diagnostics);
}

#[test]
fn a_module_that_is_not_imported_may_be() {
    let compiled =
        compile(&seed_with("tri_msgs = self.o3(self.t_e_1(edge_fts)) * math.sqrt(2.0)"), &Options::default());
    let found = compiled.diagnostics.iter().find(|d| d.code() == "E-NAME-UNDEFINED").expect("no import");
    assert!(found.help.as_deref().is_some_and(|help| help.contains("'import math'")), "{found:?}");
    let code = "import math\ntri_msgs = self.o3(self.t_e_1(edge_fts)) * math.sqrt(2.0)";
    assert!(compile(&seed_with(code), &Options::default()).processor.is_some());
}

#[test]
fn tied_parameters_have_all_their_names() {
    let processor = further("tied_names", 16);
    let names = |name: &str| {
        let param = processor.graph.params().iter().find(|p| p.name == name);
        param.map(|p| p.aliases.clone()).unwrap_or_default()
    };
    assert_eq!(names("first.weight"), ["second.weight"]);
    assert_eq!(names("shared.bias"), ["again.bias"]);
    assert_eq!(names("second.bias"), Vec::<String>::new());
}

/// What a parameter starts with is what its statement says of the draws.
#[test]
fn draws_and_constants_start_a_parameter_together() {
    use graph::Init;
    let processor = further("initial_sums", 4);
    let draws = |name: &str, init: &Init, shape: &[usize]| {
        graph::start::initial(init, shape, 3, &mut graph::rng::Rng::new(3, name)).unwrap()
    };
    let each = |name: &str, init: Init, shape: &[usize], f: &dyn Fn(usize, f64) -> f64| {
        let param = processor.graph.params().iter().find(|p| p.name == name).unwrap();
        let found = draws(name, &param.init, &param.shape);
        let wanted: Vec<f64> = draws(name, &init, shape).into_iter().enumerate().map(|(at, x)| f(at, x)).collect();
        assert_eq!(found.len(), wanted.len(), "{name}");
        assert!(found.iter().zip(&wanted).all(|(x, y)| (x - y).abs() < 1e-12), "{name}: {found:?}, not {wanted:?}");
    };
    let normal = |std: f64| Init::Normal { mean: 0.0, std };
    let with_eye = |at: usize, x: f64| if at / 4 == at % 4 { x + 1.0 } else { x };
    each("near", normal(0.01), &[4, 4], &with_eye);
    each("upper", normal(1.0), &[4, 4], &|at, x| if at % 4 > at / 4 { x } else { 0.0 });
    each("rows", Init::Uniform { low: 0.0, high: 1.0 }, &[8, 4], &|at, x| x / (at / 4 + 1) as f64);
    each("away", normal(0.1), &[4], &|at, x| 1.0 - (at as f64 / 3.0 - x));
    each("plain", normal(1.0), &[4], &|_, x| x + 2.0);
    each("mix.weight", Init::Orthogonal { gain: 0.1 }, &[4, 4], &with_eye);
    each("state.weight", normal(0.02), &[4, 4], &with_eye);
    each("low", normal(1.0), &[8, 8], &|at, x| if at % 8 > at / 8 { 0.0 } else { x });
    let refused = |operator: &str| {
        let code = seed_with("tri_msgs = self.o3(self.t_e_1(edge_fts)) * self.k").replace(
            "self.o3 = nn.Linear(width, size)",
            &format!("self.o3 = nn.Linear(width, size)\n            self.k = nn.Parameter({operator})"),
        );
        let compiled = compile(&code, &Options { hidden: 4, ..Options::default() });
        compiled.diagnostics.iter().any(|d| d.code() == "E-UNSUPPORTED-INIT")
    };
    // two draws, what divides by zero, and draws of fewer elements
    assert!(refused("torch.randn(size) * torch.rand(size)") && refused("torch.randn(size) / torch.arange(size)"));
    assert!(
        refused("torch.randn(size) * torch.ones(3, size).cumsum(0)")
            && !refused("torch.randn(size) * torch.arange(size)")
    );
}

#[test]
fn parts_of_parameters_start_as_they_are_told() {
    use graph::Init;
    let processor = further("initial_parts", 4);
    let init = |name: &str| processor.graph.params().iter().find(|p| p.name == name).map(|p| p.init.clone()).unwrap();
    let Init::Patched { places, init: end, .. } = init("up.bias") else { panic!("{:?}", init("up.bias")) };
    assert_eq!((places, *end), (vec![4, 5, 6, 7], Init::Constant(-1.0)));
    // the transposed first half of the output layer's weights, which are [4, 8]
    let Init::Copied { of, shape, places, .. } = init("down.weight") else { panic!("{:?}", init("down.weight")) };
    assert_eq!((of.as_str(), shape, places[..5].to_vec()), ("out.weight", vec![4, 8], vec![0, 8, 16, 24, 1]));
    assert_eq!(init("scale"), Init::BoundedNormal { mean: 0.1, std: 0.2, low: 0.0, high: 0.5 });
    let Init::Values(values) = init("freq") else { panic!("{:?}", init("freq")) };
    assert!(values.iter().zip([0.1, 0.2, 0.3, 0.4]).all(|(x, y)| (x - y).abs() < 1e-12), "{values:?}");
}

#[test]
fn python_functions_of_torch_become_methods() {
    // F.relu in a class body is bound to the instance, a function made in C is not
    let action = "class Act:\n    act = FUNCTION\n\ntri_msgs = self.o3(Act().act(self.t_e_1(edge_fts)))";
    for (function, fault) in [
        ("F.silu", Some("E-TYPE")),
        ("F.tanh", Some("E-TYPE")),
        ("torch.tanh", None),
        ("F.gelu", None),
        ("F.hardshrink", None),
        ("F.softshrink", None),
        ("staticmethod(F.silu)", None),
    ] {
        let source = seed_with(&action.replace("FUNCTION", function));
        let compiled = compile(&source, &Options { hidden: 16, ..Options::default() });
        assert_eq!(compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| d.code()), fault, "{function}");
    }
}
