//! The rules of the checker: the code of each diagnostic, its category, and its page, which says what it means and why, with an
//! example that the tests run.

use schemas::Severity;

use crate::diagnostic::Category;

macro_rules! rules {
    ($($name:ident $code:literal $category:ident),* $(,)?) => {
        /// What a diagnostic is an instance of: what all diagnostics of one kind have in common.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = concat!("`", $code, "`.")] $name),*
        }

        impl Rule {
            /// All rules, in the order of their codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable name that tables, pages and users know, such as `E-SHAPE-BROADCAST`.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code),*
                }
            }

            /// The kind of fault.
            pub fn category(self) -> Category {
                match self {
                    $(Self::$name => Category::$category),*
                }
            }

            /// Its page, in Markdown.
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../docs/", $code, ".md"))),*
                }
            }
        }
    };
}

// Codes in E- refuse a program, those in W- warn.
rules![
    Assert "E-ASSERT" Interface,
    BudgetDepth "E-BUDGET-DEPTH" Budget,
    BudgetElements "E-BUDGET-ELEMENTS" Budget,
    BudgetLoop "E-BUDGET-LOOP" Budget,
    BudgetMemory "E-BUDGET-MEMORY" Budget,
    BudgetNesting "E-BUDGET-NESTING" Budget,
    BudgetNodes "E-BUDGET-NODES" Budget,
    BudgetParameters "E-BUDGET-PARAMETERS" Budget,
    BudgetSource "E-BUDGET-SOURCE" Budget,
    BudgetSteps "E-BUDGET-STEPS" Budget,
    BudgetTensor "E-BUDGET-TENSOR" Budget,
    BudgetTime "E-BUDGET-TIME" Budget,
    EntangledFactor "E-ENTANGLED-FACTOR" Entangled,
    EntangledFrozen "E-ENTANGLED-FROZEN" Entangled,
    EntangledRebinds "E-ENTANGLED-REBINDS" Entangled,
    EntangledRegion "E-ENTANGLED-REGION" Entangled,
    ForbiddenAttribute "E-FORBIDDEN-ATTRIBUTE" Forbidden,
    ForbiddenBuiltin "E-FORBIDDEN-BUILTIN" Forbidden,
    ForbiddenHook "E-FORBIDDEN-HOOK" Forbidden,
    ForbiddenImport "E-FORBIDDEN-IMPORT" Forbidden,
    ForbiddenModule "E-FORBIDDEN-MODULE" Forbidden,
    ForbiddenTorch "E-FORBIDDEN-TORCH" Forbidden,
    InplaceGradient "E-INPLACE-GRADIENT" Interface,
    InterfaceClass "E-INTERFACE-CLASS" Interface,
    InterfaceFactory "E-INTERFACE-FACTORY" Interface,
    InterfaceForward "E-INTERFACE-FORWARD" Interface,
    InterfaceReturn "E-INTERFACE-RETURN" Interface,
    Internal "E-INTERNAL" Unsupported,
    LeafInplace "E-LEAF-INPLACE" Interface,
    ModuleInit "E-MODULE-INIT" Interface,
    NameAttribute "E-NAME-ATTRIBUTE" Name,
    NameUnbound "E-NAME-UNBOUND" Name,
    NameUndefined "E-NAME-UNDEFINED" Name,
    Raised "E-RAISED" Interface,
    RegionMissing "E-REGION-MISSING" Region,
    RegionName "E-REGION-NAME" Region,
    RegionNested "E-REGION-NESTED" Region,
    RegionOpen "E-REGION-OPEN" Region,
    RegionOrder "E-REGION-ORDER" Region,
    RegionTwice "E-REGION-TWICE" Region,
    ShapeAxis "E-SHAPE-AXIS" Shape,
    ShapeBroadcast "E-SHAPE-BROADCAST" Shape,
    ShapeCat "E-SHAPE-CAT" Shape,
    ShapeCell "E-SHAPE-CELL" Shape,
    ShapeDtype "E-SHAPE-DTYPE" Shape,
    ShapeEinsum "E-SHAPE-EINSUM" Shape,
    ShapeExpand "E-SHAPE-EXPAND" Shape,
    ShapeGather "E-SHAPE-GATHER" Shape,
    ShapeIndex "E-SHAPE-INDEX" Shape,
    ShapeIndexRange "E-SHAPE-INDEX-RANGE" Shape,
    ShapeInplace "E-SHAPE-INPLACE" Shape,
    ShapeLinear "E-SHAPE-LINEAR" Shape,
    ShapeMatmul "E-SHAPE-MATMUL" Shape,
    ShapeNegative "E-SHAPE-NEGATIVE" Shape,
    ShapeNorm "E-SHAPE-NORM" Shape,
    ShapeOp "E-SHAPE-OP" Shape,
    ShapeOutput "E-SHAPE-OUTPUT" Shape,
    ShapeParameter "E-SHAPE-PARAMETER" Shape,
    ShapeReshape "E-SHAPE-RESHAPE" Shape,
    ShapeSplit "E-SHAPE-SPLIT" Shape,
    ShapeSqueeze "E-SHAPE-SQUEEZE" Shape,
    ShapeTopk "E-SHAPE-TOPK" Shape,
    ShapeView "E-SHAPE-VIEW" Shape,
    Stateful "E-STATEFUL" Unsupported,
    Syntax "E-SYNTAX" Syntax,
    Type "E-TYPE" Interface,
    Unregistered "E-UNREGISTERED" Unsupported,
    UnsupportedAttribute "E-UNSUPPORTED-ATTRIBUTE" Unsupported,
    UnsupportedBranch "E-UNSUPPORTED-BRANCH" Unsupported,
    UnsupportedClass "E-UNSUPPORTED-CLASS" Unsupported,
    UnsupportedImport "E-UNSUPPORTED-IMPORT" Unsupported,
    UnsupportedInit "E-UNSUPPORTED-INIT" Unsupported,
    UnsupportedInplace "E-UNSUPPORTED-INPLACE" Unsupported,
    UnsupportedItem "E-UNSUPPORTED-ITEM" Unsupported,
    UnsupportedMaskIndex "E-UNSUPPORTED-MASK-INDEX" Unsupported,
    UnsupportedNumber "E-UNSUPPORTED-NUMBER" Unsupported,
    UnsupportedOp "E-UNSUPPORTED-OP" Unsupported,
    UnsupportedPrecision "E-UNSUPPORTED-PRECISION" Unsupported,
    UnsupportedRandom "E-UNSUPPORTED-RANDOM" Unsupported,
    UnsupportedRank "E-UNSUPPORTED-RANK" Unsupported,
    UnsupportedSize "E-UNSUPPORTED-SIZE" Unsupported,
    UnsupportedSizeBranch "E-UNSUPPORTED-SIZE-BRANCH" Unsupported,
    UnsupportedSizeLoop "E-UNSUPPORTED-SIZE-LOOP" Unsupported,
    UnsupportedSyntax "E-UNSUPPORTED-SYNTAX" Unsupported,
    UnsupportedTraining "E-UNSUPPORTED-TRAINING" Unsupported,
    UnsupportedWith "E-UNSUPPORTED-WITH" Unsupported,
    Value "E-VALUE" Interface,
    DeadGradient "W-DEAD-GRADIENT" DeadCode,
    DeadHidden "W-DEAD-HIDDEN" DeadCode,
    DeadParameter "W-DEAD-PARAMETER" DeadCode,
    ImportsReordered "W-IMPORTS-REORDERED" Entangled,
    NumericDivision "W-NUMERIC-DIVISION" Numeric,
    NumericEmptyRow "W-NUMERIC-EMPTY-ROW" Numeric,
    NumericLog "W-NUMERIC-LOG" Numeric,
    NumericRoot "W-NUMERIC-ROOT" Numeric,
];

