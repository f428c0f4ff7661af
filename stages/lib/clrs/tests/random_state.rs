//! The generator against NumPy 2.4.6's, call by call, on several seeds.

use clrs::RandomState;
use serde_json::Value;

const FIXTURE: &str = include_str!("../../../../tests/fixtures/clrs/numpy_randomstate.json");

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn whole(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// Makes one call of NumPy's; numbers come back as `f64`, which is exact for all below 2^53.
fn call(rng: &mut RandomState, call: &Value) -> Vec<f64> {
    let count = whole(&call["count"]) as usize;
    let args = &call["args"];
    match call["op"].as_str().expect("an op") {
        "random_sample" => (0..count).map(|_| rng.random_sample()).collect(),
        "uniform" => {
            let args = numbers(args);
            rng.uniforms(args[0], args[1], count)
        }
        "randint" => (0..count).map(|_| rng.randint(whole(&args[0]), whole(&args[1])) as f64).collect(),
        "choice" if args[0].is_u64() => (0..count).map(|_| rng.choice(whole(&args[0]) as usize) as f64).collect(),
        "choice" => {
            let of = numbers(args);
            (0..count).map(|_| of[rng.choice(of.len())]).collect()
        }
        "permutation" => rng.permutation(whole(&args[0]) as usize).into_iter().map(|i| i as f64).collect(),
        "shuffle" => {
            let mut values = numbers(args);
            rng.shuffle(&mut values);
            values
        }
        "binomial" => {
            let p = numbers(args)[0];
            rng.bernoullis(p, count).into_iter().map(|one| f64::from(u8::from(one))).collect()
        }
        other => panic!("no such op: {other}"),
    }
}

#[test]
fn every_call_gives_numpys_values_and_leaves_the_stream_where_numpy_does() {
    let fixture: Value = serde_json::from_str(FIXTURE).expect("valid JSON");
    let mut tests = 0;
    for (seed, of_seed) in fixture.as_object().expect("an object") {
        let seed: u32 = seed.parse().expect("a seed");
        for test in of_seed["tests"].as_array().expect("a list") {
            let mut rng = RandomState::new(seed);
            for step in test["calls"].as_array().expect("a list") {
                assert_eq!(call(&mut rng, step), numbers(&step["result"]), "seed {seed}: {}", step["call"]);
            }
            assert_eq!(Some(rng.random_sample()), test["then_random_sample"].as_f64(), "seed {seed}: {}", test["id"]);
            tests += 1;
        }
    }
    assert!(tests >= 4 * 60, "only {tests} tests found");
}

#[test]
fn words_are_right_around_the_refill() {
    let fixture: Value = serde_json::from_str(FIXTURE).expect("valid JSON");
    for (seed, of_seed) in fixture.as_object().expect("an object") {
        let mut rng = RandomState::new(seed.parse().expect("a seed"));
        let words: Vec<f64> = (0..627).map(|_| f64::from(rng.next_u32())).collect();
        assert_eq!(words[..10], numbers(&of_seed["uint32_first_10"]));
        assert_eq!(words[623..627], numbers(&of_seed["uint32_623_to_626"]));
    }
}
