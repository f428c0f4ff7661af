//! What evaluation may cost, and what it has cost so far.

use graph::{Shape, numel};

use crate::budget::Budgets;
use crate::rules::Rule;

/// Levels of statements, expressions, calls and values inside each other. Far below what the stack holds, far above what
/// programs need: a call inside a call takes about ten.
const MAX_DEPTH: u32 = 2000;

/// Elements that are copied, or bytes that are compared, in about the time of one step.
const ELEMENTS_PER_STEP: u64 = 8;

/// What was found to cost too much.
pub struct Exceeded {
    pub rule: Rule,
    pub text: String,
}

/// Whether a budget is kept to.
pub type Within = Result<(), Exceeded>;

fn exceeded(rule: Rule, text: String) -> Within {
    Err(Exceeded { rule, text })
}

pub struct Meter {
    budgets: Budgets,
    steps: u64,
    elements: u64,
    parameters: u64,
    leaves: usize,
    /// How deep evaluation stands in statements, expressions, calls and walks over values, all together.
    depth: u32,
}

impl Meter {
    pub fn new(budgets: Budgets) -> Self {
        Self { budgets, steps: 0, elements: 0, parameters: 0, leaves: 0, depth: 0 }
    }

    /// Gives one more call as much as all before it were given. `nodes`: how many they made.
    pub fn extend(&mut self, nodes: usize) {
        self.budgets.steps = self.budgets.steps.saturating_add(self.steps);
        self.budgets.elements = self.budgets.elements.saturating_add(self.elements);
        self.budgets.nodes = self.budgets.nodes.saturating_add(nodes);
    }

    /// Counts `work` steps of evaluation.
    pub fn charge(&mut self, work: u64) -> Within {
        self.steps = self.steps.saturating_add(work);
        let limit = self.budgets.steps;
        if self.steps > limit {
            let text = format!("evaluating the program takes more than {limit} steps; does a loop never end?");
            return exceeded(Rule::BudgetSteps, text);
        }
        Ok(())
    }

    /// Counts the work of going over `count` elements, or that many bytes, which costs less than a step each.
    pub fn go_over(&mut self, count: usize) -> Within {
        self.charge(count as u64 / ELEMENTS_PER_STEP)
    }

    /// Counts elements of lists and strings that are made.
    pub fn allocate(&mut self, count: usize) -> Within {
        self.elements = self.elements.saturating_add(count as u64);
        let limit = self.budgets.elements;
        if self.elements > limit {
            let text = format!("the program builds lists and strings of more than {limit} elements");
            return exceeded(Rule::BudgetElements, text);
        }
        Ok(())
    }

    /// Goes one level deeper into statements, expressions, calls or values that hold each other. All of them share one limit,
    /// because they share one stack.
    pub fn descend(&mut self) -> Within {
        if self.depth >= MAX_DEPTH {
            let text = "calls, expressions or values are nested too deeply; does something hold or call itself?";
            return exceeded(Rule::BudgetDepth, text.into());
        }
        self.depth += 1;
        Ok(())
    }

    /// Comes back from one level.
    pub fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Whether the function `name` may be called inside of `depth` calls.
    pub fn allows_call(&self, depth: usize, name: &str) -> Within {
        let limit = self.budgets.depth;
        if depth >= limit {
            let text = format!("calls are nested more than {limit} deep; does '{name}' call itself for ever?");
            return exceeded(Rule::BudgetDepth, text);
        }
        Ok(())
    }

    /// Whether a loop may run through as many rounds.
    pub fn allows_rounds(&self, rounds: u64) -> Within {
        let limit = self.budgets.iterations;
        if rounds > limit {
            let text = format!("the loop runs more than {limit} rounds while the tensor graph is built");
            return exceeded(Rule::BudgetLoop, text);
        }
        Ok(())
    }

    /// Whether a range of as many elements may be written out.
    pub fn allows_range(&self, count: u64) -> Within {
        let limit = self.budgets.iterations;
        if count > limit {
            let text = format!("a range of {count} elements; at most {limit} rounds are unrolled");
            return exceeded(Rule::BudgetLoop, text);
        }
        Ok(())
    }

    /// Whether the graph may have as many nodes.
    pub fn allows_nodes(&self, count: usize) -> Within {
        let limit = self.budgets.nodes;
        if count > limit {
            return exceeded(Rule::BudgetNodes, format!("the program makes more than {limit} tensor operations"));
        }
        Ok(())
    }

    /// Whether a tensor of this shape is small enough.
    pub fn allows_tensor(&self, shape: &Shape) -> Within {
        let Budgets { b, n, tensor_bytes: limit, .. } = self.budgets;
        let bytes = bytes_at(shape, b, n);
        if bytes > limit {
            let (shape, bytes, limit) = (graph::display(shape), size_text(bytes), size_text(limit));
            let text = format!("{shape} needs {bytes} at B={b}, N={n}; at most {limit} are allowed for one tensor");
            return exceeded(Rule::BudgetTensor, text);
        }
        Ok(())
    }

    /// Counts a parameter or buffer of as many elements.
    pub fn add_leaf(&mut self, elements: usize) -> Within {
        const RULE: Rule = Rule::BudgetParameters;
        self.parameters = self.parameters.saturating_add(elements as u64);
        let limit = self.budgets.parameters;
        if self.parameters > limit {
            return exceeded(RULE, format!("the program has more than {limit} parameters"));
        }
        let limit = self.budgets.leaves;
        if self.leaves >= limit {
            return exceeded(RULE, format!("the program has more than {limit} parameter tensors"));
        }
        self.leaves += 1;
        Ok(())
    }
}

/// Bytes of a float32 tensor for given B and N. What 64 bits cannot count is beyond any budget, as the largest number is.
fn bytes_at(shape: &Shape, b: i64, n: i64) -> u64 {
    numel(shape).eval(b, n).and_then(|e| u64::try_from(e).ok()).map_or(u64::MAX, |e| e.saturating_mul(4))
}

fn size_text(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes >= 1024 * MIB && bytes.is_multiple_of(1024 * MIB) {
        format!("{} GiB", bytes / (1024 * MIB))
    } else if bytes >= MIB {
        format!("{} MiB", bytes.div_ceil(MIB))
    } else {
        format!("{bytes} bytes")
    }
}
