//! The program as users meet it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use assert_cmd::assert::Assert;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Map, Value, json};

fn sample(args: &[&str]) -> Assert {
    assert_cmd::Command::new(env!("CARGO_BIN_EXE_sample")).args(args).assert()
}

fn stdout(args: &[&str]) -> String {
    String::from_utf8(sample(args).success().get_output().stdout.clone()).expect("UTF-8")
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

/// Fails as expected: exit code, and what stderr says.
#[track_caller]
fn refused(args: &[&str], code: i32, message: &str) {
    let failed = sample(args).failure().code(code);
    let stderr = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
    assert!(stderr.contains(message), "{stderr:?} does not say {message:?}");
    assert!(failed.get_output().stdout.is_empty());
}

/// A Parquet file's rows as JSON.
fn read_parquet(path: &Path) -> Vec<Value> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.flat_map(|batch| json_rows(&batch.unwrap())).collect()
}

fn json_rows(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    let row = |row: usize| -> Value {
        let columns = schema.fields().iter().zip(batch.columns());
        columns.map(|(field, column)| (field.name().clone(), json_value(column, row))).collect::<Map<_, _>>().into()
    };
    (0..batch.num_rows()).map(row).collect()
}

fn json_value(array: &dyn Array, at: usize) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Utf8 => json!(array.as_string::<i32>().value(at)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(at)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(at)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(at)),
        DataType::Int8 => json!(array.as_primitive::<Int8Type>().value(at)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(at);
            (0..items.len()).map(|item| json_value(&items, item)).collect()
        }
        other => panic!("a column of {other}"),
    }
}

#[test]
fn digests_are_the_goldens() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/clrs/dfs.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(fixture).unwrap()).unwrap();
    let line = |point: &Value| {
        let shape: Vec<String> = point["shape"].as_array().unwrap().iter().map(Value::to_string).collect();
        let word = |key: &str| point[key].as_str().unwrap().to_owned();
        json!([word("name"), word("dtype"), shape.join("x"), word("sha256")].join(" "))
    };
    let lines = |batch: &Value| {
        let list = |part: &str| batch[part].as_array().unwrap().iter().map(line).collect::<Value>();
        let [inputs, hints, outputs] = ["inputs", "hints", "outputs"].map(list);
        json!({ "inputs": inputs, "hints": hints, "outputs": outputs, "lengths": line(&batch["lengths"]) })
    };
    let case = &golden["cases"][2];
    let [seed, length, size] = ["seed", "length", "batch_size"].map(|key| case[key].to_string());
    let text = stdout(&[
        "--algorithm",
        "dfs",
        "--seed",
        &seed,
        "--length",
        &length,
        "--batch-size",
        &size,
        "--batches",
        "2",
        "--digest",
    ]);
    let printed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(printed["batches"].as_array().unwrap().iter().map(lines).collect::<Value>(), case["batches"]);
    let point = &printed["batches"][0]["hints"][1];
    let keys: Vec<&String> = point.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["name", "stage", "location", "type", "dtype", "shape", "sha256"]);
    assert_eq!(
        (&point["stage"], &point["location"], &point["type"]),
        (&json!("hint"), &json!("node"), &json!("categorical"))
    );

    let printed: Value = serde_json::from_str(&stdout(&["--algorithm", "dfs", "--split", "val", "--digest"])).unwrap();
    let val = &golden["splits"]["val"];
    let ours = lines(&printed["batches"][0]);
    for part in ["inputs", "hints", "outputs", "lengths"] {
        assert_eq!(ours[part], val[part]);
    }
}

#[test]
fn rows_are_samples_with_time_first() {
    let rows = rows(&stdout(&["-a", "quicksort", "--length", "6", "--batch-size", "3", "--batches", "2"]));
    let places: Vec<_> = rows.iter().map(|row| (row["batch"].as_i64(), row["sample"].as_i64())).collect();
    assert_eq!(places, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)].map(|(b, s)| (Some(b), Some(s))));
    let algorithm = clrs::algorithm("quicksort").unwrap();
    let args = clrs::SamplerArgs::training(algorithm);
    let config = clrs::SamplerConfig { args, ..clrs::SamplerConfig::on_the_fly(0, 6) };
    let batch = clrs::Sampler::new(algorithm, config).unwrap().next(3).unwrap();
    for (i, row) in rows[..3].iter().enumerate() {
        assert_eq!(row["steps"], json!(batch.lengths[i]));
        let hint = row["hint_pred_h"].as_array().unwrap();
        assert_eq!(hint.len(), batch.lengths[i], "hints end with the sample");
        for (step, nodes) in hint.iter().enumerate() {
            let ours = &batch.hints[0].data[(step * 3 + i) * 6..][..6];
            assert_eq!(nodes, &json!(ours.iter().map(|&node| node as i64).collect::<Vec<_>>()));
        }
        assert_eq!(row["input_key"], json!(batch.inputs[1].data[i * 6..][..6]));
    }
}

