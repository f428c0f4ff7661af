//! The gradients of whole programs are the transposes of the interpreter's tangents.

use std::fs;
use std::path::{Path, PathBuf};

use graph::interpret::{Tensor, evaluate, sizes};
use graph::{DType, Graph, Init, NodeId, Op, Passes, Processor, gradients, normal_form, optimise};
use program::{Budgets, Options, compile};

const B: i64 = 2;
const N: i64 = 3;

/// Repeatable numbers in -1..1 (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    fn tensor(&mut self, shape: Vec<usize>, moves: bool) -> Tensor {
        let count = shape.iter().product();
        let data = (0..count).map(|_| self.next()).collect();
        let tangent = (0..count).map(|_| if moves { self.next() } else { 0.0 }).collect();
        Tensor { shape, data, tangent }
    }
}

/// Inputs as a step of a network sees them: features, and an adjacency matrix of 0 and 1 with loops.
fn inputs(graph: &Graph, numbers: &mut Numbers) -> Vec<Tensor> {
    let of = |input: &graph::Input| {
        let shape = sizes(&input.shape, B, N).unwrap();
        let mut tensor = numbers.tensor(shape, input.name != "adj_mat");
        if input.name == "adj_mat" {
            let n = N as usize;
            for (at, x) in tensor.data.iter_mut().enumerate() {
                let (row, column) = (at / n % n, at % n);
                *x = f64::from(u8::from(row == column || *x > 0.0));
            }
        }
        tensor
    };
    graph.inputs().iter().map(of).collect()
}

/// Parameters near where they start; buffers are exactly that.
fn params(graph: &Graph, numbers: &mut Numbers) -> Vec<Tensor> {
    let of = |param: &graph::Param| {
        let mut tensor = numbers.tensor(param.shape.clone(), param.trainable);
        for (at, x) in tensor.data.iter_mut().enumerate() {
            let noise = if param.trainable { 0.1 * *x } else { 0.0 };
            *x = match &param.init {
                Init::Constant(value) => value + noise,
                Init::Values(values) => values[at] + noise,
                _ => 0.5 * *x,
            };
        }
        tensor
    };
    graph.params().iter().map(of).collect()
}

fn inner(x: &[f64], y: &[f64]) -> (f64, f64) {
    x.iter().zip(y).fold((0.0, 0.0), |(sum, scale), (x, y)| (sum + x * y, scale + (x * y).abs()))
}

/// What is wrong with the gradients of `outputs`, where something is.
fn fault(graph: &Graph, outputs: &[NodeId]) -> Option<String> {
    let mut graph = graph.clone();
    let mut numbers = Numbers(7);
    let (mut inputs, params) = (inputs(&graph, &mut numbers), params(&graph, &mut numbers));
    let wanted: Vec<NodeId> =
        graph.ids().filter(|&id| matches!(graph.node(id).op, Op::Input(_) | Op::Param(_))).collect();
    let mut seeds = Vec::new();
    for &output in outputs {
        let shape = graph.shape(output).clone();
        inputs.push(numbers.tensor(sizes(&shape, B, N).unwrap(), false));
        seeds.push((output, graph.input("adjoint", shape, DType::Float, true)));
    }
    let found = match gradients(&mut graph, &seeds, &wanted) {
        Ok(found) => found,
        Err(error) => return Some(error.to_string()),
    };
    if let Err(error) = graph.validate() {
        return Some(error.to_string());
    }
    let pairs: Vec<(NodeId, NodeId)> = wanted.into_iter().zip(found).filter_map(|(x, g)| Some((x, g?))).collect();
    let kept: Vec<NodeId> = seeds.iter().chain(&pairs).flat_map(|&(x, y)| [x, y]).collect();
    let (graph, at) = normal_form(&graph, &kept);
    let values = evaluate(&graph, &inputs, &params, B, N).unwrap();
    let (mut forward, mut reverse, mut scale) = (0.0, 0.0, 0.0);
    for (place, pair) in at.chunks(2).enumerate() {
        let [x, g] = [&values[pair[0].index()], &values[pair[1].index()]];
        let (sum, size) = inner(&x.tangent, &g.data);
        *(if place < seeds.len() { &mut forward } else { &mut reverse }) += sum;
        scale += size;
    }
    let agree = (forward - reverse).abs() <= 1e-9 * scale;
    (!agree).then(|| format!("{forward} and {reverse} of terms of {scale}"))
}

