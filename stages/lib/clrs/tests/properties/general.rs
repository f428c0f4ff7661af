//! What holds for all thirty.

use clrs::{Location, Stage, Type, algorithms};

use crate::sample::Sample;
use crate::{for_random_samples, least_length};

#[test]
fn values_are_of_their_types_and_hints_end_with_the_sample() {
    for algorithm in algorithms() {
        for_random_samples(algorithm.name, least_length(algorithm.name), |sample| {
            assert!(sample.steps >= 1 && sample.steps <= sample.batch.steps());
            for point in sample.points() {
                let steps = if point.stage == Stage::Hint { sample.batch.steps() } else { 1 };
                for step in 0..steps {
                    let values = sample.at(point, step);
                    if step < sample.steps || point.stage != Stage::Hint {
                        check_type(sample, point.ty, point.location, values, point.name);
                    } else {
                        assert!(values.iter().all(|&value| value == 0.0), "{} goes on after the end", point.name);
                    }
                }
            }
        });
    }
}

fn check_type(sample: &Sample, ty: Type, location: Location, values: &[f64], name: &str) {
    let zeros_and_ones = || values.iter().all(|value| [0.0, 1.0, clrs::MASKED].contains(value));
    match ty {
        Type::Scalar => assert!(values.iter().all(|value| value.is_finite()), "{name}: {values:?}"),
        Type::Mask => assert!(zeros_and_ones(), "{name}: {values:?}"),
        Type::MaskOne => {
            assert_eq!(values.iter().sum::<f64>(), 1.0, "{name}");
            assert!(zeros_and_ones(), "{name}: {values:?}");
        }
        Type::Categorical => {
            let places = match location {
                Location::Node => sample.n,
                Location::Edge => sample.n * sample.n,
                Location::Graph => 1,
            };
            let classes = values.chunks_exact(values.len() / places);
            assert!(classes.clone().all(|row| row.iter().map(|value| value.abs()).sum::<f64>() == 1.0), "{name}");
            assert!(zeros_and_ones(), "{name}: {values:?}");
        }
        Type::Pointer | Type::ShouldBePermutation | Type::PermutationPointer => {
            let node = |&value: &f64| value.fract() == 0.0 && (0.0..sample.n as f64).contains(&value);
            assert!(values.iter().all(node), "{name}: {values:?}");
        }
    }
}

/// Where a hint `x_h` watches an output `x` come about, it has got there in the end. The exceptions take their
/// snapshots before each step, and none after the last.
#[test]
fn last_hint_is_the_output() {
    let mut compared = 0;
    for algorithm in algorithms().iter().filter(|algorithm| !["floyd_warshall", "lcs_length"].contains(&algorithm.name))
    {
        let names = algorithm.spec().iter().filter(|entry| entry.stage == Stage::Output).map(|entry| entry.name);
        let has_hint = |name: &&str| algorithm.spec().iter().any(|entry| entry.name == format!("{name}_h"));
        for name in names.filter(has_hint) {
            for_random_samples(algorithm.name, least_length(algorithm.name), |sample| {
                assert!(sample.values(name) == sample.values(&format!("{name}_h")), "{}: {name}", algorithm.name);
            });
            compared += 1;
        }
    }
    assert_eq!(compared, 23, "outputs that have such a hint");
}

#[test]
fn positions_are_even() {
    for algorithm in algorithms().iter().filter(|algorithm| algorithm.spec().iter().all(|e| e.name != "string")) {
        for_random_samples(algorithm.name, least_length(algorithm.name), |sample| {
            let even: Vec<f64> = (0..sample.n).map(|i| i as f64 / sample.n as f64).collect();
            assert_eq!(sample.values("pos"), even);
        });
    }
}
