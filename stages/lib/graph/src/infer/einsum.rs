//! Normalised einsum equations: `bik,bkj->bij`.

use crate::dim::{Dim, Shape, display};
use crate::error::OpError;
use std::collections::BTreeMap;

/// The letters of each operand and of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equation {
    /// For each operand, one letter per axis; a letter that occurs twice takes the diagonal.
    pub operands: Vec<Vec<char>>,
    /// One letter per axis of the value, all distinct.
    pub value: Vec<char>,
}

impl Equation {
    /// Reads a normalised equation: ASCII letters, commas, one arrow, the value's letters distinct.
    pub fn parse(equation: &str) -> Result<Self, OpError> {
        let fail = |reason: &str| OpError::Einsum { equation: equation.to_owned(), reason: reason.to_owned() };
        let (left, right) = equation.split_once("->").ok_or_else(|| fail("the value's letters are missing"))?;
        let letters =
            |part: &str| -> Result<Vec<char>, OpError> {
                part.chars()
                    .map(|c| {
                        if c.is_ascii_alphabetic() {
                            Ok(c)
                        } else {
                            Err(fail("only letters, commas and -> are allowed"))
                        }
                    })
                    .collect()
            };
        let operands = left.split(',').map(letters).collect::<Result<Vec<_>, _>>()?;
        let value = letters(right)?;
        for (place, letter) in value.iter().enumerate() {
            if value[..place].contains(letter) {
                return Err(fail(&format!("{letter} occurs twice in the value")));
            }
            if !operands.iter().any(|operand| operand.contains(letter)) {
                return Err(fail(&format!("{letter} of the value is in no operand")));
            }
        }
        Ok(Self { operands, value })
    }

    /// The size behind each letter: sizes agree, or are known to be 1 and broadcast.
    pub fn sizes<'a>(
        &self,
        equation: &str,
        shapes: impl Iterator<Item = &'a Shape>,
    ) -> Result<BTreeMap<char, Dim>, OpError> {
        let fail = |reason: String| OpError::Einsum { equation: equation.to_owned(), reason };
        let shapes: Vec<&Shape> = shapes.collect();
        if shapes.len() != self.operands.len() {
            return Err(fail(format!("it names {} operands, but there are {}", self.operands.len(), shapes.len())));
        }
        let mut sizes = BTreeMap::new();
        for (letters, shape) in self.operands.iter().zip(shapes) {
            if letters.len() != shape.len() {
                let text: String = letters.iter().collect();
                return Err(fail(format!("{text} names {} axes of {}", letters.len(), display(shape))));
            }
            // Within one operand a repeated letter is a diagonal, which does not broadcast.
            let mut own: BTreeMap<char, &Dim> = BTreeMap::new();
            for (&letter, size) in letters.iter().zip(shape) {
                if let Some(other) = own.insert(letter, size)
                    && other != size
                {
                    return Err(fail(format!("{letter} is {other} and {size} in one operand")));
                }
            }
            for (letter, size) in own {
                match sizes.get(&letter) {
                    None => {
                        sizes.insert(letter, size.clone());
                    }
                    Some(known) if known == size || size.is_known_one() => {}
                    Some(known) if known.is_known_one() => {
                        sizes.insert(letter, size.clone());
                    }
                    Some(known) => {
                        return Err(fail(format!("{letter} is {known} in one operand and {size} in another")));
                    }
                }
            }
        }
        Ok(sizes)
    }

    /// The value's shape.
    pub fn shape<'a>(&self, equation: &str, shapes: impl Iterator<Item = &'a Shape>) -> Result<Shape, OpError> {
        let sizes = self.sizes(equation, shapes)?;
        Ok(self.value.iter().filter_map(|letter| sizes.get(letter).cloned()).collect())
    }
}
