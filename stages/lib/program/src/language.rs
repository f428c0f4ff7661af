//! What the language has, as a page: generated from the tables that the evaluator works with, so that it cannot lie.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::budget::Budgets;
use crate::eval;

/// What is told about Python itself; the operations below it are generated.
const PYTHON: &str = "\
# The candidate language

A candidate is a Python module in the PyTorch dialect. It is never run: it is evaluated once with symbolic tensors, and
must mean one fixed tensor graph for every batch size B >= 1 and every number of nodes N >= 2.

## Contract

- `get_processor_factory(kind, use_ln, nb_triplet_fts, nb_heads)` returns `factory(out_size)`, which returns an
  `nn.Module`. There is a class `PGN` that derives from a class `Processor` of the same file.
- `forward(self, node_fts, edge_fts, graph_fts, adj_mat, hidden, **unused)` takes [B, N, H], [B, N, N, H], [B, H],
  [B, N, N] and [B, N, H], and returns `(ret, tri_msgs)`: [B, N, H], and [B, N, N, H] or None. H is `out_size`.
- The OPERATOR region holds the layers of the triplet channel, the ACTION region the code that applies them. Each stands
  between `# ===== BEGIN ... REGION =====` and `# ===== END ... REGION =====`. A program may mark other factors, by any names,
  instead or besides: `READOUT`, or a pair such as `MESSAGE OPERATOR` and `MESSAGE ACTION`. All else is frozen.
- Layers may be made in `__init__` or by the first call of `forward`, behind a flag. Every call must mean the same graph.

## Python

- Classes, inheritance, `super()`, properties, static and class methods, nested functions, lambdas, closures, default,
  keyword-only, `*` and `**` parameters and arguments.
- `if`, `for`, `while`, `match` (not on classes by position), comprehensions, generators, `assert`, `raise`, `with torch.no_grad()` (also as a
  decorator), conditional expressions, `:=`, chained comparisons, unpacking, f-strings. Loops are unrolled; conditions must be
  known while the graph is built: they may depend on settings and feature sizes, not on the values of tensors.
- `try`, `except`, `else`, `finally` for exceptions of Python (a missing attribute, key, name, a wrong type or value, `raise`,
  `assert`). A fault of a tensor operation cannot be caught: it rejects the program.
- `torch.nn.utils.weight_norm` and `torch.nn.utils.parametrizations.weight_norm`, with the names that each gives to its parameters.
- `dataclasses.dataclass`, `enum.Enum`, `typing.NamedTuple`, `collections.namedtuple`, `types.SimpleNamespace`, `nn.Module` classes of
  your own.
- `logger = logging.getLogger(__name__)` and its `info`, `warning` and the like, which say nothing here; `@torch.jit.script` and
  `@torch.compile` above functions; `torch.autocast(..., enabled=False)`; `torch.utils.checkpoint.checkpoint`; `einops`. `try: from flash_attn import
  flash_attn_func` with a handler of `ImportError` counts as not installed.
- Sizes such as `n` in `b, n, _ = z.shape` are numbers: they can be added, multiplied, divided where that comes out even,
  and used in `view`, `expand`, slices and arithmetic. A loop over `range(n)` or a branch on `n` has no fixed graph.
- Indexing of tensors by integers, slices, `...`, `None` and index tensors, also several; the same in assignments. A bool mask
  may be assigned a number through; to be read through, it must be made of whole constants.
- In-place operations, on views too, and `inplace=True` mean what they mean in torch, also for gradients: a value that an earlier
  operation needs for its gradient may not change. `view` needs a fitting memory layout; `reshape` always works.
- A call of `forward` leaves Python's state as it found it: no counters, growing lists, or sizes kept for the next call.
- Training and evaluation may compute something else: see *Training and evaluation*.
- Functions are torch's to the last digits, ties and kinks and the signs of zeros included, but for `x + 0` and the sum of one element,
  which leave -0 as it is. Far out, `gelu` is more exact than torch's, which is 0 there.
- Not there: `async`, iterators written as classes, `yield` inside of an expression, `try` or `with`, files, network, `eval`, dunder walks.
- `.item()`, reading through bool masks and all whose shape or flow depends on values are refused: use `torch.where` and
  `masked_fill`. So are `.double()`, `.half()` and their like: the precision is the trainer's choice.

## Training and evaluation

A program whose `forward` asks for its mode (`self.training`, layers such as `nn.Dropout`, `torch.is_grad_enabled()`) is evaluated in both, and
means two graphs with the same parameters. Losses and gradients are those of training; hints and outputs are scored by evaluation, with
`module.eval()` and without gradients. Where both modes compute the same, there is one graph.

- Dropout: `nn.Dropout`, `Dropout1d` to `3d`, `AlphaDropout`, `FeatureAlphaDropout`, the functions of `F` with `training=self.training`, `dropout` of
  `nn.MultiheadAttention`, `dropout_p` of `F.scaled_dot_product_attention`. A module that each call makes, or that a plain list holds, is always
  in training, as in PyTorch.
