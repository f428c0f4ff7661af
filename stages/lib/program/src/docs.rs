//! The rules of the checker: the code of each diagnostic, its category, and its page, which says what it means and why, with an
//! example that the tests run.

use crate::diagnostic::Category;

/// The page of a code such as `E-SHAPE-BROADCAST`, in Markdown.
pub fn page(code: &str) -> Option<&'static str> {
    rule(code).map(|rule| rule.page)
}

/// The category of a rule. Every code has a rule, which a test looks after.
pub(crate) fn category(code: &str) -> Category {
    rule(code).map_or(Category::Unsupported, |rule| rule.category)
}

fn rule(code: &str) -> Option<&'static Rule> {
    RULES.binary_search_by(|rule| rule.code.cmp(code)).ok().and_then(|at| RULES.get(at))
}

/// What a page's rule says, in its first sentence.
pub fn summary(page: &str) -> String {
    let says = page.split("## What it says").nth(1).unwrap_or(page).trim_start();
    let paragraph = says.split("\n\n").next().unwrap_or(says);
    let words: Vec<&str> = paragraph.split_whitespace().collect();
    let text = words.join(" ");
    text.split_inclusive(". ").next().unwrap_or(&text).trim_end().to_owned()
}

/// The page that lists all rules, `schemas/rules.md`.
pub fn index() -> String {
    let mut text = String::from(
        "# Rules\n\nGenerated. Every diagnostic of `check` has a code, and every code a page with an example, which is run as a test; \
         `check --rule CODE` prints it. Codes in E- refuse a program, those in W- warn.\n\n| rule | what it says |\n|---|---|\n",
    );
    for (code, page) in pages() {
        let says = summary(page).replace('|', "\\|");
        text += &format!("| [{code}](../stages/lib/program/docs/{code}.md) | {says} |\n");
    }
    text
}

/// All codes with their pages, in alphabetical order.
pub fn pages() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|rule| (rule.code, rule.page))
}

/// A rule of the checker: what each of its diagnostics has in common.
struct Rule {
    code: &'static str,
    category: Category,
    page: &'static str,
}

macro_rules! rules {
    ($($code:literal $category:ident),* $(,)?) => {
        &[$(Rule {
            code: $code,
            category: Category::$category,
            page: include_str!(concat!("../docs/", $code, ".md")),
        }),*]
    };
}

