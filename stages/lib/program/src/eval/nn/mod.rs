//! The layers of `torch.nn`.

mod attention;
mod batch_norm;
mod containers;
mod dense;
mod dropout;
mod norms;
mod pool;
mod recurrent;
mod transformer;
pub mod weight_norm;

use std::rc::Rc;

use graph::{BinaryOp, DType, Dim, Init, NodeId, Op, ReduceOp, UnaryOp};

use super::native::{Args, Native, native};
use super::torch::Dropout;
use super::value::{Data, Literal, ModuleState, Object, Tensor, Value};
use super::{Interp, R, Run};
use crate::diagnostic::{Category, Diagnostic};
use crate::rules::Rule;
use crate::syntax::Name;

/// A class of `torch.nn`.
pub struct Layer {
    /// `torch.nn.Linear`.
    pub name: &'static str,
    /// The class it derives from; `Module` derives from `object`.
    pub base: Option<&'static str>,
    /// For containers: which methods they have.
    pub container: &'static str,
    pub init: Native,
    pub forward: Native,
}

pub use self::batch_norm::{Running, Settings as BatchNorm, normalised};
pub use self::dense::{looked_up, padding_row, rectified};
pub use self::norms::{grouped, root_mean_square};
pub use self::pool::pooled_to;

/// The layer of a name without `torch.nn.`.
pub fn find(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|l| l.name.strip_prefix("torch.nn.") == Some(name))
}

/// The layer of a full name.
pub fn find_full(name: &str) -> Option<&'static Layer> {
    LAYERS.iter().find(|l| l.name == name)
}

/// All layers, with their full names.
pub fn layer_names() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|l| l.name)
}

/// All layers with their constructors' parameters.
pub fn layers() -> impl Iterator<Item = (&'static str, &'static str)> {
    LAYERS.iter().map(|l| (l.name, l.init.signature.trim_start_matches("self").trim_start()))
}

fn this(run: &Run, a: &Args) -> R<Rc<Object>> {
    match a.value("self") {
        Value::Object(o) => Ok(o),
        other => run.type_fault(format!("a layer is needed, not {}", other.type_name())),
    }
}

/// `nn.Module.__init__`.
fn begin(run: &mut Run, a: &Args) -> R<Rc<Object>> {
    let o = this(run, a)?;
    let mut state = o.module.borrow_mut();
    if state.is_none() {
        *state = Some(ModuleState::default());
    }
    drop(state);
    Ok(o)
}

fn set(o: &Object, name: &str, value: Value) {
    o.attrs.borrow_mut().insert(name.into(), value);
}

fn get(o: &Object, name: &str) -> Value {
    o.attrs.borrow().get(name).cloned().unwrap_or(Value::None)
}

fn number(o: &Object, name: &str) -> f64 {
    match get(o, name) {
        Value::Float(f) => f,
        Value::Int(i) => i as f64,
        _ => 0.0,
    }
}

/// Makes a parameter of a layer.
fn param(vm: &mut Interp, o: &Rc<Object>, name: &str, shape: &[usize], init: Init) -> R<()> {
    if vm.tracer.phase() == super::Phase::Second {
        let d = vm.fault(Rule::Stateful, "a layer is made anew in every call of forward, so it is never trained");
        return Err(Box::new(d.help("make it once, in __init__ or behind a flag")));
    }
    let literal = Literal { shape: shape.to_vec(), init, dtype: DType::Float };
    let span = vm.here();
    let leaf = vm.tracer.add_leaf(literal, false, false, span)?;
    let t = Tensor::new(super::value::Data::Leaf(leaf), Rc::default(), true, span);
    vm.set_attribute(&Value::Object(o.clone()), &name.into(), Value::Tensor(Rc::new(t)))
}

fn no_param(o: &Object, name: &str) {
    if let Some(state) = o.module.borrow_mut().as_mut() {
        let name: Name = name.into();
        state.params.push((name, None));
    }
}

/// The node of a layer's own parameter.
fn own(vm: &mut Interp, o: &Rc<Object>, name: &str) -> R<Option<NodeId>> {
    match vm.attribute(&Value::Object(o.clone()), &name.into())? {
        Value::Tensor(t) => vm.tracer.node(&t).map(Some),
        Value::None => Ok(None),
        other => vm.type_fault(format!("the layer's {name} is {}", other.type_name())),
    }
}

fn needed(vm: &mut Interp, o: &Rc<Object>, name: &str) -> R<NodeId> {
    match own(vm, o, name)? {
        Some(id) => Ok(id),
        None => vm.type_fault(format!("the layer has no {name}")),
    }
}