- Noise in training: `torch.rand`, `randn`, `rand_like`, `randn_like`, `normal`, `bernoulli`, `F.gumbel_softmax`, and in place `uniform_`, `normal_`,
  `bernoulli_`, `exponential_`; of any shape of which B is a factor of one axis at most. Evaluation has none: `if self.training:`. Noise follows from
  the training's seed and the numbers of step, time step, application, sample and drawing: it is the same to the bit for any number
  of threads, and after an interruption. Random values may also initialise parameters, with constants as in
  `torch.eye(n) + 0.01 * torch.randn(n, n)`. Random integers are refused.
- `nn.BatchNorm1d` to `3d` and `F.batch_norm` normalise by the batch in training, where every time step moves the running statistics, and by
  these in evaluation. They are saved by PyTorch's names. Training may not read them otherwise. Channels are the second axis:
  `self.bn(x.flatten(0, 1)).view(x.shape)`. Samples of a batch then see each other in training.

## What one may do with an accepted file

The rule about names holds for the whole text, evaluated or not: every import, name, attribute, decorator, annotation, default and
base is one of the language's or of the program's own. Modules are no values: `torch` and its like only stand at the head of a chain
such as `torch.nn.Linear`. The name that `getattr` gets can be read in the text. Methods that Python or PyTorch call by themselves
may not be redefined, but for the special methods that are evaluated, and for `__repr__`, `__str__` and `extra_repr`.

So an accepted file may be imported, built, called, trained, saved, loaded, printed, copied, pickled and deleted under Python 3.11 and
PyTorch 2.11, where this is tested: it opens no file, starts no process, talks to no network and imports nothing but the modules of the language,
what PyTorch itself imports, and functions by name of the packages flash_attn, xformers.ops and apex.normalization where it is ready to
do without them; a function under `@torch.compile` has PyTorch's compiler run when it is called. Not promised: that code which was not evaluated ends, is fast, or needs little memory; that it
leaves PyTorch's own settings, such as the seed, alone; and anything about a file that was changed afterwards.

";

/// The page, in Markdown.
pub fn language_page() -> String {
    let mut page = String::from(PYTHON);
    let budgets = Budgets::default();
    let _ = write!(
        page,
        "## Budgets\n\nOne tensor: {} MiB in float32 at B={}, N={}. Parameters: {}. Tensor operations: {}. Rounds of a loop: {}. \
         Nested calls: {}.\n\n",
        budgets.tensor_bytes >> 20,
        budgets.b,
        budgets.n,
        budgets.parameters,
        budgets.nodes,
        budgets.iterations,
        budgets.depth
    );
    let _ = writeln!(page, "## Layers\n");
    for (name, signature) in eval::layers() {
        let short = name.trim_start_matches("torch.");
        let _ = writeln!(page, "- `{short}({})`", parameters(signature));
    }
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, signature) in eval::names() {
        if name.contains('$') || name == "builtins.reveal_shape" || name.contains("__") {
            continue;
        }
        let Some((title, short)) = group(name) else { continue };
        let signature =
            if title.starts_with("Methods") || title.contains("modules") { drop_first(signature) } else { signature };
        groups.entry(title).or_default().push(format!("- `{short}({})`", parameters(signature)));
    }
    for (title, lines) in groups {
        let _ = writeln!(page, "\n## {title}\n\n{}", lines.join("\n"));
    }
    page.push('\n');
    page.push_str(&crate::contract::contract_page());
    page
}

fn drop_first(signature: &'static str) -> &'static str {
    signature.split_once(' ').map_or("", |s| s.1)
}

/// `dim keepdim?` as `dim, keepdim=`.
fn parameters(signature: &str) -> String {
    let word = |w: &str| match w.strip_suffix('?') {
        Some(optional) => format!("{optional}="),
        None if w == "|" => "*".to_string(),
        None => w.to_string(),
    };
    signature.split_whitespace().map(word).collect::<Vec<_>>().join(", ")
}

/// The heading under which a function stands, and its name there.
fn group(name: &'static str) -> Option<(&'static str, String)> {
    let short = |prefix: &str, alias: &str| name.strip_prefix(prefix).map(|rest| format!("{alias}{rest}"));
    let table: [(&str, &str, &str); 9] = [
        ("torch.nn.init.", "Initialisation: torch.nn.init", "nn.init."),
        ("torch.nn.functional.", "Functions: torch.nn.functional", "F."),
        ("torch.nn.", "Parameters: torch.nn", "nn."),
        ("torch.", "Functions: torch", "torch."),
        ("Tensor.", "Methods of tensors", "."),
        ("Module.", "Methods of modules", "."),
        ("builtins.", "Python builtins", ""),
        ("math.", "Standard library", "math."),
        ("functools.", "Standard library", "functools."),
    ];
    for (prefix, title, alias) in table {
        if let Some(short) = short(prefix, alias) {
            return Some((title, short));
        }
    }
    let (kind, rest) = name.split_once('.')?;
    match kind {
        "str" | "list" | "dict" | "set" | "tuple" => {
            Some(("Methods of str, list, dict, set and tuple", format!("{kind}.{rest}")))
        }
        "ModuleList" | "ModuleDict" | "ParameterList" => {
            Some(("Methods of containers of modules", format!("{kind}.{rest}")))
        }
        "itertools" | "operator" | "copy" => Some(("Standard library", name.to_string())),
        _ => None,
    }
}
