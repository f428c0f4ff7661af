//! What is accepted is harmless under Python, too: attacks in all positions of a program are refused, and what is accepted of
//! them, of the fixtures and of mutants does nothing in the real PyTorch that an audit hook would notice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use program::{Diagnostic, Options, compile};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path)
}

fn seed() -> String {
    fs::read_to_string(root("data/seed_pgn.py")).unwrap()
}

/// Text put behind the line that begins a region, at its indentation.
fn within(source: &str, factor: &str, code: &str) -> String {
    let begin = format!("        # ===== BEGIN {factor} REGION =====\n");
    let indented: String = code.lines().map(|l| format!("        {l}\n")).collect();
    assert!(source.contains(&begin));
    source.replacen(&begin, &format!("{begin}{indented}"), 1)
}

/// Statements put before the program's own class.
fn at_top(source: &str, code: &str) -> String {
    let mark = "class PGN(Processor):\n";
    assert!(source.contains(mark));
    source.replacen(mark, &format!("{code}\n\n\n{mark}"), 1)
}

/// A method put into the program's class.
fn as_method(source: &str, code: &str) -> String {
    let mark = "class PGN(Processor):\n";
    let indented: String = code.lines().map(|l| format!("    {l}\n")).collect();
    source.replacen(mark, &format!("{mark}{indented}\n"), 1)
}

/// Expressions that reach outside; `touch pwned` is what they would run.
const REACHING: &[&str] = &[
    "torch.os.system('touch pwned')",
    "torch.nn.modules.module.warnings.sys.modules['os'].system('touch pwned')",
    "nn.init.warnings.sys.modules['os'].system('touch pwned')",
    "F.torch.os.system('touch pwned')",
    "nn.functional.handle_torch_function.__globals__['torch'].os.system('touch pwned')",
    "torch.load('weights.pt', weights_only=False)",
    "torch.save(1, 'pwned')",
    "torch.hub.load('a', 'b')",
    "torch.utils.cpp_extension.load('a', 'b')",
    "torch.ops.load_library('a.so')",
    "torch._C._jit_pass_inline(1)",
    "torch.Tensor.from_file('pwned', True, 4)",
    "torch.relu.__self__",
    "getattr(torch, 'os').system('touch pwned')",
    "getattr(torch, 'o' + 's').system('touch pwned')",
    "getattr(nn.Module.forward, '__glo' + 'bals__')['torch'].os.system('touch pwned')",
    "torch.zeros(1).numpy().tofile('pwned')",
    "torch.zeros(1).untyped_storage()._write_file('pwned', False, False, 1)",
    "(lambda: torch)().os.system('touch pwned')",
    "[t for t in [torch]][0].os.system('touch pwned')",
    "{'t': torch}['t'].os.system('touch pwned')",
    "(t := torch).os.system('touch pwned')",
    "(lambda t=torch: t.os.system('touch pwned'))()",
    "map(getattr, [torch], ['os'])",
    "'{0.os}'.format(torch)",
    "'{0.__class__.__init__.__globals__}'.format(z)",
    "str.format('{0.__class__}', 1)",
    "open('pwned', 'w')",
    "__import__('os').system('touch pwned')",
    "eval('1')",
    "exec('1')",
    "__builtins__['open']('pwned', 'w')",
    "breakpoint()",
    "globals()['torch'].os",
    "vars(torch)['os'].system('touch pwned')",
    "().__class__.__mro__[-1].__subclasses__()",
    "(i for i in []).gi_frame.f_globals['torch'].os",
    "type('A', (), {'__del__': lambda s: torch.os.system('touch pwned')})()",
    "torch.\u{ff4f}\u{ff53}.system('touch pwned')",
    "\u{ff4f}pen('pwned', 'w')",
    "torch.jit.script(lambda x: x)",
    "torch.compile(lambda x: x)",
    "torch.fx.symbolic_trace(None)",
    "nn.Module.__reduce_ex__",
    "Exception().__traceback__",
    "get_ipython().system('touch pwned')",
    "torch.serialization.os.system('touch pwned')",
    "torch.library.define('a', 'b')",
    "math.__loader__",
    "torch.autograd.Function",
    "nn.Module.register_forward_hook",
    "setattr(torch, 'relu', torch.tanh)",
    "torch.multiprocessing.Process",
    "torch.nn.Parameter(torch.zeros(1)).share_memory_()",
];