/// Adds where the layer was made.
fn made_here<T>(o: &Object, result: R<T>) -> R<T> {
    result.map_err(|d: Box<Diagnostic>| {
        if o.span.line > 0 && o.span.line != d.line && d.category == Category::Shape {
            Box::new(d.note(o.span, "the layer is made here"))
        } else {
            d
        }
    })
}

fn uniform(fan: usize) -> Init {
    let bound = if fan == 0 { 0.0 } else { 1.0 / (fan as f64).sqrt() };
    Init::Uniform { low: -bound, high: bound }
}

/// A constructor that keeps its arguments as attributes.
fn keep(run: &mut Run, a: &Args, names: &[&str]) -> R<Value> {
    let o = begin(run, a)?;
    for name in names {
        if let Some(v) = a.some(name) {
            set(&o, name, v.clone());
        }
    }
    Ok(Value::None)
}

/// Applies a function with the attributes that the constructor kept as keywords.
fn apply(vm: &mut Interp, a: &Args, function: &str) -> R<Value> {
    apply_to(vm, a, function, &["input"])
}

fn apply_to(vm: &mut Interp, a: &Args, function: &str, inputs: &[&str]) -> R<Value> {
    let o = this(&vm.tracer.run, a)?;
    let keywords = o.attrs.borrow().iter().map(|(n, v)| (n.clone(), v.clone())).collect();
    match super::native::find(function) {
        Some(f) => vm.call_native(f, inputs.iter().map(|i| a.value(i)).collect(), keywords),
        None => vm.refuse(Rule::UnsupportedOp, format!("{function} is not supported")),
    }
}

macro_rules! layer {
    ($name:literal, $signature:literal, $init:expr, $forward_signature:literal, $forward:expr) => {
        layer!($name, "", $signature, $init, $forward_signature, $forward)
    };
    ($name:literal, $container:literal, $signature:literal, $init:expr, $forward_signature:literal, $forward:expr) => {
        Layer {
            name: concat!("torch.nn.", $name),
            base: Some("Module"),
            container: $container,
            init: native($name, concat!("self ", $signature), $init),
            forward: native($name, concat!("self ", $forward_signature), $forward),
        }
    };
}

/// A layer that is a function with fixed settings.
macro_rules! activation {
    ($name:literal, $signature:literal, [$($kept:literal),*], $function:literal) => {
        layer!($name, $signature, |vm, a| keep(&mut vm.tracer.run, a, &[$($kept),*]), "input", |vm, a| apply(vm, a, $function))
    };
}

macro_rules! drops {
    ($name:literal, $kind:expr) => {
        layer!($name, "p? inplace?", dropout::init, "input", |vm, a| dropout::forward(vm, a, $kind))
    };
}

macro_rules! batch_norm {
    ($name:literal, $ranks:expr) => {
        layer!(
            $name,
            "num_features eps? momentum? affine? track_running_stats? device? dtype?",
            |vm, a| batch_norm::init(vm, a, true, true),
            "input",
            |vm, a| batch_norm::forward(vm, a, $ranks)
        )
    };
}

macro_rules! instance_norm {
    ($name:literal, $behind:literal) => {
        layer!(
            $name,
            "num_features eps? momentum? affine? track_running_stats? device? dtype?",
            batch_norm::instance_init,
            "input",
            |vm, a| batch_norm::instance(vm, a, $behind)
        )
    };
}

