//! The syntax tree that the rest of the crate works on. Positions take no part in comparisons, so that equal code is
//! equal wherever it stands.

use std::collections::BTreeSet;
use std::rc::Rc;

use graph::Span;

/// An identifier.
pub type Name = Rc<str>;

/// A source position that compares equal to every other.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub Span);

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Debug, PartialEq)]
pub struct Expr {
    pub kind: ExprKind,
    pub at: At,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    MatMul,
    BitAnd,
    BitOr,
    BitXor,
    LShift,
    RShift,
}

impl BinOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "**",
            Self::MatMul => "@",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::LShift => "<<",
            Self::RShift => ">>",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnOp {
    Neg,
    Pos,
    Not,
    Invert,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CmpOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Is,
    IsNot,
    In,
    NotIn,
}

impl CmpOp {
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Is => "is",
            Self::IsNot => "is not",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }
}

#[derive(Debug, PartialEq)]
pub enum ExprKind {
    None,
    Ellipsis,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Name),
    /// Literal text and formatted values.
    FString(Vec<Piece>),
    Name(Name),
    Attribute(Box<Expr>, Name),
    Subscript(Box<Expr>, Box<Expr>),
    Slice(Option<Box<Expr>>, Option<Box<Expr>>, Option<Box<Expr>>),
    Call(Box<Expr>, Vec<Expr>, Vec<Keyword>),
    Starred(Box<Expr>),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Set(Vec<Expr>),
    /// A key of `None` unpacks the value.
    Dict(Vec<(Option<Expr>, Expr)>),
    Binary(Box<Expr>, BinOp, Box<Expr>),
    Unary(UnOp, Box<Expr>),
    /// `and` (true) or `or`.
    Logic(bool, Vec<Expr>),
    Compare(Box<Expr>, Vec<(CmpOp, Expr)>),
    IfElse(Box<Expr>, Box<Expr>, Box<Expr>),
    Lambda(Rc<Function>),
    ListComp(Box<Expr>, Vec<Generator>),
    SetComp(Box<Expr>, Vec<Generator>),
    DictComp(Box<Expr>, Box<Expr>, Vec<Generator>),
    /// Evaluated when it is gone over, which may be after the statement that it stands in.
    GeneratorExp(Rc<GeneratorExp>),
    Walrus(Name, Box<Expr>),
    Yield(Option<Box<Expr>>),
    YieldFrom(Box<Expr>),
    /// What the language does not have, and what it is called; its parts are kept for the scan of forbidden uses.
    Other(&'static str, Vec<Expr>),
}

#[derive(Debug, PartialEq)]
pub enum Piece {
    Text(String),
    /// The value, its conversion (`r`, `s`, `a` or none) and format specification.
    Value(Box<Expr>, Option<char>, Vec<Piece>),
}

#[derive(Debug, PartialEq)]
pub struct Keyword {
    /// `None` unpacks a mapping.
    pub name: Option<Name>,
    pub value: Expr,
}

#[derive(Debug, PartialEq)]
pub struct Generator {
    pub target: Expr,
    pub iter: Expr,
    pub ifs: Vec<Expr>,
}

/// `(item for ...)`.
#[derive(Debug, PartialEq)]
pub struct GeneratorExp {
    pub item: Expr,
    pub generators: Vec<Generator>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamKind {
    PositionalOnly,
    Normal,
    Star,
    KeywordOnly,
    DoubleStar,
}

#[derive(Debug, PartialEq)]
pub struct Param {
    pub name: Name,
    pub kind: ParamKind,
    pub default: Option<Expr>,
    pub annotation: Option<Expr>,
    pub at: At,
}

/// A function or lambda.
#[derive(Debug, PartialEq)]
pub struct Function {
    pub name: Name,
    pub params: Vec<Param>,
    pub body: Vec<Stmt>,
    pub decorators: Vec<Expr>,
    pub returns: Option<Expr>,
    /// Names that the body binds, which are local to it.
    pub locals: BTreeSet<Name>,
    pub is_generator: bool,
    pub at: At,
}

#[derive(Debug, PartialEq)]
pub struct Class {
    pub name: Name,
    pub bases: Vec<Expr>,
    pub keywords: Vec<Keyword>,
    pub body: Vec<Stmt>,
    pub decorators: Vec<Expr>,
    pub at: At,
}

#[derive(Debug, PartialEq)]
pub struct Alias {
    pub name: Name,
    pub asname: Option<Name>,
    pub at: At,
}

#[derive(Debug, PartialEq)]
pub struct Stmt {
    pub kind: StmtKind,
    pub at: At,
}

#[derive(Debug, PartialEq)]
pub enum StmtKind {
    Expr(Expr),
    Assign(Vec<Expr>, Expr),
    AugAssign(Expr, BinOp, Expr),
    AnnAssign(Expr, Expr, Option<Expr>),
    Return(Option<Expr>),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    For(Expr, Expr, Vec<Stmt>, Vec<Stmt>),
    While(Expr, Vec<Stmt>, Vec<Stmt>),
    With(Vec<(Expr, Option<Expr>)>, Vec<Stmt>),
    Try(Box<Try>),
    Raise(Option<Expr>, Option<Expr>),
    Assert(Expr, Option<Expr>),
    Import(Vec<Alias>),
    ImportFrom(Name, Vec<Alias>, u32),
    Function(Rc<Function>),
    Class(Rc<Class>),
    Global(Vec<Name>),
    Nonlocal(Vec<Name>),
    Delete(Vec<Expr>),
    Pass,
    Break,
    Continue,
    /// What the language does not have: its name, and its parts for the scans.
    Other(&'static str, Vec<Expr>, Vec<Stmt>),
}

/// `try` with its blocks, of which all but the first may be empty.
#[derive(Debug, PartialEq)]
pub struct Try {
    pub body: Vec<Stmt>,
    pub handlers: Vec<Handler>,
    pub orelse: Vec<Stmt>,
    pub finally: Vec<Stmt>,
}

/// `except KIND as NAME:`
#[derive(Debug, PartialEq)]
pub struct Handler {
    pub kind: Option<Expr>,
    pub name: Option<Name>,
    pub body: Vec<Stmt>,
    pub at: At,
}

/// A whole program.
#[derive(Debug, PartialEq)]
pub struct Module {
    pub body: Vec<Stmt>,
}
