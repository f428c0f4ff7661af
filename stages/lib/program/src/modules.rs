//! The modules that a program may import. All of them are looked up in tables, none is loaded.

const MODULES: &[&str] = &[
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.parameter",
    "torch.nn.modules",
    "torch.special",
    "torch.linalg",
    "math",
    "typing",
    "typing_extensions",
    "types",
    "abc",
    "numpy",
    "functools",
    "dataclasses",
    "enum",
    "collections",
    "collections.abc",
    "itertools",
    "operator",
    "contextlib",
    "copy",
    "numbers",
    "warnings",
    "__future__",
];

/// Whether a module of this full name is there.
pub fn exists(name: &str) -> bool {
    MODULES.contains(&name)
}

/// Whether anything of a package may be imported: `torch` of `torch.nn`.
pub fn is_package(name: &str) -> bool {
    MODULES.iter().any(|m| m.split('.').next() == Some(name))
}
