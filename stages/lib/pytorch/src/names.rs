//! Names in generated Python: identifiers, and nothing else.
//!
//! A candidate chooses the names of its layers, and a dictionary's keys are any text. What is written here consists of ASCII
//! letters, digits and underscores, is not a word of Python's, and stands for nothing of PyTorch's.

use std::collections::BTreeSet;

/// Longer names are cut.
const LONGEST: usize = 40;

/// Words of Python, and names that generated code gives a meaning of its own.
const WORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal",
    "not", "or", "pass", "raise", "return", "try", "while", "with", "yield", "match", "case", "type", "self", "torch",
    "nn", "F", "B", "N", "floats", "device", "dict", "bool", "int", "float", "len", "max", "min", "range", "zip",
    "Group", "math",
];

/// Attributes of `nn.Module` and its containers (PyTorch 2.11), those that begin with an underscore aside.
const ATTRIBUTES: &[&str] = &[
    "T_destination",
    "add_module",
    "append",
    "apply",
    "bfloat16",
    "buffers",
    "call_super_init",
    "children",
    "clear",
    "compile",
    "copy",
    "cpu",
    "cuda",
    "double",
    "dump_patches",
    "eval",
    "extend",
    "extra_repr",
    "float",
    "forward",
    "fromkeys",
    "get",
    "get_buffer",
    "get_extra_state",
    "get_parameter",
    "get_submodule",
    "half",
    "insert",
    "ipu",
    "items",
    "keys",
    "load_state_dict",
    "modules",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "pop",
    "popitem",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_module",
    "register_parameter",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "requires_grad_",
    "set_extra_state",
    "set_submodule",
    "setdefault",
    "share_memory",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "training",
    "type",
    "update",
    "values",
    "xpu",
    "zero_grad",
];

/// An identifier that looks like `text`.
pub(crate) fn identifier(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let mut name: String = text.chars().take(LONGEST).map(kept).collect();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name.insert_str(0, if name.starts_with('_') || name.is_empty() { "p" } else { "n" });
    }
    // Names with two underscores inside a class are changed by Python where they also begin so; these do not.
    while WORDS.contains(&name.as_str()) || ATTRIBUTES.contains(&name.as_str()) {
        name.push('_');
    }
    name
}

/// Names that are given once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// A name like `wish` that nothing has yet.
    pub fn fresh(&mut self, wish: &str) -> String {
        let base = identifier(wish);
        let mut name = base.clone();
        for number in 2.. {
            if self.taken.insert(name.clone()) {
                break;
            }
            name = format!("{base}_{number}");
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_an_identifier() {
        let is = |text: &str| {
            let mut chars = text.chars();
            chars.next().is_some_and(|c| c.is_ascii_alphabetic())
                && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        for text in
            ["t_1", "", "_x", "__class__", "0", "a b", "x\n    import os", "lambda", "forward", "é", "x'\"#", "self"]
        {
            let name = identifier(text);
            assert!(is(&name) && name.len() <= LONGEST + 2, "{text:?} became {name:?}");
            assert!(!WORDS.contains(&name.as_str()) && !ATTRIBUTES.contains(&name.as_str()), "{name}");
        }
        assert_eq!(identifier("t_1"), "t_1");
        assert_eq!(identifier("lambda"), "lambda_");
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        assert_eq!([names.fresh("a b"), names.fresh("a_b"), names.fresh("a_b_2")], ["a_b", "a_b_2", "a_b_2_2"]);
    }
}
