//! In which numbers a graph is computed.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The number format of a whole computation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dtype {
    /// IEEE single precision.
    #[default]
    F32,
    /// As `F32`, but a GPU may round what it multiplies to 10 bits (TensorFloat-32). Elsewhere it is `F32`.
    Tf32,
    /// As `F32`, but what is multiplied in matrix products is rounded to bfloat16 (8 bits) first, in forward and backward pass alike;
    /// sums, weights and everything else stay in single precision. Products of two bfloat16 are exact in single precision, so
    /// that this says what is computed on every device, but for subnormal factors: instructions for bfloat16 take these for 0.
    Bf16,
    /// IEEE double precision.
    F64,
}

impl Dtype {
    /// Whether a GPU may round what it multiplies to 10 bits. Those that have 8 stay what they are.
    pub fn rounds_on_gpu(self) -> bool {
        matches!(self, Self::Tf32 | Self::Bf16)
    }
}

impl FromStr for Dtype {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "tf32" => Ok(Self::Tf32),
            "bf16" => Ok(Self::Bf16),
            "f64" => Ok(Self::F64),
            _ => Err(format!("`{text}` is not a number format: f32, tf32, bf16 or f64")),
        }
    }
}

/// The bfloat16 nearest to a number in single precision, of two the even one; NaN stays NaN.
#[inline]
pub fn bfloat16(x: f32) -> f32 {
    if x.is_nan() {
        return x;
    }
    // Half of the last place that is kept, less one where that is even; beyond the largest number it carries to infinity.
    let bits = x.to_bits();
    f32::from_bits(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bfloat16_has_eight_bits_and_is_even_at_ties() {
        for (x, rounded) in [
            (0.0, 0.0),
            (-0.0, -0.0),
            (1.0, 1.0),
            // One and three halves of the last place above 1, and a little more than the first.
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 1.0 / 256.0 + f32::EPSILON, 1.0 + 1.0 / 128.0),
            (1.0 + 3.0 / 256.0, 1.0 + 1.0 / 64.0),
            (-std::f32::consts::PI, -3.140_625),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (f32::from_bits(0x8000), f32::from_bits(0)),
            (f32::from_bits(0x1_8000), f32::from_bits(0x2_0000)),
        ] {
            assert_eq!(bfloat16(x).to_bits(), rounded.to_bits(), "{x}");
        }
        assert!(bfloat16(f32::NAN).is_nan() && bfloat16(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
