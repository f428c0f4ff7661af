//! Draws that depend on a seed and a name, and on nothing else: neither on the clock nor on the order of calls.

/// 64 bits.
pub fn bits(seed: u64, name: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for part in name {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut bytes = [0u8; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number in [0, 1).
pub fn unit(seed: u64, name: &[&str]) -> f64 {
    (bits(seed, name) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_apart_and_draws_are_even() {
        assert_ne!(bits(0, &["ab", "c"]), bits(0, &["a", "bc"]));
        assert_ne!(bits(0, &["a"]), bits(1, &["a"]));
        let draws: Vec<f64> = (0..4000).map(|n: i32| unit(7, &["draw", &n.to_string()])).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.02 && draws.iter().all(|d| (0.0..1.0).contains(d)), "{mean}");
    }
}
