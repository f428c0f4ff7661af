//! A part of a step as kernels that were written for it, and libtorch's for everything else.

use graph::{Graph, NodeId};
use tch::{Kind, Tensor};

use super::code::{self, Kernel, Source};
use super::graphs::Stream;
use super::library::{Arguments, Function, Target, compile};
use super::special::{Special, small};
use crate::Device;
use crate::error::{Error, Result};
use crate::ops;
use crate::plan::units::{Nodes, Role, Units};
use crate::recurrence::Part;
use crate::tensor::sizes as as_sizes;

/// A part at known sizes.
pub(crate) struct Program {
    steps: Vec<Step>,
    /// By step: the nodes that nobody reads after it.
    last: Vec<Vec<usize>>,
    shapes: Vec<Vec<i64>>,
}

enum Step {
    /// `finish` where several threads work on each sum.
    Kernel {
        kernel: Kernel,
        function: Function,
        finish: Option<Function>,
    },
    Special {
        at: usize,
        special: Special,
        functions: Vec<Function>,
    },
    /// By libtorch.
    Op(usize),
}

/// What steps work with.
pub(crate) struct Surroundings {
    pub float: Kind,
    pub device: Device,
    pub sizes: (i64, i64),
    pub stream: Option<Stream>,
}

impl Program {
    /// # Errors
    /// Where kernels cannot be compiled.
    pub fn new(part: &Part, sizes: (i64, i64), float: Kind, target: Target) -> Result<Self> {
        let overflow = || Error::Inconsistent("a size overflows".to_owned());
        let mut nodes = Nodes::new(&part.graph, &part.outputs, sizes).ok_or_else(overflow)?;
        code::roles(&mut nodes);
        let units = Units::new(&nodes);
        let stored = stored(&nodes, &units, &part.outputs);
        let mut drafts = Vec::new();
        for unit in units.order(&nodes) {
            let members = units.members.get(unit).map(Vec::as_slice).unwrap_or_default();
            drafts.extend(draft(&nodes, members, &stored));
        }
        let sources: Vec<Source> = drafts.iter().flat_map(Draft::sources).collect();
        let mut functions = compile(target, float, &sources)?.into_iter();
        let mut steps = Vec::new();
        let reads: Vec<Vec<usize>> = drafts.iter().map(|draft| draft.reads(&nodes)).collect();
        for draft in drafts {
            let own: Vec<Function> = functions.by_ref().take(draft.sources().count()).collect();
            steps.push(match (draft, own.as_slice()) {
                (Draft::Kernel(kernel), &[function]) => Step::Kernel { kernel: *kernel, function, finish: None },
                (Draft::Kernel(kernel), &[function, finish]) => {
                    Step::Kernel { kernel: *kernel, function, finish: Some(finish) }
                }
                (Draft::Kernel(_), _) => return Err(Error::missing("a kernel")),
                (Draft::Special(at, special), _) => Step::Special { at, special, functions: own },
                (Draft::Op(at), _) => Step::Op(at),
            });
        }
        let last = last(&nodes, &reads, &part.outputs);
        let shapes = nodes.shapes.iter().map(|shape| as_sizes(shape)).collect::<Result<_>>()?;
        Ok(Self { steps, last, shapes })
    }

    /// Computes the outputs. `values`: those of nodes that are given, by node.
    pub fn run(&self, part: &Part, values: Vec<Option<Tensor>>, at: &Surroundings) -> Result<Vec<Tensor>> {
        let mut values = Values { graph: &part.graph, shapes: &self.shapes, values, at };
        for (step, last) in self.steps.iter().zip(&self.last) {
            match step {
                Step::Kernel { kernel, function, finish } => values.kernel(kernel, *function, *finish)?,
                Step::Special { at, special, functions } => values.special(*at, special, functions)?,
                Step::Op(at) => values.op(*at)?,
            }
            last.iter().for_each(|&node| values.values[node] = None);
        }
        part.outputs.iter().map(|id| values.get(id.index())).collect()
    }
}

/// A step whose kernels are not compiled yet.
enum Draft {
    Kernel(Box<Kernel>),
    Special(usize, Special),
    Op(usize),
}