fn programs(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/programs").join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "py")).collect();
    paths.sort();
    paths
}

fn compiled(path: &Path) -> Processor {
    let source = fs::read_to_string(path).unwrap();
    let options = |hidden| Options { hidden, budgets: Budgets::default(), ..Options::default() };
    // Some programs split the features into more heads than 4.
    [4, 8, 16].into_iter().find_map(|hidden| compile(&source, &options(hidden)).processor).unwrap()
}

fn all_train(folder: &str) {
    let mut wrong = Vec::new();
    for path in programs(folder) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let processor = compiled(&path);
        let outputs = processor.outputs();
        let (fast, rewritten) = optimise(&processor.graph, &outputs, &Passes::all());
        for (form, graph, outputs) in [("as written", &processor.graph, &outputs), ("optimised", &fast, &rewritten)] {
            wrong.extend(fault(graph, outputs).map(|fault| format!("{name} {form}: {fault}")));
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn valid_programs_have_the_gradients_of_their_tangents() {
    all_train("valid");
}

#[test]
fn what_language_models_write_has_the_gradients_of_its_tangents() {
    all_train("further");
}

/// Statements on `v` [B, N, H], `u` [B, N, N, H], `w` [H] and `k` [B, N], integers below N; each may be refused.
const STATEMENTS: &[&str] = &[
    "v = v * 0.5 + w",
    "v = F.relu(v, inplace=True)",
    "F.leaky_relu_(v, 0.1)",
    "nn.SiLU(inplace=True)(v)",
    "v = F.softplus(v) - torch.tanh(v)",
    "v += w",
    "v *= v",
    "v[:, 0] += w",
    "v[..., ::2] = 0.5",
    "v[..., 1:] += v[..., :-1].clone()",
    "v[..., 1:] += v[..., :-1]",
    "h = v.transpose(1, 2)\nh *= 2.0",
    "h = v.view(b, n, 2, -1)[:, :, 1]\nh -= 1.0",
    "p, q = v.chunk(2, dim=-1)\nv = torch.cat([q, p], dim=-1)",
    "p, q = v.chunk(2, dim=-1)\np += q",
    "v = v.clone()",
    "v = v + v.detach()",
    "v = v.contiguous()",
    "v = torch.div(v, 0.3, rounding_mode='floor') + v",
    "v = v // 0.3",
    "v = v % 0.7",
    "v = torch.fmax(v, v.roll(1, -1))",
    "v = v.clamp(-0.5, 0.5)",
    "v = v.softmax(-1) + v.amax(-1, keepdim=True)",
    "v = v / v.norm(dim=-1, keepdim=True).clamp(min=0.1)",
    "v = torch.where(v > 0, v, w)",
    "v = u.mean(2) + v",
    "v = u.amax(1) * v",
    "v = torch.einsum('bnmh,bmh->bnh', u, v)",
    "v = v.gather(1, k[..., None].expand(-1, -1, v.shape[-1]))",
    "v = torch.take_along_dim(v, k[..., None], 1)",
    "v = v.cumsum(1)",
    "v = v.sort(dim=-1).values",
    "v = F.layer_norm(v, v.shape[-1:], w)",
    "v = F.rms_norm(v, v.shape[-1:], w, 1e-3)",
    "v = F.normalize(v, dim=-1)",
    "v.sigmoid_()",
    "v.masked_fill_(k[..., None] > 1, 0.25)",
    "v.copy_(w)",
    "v = v.flip(1)",
    "u = u + v[:, None] * v[:, :, None]",
    "u[:, torch.arange(n), torch.arange(n)] = 0.0",
    "u = u.tril() + u.diagonal(dim1=1, dim2=2).sum(-1)[..., None, None, None]",
    "d = u.diagonal(dim1=1, dim2=2)\nd *= 2.0",
    "u = u.permute(0, 2, 1, 3)",
    "u = u * adj_mat[..., None]",
    "u[..., 0] *= adj_mat",
    "u = F.gelu(u)",
    "u = u - u.mean(dim=(1, 2), keepdim=True)",
    "k = u.sum(-1).argmax(-1)",
    "k = (k + 1) % n",
    "k = torch.bitwise_not(k) + n",
    "k = k.clamp(max=0)",
    "with torch.no_grad():\n    v = v * 1.5",
    "with torch.no_grad():\n    v *= 1.5",
    "v.data.mul_(2.0)",
    "v = v.data + v",
    "n0 = getattr(self, 'n0', 0) + 1\nself.n0 = n0",
    "v = v * 0.9 if self.training else v",
    "v = F.dropout(v, 0.3, self.training)",
    "u = F.dropout(u, 0.3, training=self.training, inplace=True) * 1.0",
    "v = F.dropout(v, 0.3)",
    "v = v + torch.randn_like(v) if self.training else v",
    "v = F.gumbel_softmax(v, hard=True) if self.training else v.softmax(-1)",
    "if not hasattr(self, 'bn'):\n    self.bn = nn.BatchNorm1d(v.shape[-1])\nv = self.bn(v.flatten(0, 1)).reshape(v.shape)",
];

/// A program whose ACTION region is some of the statements.
fn generated(numbers: &mut Numbers) -> String {
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py");
    let source = fs::read_to_string(seed).unwrap();
    let mut pick = |count: usize| (((numbers.next() + 1.0) / 2.0 * count as f64) as usize).min(count - 1);
    let mut code = String::from(
        "b, n, _ = z.shape\nif not hasattr(self, 'own'):\n    self.lift = nn.Linear(z.shape[-1], edge_fts.shape[-1])\n    self.own = nn.Parameter(torch.ones(edge_fts.shape[-1]))\nv = self.lift(z)\nu = edge_fts * self.own\nw = self.own\nk = adj_mat.argmax(-1)\n",
    );
    for _ in 0..1 + pick(5) {
        code.push_str(STATEMENTS[pick(STATEMENTS.len())]);
        code.push('\n');
    }
    code.push_str("tri_msgs = u + v[:, None] + k[..., None, None]");
    let begin = "# ===== BEGIN ACTION REGION =====\n";
    let start = source.find(begin).unwrap() + begin.len();
    let stop = source[..source.find("# ===== END ACTION REGION =====").unwrap()].rfind('\n').unwrap() + 1;
    let indented: String = code.lines().map(|l| format!("        {l}\n")).collect();
    format!("{}{indented}{}", &source[..start], &source[stop..])
}

/// What is accepted has a gradient for everything that it depends on, which is the transpose of its tangents.
#[test]
fn what_is_accepted_trains() {
    let mut numbers = Numbers(20);
    let options = Options { hidden: 4, budgets: Budgets::default(), ..Options::default() };
    let (mut accepted, mut two) = (0, 0);
    let (mut refused, mut wrong) = (std::collections::BTreeMap::<&str, usize>::new(), Vec::new());
    for _ in 0..600 {
        let source = generated(&mut numbers);
        let compiled = compile(&source, &options);
        let Some(processor) = compiled.processor else {
            let code = compiled.diagnostics.iter().find(|d| d.is_error()).map_or("", |d| d.code());
            *refused.entry(code).or_default() += 1;
            continue;
        };
        accepted += 1;
        if let Some(fault) = fault(&processor.graph, &processor.outputs()) {
            wrong.push(format!("{fault}\n{source}"));
        }
        if let Some(training) = &processor.training {
            two += 1;
            wrong.extend(
                fault(&training.graph, &training.outputs()).map(|fault| format!("{fault}, in training\n{source}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
    assert!(two > 30, "only {two} are two graphs");
    assert!(accepted > 200, "only {accepted} are accepted: {refused:?}");
    for code in ["E-STATEFUL", "E-UNSUPPORTED-INPLACE", "E-UNSUPPORTED-RANDOM", "E-UNSUPPORTED-OP"] {
        assert!(refused.contains_key(code), "{code}: {refused:?}");
    }
    assert!(!refused.contains_key("E-INTERNAL") && !refused.contains_key("E-SYNTAX"), "{refused:?}");
}
