//! What the reference's trainer does differently for some algorithms.

use crate::algorithms::Algorithm;

/// Least length that a text with a pattern has.
const LEAST: usize = 3;

impl Algorithm {
    /// The lengths that are trained on in place of `lengths`: strings are matched at a single length, a quarter above the
    /// longest, since the pattern takes nodes too and its length varies.
    pub fn training_lengths(&self, lengths: &[usize]) -> Vec<usize> {
        match lengths.iter().max() {
            Some(&longest) if self.is_string_matching() => vec![longer(longest)],
            _ => lengths.to_vec(),
        }
    }

    /// The length of validation problems in place of `length`, as [`Algorithm::training_lengths`].
    pub fn validation_length(&self, length: usize) -> usize {
        if self.is_string_matching() { longer(length) } else { length }
    }
}

fn longer(length: usize) -> usize {
    (length * 5 / 4).max(LEAST)
}

#[cfg(test)]
mod tests {
    use crate::algorithms::find_algorithm;

    #[test]
    fn strings_are_matched_at_one_length() {
        let kmp = find_algorithm("kmp_matcher").expect("known");
        assert_eq!(kmp.training_lengths(&[4, 16, 7]), [20]);
        assert_eq!((kmp.training_lengths(&[2]), kmp.validation_length(8)), (vec![3], 10));
        let dfs = find_algorithm("dfs").expect("known");
        assert_eq!((dfs.training_lengths(&[4, 16, 7]), dfs.validation_length(8)), (vec![4, 16, 7], 8));
    }
}