#[test]
fn parquet_and_jsonl_hold_the_same_for_all_algorithms() {
    let folder = tempfile::tempdir().unwrap();
    let [parquet, jsonl] = ["a", "b"].map(|name| folder.path().join(name));
    let draw = ["-q", "-a", "all", "--length", "5", "--batch-size", "2", "--batches", "2", "--no-track-max-steps"];
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    sample(&[&draw[..], &["-o", &path(&parquet)]].concat()).success().stderr("");
    sample(&[&draw[..], &["-o", &path(&jsonl), "--format", "jsonl"]].concat()).success();
    for algorithm in clrs::algorithms() {
        let name = algorithm.name;
        let text = std::fs::read_to_string(jsonl.join(format!("{name}.jsonl"))).unwrap();
        let in_parquet = read_parquet(&parquet.join(format!("{name}.parquet")));
        assert_eq!(in_parquet.len(), 4);
        assert_eq!(in_parquet, rows(&text), "{name}");
        // Some readers take no notice of case.
        let mut columns: Vec<String> =
            in_parquet[0].as_object().unwrap().keys().map(|name| name.to_lowercase()).collect();
        columns.sort();
        columns.dedup();
        assert_eq!(columns.len(), 8 + algorithm.spec().len(), "{name}");
    }
}

#[test]
fn equal_data_makes_equal_files_whatever_was_typed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, args: &[&str]| {
        let path = folder.path().join(name);
        sample(&[args, &["-q", "-o", path.to_str().unwrap()]].concat()).success();
        std::fs::read(path).unwrap()
    };
    let short = write("a.parquet", &["-a", "bfs", "--length", "6"]);
    let long = write("b.parquet", &["--algorithm=bfs", "--batches=1", "--batch-size=32", "--seed=0", "--length=6"]);
    assert!(short == long);
    assert!(short != write("c.parquet", &["-a", "bfs", "--length", "6", "--seed", "1"]));
}

#[test]
fn split_is_the_benchmarks_dataset() {
    let rows = rows(&stdout(&["-a", "dfs", "--split", "val"]));
    assert_eq!(rows.len(), 32);
    assert!(rows.iter().all(|row| row["split"] == "val" && row["seed"] == 2 && row["length"] == 16));
    let drawn = stdout(&["-a", "dfs", "--split", "val", "--batch-size", "4", "--batches", "2"]);
    assert_eq!(drawn.lines().count(), 8);
}

#[test]
fn pipeline_is_what_training_sees() {
    let row = rows(&stdout(&["-a", "heapsort", "--length", "4", "--batch-size", "1", "--pipeline"])).remove(0);
    assert_eq!(row["output_pred"].as_array().unwrap().len(), 4);
    assert_eq!(row["output_pred"][0].as_array().unwrap().len(), 4, "a permutation matrix");
    assert!(row["output_pred_mask"].is_array());
    assert_ne!(row["input_pos"], json!([0.0, 0.25, 0.5, 0.75]));
    let row = rows(&stdout(&["-a", "minimum", "--length", "4", "--batch-size", "1", "--pipeline"])).remove(0);
    assert_eq!(row["input_pred"], json!([0, 0, 1, 2]));
    assert!(row.get("hint_pred_h").is_none());
}

#[test]
fn list_shows_all_thirty() {
    let text = stdout(&["--list"]);
    let objects = rows(&stdout(&["--list", "--json"]));
    assert_eq!(objects.len(), 30);
    for object in objects {
        assert!(text.contains(object["algorithm"].as_str().unwrap()));
    }
    assert!(text.contains("color (node categorical of 3)"));
}

#[test]
fn wrong_usage_is_said_in_one_line() {
    refused(&["-a", "dsf"], 2, "unknown algorithm 'dsf'; did you mean 'dfs'?");
    refused(&["-a", "simulated_annealing"], 2, "sample --list shows all");
    refused(&["-a", "dfs", "--length", "1"], 2, "dfs needs a length of at least 2, got 1");
    refused(&["-a", "kmp_matcher", "--length", "16"], 2, "--sampler-defaults");
    refused(&["-a", "all", "--length", "3"], 2, "strongly_connected_components needs a length of at least 4");
    refused(&["-a", "dfs", "--batches", "0"], 2, "--batches must be at least 1");
    refused(&["-a", "dfs", "--batch-size", "0"], 2, "batch size must be at least 1");
    refused(&["-a", "dfs", "--num-samples", "0"], 2, "number of samples must be at least 1");
    refused(&["-a", "dfs", "--split", "tset"], 2, "it is train, val or test");
    refused(&["-a", "dfs", "--split", "val", "--batch-size", "33"], 2, "larger than the dataset of 32");
    refused(&["-a", "bfs", "--p", "0.5,2"], 2, "between 0 and 1");
    refused(&["-a", "dfs", "--seed", "4294967296"], 2, "--seed");
    refused(&["-a", "dfs", "-o", "x.csv"], 2, ".parquet or .jsonl");
    refused(&["-a", "dfs", "--digest", "-o", "x.parquet"], 2, "cannot be used with");
    refused(&[], 2, "--algorithm");
}

#[test]
fn failure_to_write_is_code_1_and_leaves_earlier_files() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/folder.parquet");
    refused(&["-q", "-a", "dfs", "--length", "4", "-o", missing.to_str().unwrap()], 1, "cannot write");
    let file = folder.path().join("a.parquet");
    std::fs::write(&file, "earlier").unwrap();
    refused(&["-q", "-a", "dfs,bfs", "-o", file.to_str().unwrap()], 2, "several algorithms need a folder");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "earlier");
}

#[test]
fn closed_pipe_is_success() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sample"))
        .args(["-a", "all", "--length", "8"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    let mut pipe = child.stdout.take().unwrap();
    pipe.read_exact(&mut first).unwrap();
    drop(pipe);
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(ended.stderr.is_empty());
}