/// All rules, in the order of their codes. Codes in E- refuse a program, those in W- warn.
static RULES: &[Rule] = rules![
    "E-ASSERT" Interface,
    "E-BUDGET-DEPTH" Budget,
    "E-BUDGET-ELEMENTS" Budget,
    "E-BUDGET-LOOP" Budget,
    "E-BUDGET-MEMORY" Budget,
    "E-BUDGET-NESTING" Budget,
    "E-BUDGET-NODES" Budget,
    "E-BUDGET-PARAMETERS" Budget,
    "E-BUDGET-SOURCE" Budget,
    "E-BUDGET-STEPS" Budget,
    "E-BUDGET-TENSOR" Budget,
    "E-BUDGET-TIME" Budget,
    "E-ENTANGLED-FACTOR" Entangled,
    "E-ENTANGLED-FROZEN" Entangled,
    "E-ENTANGLED-REBINDS" Entangled,
    "E-ENTANGLED-REGION" Entangled,
    "E-FORBIDDEN-ATTRIBUTE" Forbidden,
    "E-FORBIDDEN-BUILTIN" Forbidden,
    "E-FORBIDDEN-HOOK" Forbidden,
    "E-FORBIDDEN-IMPORT" Forbidden,
    "E-FORBIDDEN-MODULE" Forbidden,
    "E-FORBIDDEN-TORCH" Forbidden,
    "E-INPLACE-GRADIENT" Interface,
    "E-INTERFACE-CLASS" Interface,
    "E-INTERFACE-FACTORY" Interface,
    "E-INTERFACE-FORWARD" Interface,
    "E-INTERFACE-RETURN" Interface,
    "E-INTERNAL" Unsupported,
    "E-LEAF-INPLACE" Interface,
    "E-MODULE-INIT" Interface,
    "E-NAME-ATTRIBUTE" Name,
    "E-NAME-UNBOUND" Name,
    "E-NAME-UNDEFINED" Name,
    "E-RAISED" Interface,
    "E-REGION-MISSING" Region,
    "E-REGION-NAME" Region,
    "E-REGION-NESTED" Region,
    "E-REGION-OPEN" Region,
    "E-REGION-ORDER" Region,
    "E-REGION-TWICE" Region,
    "E-SHAPE-AXIS" Shape,
    "E-SHAPE-BROADCAST" Shape,
    "E-SHAPE-CAT" Shape,
    "E-SHAPE-CELL" Shape,
    "E-SHAPE-DTYPE" Shape,
    "E-SHAPE-EINSUM" Shape,
    "E-SHAPE-EXPAND" Shape,
    "E-SHAPE-GATHER" Shape,
    "E-SHAPE-INDEX" Shape,
    "E-SHAPE-INDEX-RANGE" Shape,
    "E-SHAPE-INPLACE" Shape,
    "E-SHAPE-LINEAR" Shape,
    "E-SHAPE-MATMUL" Shape,
    "E-SHAPE-NEGATIVE" Shape,
    "E-SHAPE-NORM" Shape,
    "E-SHAPE-OP" Shape,
    "E-SHAPE-OUTPUT" Shape,
    "E-SHAPE-PARAMETER" Shape,
    "E-SHAPE-RESHAPE" Shape,
    "E-SHAPE-SPLIT" Shape,
    "E-SHAPE-SQUEEZE" Shape,
    "E-SHAPE-TOPK" Shape,
    "E-SHAPE-VIEW" Shape,
    "E-STATEFUL" Unsupported,
    "E-SYNTAX" Syntax,
    "E-TYPE" Interface,
    "E-UNREGISTERED" Unsupported,
    "E-UNSUPPORTED-ATTRIBUTE" Unsupported,
    "E-UNSUPPORTED-BRANCH" Unsupported,
    "E-UNSUPPORTED-CLASS" Unsupported,
    "E-UNSUPPORTED-IMPORT" Unsupported,
    "E-UNSUPPORTED-INIT" Unsupported,
    "E-UNSUPPORTED-INPLACE" Unsupported,
    "E-UNSUPPORTED-ITEM" Unsupported,
    "E-UNSUPPORTED-MASK-INDEX" Unsupported,
    "E-UNSUPPORTED-NUMBER" Unsupported,
    "E-UNSUPPORTED-OP" Unsupported,
    "E-UNSUPPORTED-PRECISION" Unsupported,
    "E-UNSUPPORTED-RANDOM" Unsupported,
    "E-UNSUPPORTED-RANK" Unsupported,
    "E-UNSUPPORTED-SIZE" Unsupported,
    "E-UNSUPPORTED-SIZE-BRANCH" Unsupported,
    "E-UNSUPPORTED-SIZE-LOOP" Unsupported,
    "E-UNSUPPORTED-SYNTAX" Unsupported,
    "E-UNSUPPORTED-TRAINING" Unsupported,
    "E-UNSUPPORTED-WITH" Unsupported,
    "E-VALUE" Interface,
    "W-DEAD-GRADIENT" DeadCode,
    "W-DEAD-HIDDEN" DeadCode,
    "W-DEAD-PARAMETER" DeadCode,
    "W-IMPORTS-REORDERED" Entangled,
    "W-NUMERIC-DIVISION" Numeric,
    "W-NUMERIC-EMPTY-ROW" Numeric,
    "W-NUMERIC-LOG" Numeric,
    "W-NUMERIC-ROOT" Numeric,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_by_their_codes() {
        assert!(RULES.is_sorted_by_key(|rule| rule.code));
        for Rule { code, category, page } in RULES {
            assert_eq!((super::page(code), super::category(code)), (Some(*page), *category));
        }
        assert_eq!(page("E-NONE"), None);
    }
}