impl Draft {
    fn sources(&self) -> impl Iterator<Item = Source> + use<> {
        let sources = match self {
            Self::Kernel(kernel) => {
                let finish = kernel.sum.filter(|sum| sum.chunks > 1).map(|_| code::finish(kernel.stores.len()));
                std::iter::once(kernel.source.clone()).chain(finish).collect()
            }
            Self::Special(_, special) => special.sources.clone(),
            Self::Op(_) => Vec::new(),
        };
        sources.into_iter()
    }

    fn reads(&self, nodes: &Nodes<'_>) -> Vec<usize> {
        match self {
            Self::Kernel(kernel) => kernel.loads.iter().map(|load| load.node).collect(),
            Self::Special(at, _) | Self::Op(at) => nodes.args(*at).collect(),
        }
    }
}

fn draft(nodes: &Nodes<'_>, members: &[usize], stored: &[bool]) -> Vec<Draft> {
    let loops = members.first().is_some_and(|&first| nodes.roles[first].is_loop());
    if loops && let Ok(kernels) = code::kernels(nodes, members, stored) {
        return kernels.into_iter().map(|kernel| Draft::Kernel(Box::new(kernel))).collect();
    }
    let one = |&at: &usize| {
        let shapes: Vec<&Vec<usize>> = nodes.args(at).map(|arg| &nodes.shapes[arg]).collect();
        match Special::new(nodes.node(at), &shapes) {
            Some(special) => Draft::Special(at, special),
            None => Draft::Op(at),
        }
    };
    members.iter().map(one).collect()
}

/// By node: whether its value is read outside of its unit.
fn stored(nodes: &Nodes<'_>, units: &Units, outputs: &[NodeId]) -> Vec<bool> {
    let mut stored = vec![false; nodes.roles.len()];
    for (unit, members) in units.members.iter().enumerate() {
        for arg in members.iter().flat_map(|&at| nodes.args(at)) {
            let root = nodes.root(arg);
            stored[root] |= units.of[root] != Some(unit);
        }
    }
    outputs.iter().for_each(|id| stored[nodes.root(id.index())] = true);
    stored
}

/// By step: what nobody reads after it, views included.
fn last(nodes: &Nodes<'_>, reads: &[Vec<usize>], outputs: &[NodeId]) -> Vec<Vec<usize>> {
    let chain = |mut at: usize| {
        let mut all = vec![at];
        while let Role::View(shown) = nodes.roles[at] {
            at = shown;
            all.push(at);
        }
        all
    };
    let mut seen = vec![false; nodes.roles.len()];
    outputs.iter().flat_map(|id| chain(id.index())).for_each(|at| seen[at] = true);
    let mut last = vec![Vec::new(); reads.len()];
    for (step, reads) in reads.iter().enumerate().rev() {
        for node in reads.iter().flat_map(|&at| chain(at)) {
            if !std::mem::replace(&mut seen[node], true) {
                last[step].push(node);
            }
        }
    }
    last
}

/// The values of a run so far.
struct Values<'a> {
    graph: &'a Graph,
    shapes: &'a [Vec<i64>],
    values: Vec<Option<Tensor>>,
    at: &'a Surroundings,
}