/// Places where an expression is never evaluated by us, or only under PyTorch.
const PLACES: &[(&str, &str)] = &[
    ("action", "if z.is_leaf:\n    u = EXPR"),
    ("action", "if torch.__version__.startswith('1'):\n    u = EXPR"),
    ("action", "u = lambda x: EXPR"),
    ("action", "u = lambda x=(None if True else EXPR): x"),
    ("action", "u = None if True else EXPR"),
    ("action", "u = True or EXPR"),
    ("action", "u = False and EXPR"),
    ("action", "assert z is not None, EXPR"),
    ("action", "u = f\"{EXPR2}\" if False else ''"),
    ("action", "u = f\"{1:{EXPR2}}\" if False else ''"),
    ("action", "u = [EXPR for i in ()]"),
    ("action", "u = [i for i in () if EXPR]"),
    ("action", "u = {i: EXPR for i in ()}"),
    ("action", "try:\n    pass\nexcept EXPR:\n    pass"),
    ("action", "try:\n    pass\nexcept ValueError:\n    u = EXPR"),
    ("action", "while False:\n    u = EXPR"),
    ("action", "for i in ():\n    u = EXPR"),
    ("action", "def f():\n    return EXPR"),
    ("action", "def f():\n    global BLOCKED\n    BLOCKED = EXPR"),
    ("action", "def f(x: EXPR = 1):\n    return x"),
    ("action", "def f() -> EXPR:\n    return 1"),
    ("action", "def f():\n    class A(EXPR):\n        pass"),
    ("action", "def f():\n    class A(metaclass=EXPR):\n        pass"),
    ("action", "def f():\n    @EXPR\n    def g(): pass"),
    ("action", "def f():\n    with EXPR as u: pass"),
    ("action", "def f():\n    yield EXPR"),
    ("action", "def f():\n    raise ValueError from EXPR"),
    ("action", "def f():\n    del EXPR2.x"),
    ("action", "def f(x):\n    match x:\n        case 1:\n            return EXPR"),
    ("action", "def f(x):\n    match EXPR:\n        case _:\n            return 1"),
    ("action", "u: EXPR = 1"),
    ("top", "Kind = None if True else EXPR"),
    ("top", "def helper(x=None if True else EXPR):\n    return x"),
    ("top", "class Wide(nn.Linear):\n    kind: EXPR = 1"),
    ("top", "class Wide(nn.Linear):\n    def extra_repr(self):\n        return EXPR"),
    ("top", "class Wide(nn.Linear):\n    @property\n    def kind(self):\n        return EXPR"),
    ("top", "class Wide(nn.Linear):\n    def __repr__(self):\n        return str(EXPR)"),
    ("top", "if __name__ == '__main__':\n    u = EXPR"),
    ("method", "def forgotten(self):\n    self.os = self.system = 1\n    return EXPR"),
    ("method", "async def forgotten(self):\n    return EXPR"),
    ("method", "system = os = 1\ndef forgotten(self):\n    return EXPR"),
];

