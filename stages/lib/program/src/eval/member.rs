//! What the names of the language stand for, before anything is evaluated: members of modules, builtins, attributes. The
//! evaluator and the rule about the text both ask here, so that they cannot differ.

use graph::DType;

use super::native::{self, Native};
use super::nn::{self, Layer};
use super::value::TensorType;
use super::{attr, builtins, exceptions};
use crate::modules;

/// What a member of a module is.
pub enum Member {
    /// A module, by its full name.
    Module(String),
    Native(&'static Native),
    /// The form of a function that works in place.
    InPlace(&'static Native),
    /// Something that only annotations use.
    Typing,
    Layer(&'static Layer),
    DType(TensorType),
    /// The class of tensors.
    Tensor,
    /// A builtin type by its name.
    Type(&'static str),
    /// A class without behaviour that is known here, by its name.
    Object(&'static str),
    Float(f64),
    False,
    None,
    Text(&'static str),
}

/// A member of a module, both by their full names as in PyTorch.
pub fn resolve(module: &str, name: &str) -> Option<Member> {
    if full_is(module, name, "typing.TYPE_CHECKING") {
        return Some(Member::False);
    }
    if modules::is_annotation(module, name) {
        return Some(native::find(&format!("typing.{name}")).map_or(Member::Typing, Member::Native));
    }
    let full = match module {
        "torch.nn.modules" | "torch.nn.parameter" => format!("torch.nn.{name}"),
        "torch.special" => format!("torch.{name}"),
        _ => format!("{module}.{name}"),
    };
    let own = format!("{module}.{name}");
    if modules::exists(&own) {
        return Some(Member::Module(own));
    }
    if let Some(native) = native::find(&format!("{module}.{name}")).or_else(|| native::find(&full)) {
        return Some(Member::Native(native));
    }
    if let Some(layer) = full.starts_with("einops.").then(|| nn::find_full(&full)).flatten() {
        return Some(Member::Layer(layer));
    }
    if let Some(native) = attr::in_place_function(module, name) {
        return Some(Member::InPlace(native));
    }
    if let Some(layer) = full.strip_prefix("torch.nn.").and_then(nn::find) {
        return Some(Member::Layer(layer));
    }
    constant(&full)
}

fn full_is(module: &str, name: &str, full: &str) -> bool {
    let module = if module == "typing_extensions" { "typing" } else { module };
    full.strip_prefix(module).and_then(|rest| rest.strip_prefix('.')) == Some(name)
}

fn constant(full: &str) -> Option<Member> {
    let dtype = |dtype, name| Some(Member::DType(TensorType { dtype, name }));
    match full {
        "torch.Tensor" | "torch.FloatTensor" => Some(Member::Tensor),
        "torch.Size" => Some(Member::Type("tuple")),
        "torch.float32" | "torch.float" => dtype(DType::Float, "torch.float32"),
        "torch.float64" | "torch.double" => dtype(DType::Float, "torch.float64"),
        "torch.float16" | "torch.half" => dtype(DType::Float, "torch.float16"),
        "torch.bfloat16" => dtype(DType::Float, "torch.bfloat16"),
        "torch.int64" | "torch.long" => dtype(DType::Int, "torch.int64"),
        "torch.int32" | "torch.int" => dtype(DType::Int, "torch.int32"),
        "torch.int16" | "torch.short" => dtype(DType::Int, "torch.int16"),
        "torch.int8" => dtype(DType::Int, "torch.int8"),
        "torch.uint8" => dtype(DType::Int, "torch.uint8"),
        "torch.bool" => dtype(DType::Bool, "torch.bool"),
        "torch.device" => native::find("torch.device").map(Member::Native),
        "torch.dtype" => Some(Member::Typing),
        "torch.inf" | "math.inf" | "numpy.inf" => Some(Member::Float(f64::INFINITY)),
        "torch.nan" | "math.nan" | "numpy.nan" => Some(Member::Float(f64::NAN)),
        "torch.pi" | "math.pi" | "numpy.pi" => Some(Member::Float(std::f64::consts::PI)),
        "torch.e" | "math.e" | "numpy.e" => Some(Member::Float(std::f64::consts::E)),
        "math.tau" => Some(Member::Float(std::f64::consts::TAU)),
        "torch.newaxis" | "numpy.newaxis" => Some(Member::None),
        "torch.__version__" => Some(Member::Text("2.11.0")),
        "numpy.ndarray" | "numpy.floating" | "numpy.integer" | "abc.ABCMeta" => Some(Member::Typing),
        // a class to derive from
        "abc.ABC" => Some(Member::Object("ABC")),
        "enum.Enum" => Some(Member::Object("Enum")),
        "enum.IntEnum" => Some(Member::Object("IntEnum")),
        "enum.StrEnum" => Some(Member::Object("StrEnum")),
        "collections.OrderedDict" => Some(Member::Type("dict")),
        _ => None,
    }
}

/// The full names of all functions.
#[cfg(test)]
pub fn native_names() -> impl Iterator<Item = &'static str> {
    native::names().map(|n| n.0)
}

/// Whether `builtins` has a function, type or exception of this name.
pub fn is_builtin(name: &str) -> bool {
    builtin_names().any(|n| n == name)
}

/// All builtins by their names.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    let functions = native::names().filter_map(|n| n.0.strip_prefix("builtins."));
    functions
        .chain(builtins::TYPES.iter().copied())
        .chain(exceptions::names())
        .chain(builtins::CONSTANTS.iter().copied())
}

/// All attributes that objects other than modules have: methods of tensors, layers and Python's types, and their data.
pub fn attribute_names() -> impl Iterator<Item = &'static str> {
    let of_object = |name: &'static str| {
        let (kind, rest) = name.rsplit_once('.')?;
        (!modules::exists(kind) && kind != "builtins" && !rest.starts_with('$')).then_some(rest)
    };
    let methods = native::names().filter_map(move |n| of_object(n.0));
    let settings = nn::layers().flat_map(|l| l.1.split_whitespace()).map(|w| w.trim_matches(['?', '*', '|']));
    let tables =
        [attr::TENSOR, attr::LAYER, attr::OBJECT, super::torch::VALUES, super::torch::ENDS, super::torch::FINFO];
    methods.chain(settings.filter(|w| !w.is_empty())).chain(tables.into_iter().flatten().copied())
}

/// Whether an attribute is the form of a tensor's method that works in place.
pub fn is_in_place(name: &str) -> bool {
    attr::in_place_twin(name).is_some()
}

/// Methods with two underscores on both sides that the evaluator calls where Python does.
const SPECIAL: &[&str] = &["__init__", "__call__", "__len__", "__iter__", "__getitem__", "__post_init__"];

/// Whether the evaluator calls a special method of a class where Python does.
pub fn is_special_method(name: &str) -> bool {
    SPECIAL.contains(&name) || super::arith::is_operator_method(name)
}