impl Rule {
    /// The rule of this code.
    pub fn of(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.code() == code)
    }

    /// Whether it refuses programs or warns of them.
    pub fn severity(self) -> Severity {
        if self.code().starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The first sentence of what its page says.
    pub fn summary(self) -> String {
        let says = self.page().split("## What it says").nth(1).unwrap_or(self.page()).trim_start();
        let paragraph = says.split("\n\n").next().unwrap_or(says);
        let words: Vec<&str> = paragraph.split_whitespace().collect();
        let text = words.join(" ");
        text.split_inclusive(". ").next().unwrap_or(&text).trim_end().to_owned()
    }
}

/// The page that lists all rules, `schemas/rules.md`.
pub fn index() -> String {
    let mut text = String::from(
        "# Rules\n\nGenerated. Every diagnostic of `check` has a code, and every code a page with an example, which is run as a test; \
         `check --rule CODE` prints it. Codes in E- refuse a program, those in W- warn.\n\n| rule | what it says |\n|---|---|\n",
    );
    for rule in Rule::ALL {
        let (code, says) = (rule.code(), rule.summary().replace('|', "\\|"));
        text += &format!("| [{code}](../stages/lib/program/docs/{code}.md) | {says} |\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_found_by_their_codes() {
        assert!(Rule::ALL.is_sorted_by_key(|rule| rule.code()));
        assert!(Rule::ALL.iter().all(|rule| Rule::of(rule.code()) == Some(*rule)));
        assert_eq!(Rule::of("E-NONE"), None);
    }
}