/// Whole pieces that are refused.
const PIECES: &[(&str, &str)] = &[
    ("top", "from torch import os"),
    ("top", "from torch import *"),
    ("top", "import torch.utils.cpp_extension"),
    ("top", "from . import best"),
    ("top", "from typing import sys"),
    ("top", "from collections.abc import sys"),
    ("top", "from dataclasses import sys"),
    ("top", "import enum\nKind = enum.sys"),
    ("top", "import warnings\nKind = warnings.sys"),
    ("top", "import functools\nKind = functools.reduce.__globals__"),
    ("top", "from typing import get_type_hints"),
    ("top", "from functools import singledispatch"),
    ("top", "from types import FunctionType"),
    ("top", "def __getattr__(name):\n    return 1"),
    ("top", "torch.relu = torch.tanh"),
    ("top", "nn.Linear.forward = lambda self, x: x"),
    ("top", "nn.Module._apply = lambda self, f: self"),
    ("top", "t = torch"),
    ("top", "n = torch.nn"),
    ("top", "class Box:\n    import torch as inner"),
    ("top", "class Box:\n    from torch import nn as inner"),
    ("top", "class Box[T: torch.os.system('touch pwned')]:\n    pass"),
    ("top", "type Kind = torch.os.system('touch pwned')"),
    ("top", "Kind = 'x'\nfor n in ('__glo' + 'bals__',):\n    Kind = getattr(nn.Module.forward, n, None)"),
    ("top", "def reach(o, n):\n    return getattr(o, n)"),
    ("top", "names = ['t_1']\nnames.append('__globals__')\ndef reach(o):\n    return [getattr(o, n) for n in names]"),
    (
        "top",
        "class A:\n    names = ['__globals__']\ndef reach(o, a):\n    a.names = ['t_1']\n    for n in a.names:\n        o = getattr(o, n)",
    ),
    (
        "top",
        "def reach(o):\n    try:\n        pass\n    except ValueError as e:\n        for n in e.args:\n            o = getattr(o, n)",
    ),
    (
        "top",
        "def reach():\n    try:\n        F.swish(1)\n    except AttributeError as e:\n        e.obj.os.system('touch pwned')",
    ),
    (
        "top",
        "def reach():\n    import torch as F\n    def inner():\n        return F.os.system('touch pwned')\n    return inner",
    ),
    ("top", "def reach():\n    global t\n    import torch as t\ndef go():\n    return t.os.system('touch pwned')"),
    (
        "top",
        "def reach():\n    t = 1\n    def inner():\n        nonlocal t\n        import torch as t\n    return t.os",
    ),
    ("top", "def reach(x: \"torch.os.system('touch pwned')\"):\n    return x"),
    ("top", "class A:\n    def __init_subclass__(cls):\n        pass"),
    ("top", "class A:\n    def __class_getitem__(cls, i):\n        return 1"),
    ("top", "class A:\n    def __set_name__(self, o, n):\n        pass"),
    ("top", "class A:\n    __del__ = print"),
    ("top", "class A:\n    def __reduce__(self):\n        return print, ('x',)"),
    ("top", "class A(type):\n    def __prepare__(*a):\n        return {}"),
    ("top", "class A:\n    def __format__(self, s):\n        return s"),
    ("top", "class A:\n    def __instancecheck__(self, o):\n        return True"),
    ("top", "class A:\n    def __getattr__(self, n):\n        return n"),
    ("method", "def _load_from_state_dict(self, *args, **kwargs):\n    pass"),
    ("method", "def _apply(self, fn, recurse=True):\n    return self"),
    ("method", "def load_state_dict(self, *args, **kwargs):\n    return None"),
    ("method", "def state_dict(self, *args, **kwargs):\n    return {}"),
    ("method", "def train(self, mode=True):\n    return self"),
    ("method", "def to(self, *args):\n    return self"),
    ("method", "def __getstate__(self):\n    return {}"),
    ("method", "def __setstate__(self, s):\n    pass"),
    ("method", "def __deepcopy__(self, memo):\n    return self"),
    ("method", "def __setattr__(self, n, v):\n    pass"),
    ("method", "def __del__(self):\n    pass"),
    ("method", "@classmethod\ndef __torch_function__(cls, *args):\n    pass"),
    ("method", "def __dir__(self):\n    return []"),
    ("action", "self._apply = lambda f: self"),
    ("action", "setattr(self, '_load_from_state_dict', print)"),
    ("action", "u = hasattr(torch, 'os')"),
    ("action", "u = __file__"),
    ("action", "u = __name__ == 'best'"),
    ("action", "u = z.sofmax(1) if False else z"),
    ("action", "u = torch.sofmax(z, 1) if False else z"),
];

