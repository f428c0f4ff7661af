use super::*;
use crate::kernels::testing::Random;

/// Memory aligned to a line of the cache.
fn aligned(bytes: usize) -> (Vec<u8>, usize) {
    let memory = vec![0xff_u8; bytes + 64];
    let start = memory.as_ptr().align_offset(64);
    (memory, start)
}

/// A matrix of lanes by terms, with NaN where nothing may be read.
struct Matrix {
    elements: Vec<f32>,
    strides: [usize; 2],
    sizes: [usize; 2],
}

impl Matrix {
    /// `layout` 0: terms are contiguous; 1: lanes are; else neither.
    fn random(sizes: [usize; 2], layout: usize, gap: usize, random: &mut Random) -> Self {
        let [lanes, terms] = sizes;
        let strides = match layout {
            0 => [terms + gap, 1],
            1 => [1, lanes + gap],
            _ => [2 * (terms + gap), 2],
        };
        let length = if lanes * terms == 0 { 0 } else { (lanes - 1) * strides[0] + (terms - 1) * strides[1] + 1 };
        let mut matrix = Self { elements: vec![f32::NAN; length], strides, sizes };
        for lane in 0..lanes {
            for term in 0..terms {
                let at = matrix.place(lane, term);
                matrix.elements[at] = random.number() as f32 * 1.37;
            }
        }
        matrix
    }

    fn place(&self, lane: usize, term: usize) -> usize {
        lane * self.strides[0] + term * self.strides[1]
    }

    fn at(&self, lane: usize, term: usize) -> f32 {
        self.elements[self.place(lane, term)]
    }

    fn factor(&self) -> Factor {
        Factor { start: self.elements.as_ptr(), lane: self.strides[0], term: self.strides[1] }
    }
}

fn multiply(
    unit: Unit,
    left: &Matrix,
    right: &Matrix,
    packed: bool,
    value: &mut [f32],
    strides: [usize; 2],
    add: bool,
) {
    let sizes @ [_, terms, columns] = [left.sizes[0], left.sizes[1], right.sizes[0]];
    let (mut memory, start) = aligned(packed_bytes(terms, columns));
    let (mut scratch, at) = aligned(room(sizes, packed));
    let (memory, scratch) = (memory[start..].as_mut_ptr(), scratch[at..].as_mut_ptr());
    // SAFETY: all of the memory has the sizes that are asked for.
    unsafe {
        let operand = if packed {
            pack_right(unit, right.factor(), terms, columns, memory);
            Right::Packed(memory)
        } else {
            Right::Plain(right.factor())
        };
        product(unit, sizes, left.factor(), operand, (value.as_mut_ptr(), strides[0], strides[1]), add, scratch);
    }
}

fn check(sizes: [usize; 3], layouts: [usize; 3], gaps: [usize; 3], random: &mut Random) {
    let [rows, terms, columns] = sizes;
    let left = Matrix::random([rows, terms], layouts[0], gaps[0], random);
    let right = Matrix::random([columns, terms], layouts[1], gaps[1], random);
    let before = Matrix::random([rows, columns], layouts[2], gaps[2], random);
    let mut found: Vec<Vec<f32>> = Vec::new();
    for unit in Unit::all() {
        for (packed, add) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut value = before.elements.clone();
            if !add {
                value.fill(f32::NAN);
            }
            multiply(unit, &left, &right, packed, &mut value, before.strides, add);
            for row in 0..rows {
                for column in 0..columns {
                    let term = |term: usize| {
                        let [x, y] = [left.at(row, term), right.at(column, term)].map(graph::bfloat16).map(f64::from);
                        x * y
                    };
                    let start = if add { f64::from(before.at(row, column)) } else { 0.0 };
                    let wanted = start + (0..terms).map(term).sum::<f64>();
                    let got = f64::from(value[before.place(row, column)]);
                    assert!(
                        (got - wanted).abs() <= 2e-6 * (terms + 1) as f64,
                        "[{row}, {column}] of {sizes:?}, {unit:?}, layouts {layouts:?}, packed {packed}, add {add}: {got}, \
                         not {wanted}"
                    );
                }
            }
            // A packed operand is the same operand.
            if let Some(plain) = found.pop().filter(|_| packed) {
                assert!(plain.iter().zip(&value).all(|(x, y)| x.to_bits() == y.to_bits()), "{sizes:?}, {unit:?}");
            }
            let untouched = value.iter().filter(|x| x.is_nan()).count();
            assert_eq!(untouched, value.len() - rows * columns, "{sizes:?}, {unit:?}");
            found.push(value);
        }
        found.clear();
    }
}

#[test]
fn random_products() {
    let mut random = Random(21);
    for _ in 0..300 {
        let sizes = [random.below(70), random.below(90), random.below(70)];
        let layouts = [random.below(3), random.below(3), random.below(3)];
        let mut gap = || if random.below(2) == 0 { 0 } else { random.below(20) };
        let gaps = [gap(), gap(), gap()];
        check(sizes, layouts, gaps, &mut random);
    }
}

/// More terms, columns and rows than are packed at a time.
#[test]
fn large_products() {
    let mut random = Random(22);
    for sizes in [[33, 1100, 40], [5, 70, 1500], [200, 600, 17], [1, 1, 1], [64, 512, 1024]] {
        for layouts in [[0, 0, 0], [1, 1, 0], [0, 1, 1]] {
            check(sizes, layouts, [0, 3, 1], &mut random);
        }
    }
}

/// What is added where a matrix ends are zeros, which no infinity meets.
#[test]
fn infinities_stay_where_they_are_and_operands_are_rounded() {
    let mut random = Random(23);
    for terms in [1, 2, 31, 33] {
        let mut left = Matrix::random([20, terms], 0, 0, &mut random);
        let mut right = Matrix::random([20, terms], 1, 0, &mut random);
        left.elements.fill(1.0);
        // Three eighths of the last place of a bfloat16.
        right.elements.fill(1.0 + 3.0 / 1024.0);
        let at = left.place(5, terms - 1);
        left.elements[at] = f32::INFINITY;
        for unit in Unit::all() {
            let mut value = vec![0.0; 400];
            multiply(unit, &left, &right, false, &mut value, [20, 1], false);
            for (at, &x) in value.iter().enumerate() {
                assert_eq!(x, if at / 20 == 5 { f32::INFINITY } else { terms as f32 }, "{at}, {terms} terms, {unit:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_a_number_is_none() {
    let mut random = Random(24);
    let (mut left, right) = (Matrix::random([17, 3], 0, 0, &mut random), Matrix::random([18, 3], 0, 0, &mut random));
    let at = left.place(16, 1);
    left.elements[at] = f32::NAN;
    for unit in Unit::all() {
        let mut value = vec![0.0; 17 * 18];
        multiply(unit, &left, &right, true, &mut value, [18, 1], false);
        assert!(value.iter().enumerate().all(|(at, x)| x.is_nan() == (at / 18 == 16)), "{unit:?}");
    }
}
