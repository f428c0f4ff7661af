//! The modules that a program may import. All of them are looked up in tables, none is loaded.

const MODULES: &[&str] = &[
    "torch",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.parameter",
    "torch.nn.modules",
    "torch.nn.utils",
    "torch.nn.utils.parametrizations",
    "torch.special",
    "torch.linalg",
    "torch.amp",
    "torch.jit",
    "torch.utils",
    "torch.utils.checkpoint",
    "einops",
    "einops.layers",
    "einops.layers.torch",
    "logging",
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

/// What `logging.getLogger` gives: to a program it is a module, of which only functions may be called.
pub const LOGGER: &str = "logging.Logger";

/// Functions of packages that a program may ask for inside of `try` with a handler of `ImportError`. They count as not installed.
const OPTIONAL: &[(&str, &[&str])] = &[
    ("flash_attn", &["flash_attn_func", "flash_attn_qkvpacked_func", "flash_attn_varlen_func"]),
    ("xformers.ops", &["memory_efficient_attention"]),
    ("apex.normalization", &["FusedLayerNorm", "FusedRMSNorm"]),
];

/// Whether a program may try to import a name from a package that is not part of the language.
pub fn is_optional(module: &str, name: &str) -> bool {
    OPTIONAL.iter().any(|(package, names)| *package == module && names.contains(&name))
}

/// What annotations are made of: the public names of `typing` but for those that evaluate text or print.
const TYPING: &[&str] = &[
    "AbstractSet",
    "Annotated",
    "Any",
    "AnyStr",
    "AsyncIterable",
    "AsyncIterator",
    "Awaitable",
    "BinaryIO",
    "Callable",
    "ChainMap",
    "ClassVar",
    "Collection",
    "Concatenate",
    "Container",
    "ContextManager",
    "Counter",
    "DefaultDict",
    "Deque",
    "Dict",
    "Final",
    "FrozenSet",
    "Generator",
    "Generic",
    "Hashable",
    "IO",
    "ItemsView",
    "Iterable",
    "Iterator",
    "KeysView",
    "List",
    "Literal",
    "LiteralString",
    "Mapping",
    "MappingView",
    "Match",
    "MutableMapping",
    "MutableSequence",
    "MutableSet",
    "NamedTuple",
    "Never",
    "NewType",
    "NoReturn",
    "NotRequired",
    "Optional",
    "OrderedDict",
    "ParamSpec",
    "ParamSpecArgs",
    "ParamSpecKwargs",
    "Pattern",
    "Protocol",
    "Required",
    "Reversible",
    "Self",
    "Sequence",
    "Set",
    "Sized",
    "SupportsAbs",
    "SupportsBytes",
    "SupportsComplex",
    "SupportsFloat",
    "SupportsIndex",
    "SupportsInt",
    "SupportsRound",
    "TYPE_CHECKING",
    "Text",
    "TextIO",
    "Tuple",
    "Type",
    "TypeAlias",
    "TypeGuard",
    "TypeVar",
    "TypeVarTuple",
    "TypedDict",
    "Union",
    "Unpack",
    "ValuesView",
    "cast",
    "final",
    "overload",
    "override",
    "runtime_checkable",
];

/// The abstract classes of `collections.abc`.
const ABSTRACT: &[&str] = &[
    "Callable",
    "Collection",
    "Container",
    "Generator",
    "Hashable",
    "ItemsView",
    "Iterable",
    "Iterator",
    "KeysView",
    "Mapping",
    "MappingView",
    "MutableMapping",
    "MutableSequence",
    "MutableSet",
    "Reversible",
    "Sequence",
    "Set",
    "Sized",
    "ValuesView",
];

const NUMBERS: &[&str] = &["Complex", "Integral", "Number", "Rational", "Real"];

const TYPES: &[&str] = &["NoneType", "EllipsisType", "GenericAlias", "UnionType"];

/// Names that are there for annotations only.
pub fn is_annotation(module: &str, name: &str) -> bool {
    let names = match module {
        "typing" | "typing_extensions" => TYPING,
        "collections.abc" => ABSTRACT,
        "numbers" => NUMBERS,
        "types" => TYPES,
        _ => return false,
    };
    names.contains(&name)
}

/// Whether a module of this full name is there.
pub fn exists(name: &str) -> bool {
    MODULES.contains(&name) || name == LOGGER
}

/// Whether anything of a package may be imported: `torch` of `torch.nn`.
pub fn is_package(name: &str) -> bool {
    MODULES.iter().any(|m| m.split('.').next() == Some(name))
}

/// All full names.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODULES.iter().copied()
}