/// Further ones in files: expressions a line each; places and pieces apart by `---`, with where they stand in their first lines.
const EXPRESSIONS: &str = include_str!("attacks/expressions.txt");
const MORE_PLACES: &str = include_str!("attacks/places.txt");
const MORE_PIECES: &str = include_str!("attacks/pieces.txt");

fn apart(text: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.split("---\n").filter_map(|piece| piece.trim_end().split_once('\n'))
}

fn placed(kind: &str, code: &str) -> String {
    match kind {
        "action" => within(&seed(), "ACTION", code),
        "top" => at_top(&seed(), code),
        _ => as_method(&seed(), code),
    }
}

/// All attacks with what they are.
fn attacks() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (kind, place) in PLACES {
        for expr in REACHING {
            // an expression inside of an f-string has the other quotes there already
            let code = place.replace("EXPR2", expr).replace("EXPR", expr);
            all.push((format!("{code:?}"), placed(kind, &code)));
        }
    }
    let pieces = PIECES.iter().copied().chain(apart(MORE_PIECES));
    all.extend(pieces.map(|(kind, code)| (format!("{code:?}"), placed(kind, code))));
    // all of them in two places, and a part of them in each
    for (at, expr) in EXPRESSIONS.lines().enumerate() {
        for (index, (kind, place)) in apart(MORE_PLACES).enumerate() {
            let quoted = place.contains("EXPRTEXT");
            // a name alone says nothing as the text of an annotation
            let unfit = quoted && (expr.contains('"') || !expr.contains(['.', '(', '[']));
            if unfit || (index > 1 && index % 7 != at % 7) {
                continue;
            }
            let code = if quoted { place.replace("EXPRTEXT", expr) } else { place.replace("EXPR", expr) };
            all.push((format!("{code:?}"), placed(kind, &code)));
        }
    }
    all
}

fn errors(source: &str) -> Vec<Diagnostic> {
    let options = Options { hidden: 16, ..Options::default() };
    compile(source, &options).diagnostics.into_iter().filter(|d| d.is_error()).collect()
}

#[test]
fn attacks_are_refused_wherever_they_stand() {
    let all = attacks();
    assert!(all.len() > 4500, "{}", all.len());
    let accepted: Vec<&str> = all.iter().filter(|(_, s)| errors(s).is_empty()).map(|(what, _)| what.as_str()).collect();
    println!("{} attacks", all.len());
    assert!(accepted.is_empty(), "{} accepted:\n{}", accepted.len(), accepted.join("\n"));
}

#[test]
fn what_is_not_evaluated_has_a_code_a_place_and_a_suggestion() {
    for (code, wanted, near) in [
        ("u = torch.sofmax(z, 1) if False else z", "E-UNSUPPORTED-OP", Some("torch.softmax")),
        ("u = z.sofmax(1) if False else z", "E-NAME-ATTRIBUTE", Some(".softmax")),
        ("u = lambda x: prin(x)", "E-NAME-UNDEFINED", Some("'print'")),
        ("u = lambda x: torch.os.system(x)", "E-FORBIDDEN-TORCH", None),
        ("u = lambda x: open(x)", "E-FORBIDDEN-BUILTIN", None),
        ("u = (lambda: torch)()", "E-FORBIDDEN-MODULE", None),
        ("u = lambda x: x.numpy()", "E-FORBIDDEN-ATTRIBUTE", None),
    ] {
        let source = within(&seed(), "ACTION", code);
        let line = source.lines().position(|l| l.contains(code)).unwrap() + 1;
        let found = errors(&source);
        let first = found.first().unwrap_or_else(|| panic!("accepted: {code}"));
        assert_eq!((first.code(), first.line as usize), (wanted, line), "{code}: {found:?}");
        assert!(first.column > 8 && first.help.clone().unwrap_or_default().contains(near.unwrap_or("")), "{found:?}");
    }
}

