//! Random numbers that depend on nothing but what they are for.
//!
//! Every decision of the search draws from a stream of its own, named by (run seed, stage, generation, slot, redraw,
//! purpose). No stream depends on the clock, on the order in which candidates finish, or on how much another stream
//! has been used: a search that was interrupted, or run with more jobs, makes the same decisions. Methods that share a
//! step (say, how the parent is drawn) share its numbers too, so that two variants differ only where they are meant to.
//!
//! The generator is BLAKE3 in its key derivation mode, read as an extendable output.

/// Separates these streams from every other use of the hash. Changing it changes every search.
const CONTEXT: &str = "emberline 2026 search random streams v1";

/// Names the streams of one place in a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamKey {
    /// Seed of the run.
    pub seed: u64,
    /// Name of the stage that draws.
    pub stage: &'static str,
    /// Generation, from 0.
    pub generation: i64,
    /// Place within the generation, from 0.
    pub slot: i64,
    /// How often this place has been drawn again, because the first draw repeated a known program.
    pub redraw: u32,
}

impl StreamKey {
    /// The stream for one purpose at this place.
    #[must_use]
    pub fn stream(&self, purpose: &str) -> Stream {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&self.seed.to_le_bytes());
        for text in [self.stage, purpose] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&self.generation.to_le_bytes());
        hasher.update(&self.slot.to_le_bytes());
        hasher.update(&self.redraw.to_le_bytes());
        Stream { bytes: hasher.finalize_xof() }
    }
}

/// An endless sequence of random numbers.
pub struct Stream {
    bytes: blake3::OutputReader,
}

impl Stream {
    /// 64 fair bits.
    pub fn bits(&mut self) -> u64 {
        let mut word = [0; 8];
        self.bytes.fill(&mut word);
        u64::from_le_bytes(word)
    }

    /// A number in [0, 1), uniform over multiples of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A whole number in `0..count`, uniform; 0 when `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        let Ok(count) = u64::try_from(count) else { return 0 };
        if count < 2 {
            return 0;
        }
        // Numbers of the last, incomplete round of `count` would favour small results: draw again.
        let limit = u64::MAX - (u64::MAX % count + 1) % count;
        loop {
            let bits = self.bits();
            if bits <= limit {
                return (bits % count) as usize;
            }
        }
    }

    /// One of the items, uniform; `None` when there is none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// An index drawn with probability in proportion to its weight. Weights that are negative or not finite count as
    /// 0; where all are 0, the draw is uniform. `None` when there is no weight at all.
    pub fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let clean = |w: f64| if w.is_finite() && w > 0.0 { w } else { 0.0 };
        let total: f64 = weights.iter().map(|&w| clean(w)).sum();
        if weights.is_empty() {
            return None;
        }
        if !(total.is_finite() && total > 0.0) {
            return Some(self.below(weights.len()));
        }
        let mut left = self.unit() * total;
        let mut last = None;
        for (index, &weight) in weights.iter().enumerate() {
            let weight = clean(weight);
            if weight > 0.0 {
                last = Some(index);
                if left < weight {
                    break;
                }
                left -= weight;
            }
        }
        last
    }

    /// `count` different indices below `len` (all of them when `count` is larger), in random order.
    pub fn sample(&mut self, len: usize, count: usize) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..len).collect();
        let count = count.min(len);
        for place in 0..count {
            let other = place + self.below(len - place);
            indices.swap(place, other);
        }
        indices.truncate(count);
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StreamKey = StreamKey { seed: 7, stage: "propose", generation: 2, slot: 3, redraw: 0 };

    #[test]
    fn a_stream_is_its_key() {
        assert_eq!(KEY.stream("parent").bits(), KEY.stream("parent").bits());
        let others = [
            StreamKey { seed: 8, ..KEY }.stream("parent"),
            StreamKey { stage: "select", ..KEY }.stream("parent"),
            StreamKey { generation: 3, ..KEY }.stream("parent"),
            StreamKey { slot: 2, ..KEY }.stream("parent"),
            StreamKey { redraw: 1, ..KEY }.stream("parent"),
            KEY.stream("factor"),
        ];
        let first = KEY.stream("parent").bits();
        for mut other in others {
            assert_ne!(other.bits(), first);
        }
    }

    #[test]
    fn the_streams_never_change() {
        // Pinned: a change here changes every published search.
        let mut stream = KEY.stream("parent");
        assert_eq!([stream.bits(), stream.bits()], PINNED);
    }

    const PINNED: [u64; 2] = [9_001_202_841_058_218_232, 6_454_785_906_831_642_015];

    #[test]
    fn draws_are_uniform() {
        let mut stream = KEY.stream("test");
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        // 5 standard deviations of a binomial with 70,000 draws and p = 1/7
        assert!(counts.iter().all(|&c| (c as f64 - 10_000.0).abs() < 463.0), "{counts:?}");
        let mean = (0..40_000).map(|_| stream.unit()).sum::<f64>() / 40_000.0;
        assert!((mean - 0.5).abs() < 0.0073, "{mean}");
    }

    #[test]
    fn weights_are_probabilities() {
        let mut stream = KEY.stream("test");
        let mut counts = [0usize; 4];
        for _ in 0..40_000 {
            counts[stream.weighted(&[1.0, 0.0, 3.0, f64::NAN]).unwrap()] += 1;
        }
        assert_eq!((counts[1], counts[3]), (0, 0));
        assert!((counts[0] as f64 - 10_000.0).abs() < 434.0, "{counts:?}");
        assert_eq!(stream.weighted(&[]), None);
        assert!(stream.weighted(&[0.0, -1.0]).is_some());
    }

    #[test]
    fn samples_are_distinct() {
        let mut stream = KEY.stream("test");
        for _ in 0..100 {
            let mut drawn = stream.sample(6, 4);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 4);
        }
        assert_eq!(stream.sample(2, 9).len(), 2);
        assert_eq!(stream.below(0), 0);
    }
}