impl Values<'_> {
    /// A node's value; views are made when they are asked for.
    fn get(&mut self, at: usize) -> Result<Tensor> {
        if let Some(value) = self.values.get(at).and_then(Option::as_ref) {
            return Ok(value.shallow_clone());
        }
        let node = self.graph.nodes().get(at).ok_or_else(|| Error::missing("a node"))?;
        if !node.op.is_view() {
            return Err(Error::missing(&format!("a value of {}", node.op.name())));
        }
        self.op(at)?;
        self.values[at].as_ref().map(Tensor::shallow_clone).ok_or_else(|| Error::missing("a view"))
    }

    fn args(&mut self, at: usize) -> Result<Vec<Tensor>> {
        let args = self.graph.nodes()[at].args.clone();
        args.iter().map(|arg| self.get(arg.index())).collect()
    }

    fn op(&mut self, at: usize) -> Result<()> {
        let args = self.args(at)?;
        let args: Vec<&Tensor> = args.iter().collect();
        let Surroundings { float, device, sizes, .. } = *self.at;
        let context = ops::Context { float, device, sizes, shape: &self.shapes[at] };
        self.values[at] = Some(ops::apply(&self.graph.nodes()[at], &args, &context)?);
        Ok(())
    }

    fn special(&mut self, at: usize, special: &Special, functions: &[Function]) -> Result<()> {
        let args = self.args(at)?;
        let args: Vec<&Tensor> = args.iter().collect();
        self.values[at] = Some(special.run(functions, &args, self.at.stream)?);
        Ok(())
    }

    fn kernel(&mut self, kernel: &Kernel, function: Function, finish: Option<Function>) -> Result<()> {
        let mut numbers = kernel.domain.iter().map(|&n| small(n)).collect::<Result<Vec<u32>>>()?;
        // The tensors live until the kernel is launched, and their memory is not reused before it has run: the allocator
        // gives it to later work of the same stream only.
        let mut tensors = Vec::with_capacity(kernel.source.pointers);
        for load in &kernel.loads {
            let value = self.get(load.node)?;
            let kind = ops::kind(self.graph.nodes()[load.node].dtype, self.at.float);
            let value = if value.f_kind()? == kind { value } else { value.f_to_kind(kind)? };
            numbers.extend(strides(&value, &load.shape)?);
            tensors.push(value);
        }
        let device = self.at.device.0;
        match kernel.sum {
            None => {
                for &at in &kernel.stores {
                    let kind = ops::kind(self.graph.nodes()[at].dtype, self.at.float);
                    let value = Tensor::f_empty(&self.shapes[at], (kind, device))?;
                    self.values[at] = Some(value.shallow_clone());
                    tensors.push(value);
                }
                let total = small(kernel.domain.iter().product())?;
                self.launch(function, &tensors, &numbers, total)
            }
            Some(sum) => {
                let (kept, chunks) = (small(sum.kept)?, small(sum.chunks)?);
                numbers.extend([kept, chunks, small(sum.length)?]);
                let mut sums = Vec::new();
                for &at in &kernel.stores {
                    let value = Tensor::f_empty(&self.shapes[at], (self.at.float, device))?;
                    self.values[at] = Some(value.shallow_clone());
                    // With one thread for each sum there is nothing to finish.
                    let parts = if finish.is_none() {
                        value.shallow_clone()
                    } else {
                        Tensor::f_empty([i64::from(chunks), i64::from(kept)], (self.at.float, device))?
                    };
                    tensors.push(parts.shallow_clone());
                    sums.extend([parts, value]);
                }
                let total = small(sum.kept * sum.chunks)?;
                self.launch(function, &tensors, &numbers, total)?;
                match finish {
                    Some(finish) => self.launch(finish, &sums, &[kept, chunks], kept),
                    None => Ok(()),
                }
            }
        }
    }

    fn launch(&self, function: Function, tensors: &[Tensor], numbers: &[u32], total: u32) -> Result<()> {
        let pointers: Vec<_> = tensors.iter().map(Tensor::data_ptr).collect();
        // SAFETY: the addresses are those of tensors of the shapes that sizes and strides are of.
        unsafe { function.launch(self.at.stream, &Arguments::new(&pointers, numbers, total), total) }
    }
}

/// Strides of a tensor that is seen in a shape which it broadcasts to, without axes of size 1.
fn strides(x: &Tensor, shape: &[usize]) -> Result<Vec<u32>> {
    let (sizes, strides) = (x.size(), x.stride());
    let misfit = || Error::Inconsistent(format!("a value of shape {sizes:?} does not broadcast to {shape:?}"));
    let missing = shape.len().checked_sub(sizes.len()).ok_or_else(misfit)?;
    let mut found = Vec::with_capacity(shape.len());
    for (axis, &wanted) in shape.iter().enumerate().filter(|(_, wanted)| **wanted != 1) {
        let own = axis.checked_sub(missing).and_then(|own| Some((*sizes.get(own)?, *strides.get(own)?)));
        found.push(match own {
            None | Some((1, _)) => 0,
            Some((size, stride)) if usize::try_from(size) == Ok(wanted) => {
                usize::try_from(stride).map_err(|_| misfit()).and_then(small)?
            }
            Some(_) => return Err(misfit()),
        });
    }
    Ok(found)
}