#[test]
fn everyday_code_that_is_not_evaluated_is_accepted() {
    for code in [
        "u = [getattr(self, n) for n in ('t_1', 't_2')]",
        "u = [getattr(self, f't_{i}') for i in (1, 2)]",
        "names = ['t_1', 't_2']\nfor i, n in enumerate(names):\n    u = getattr(self, n)",
        "def f(input, hash=1, id=2):\n    return input + hash + id",
        "b, n, F = z.shape\nu = [F, n]",
        "def f(x: 'torch.Tensor') -> 'Optional[torch.Tensor]':\n    return x.mean(dim=-1)",
        "if False:\n    u = F.softmax(math.pi * z, dim=-1).transpose(1, 2).contiguous().relu_()",
        "if hasattr(F, 'scaled_dot_product_attention') and hasattr(self, 'nope'):\n    u = self.nope(z)",
        "u = '{} of {:>3}'.format(1, 2)",
        "self.os = self.system = 1",
    ] {
        let found = errors(&within(&seed(), "ACTION", code));
        assert!(found.is_empty(), "{code}: {found:?}");
    }
    for code in [
        "if __name__ == '__main__':\n    print(get_processor_factory)",
        "class Gate(nn.Module):\n    def extra_repr(self):\n        return f'{self.training}'\n    def reset_parameters(self):\n        nn.init.zeros_(self.weight)",
    ] {
        let found = errors(&at_top(&seed(), code));
        assert!(found.is_empty(), "{code}: {found:?}");
    }
}

/// All programs of the fixtures that are there to be accepted.
fn fixtures() -> Vec<String> {
    let mut all = vec![seed()];
    for folder in ["valid", "further", "published"] {
        let mut paths: Vec<PathBuf> = fs::read_dir(root("tests/fixtures/programs").join(folder))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.extension().is_some_and(|e| e == "py"))
            .collect();
        paths.sort();
        all.extend(paths.iter().map(|p| fs::read_to_string(p).unwrap()));
    }
    all
}

/// A small generator, so that the mutants are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n.max(1)
    }

    fn of<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }
}