static LAYERS: &[Layer] = &[
    Layer {
        name: "torch.nn.Module",
        base: None,
        container: "",
        init: native("Module", "self", |vm, a| begin(&mut vm.tracer.run, a).map(|_| Value::None)),
        forward: native("forward", "self *args **kwargs", containers::no_forward),
    },
    layer!("Linear", "in_features out_features bias? device? dtype?", dense::linear_init, "input", dense::linear),
    layer!(
        "LayerNorm",
        "normalized_shape eps? elementwise_affine? bias? device? dtype?",
        norms::layer_norm_init,
        "input",
        norms::layer_norm
    ),
    layer!(
        "RMSNorm",
        "normalized_shape eps? elementwise_affine? device? dtype?",
        norms::rms_norm_init,
        "input",
        norms::rms_norm
    ),
    layer!(
        "Bilinear",
        "in1_features in2_features out_features bias? device? dtype?",
        dense::bilinear_init,
        "input1 input2",
        dense::bilinear
    ),
    layer!(
        "GRUCell",
        "input_size hidden_size bias? device? dtype?",
        |vm, a| recurrent::cell_init(vm, a, 3),
        "input hx?",
        recurrent::gru_cell
    ),
    layer!(
        "LSTMCell",
        "input_size hidden_size bias? device? dtype?",
        |vm, a| recurrent::cell_init(vm, a, 4),
        "input hx?",
        recurrent::lstm_cell
    ),
    layer!(
        "RNNCell",
        "input_size hidden_size bias? nonlinearity? device? dtype?",
        |vm, a| recurrent::cell_init(vm, a, 1),
        "input hx?",
        recurrent::rnn_cell
    ),
    layer!(
        "Embedding",
        "num_embeddings embedding_dim padding_idx? max_norm? norm_type? scale_grad_by_freq? sparse? _weight? device? dtype?",
        dense::embedding_init,
        "input",
        dense::embedding
    ),
    layer!("PReLU", "num_parameters? init? device? dtype?", dense::prelu_init, "input", dense::prelu),
    layer!("Sequential", "ModuleList", "*args", containers::sequential_init, "input", containers::sequential),
    layer!("ModuleList", "ModuleList", "modules?", containers::list_init, "*args", containers::no_forward),
    layer!("ModuleDict", "ModuleDict", "modules?", containers::dict_init, "*args", containers::no_forward),
    layer!("ParameterDict", "ParameterDict", "modules?", containers::dict_init, "*args", containers::no_forward),
    layer!("ParameterList", "ParameterList", "modules?", containers::list_init, "*args", containers::no_forward),
    layer!(
        "Identity",
        "*args **kwargs",
        |vm, a| begin(&mut vm.tracer.run, a).map(|_| Value::None),
        "input",
        |_, a| Ok(a.value("input"))
    ),
    activation!("ReLU", "inplace?", ["inplace"], "torch.nn.functional.relu"),
    activation!("ReLU6", "inplace?", ["inplace"], "torch.nn.functional.relu6"),
    activation!(
        "LeakyReLU",
        "negative_slope? inplace?",
        ["negative_slope", "inplace"],
        "torch.nn.functional.leaky_relu"
    ),
    activation!("ELU", "alpha? inplace?", ["alpha", "inplace"], "torch.nn.functional.elu"),
    activation!("CELU", "alpha? inplace?", ["alpha", "inplace"], "torch.nn.functional.celu"),
    activation!("SELU", "inplace?", ["inplace"], "torch.nn.functional.selu"),
    activation!("GELU", "approximate?", ["approximate"], "torch.nn.functional.gelu"),
    activation!("SiLU", "inplace?", ["inplace"], "torch.nn.functional.silu"),
    activation!("Mish", "inplace?", ["inplace"], "torch.nn.functional.mish"),
    activation!("Sigmoid", "", [], "torch.sigmoid"),
    activation!("Tanh", "", [], "torch.tanh"),
    activation!("LogSigmoid", "", [], "torch.nn.functional.logsigmoid"),
    activation!("Softplus", "beta? threshold?", ["beta", "threshold"], "torch.nn.functional.softplus"),
    activation!("Softsign", "", [], "torch.nn.functional.softsign"),
    activation!("Tanhshrink", "", [], "torch.nn.functional.tanhshrink"),
    layer!(
        "Hardtanh",
        "min_val? max_val? inplace?",
        |vm, a| {
            if a.float_or(vm, "min_val", -1.0)? >= a.float_or(vm, "max_val", 1.0)? {
                return vm.value_fault("Hardtanh(): 'max_val' must be greater than 'min_val'");
            }
            keep(&mut vm.tracer.run, a, &["min_val", "max_val", "inplace"])
        },
        "input",
        |vm, a| apply(vm, a, "torch.nn.functional.hardtanh")
    ),
    activation!("Hardsigmoid", "inplace?", ["inplace"], "torch.nn.functional.hardsigmoid"),
    activation!("Hardswish", "inplace?", ["inplace"], "torch.nn.functional.hardswish"),
    activation!("Softmax", "dim?", ["dim"], "torch.nn.functional.softmax"),
    activation!("LogSoftmax", "dim?", ["dim"], "torch.nn.functional.log_softmax"),
    activation!("Softmin", "dim?", ["dim"], "torch.nn.functional.softmin"),
    activation!("GLU", "dim?", ["dim"], "torch.nn.functional.glu"),
    activation!("Flatten", "start_dim? end_dim?", ["start_dim", "end_dim"], "torch.nn.Flatten.apply"),
    activation!("Unflatten", "dim sizes", ["dim", "sizes"], "torch.unflatten"),
    layer!(
        "MultiheadAttention",
        "embed_dim num_heads dropout? bias? add_bias_kv? add_zero_attn? kdim? vdim? batch_first? device? dtype?",
        attention::init,
        "query key value key_padding_mask? need_weights? attn_mask? average_attn_weights? is_causal?",
        attention::forward
    ),
    layer!(
        "TransformerEncoderLayer",
        "d_model nhead dim_feedforward? dropout? activation? layer_norm_eps? batch_first? norm_first? bias? device? dtype?",
        transformer::init,
        "src src_mask? src_key_padding_mask? is_causal?",
        transformer::forward
    ),
    layer!(
        "TransformerEncoder",
        "encoder_layer num_layers norm? enable_nested_tensor? mask_check?",
        transformer::encoder_init,
        "src mask? src_key_padding_mask? is_causal?",
        transformer::encoder
    ),
    layer!(
        "GroupNorm",
        "num_groups num_channels eps? affine? device? dtype?",
        norms::group_norm_init,
        "input",
        norms::group_norm
    ),
    layer!("LazyLinear", "out_features bias? device? dtype?", dense::lazy_linear_init, "input", dense::lazy_linear),
    layer!(
        "Conv1d",
        "in_channels out_channels kernel_size stride? padding? dilation? groups? bias? padding_mode? device? dtype?",
        |vm, a| dense::convolution_init(vm, a, 1),
        "input",
        |vm, a| dense::convolution(vm, a, 1)
    ),
    layer!(
        "Conv2d",
        "in_channels out_channels kernel_size stride? padding? dilation? groups? bias? padding_mode? device? dtype?",
        |vm, a| dense::convolution_init(vm, a, 2),
        "input",
        |vm, a| dense::convolution(vm, a, 2)
    ),
    layer!("CosineSimilarity", "dim? eps?", |vm, a| keep(&mut vm.tracer.run, a, &["dim", "eps"]), "x1 x2", |vm, a| {
        apply_to(vm, a, "torch.cosine_similarity", &["x1", "x2"])
    }),
    layer!(
        "PairwiseDistance",
        "p? eps? keepdim?",
        |vm, a| keep(&mut vm.tracer.run, a, &["p", "eps", "keepdim"]),
        "x1 x2",
        |vm, a| { apply_to(vm, a, "torch.pairwise_distance", &["x1", "x2"]) }
    ),
    layer!("AdaptiveAvgPool1d", "output_size", pool::init, "input", |vm, a| pool::pooled(vm, a, 1, false)),
    layer!("AdaptiveAvgPool2d", "output_size", pool::init, "input", |vm, a| pool::pooled(vm, a, 2, false)),
    layer!("AdaptiveAvgPool3d", "output_size", pool::init, "input", |vm, a| pool::pooled(vm, a, 3, false)),
    layer!("AdaptiveMaxPool1d", "output_size return_indices?", pool::init, "input", |vm, a| pool::pooled(
        vm, a, 1, true
    )),
    layer!("AdaptiveMaxPool2d", "output_size return_indices?", pool::init, "input", |vm, a| pool::pooled(
        vm, a, 2, true
    )),
    layer!("AdaptiveMaxPool3d", "output_size return_indices?", pool::init, "input", |vm, a| pool::pooled(
        vm, a, 3, true
    )),
    Layer {
        name: "einops.layers.torch.Rearrange",
        base: Some("Module"),
        container: "",
        init: native("Rearrange", "self pattern **sizes", containers::einops_init),
        forward: native("Rearrange", "self input", |vm, a| containers::einops(vm, a, "einops.rearrange")),
    },
    Layer {
        name: "einops.layers.torch.Reduce",
        base: Some("Module"),
        container: "",
        init: native("Reduce", "self pattern reduction **sizes", containers::einops_init),
        forward: native("Reduce", "self input", |vm, a| containers::einops(vm, a, "einops.reduce")),
    },
    activation!("Hardshrink", "lambd?", ["lambd"], "torch.nn.functional.hardshrink"),
    activation!("Softshrink", "lambd?", ["lambd"], "torch.nn.functional.softshrink"),
    activation!(
        "Threshold",
        "threshold value inplace?",
        ["threshold", "value", "inplace"],
        "torch.nn.functional.threshold"
    ),
    drops!("Dropout", Dropout::Plain),
    drops!("Dropout1d", Dropout::Channels(Some(1))),
    drops!("Dropout2d", Dropout::Channels(Some(2))),
    drops!("Dropout3d", Dropout::Channels(Some(3))),
    drops!("AlphaDropout", Dropout::Alpha),
    drops!("FeatureAlphaDropout", Dropout::AlphaChannels),
    layer!("RReLU", "lower? upper? inplace?", dropout::rectifier_init, "input", dropout::rectifier),
    batch_norm!("BatchNorm1d", &[2, 3]),
    batch_norm!("BatchNorm2d", &[4]),
    batch_norm!("BatchNorm3d", &[5]),
    instance_norm!("InstanceNorm1d", 1),
    instance_norm!("InstanceNorm2d", 2),
    instance_norm!("InstanceNorm3d", 3),
];
