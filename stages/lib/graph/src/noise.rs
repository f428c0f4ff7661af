//! Numbers that look random and are a function of a key: the noise of a training step.
//!
//! A key is a whole number of 64 bits. It enters a graph as [`LIMBS`] numbers of at most 22 bits each, lowest first, which every
//! float type holds exactly. Element `i` of stream `s` under a key is output number `i` of SplitMix64 (Steele, Lea and Flood,
//! 2014) started at [`start`] of key and stream, cut to 23 bits: `(2 k + 1) / 2^24`, between 0 and 1 and neither of them, exact
//! in float32. Nothing is drawn, so what is computed again, on any thread or device, is the same to the bit.

use crate::dim::Dim;

/// Numbers that a key has in a graph.
pub const LIMBS: usize = 3;
/// Bits of each of them.
pub const LIMB_BITS: u32 = 22;

/// The odd number nearest to 2^64 over the golden ratio: the step of SplitMix64.
pub const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// Shifts of SplitMix64's output function, in turn; the last shift has no factor.
pub const SHIFTS: [u32; 3] = [30, 27, 31];
/// Factors of SplitMix64's output function, in turn.
pub const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];
/// Bits of an output that are left out.
pub const CUT: u32 = 41;

/// SplitMix64's output function.
pub fn mix(state: u64) -> u64 {
    let mut z = state;
    for (shift, factor) in SHIFTS.into_iter().zip(FACTORS) {
        z = (z ^ (z >> shift)).wrapping_mul(factor);
    }
    z ^ (z >> SHIFTS[2])
}

/// Where a stream under a key starts.
pub fn start(key: u64, stream: u32) -> u64 {
    mix(key.wrapping_add((u64::from(stream) + 1).wrapping_mul(STEP)))
}

/// Element `index` of a stream that starts at `start`.
pub fn uniform(start: u64, index: u64) -> f64 {
    let bits = mix(start.wrapping_add((index + 1).wrapping_mul(STEP))) >> CUT;
    (bits as f64 + 0.5) / (1_u64 << (64 - CUT)) as f64
}

/// A key that depends on all of some numbers and on their order.
pub fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(STEP, |key, part| mix(key ^ part.wrapping_mul(FACTORS[0]).wrapping_add(STEP)))
}

/// A key as it enters a graph.
pub fn limbs(key: u64) -> [f64; LIMBS] {
    let limb = |at: u32| ((key >> (at * LIMB_BITS)) & ((1 << LIMB_BITS) - 1)) as f64;
    [limb(0), limb(1), limb(2)]
}

/// The key that enters as these numbers.
pub fn joined(limbs: &[f64]) -> u64 {
    limbs.iter().zip(0_u32..).fold(0, |key, (&limb, at)| key | (limb as u64).checked_shl(at * LIMB_BITS).unwrap_or(0))
}

/// The shape of a key of each sample, or of one key for the whole batch.
pub fn key_shape(of_samples: bool) -> Vec<Dim> {
    let limbs = Dim::known(i64::try_from(LIMBS).unwrap_or(0));
    if of_samples { vec![Dim::b(), limbs] } else { vec![limbs] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_those_of_splitmix64() {
        // the published generator's first outputs from state 1234567
        let outputs: Vec<u64> = (1..=3_u64).map(|i| mix(1_234_567_u64.wrapping_add(i.wrapping_mul(STEP)))).collect();
        assert_eq!(outputs, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn keys_pass_through_a_graph_unchanged() {
        for key in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef, key(&[7, 8, 9])] {
            let limbs = limbs(key);
            assert!(limbs.iter().all(|&limb| f64::from(limb as f32) == limb));
            assert_eq!(joined(&limbs), key);
        }
        assert_ne!(key(&[1, 2]), key(&[2, 1]));
    }

    #[test]
    fn numbers_are_uniform_and_exact() {
        let start = start(key(&[3]), 5);
        let all: Vec<f64> = (0..100_000).map(|i| uniform(start, i)).collect();
        assert!(all.iter().all(|&x| x > 0.0 && x < 1.0 && f64::from(x as f32) == x));
        let mean = all.iter().sum::<f64>() / 1e5;
        let square = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 1e5;
        // five standard errors
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0_f64 / 1e5).sqrt() && (square - 1.0 / 12.0).abs() < 2e-3);
        for tenth in 0..10 {
            let count = all.iter().filter(|&&x| (x * 10.0) as usize == tenth).count() as f64;
            assert!((count - 1e4).abs() < 5.0 * 9e3_f64.sqrt(), "{tenth}: {count}");
        }
    }
}