/// Expressions that the language has, to be mixed with those that it has not.
const PLAIN: &[&str] = &[
    "torch.relu(torch.zeros(2))",
    "nn.Linear(2, 2)",
    "F.softmax(z, dim=-1)",
    "nn.init.zeros_(torch.zeros(2))",
    "getattr(torch, 'tanh')(z)",
    "hasattr(F, 'scaled_dot_product_attention')",
    "str(z.shape)",
    "repr(z)",
    "'{} and {:>4}'.format(1, 'x')",
    "f'{z.shape[0]:>{3}}'",
    "type(z)",
    "z.data.clone().detach().cpu()",
    "z.mean(-1).unsqueeze(-1).expand_as(z)",
    "[getattr(self, n) for n in ('t_1', 't_2')]",
    "list(self.named_parameters())",
    "self.__class__.__name__",
    "self.apply(lambda m: None)",
    "print(z, self)",
    "sorted([3, 1], key=lambda v: -v)",
    "sum(p.numel() for p in self.parameters())",
    "torch.float32",
    "ValueError",
    "nn.Module",
    "isinstance(z, torch.Tensor)",
    "self.state_dict()",
    "1",
    "print(z, file=self)",
    "functools.partial(torch.relu, z)()",
    "functools.reduce(operator.add, [1, 2])",
    "functools.wraps(torch.relu)(lambda x: x)",
    "copy.deepcopy(z)",
    "copy.copy(self)",
    "collections.namedtuple('Pair', 'a b')(1, 2)",
    "collections.defaultdict(list)",
    "types.SimpleNamespace(a=1, save=2)",
    "dataclasses.field(default_factory=list)",
    "contextlib.nullcontext()",
    "warnings.catch_warnings()",
    "itertools.chain([1], [2])",
    "(i for i in range(3))",
    "iter([1, 2])",
    "next(iter([1]))",
    "map(lambda v: v, [1])",
    "list(zip([1], [2]))",
    "{**{'a': 1}}",
    "z.requires_grad_()",
    "z.grad_fn",
    "z.grad",
    "z.device",
    "z.is_leaf",
    "z.dtype",
    "z.untouched",
    "z.tolist()",
    "z.item()",
    "z.backward()",
    "z.to('cpu')",
    "z.to(torch.float64)",
    "z.type()",
    "z.new_zeros(2)",
    "z.bernoulli_()",
    "torch.manual_seed(1)",
    "torch.get_default_dtype()",
    "torch.device('cpu')",
    "torch.no_grad()",
    "torch.Generator()",
    "torch.finfo(torch.float32).eps",
    "torch.tensor([1.0, 2.0])",
    "torch.utils.checkpoint.checkpoint(torch.relu, z, use_reentrant=False)",
    "torch.nn.utils.weight_norm(nn.Linear(2, 2))",
    "nn.Sequential(nn.Linear(2, 2))",
    "nn.ModuleDict({'a': nn.Identity()})",
    "nn.Parameter(torch.zeros(1))",
    "self.register_buffer('mine', torch.zeros(1))",
    "self.add_module('mine', nn.Identity())",
    "self.get_submodule('t_1')",
    "self.named_modules()",
    "self.training",
    "self.train()",
    "self.eval()",
    "self.to('cpu')",
    "self.zero_grad()",
    "self.load_state_dict(self.state_dict())",
    "super().__init__",
    "super().forward",
    "type(self)",
    "type(z).mean",
    "callable(z)",
    "ValueError('x').args",
    "property(lambda self: 1)",
    "'%s %r' % (z, self)",
    "'{!r:>20}'.format(z)",
    "f'{self!s} {z=}'",
    "typing.cast(int, z)",
    "Optional[int]",
    "'x'.join(['a'])",
    "divmod(7, 2)",
    "sorted([z], key=id)",
    "math.sqrt(2.0)",
    "slice(1, 2)",
    "...",
    "NotImplemented",
    "__debug__",
];

/// Names that one attribute of a program is replaced by.
const ATTRIBUTES: &[&str] = &[
    "os",
    "sys",
    "system",
    "relu",
    "mean",
    "__class__",
    "__globals__",
    "numpy",
    "storage",
    "load",
    "save",
    "hub",
    "_C",
    "utils",
    "data",
    "T",
    "device",
    "apply",
    "weight",
    "func",
    "format",
    "shape",
    "Linear",
    "functional",
    "nn",
    "init",
    "warnings",
    "register_hook",
    "to",
    "save",
    "mro",
    "obj",
    "name",
    "path",
    "func",
    "args",
    "grad_fn",
    "next_functions",
    "metadata",
    "module",
    "load_state_dict",
    "modules",
    "children",
    "compile",
    "forward",
    "detach",
    "_modules",
    "_parameters",
    "tb_frame",
    "gi_frame",
    "f_globals",
    "close",
    "send",
    "throw",
    "write",
    "handlers",
    "__dict__",
    "__init__",
    "__call__",
    "__name__",
    "__doc__",
    "__module__",
    "__self__",
];

