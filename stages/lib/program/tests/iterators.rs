//! Iterators are gone over when they are asked, as in Python 3.11: nothing before, and nothing twice.

use std::fs;
use std::path::Path;

use program::{Compiled, Options, compile, render};

/// The seed with a piece of code in front of what its ACTION region computes.
fn seed_with(piece: &str) -> String {
    let seed = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../data/seed_pgn.py")).unwrap();
    let (head, rest) = seed.split_once("import torch\n").unwrap();
    let begin = "# ===== BEGIN ACTION REGION =====\n";
    let (before, after) = rest.split_once(begin).unwrap();
    let imports =
        "import collections\nimport copy\nimport functools\nimport itertools\nimport math\nimport operator\n\n";
    let indented: String = piece.lines().map(|line| format!("        {line}\n")).collect();
    format!("{head}{imports}import torch\n{before}{begin}{indented}{after}")
}

fn checked(source: &str) -> Compiled {
    compile(source, &Options { hidden: 16, ..Options::default() })
}

fn first_fault(compiled: &Compiled) -> Option<(&'static str, String)> {
    compiled.diagnostics.iter().find(|d| d.is_error()).map(|d| (d.code(), d.message.clone()))
}

/// What Python computed with each piece, which the piece asserts.
#[test]
fn iterators_are_those_of_python() {
    let mut wrong = Vec::new();
    let pieces: Vec<&str> = include_str!("python/iterators.txt").split("---\n").collect();
    assert!(pieces.len() > 80);
    for piece in &pieces {
        let source = seed_with(piece);
        let compiled = checked(&source);
        if first_fault(&compiled).is_some() {
            wrong.push(format!("{piece}\n{}", render(&source, "x.py", &compiled.diagnostics, false)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), pieces.len(), wrong.join("\n"));
}

/// Python or PyTorch 2.11 fail in all of them.
#[test]
fn what_iterators_cannot_do_is_refused() {
    let cases = [
        ("d = {'a': 1}\nfor k in d:\n    d[k + 'x'] = 2", "E-VALUE", "changed size during iteration"),
        ("s = {1}\nfor v in s:\n    s.add(v + 1)", "E-VALUE", "changed size during iteration"),
        ("{'a': 1}.keys()[0]", "E-TYPE", "dict_keys cannot be indexed"),
        ("{'a': 1}.values()[0]", "E-TYPE", "dict_values cannot be indexed"),
        ("{'a': 1}.keys() + ['b']", "E-TYPE", "dict_keys"),
        ("zip([1], [2])[0]", "E-TYPE", "zip cannot be indexed"),
        ("len(map(abs, [1]))", "E-TYPE", "map has no length"),
        ("reversed(v for v in [1])", "E-TYPE", "generator cannot be reversed"),
        ("reversed(zip([1], [2]))", "E-TYPE", "zip cannot be reversed"),
        ("reversed({1})", "E-TYPE", "set cannot be reversed"),
        ("map(lambda: 1)", "E-TYPE", "map()"),
        ("list(zip([1, 2], [3, 4, 5], strict=True))", "E-VALUE", "argument 2 is longer"),
        ("list(zip([1, 2], [3], strict=True))", "E-VALUE", "argument 2 is shorter"),
        ("a, b = (v for v in [1, 2, 3])", "E-VALUE", "there are more"),
        ("next(iter([]))", "E-VALUE", "at its end"),
        ("list(next(iter([])) for v in [1])", "E-VALUE", "StopIteration"),
        ("copy.deepcopy(v for v in [1])", "E-TYPE", "cannot be copied"),
        ("{{'a': 1}.keys(): 2}", "E-TYPE", "dict_keys cannot be a key"),
        ("class Box:\n    def __iter__(self):\n        return [1]\nlist(Box())", "E-TYPE", "must give an iterator"),
        ("torch.stack(z for v in [1])", "E-TYPE", "must be a list or tuple, not generator"),
        ("torch.stack(list(z for v in [1]) for v in [1])", "E-TYPE", "not generator"),
        ("torch.cat(map(torch.relu, [z, z]))", "E-TYPE", "must be a list or tuple, not map"),
        ("torch.cat({'a': z}.values(), -1)", "E-TYPE", "must be a list or tuple, not dict_values"),
        ("torch.stack(self.t_1.weight)", "E-TYPE", "must be a list or tuple, not Tensor"),
        (
            "class A:\n    def f(self):\n        return 1\nclass B(A):\n    def f(self):\n        return sum(super().f() for v in [1])\nB().f()",
            "E-TYPE",
            "super()",
        ),
    ];
    for (piece, code, message) in cases {
        let found = first_fault(&checked(&seed_with(piece)));
        assert!(
            found.as_ref().is_some_and(|(c, m)| *c == code && m.contains(message)),
            "{piece}\n{found:?} instead of {code}: {message}"
        );
    }
}

#[test]
fn what_is_not_supported_of_iterators_is_said_so() {
    for (piece, message) in [
        ("d = {1: 2, 3: 4}\nfor k in d:\n    d.pop(k)\n    d[k + 10] = 1", "other keys"),
        ("def f():\n    try:\n        yield 1\n    finally:\n        pass\nlist(f())", "'yield'"),
        ("def f():\n    with torch.no_grad():\n        yield 1\nlist(f())", "'yield'"),
        ("def f():\n    print((yield 1))\nlist(f())", "'yield'"),
        ("import copy\ncopy.deepcopy(zip([1], [2]))", "a copy of zip"),
        ("list({64, 128})", "sorted(...)"),
        ("[a for a in {(1, 2), (0, 1)}]", "sorted(...)"),
        ("s = {8, 1}\ns.add(0)\ns.remove(8)\nlist(s)", "sorted(...)"),
        ("hasattr((v for v in [1]), 'send')", "send() of a generator"),
    ] {
        let found = first_fault(&checked(&seed_with(piece)));
        assert!(found.as_ref().is_some_and(|(_, m)| m.contains(message)), "{piece}\n{found:?}");
    }
}

#[test]
fn endless_iterators_end_with_a_budget() {
    for piece in [
        "list(itertools.count())",
        "sum(itertools.repeat(1))",
        "max(itertools.cycle([1, 2]))",
        "5 in itertools.repeat(1)",
        "any(v > 3 for v in itertools.repeat(1))",
        "a, *b = itertools.count()",
        "''.join(itertools.repeat('a'))",
        "l = [1]\nfor v in l:\n    l.append(v)",
        "l = [1]\nl.extend(v for v in l)",
        "l = [1]\n[l.append(v) for v in l]",
        "d = {}\nd.update((v, v) for v in itertools.count())",
        "def f():\n    while True:\n        yield 1\nlist(f())",
        "def f():\n    yield from f()\nlist(f())",
        "it = iter([])\nfor i in range(4000):\n    it = map(lambda v: v, it)\nlist(it)",
        "list(zip(itertools.count(), itertools.repeat(z)))",
        "list(itertools.chain.from_iterable(itertools.repeat([])))",
        "list(itertools.dropwhile(lambda v: True, itertools.count()))",
        "next(itertools.groupby(itertools.repeat(1)))\ng = itertools.groupby(itertools.repeat(1))\nnext(g)\nnext(g)",
    ] {
        let found = first_fault(&checked(&seed_with(piece)));
        assert!(found.as_ref().is_some_and(|(code, _)| code.starts_with("E-BUDGET-")), "{piece}\n{found:?}");
    }
}

/// Where the order means nothing, sets of all numbers are gone over, and those of strings everywhere.
#[test]
fn sets_are_gone_over_where_their_order_means_nothing() {
    for piece in [
        "assert sorted({64, 128}) == [64, 128] and sum({64, 128}) == 192 and max({64, 128}) == 128",
        "assert any({64, 128}) and 64 in {64, 128} and len({64, 128}) == 2 and {64, 128} == {128, 64}",
        "assert sorted(set([64, 128, 64]) - {128}) == [64] and len({64}.union({32, 128})) == 3",
        "assert sorted(v for v in {'a', 'b'}) == ['a', 'b']",
    ] {
        let compiled = checked(&seed_with(piece));
        assert!(compiled.processor.is_some(), "{piece}\n{:?}", compiled.diagnostics);
    }
}

/// An iterator that a module keeps is state, as a list is.
#[test]
fn iterators_that_outlive_a_call_must_stay_where_they_are() {
    let kept = |made: &str, used: &str| format!("if not hasattr(self, 'kept'):\n    self.kept = {made}\n{used}");
    for (made, used) in [
        ("iter([1, 2, 3])", "next(self.kept)"),
        ("(v for v in [1, 2, 3])", "next(self.kept)"),
        ("zip([1, 2, 3], [1, 2, 3])", "next(self.kept)"),
        ("itertools.count()", "next(self.kept)"),
        ("itertools.cycle([1, 2, 3])", "next(self.kept)"),
        ("enumerate([1, 2, 3])", "next(self.kept)"),
    ] {
        let found = first_fault(&checked(&seed_with(&kept(made, used))));
        assert!(found.as_ref().is_some_and(|(code, _)| *code == "E-STATEFUL"), "{made}\n{found:?}");
    }
    // one of another size, which the call before left behind
    let sized =
        "n = next(self.kept) if hasattr(self, 'kept') else z.shape[1]\nself.kept = iter([z.shape[1]])\nz = z * n";
    let found = first_fault(&checked(&seed_with(sized)));
    assert!(found.as_ref().is_some_and(|(code, _)| *code == "E-STATEFUL"), "{found:?}");
    // at its end, none of them changes
    for made in ["iter([1, 2, 3])", "(v for v in [1, 2, 3])", "itertools.chain([1], [2])"] {
        let compiled = checked(&seed_with(&kept(made, "list(self.kept)")));
        assert!(compiled.processor.is_some(), "{made}\n{:?}", compiled.diagnostics);
    }
}
