//! NumPy's legacy generator, `numpy.random.RandomState`, as far as the benchmark's samplers draw from it.
//!
//! The stream is frozen by NumPy's compatibility policy (NEP 19), which is what makes a dataset reproducible from its
//! seed. Generator: MT19937 (Matsumoto and Nishimura, 1998, <https://doi.org/10.1145/272991.272995>).

const WORDS: usize = 624;
const OFFSET: usize = 397;

/// A Mersenne Twister with the methods of NumPy's `RandomState`.
///
/// Each method consumes exactly the words of the stream that NumPy's method of the same name does.
#[derive(Clone)]
pub struct RandomState {
    key: [u32; WORDS],
    at: usize,
}

impl RandomState {
    /// `RandomState(seed)` for a whole number below 2^32, the only seeds that NumPy takes.
    pub fn new(seed: u32) -> Self {
        let mut key = [0; WORDS];
        let mut word = seed;
        for (i, slot) in key.iter_mut().enumerate() {
            *slot = word;
            word = 1_812_433_253u32.wrapping_mul(word ^ (word >> 30)).wrapping_add(i as u32 + 1);
        }
        Self { key, at: WORDS }
    }

    fn refill(&mut self) {
        for i in 0..WORDS {
            let joined = (self.key[i] & 0x8000_0000) | (self.key[(i + 1) % WORDS] & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.key[i] = self.key[(i + OFFSET) % WORDS] ^ (joined >> 1) ^ twist;
        }
        self.at = 0;
    }

    /// The next word of the stream.
    pub fn next_u32(&mut self) -> u32 {
        if self.at == WORDS {
            self.refill();
        }
        let mut word = self.key[self.at];
        self.at += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn next_u64(&mut self) -> u64 {
        let high = u64::from(self.next_u32());
        (high << 32) | u64::from(self.next_u32())
    }

    /// `random_sample()`: a number in [0, 1) of 53 random bits.
    pub fn random_sample(&mut self) -> f64 {
        let high = f64::from(self.next_u32() >> 5);
        let low = f64::from(self.next_u32() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    /// `uniform(low, high)`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.random_sample()
    }

    /// `uniform(low, high, size=count)`.
    pub fn uniforms(&mut self, low: f64, high: f64, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.uniform(low, high)).collect()
    }

    /// A number in 0..=`last` by masked rejection: what `randint`, `choice` and `shuffle` are made of.
    ///
    /// Draws nothing when 0 is the only choice.
    fn up_to(&mut self, last: u64) -> u64 {
        if last == 0 {
            return 0;
        }
        let mask = u64::MAX >> last.leading_zeros();
        loop {
            let word = if last <= u64::from(u32::MAX) { u64::from(self.next_u32()) } else { self.next_u64() };
            if word & mask <= last {
                return word & mask;
            }
        }
    }

    /// `randint(low, high)`, an empty range being taken as that of `low` alone.
    pub fn randint(&mut self, low: i64, high: i64) -> i64 {
        let last = (high as u64).wrapping_sub(low as u64).saturating_sub(1);
        low.wrapping_add(self.up_to(if high > low { last } else { 0 }) as i64)
    }

    /// `choice(count)`: an index below `count`.
    pub fn choice(&mut self, count: usize) -> usize {
        self.up_to(count.saturating_sub(1) as u64) as usize
    }

    /// `binomial(1, p)` by inversion, as the legacy generator does: true for 1.
    pub fn bernoulli(&mut self, p: f64) -> bool {
        if p <= 0.5 { self.invert(p) } else { !self.invert(1.0 - p) }
    }

    /// Inversion for one trial of probability `p` <= 1/2.
    fn invert(&mut self, p: f64) -> bool {
        let fail = 1.0 - p;
        let none = fail.ln().exp();
        loop {
            let u = self.random_sample();
            if u <= none {
                return false;
            }
            // Rounding can leave a sliver of [0, 1) beyond one success: NumPy then starts afresh.
            if u - none <= (p * none) / fail {
                return true;
            }
        }
    }

    /// `binomial(1, p, size=count)`.
    pub fn bernoullis(&mut self, p: f64, count: usize) -> Vec<bool> {
        (0..count).map(|_| self.bernoulli(p)).collect()
    }

    /// `shuffle(values)`.
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            let j = self.up_to(i as u64) as usize;
            values.swap(i, j);
        }
    }

    /// `permutation(count)`.
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        self.shuffle(&mut order);
        order
    }
}