/// A program with one line put in or one attribute replaced.
fn mutant(source: &str, dice: &mut Dice) -> String {
    let mut lines: Vec<String> = source.lines().map(str::to_owned).collect();
    let places: Vec<usize> = (1..lines.len()).filter(|&i| is_statement(&lines[i - 1], &lines[i])).collect();
    if places.is_empty() || dice.below(4) == 0 {
        let at = dice.below(lines.len());
        let dots: Vec<usize> = lines[at].match_indices('.').map(|d| d.0).collect();
        if let Some(&dot) = dots.get(dice.below(dots.len())) {
            let rest = &lines[at][dot + 1..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            lines[at] = format!("{}.{}{}", &lines[at][..dot], dice.of(ATTRIBUTES), &rest[end..]);
        }
    } else {
        let at = places[dice.below(places.len())];
        let indent = lines[at].len() - lines[at].trim_start().len();
        let places: Vec<&str> = PLACES
            .iter()
            .copied()
            .chain(apart(MORE_PLACES))
            .filter(|p| p.0 == "action" && !p.1.contains("EXPR2"))
            .map(|p| p.1)
            .collect();
        let expr = if dice.below(8) == 0 { dice.of(REACHING) } else { dice.of(PLAIN) };
        let code = dice.of(&places).replace("EXPR", expr);
        let code: Vec<String> = code.lines().map(|l| format!("{}{l}", " ".repeat(indent))).collect();
        lines.insert(at, code.join("\n"));
    }
    lines.join("\n") + "\n"
}

/// Whether a line is a statement of its own, inside of a function.
fn is_statement(before: &str, line: &str) -> bool {
    let indent = |l: &str| l.len() - l.trim_start().len();
    let first = line.trim_start();
    let starts = ["self.", "tri", "z =", "return ", "ret", "msgs"].iter().any(|s| first.starts_with(s));
    starts && indent(line) >= 8 && indent(before) == indent(line) && !before.trim_end().ends_with([',', '(', '[', '\\'])
}

/// The interpreter with PyTorch: `EMBERLINE_PYTHON`, or `python3`.
fn python() -> Command {
    Command::new(std::env::var_os("EMBERLINE_PYTHON").filter(|path| !path.is_empty()).unwrap_or("python3".into()))
}

fn has_pytorch() -> bool {
    let python = python().args(["-c", "import torch"]).stderr(Stdio::null()).status();
    python.is_ok_and(|status| status.success())
}

#[test]
fn what_is_accepted_does_nothing_that_an_audit_hook_notices_in_pytorch() {
    if !has_pytorch() {
        eprintln!("SKIPPED: python3 has no torch: accepted programs are not run under an audit hook");
        return;
    }
    let folder = std::env::temp_dir().join(format!("harmless-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let fixtures = fixtures();
    let attacked = attacks().into_iter().map(|a| a.1).filter(|s| errors(s).is_empty());
    let mut accepted: Vec<String> = fixtures.iter().cloned().chain(attacked).collect();
    // as many as are asked for; HARMLESS_SEED: which
    let setting = |name: &str, or: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or);
    let wanted = usize::try_from(setting("HARMLESS_PROGRAMS", 1100)).unwrap();
    let (mut dice, mut tried) = (Dice(setting("HARMLESS_SEED", 7)), 0);
    while accepted.len() < wanted && tried < 20 * wanted {
        tried += 1;
        let program = mutant(&fixtures[dice.below(fixtures.len())], &mut dice);
        if errors(&program).is_empty() {
            accepted.push(program);
        }
    }
    println!("{tried} mutants, {} programs accepted", accepted.len());
    assert!(accepted.len() >= wanted, "{tried}");
    for (i, program) in accepted.iter().enumerate() {
        fs::write(folder.join(format!("p{i:05}.py")), program).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/audit.py");
    // The language's page says that `@torch.compile` has PyTorch's own compiler run; what is audited is the program's code.
    let mut audit = python();
    let out = audit.arg(script).arg(&folder).current_dir(&folder).env("TORCHDYNAMO_DISABLE", "1").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    println!("{said}");
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    fs::remove_dir_all(&folder).unwrap();
}
