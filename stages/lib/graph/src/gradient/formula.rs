//! Element-wise formulas over nodes and numbers.

use super::tape::{Made, Tape};
use crate::op::{BinaryOp, NodeId, Op, UnaryOp};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A formula that has not been made into nodes yet. What occurs in it twice is made twice; the normal form makes it one.
#[derive(Clone)]
pub(super) enum Formula {
    Node(NodeId),
    Number(f64),
    Unary(UnaryOp, Box<Formula>),
    Binary(BinaryOp, Box<Formula>, Box<Formula>),
    Where(Box<Formula>, Box<Formula>, Box<Formula>),
}

impl Tape<'_> {
    pub fn make(&mut self, formula: &Formula) -> Made {
        match formula {
            Formula::Node(id) => Ok(*id),
            Formula::Number(value) => self.number(*value),
            Formula::Unary(op, x) => {
                let x = self.make(x)?;
                self.unary(*op, x)
            }
            Formula::Binary(op, x, y) => {
                let (x, y) = (self.make(x)?, self.make(y)?);
                self.binary(*op, x, y)
            }
            Formula::Where(condition, x, y) => {
                let args = [self.make(condition)?, self.make(x)?, self.make(y)?];
                self.push(Op::Where, &args)
            }
        }
    }
}

impl Formula {
    pub fn of(&self, op: UnaryOp) -> Formula {
        Formula::Unary(op, Box::new(self.clone()))
    }

    pub fn with(&self, op: BinaryOp, other: impl Into<Formula>) -> Formula {
        Formula::Binary(op, Box::new(self.clone()), Box::new(other.into()))
    }

    pub fn gt(&self, other: impl Into<Formula>) -> Formula {
        self.with(BinaryOp::Gt, other)
    }

    pub fn lt(&self, other: impl Into<Formula>) -> Formula {
        self.with(BinaryOp::Lt, other)
    }

    pub fn is(&self, other: impl Into<Formula>) -> Formula {
        self.with(BinaryOp::Eq, other)
    }

    pub fn and(&self, other: impl Into<Formula>) -> Formula {
        self.with(BinaryOp::And, other)
    }

    pub fn squared(&self) -> Formula {
        self.of(UnaryOp::Square)
    }

    /// `x` where this holds, `y` elsewhere.
    pub fn then(&self, x: impl Into<Formula>, y: impl Into<Formula>) -> Formula {
        Formula::Where(Box::new(self.clone()), Box::new(x.into()), Box::new(y.into()))
    }
}

impl From<NodeId> for Formula {
    fn from(id: NodeId) -> Self {
        Formula::Node(id)
    }
}

impl From<f64> for Formula {
    fn from(value: f64) -> Self {
        Formula::Number(value)
    }
}

impl From<&Formula> for Formula {
    fn from(formula: &Formula) -> Self {
        formula.clone()
    }
}

impl Neg for Formula {
    type Output = Formula;
    fn neg(self) -> Formula {
        self.of(UnaryOp::Neg)
    }
}

impl Neg for &Formula {
    type Output = Formula;
    fn neg(self) -> Formula {
        self.of(UnaryOp::Neg)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident) => {
        impl<T: Into<Formula>> $trait<T> for Formula {
            type Output = Formula;
            fn $method(self, other: T) -> Formula {
                self.with(BinaryOp::$trait, other)
            }
        }
        impl<T: Into<Formula>> $trait<T> for &Formula {
            type Output = Formula;
            fn $method(self, other: T) -> Formula {
                self.with(BinaryOp::$trait, other)
            }
        }
        impl $trait<Formula> for f64 {
            type Output = Formula;
            fn $method(self, other: Formula) -> Formula {
                Formula::Number(self).with(BinaryOp::$trait, other)
            }
        }
        impl $trait<&Formula> for f64 {
            type Output = Formula;
            fn $method(self, other: &Formula) -> Formula {
                Formula::Number(self).with(BinaryOp::$trait, other)
            }
        }
    };
}

operator!(Add, add);
operator!(Sub, sub);
operator!(Mul, mul);
operator!(Div, div);
