//! Tables through the disk: what goes in comes out, and what is broken is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, Float32Array, Int32Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use schemas::{Candidate, Diagnostic, Factor, Severity, Status, Verdict};
use stage::table::{self, Provenance, Row, Table, Values};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn candidate() -> Candidate {
    Candidate {
        run: "spark-dfs-seed0".into(),
        method: "spark".into(),
        proposer: "builtin".into(),
        generation: 2,
        slot: 3,
        attempt: 19,
        candidate_id: "0123456789abcdef".into(),
        factor: Some(Factor::ACTION),
        source: "import torch\n# π \"quoted\"\n".into(),
        status: Status::Scored,
        verdict: Some(Verdict::AcceptWithWarning),
        diagnostics: Some(vec![Diagnostic {
            severity: Severity::Warning,
            category: "shape".into(),
            code: "W-1".into(),
            line: 1,
            column: 2,
            message: "m".into(),
            help: None,
        }]),
        entanglement: Some(vec![]),
        macs: Some(i64::MAX),
        train_seeds: Some(vec![0, 1]),
        val_acc: Some(vec![0.1 + 0.2, 1.0]),
        train_seconds: Some(1.5),
        fitness: Some(1.0),
        ..Candidate::default()
    }
}

fn minimal() -> Candidate {
    Candidate { run: "-".into(), source: "x".into(), ..Candidate::default() }
}

fn table() -> Table {
    [candidate(), minimal()].map(Row::from).into_iter().collect()
}

fn reread(table: &Table, path: &Path) -> Vec<Candidate> {
    table::write(table, path).expect("it can be written");
    table::read(&[name(path)]).expect("it can be read").candidates().cloned().collect()
}

fn refused(path: &Path) -> String {
    format!("{:#}", anyhow::Error::from(table::read(&[name(path)]).expect_err("it is refused")))
}

/// A Parquet file of our columns with one replaced or added.
fn with_column(path: &Path, column: &str, values: ArrayRef) {
    let clean = path.with_extension("clean.parquet");
    table::write(&table(), &clean).expect("it can be written");
    let file = fs::File::open(&clean).expect("it is there");
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("Parquet");
    let batch = batch.map(|batch| batch.expect("a batch")).next().expect("one batch");
    let mut columns: Vec<(String, ArrayRef, bool)> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .filter(|(field, _)| field.name() != column)
        .map(|(field, values)| (field.name().clone(), values.clone(), field.is_nullable()))
        .collect();
    columns.push((column.to_owned(), values, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    let mut writer =
        ArrowWriter::try_new(fs::File::create(path).expect("a file"), batch.schema(), None).expect("Parquet");
    writer.write(&batch).expect("Parquet");
    writer.close().expect("Parquet");
}

#[test]
fn both_formats_keep_every_value() {
    let folder = folder();
    for file in ["t.parquet", "t.jsonl"] {
        assert_eq!(reread(&table(), &folder.path().join(file)), [candidate(), minimal()], "{file}");
    }
}

#[test]
fn empty_tables_stay_tables() {
    let folder = folder();
    for file in ["t.parquet", "t.jsonl"] {
        assert_eq!(reread(&Table::default(), &folder.path().join(file)), [], "{file}");
    }
}

#[test]
fn writing_twice_gives_the_same_bytes() {
    let folder = folder();
    let [a, b] = ["a", "b"].map(|sub| folder.path().join(sub).join("t.parquet"));
    for path in [&a, &b] {
        fs::create_dir(path.parent().expect("a folder")).expect("made");
        table::write(&table(), path).expect("written");
    }
    assert!(fs::read(a).expect("read") == fs::read(b).expect("read"));
}

#[test]
fn volatile_columns_can_be_left_out() {
    let folder = folder();
    let path = folder.path().join("t.jsonl");
    table::write_reproducible(&table(), &path, &Provenance::default()).expect("written");
    assert!(!fs::read_to_string(&path).expect("read").contains("train_seconds"));
    let path = folder.path().join("t.parquet");
    table::write_reproducible(&table(), &path, &Provenance::default()).expect("written");
    let read = table::read(&[name(&path)]).expect("read");
    assert_eq!(read.rows[0].candidate.train_seconds, None);
    assert_eq!(read.rows[0].candidate.fitness, Some(1.0));
}

#[test]
fn a_digest_is_of_the_content_alone() {
    let folder = folder();
    let [parquet, jsonl, again, other] =
        ["t.parquet", "t.jsonl", "again.parquet", "other.parquet"].map(|file| folder.path().join(file));
    let provenance = Provenance { settings: "s".into(), ..Provenance::default() };
    table::write(&table(), &parquet).expect("written");
    table::write(&table(), &jsonl).expect("written");
    table::write_reproducible(&table(), &again, &provenance).expect("written");
    let mut edited = table();
    edited.rows[0].candidate.fitness = Some(0.5);
    table::write(&edited, &other).expect("written");
    let of = |path: &Path| table::digest(path).expect("a table");
    assert_eq!((of(&parquet), of(&parquet)), (of(&jsonl), of(&again)));
    assert_ne!(of(&parquet), of(&other));
}

#[test]
fn what_a_table_was_made_from_is_read_back() {
    let folder = folder();
    let [input, program, output] = ["in.jsonl", "p.py", "out.parquet"].map(|file| folder.path().join(file));
    table::write(&table(), &input).expect("written");
    fs::write(&program, "x = 1").expect("written");
    let inputs = [name(&input), name(&program)];
    let provenance =
        Provenance::new(schemas::Stage::Check, &stage::Config::default(), &inputs).expect("they are there");
    let provenance = Provenance { proposals: Some(3), seed_program: Some("d".into()), ..provenance };
    assert_eq!(provenance.inputs.iter().map(|input| input.name.as_str()).collect::<Vec<_>>(), ["in.jsonl", "p.py"]);
    table::write_from(&table(), &output, &provenance).expect("written");
    assert_eq!(Provenance::read(&output).expect("readable"), Some(provenance));
    table::write(&table(), &output).expect("written");
    assert_eq!(Provenance::read(&output).expect("readable"), None);
    assert_eq!(Provenance::read(&input).expect("readable"), None);
}

#[test]
fn metadata_says_what_made_the_table() {
    let folder = folder();
    let path = folder.path().join("t.parquet");
    table::write(&table(), &path).expect("written");
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&path).expect("there")).expect("Parquet");
    let entries = reader.metadata().file_metadata().key_value_metadata().expect("metadata");
    let value = |key: &str| entries.iter().find(|e| e.key == key).and_then(|e| e.value.clone()).expect("the entry");
    assert_eq!(value("emberline.schema_version"), schemas::SCHEMA_VERSION);
    assert!(value("emberline.command").starts_with("tables-"));
    assert!(!value("emberline.command").contains('/'));
}

#[test]
fn foreign_columns_keep_their_types_through_parquet() {
    let folder = folder();
    let (a, b, c) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"), folder.path().join("c.parquet"));
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]).with_timezone("UTC"));
    with_column(&a, "my_time", times.clone());
    let lists: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]));
    with_column(&b, "my_list", lists);
    let both = table::read(&[name(&a), name(&b)]).expect("read");
    table::write(&both, &c).expect("written");
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&c).expect("there")).expect("Parquet");
    let field = |name: &str| reader.schema().field_with_name(name).expect("the column").data_type().clone();
    assert_eq!(field("my_time"), *times.data_type());
    assert!(matches!(field("my_list"), DataType::List(of) if *of.data_type() == DataType::Int32));
    let batch = reader.build().expect("Parquet").next().expect("a batch").expect("a batch");
    let list = batch.column_by_name("my_list").expect("the column").as_list::<i32>();
    assert_eq!((0..4).map(|i| list.is_null(i)).collect::<Vec<_>>(), [true, true, false, true]);
}

#[test]
fn foreign_columns_cross_formats() {
    let folder = folder();
    let (a, b, c) = (folder.path().join("a.jsonl"), folder.path().join("b.parquet"), folder.path().join("c.jsonl"));
    let foreign = [
        r#""note":{"author":"me","marks":[1,2]},"weight":2.5,"flag":true,"n":null,"u":"ü""#,
        r#""note":{"author":"you","marks":[]},"weight":3.0,"flag":false,"u":"v""#,
    ];
    let base = r#"{"run":"-","method":"-","proposer":"me","generation":0,"slot":0,"attempt":0,"island":0,"candidate_id":"","source":"x","status":"proposed""#;
    fs::write(&a, foreign.map(|f| format!("{base},{f}}}\n")).concat()).expect("written");
    table::write(&table::read(&[name(&a)]).expect("read"), &b).expect("written");
    table::write(&table::read(&[name(&b)]).expect("read"), &c).expect("written");
    let lines: Vec<serde_json::Value> =
        fs::read_to_string(&c).expect("read").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (line, foreign) in lines.iter().zip(foreign) {
        let foreign: serde_json::Value = serde_json::from_str(&format!("{{{foreign}}}")).expect("JSON");
        for (key, value) in foreign.as_object().expect("an object") {
            assert_eq!(line.get(key).unwrap_or(&serde_json::Value::Null), value, "{key}");
        }
    }
    let row = &table::read(&[name(&b)]).expect("read").rows[0];
    assert_eq!(row.extra.get("weight"), Some(2.5.into()));
    assert_eq!(row.extra.names().len(), 5);
}

#[test]
fn foreign_columns_that_disagree_are_named() {
    let folder = folder();
    let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
    with_column(&a, "mine", Arc::new(Int32Array::from(vec![1, 2])));
    with_column(&b, "mine", Arc::new(StringArray::from(vec!["1", "2"])));
    let both = table::read(&[name(&a), name(&b)]).expect("read");
    let error = table::write(&both, &folder.path().join("c.parquet")).expect_err("two types").to_string();
    assert!(error.ends_with("c.parquet: column mine: it is Int32 in one input and Utf8 in another"), "{error}");
}

#[test]
fn other_tools_types_are_understood() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    with_column(&path, "generation", Arc::new(Int32Array::from(vec![7, 8])));
    let again = folder.path().join("b.parquet");
    with_column(&again, "fitness", Arc::new(Float32Array::from(vec![Some(0.5), None])));
    let read = table::read(&[name(&path), name(&again)]).expect("read");
    assert_eq!(read.rows[1].candidate.generation, 8);
    assert_eq!(read.rows[2].candidate.fitness, Some(0.5));
    assert_eq!(read.rows[3].candidate.fitness, None);
}

#[test]
fn wrong_types_and_missing_values_are_named() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    with_column(&path, "fitness", Arc::new(StringArray::from(vec!["high", "low"])));
    assert!(refused(&path).ends_with("a.parquet: column fitness: expected 64-bit float, found Utf8"));
    with_column(&path, "status", Arc::new(StringArray::from(vec!["scored", "done"])));
    let message = refused(&path);
    assert!(message.contains("a.parquet: row 2: column status: expected one of proposed, "), "{message}");
    assert!(message.ends_with("found `done`"), "{message}");
    with_column(&path, "source", Arc::new(StringArray::from(vec![Some("x"), None])));
    assert!(refused(&path).ends_with("a.parquet: row 2: column source: no value"));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<arrow_array::types::Float64Type, _, _>([
        Some(vec![Some(1.0)]),
        Some(vec![None]),
    ]));
    with_column(&path, "val_acc", lists);
    assert!(refused(&path).contains("a.parquet: row 2: column val_acc (an element of the list): no value"));
}

#[test]
fn the_text_of_a_program_is_all_that_a_row_must_have() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    let write = |column: &str| {
        let batch = RecordBatch::try_new(
            Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, false)])),
            vec![Arc::new(StringArray::from(vec!["x", "y"]))],
        )
        .expect("a batch");
        let mut writer =
            ArrowWriter::try_new(fs::File::create(&path).expect("a file"), batch.schema(), None).expect("Parquet");
        writer.write(&batch).expect("Parquet");
        writer.close().expect("Parquet");
    };
    write("run");
    let message = refused(&path);
    assert!(message.contains("a.parquet: column source is missing: the text of a program"), "{message}");
    write("source");
    let rows = table::read(&[name(&path)]).expect("rows").rows;
    let expected = |row: i64, source: &str| Candidate {
        run: "-".into(),
        method: "-".into(),
        proposer: "file".into(),
        slot: row,
        attempt: row,
        source: source.into(),
        ..Candidate::default()
    };
    assert_eq!(rows.iter().map(|row| row.candidate.clone()).collect::<Vec<_>>(), [expected(0, "x"), expected(1, "y")]);
}

#[test]
fn broken_parquet_is_named() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    table::write(&table(), &path).expect("written");
    let bytes = fs::read(&path).expect("read");
    for broken in [&bytes[..bytes.len() / 2], &bytes[..0], b"PAR1 this is no table PAR1".as_slice()] {
        fs::write(&path, broken).expect("written");
        assert!(refused(&path).contains("a.parquet: not a readable Parquet file: "), "{}", refused(&path));
    }
    assert!(refused(&folder.path().join("none.parquet")).contains("none.parquet: cannot read: No such file"));
}

#[test]
fn broken_lines_are_named() {
    let folder = folder();
    let path = folder.path().join("a.jsonl");
    table::write(&table(), &path).expect("written");
    let text = fs::read_to_string(&path).expect("read");
    fs::write(&path, &text[..text.len() - 30]).expect("written");
    let message = refused(&path);
    assert!(message.contains("a.jsonl: line 2: not a JSON object: "), "{message}");
    assert!(message.ends_with("(it is the last line: the file may be cut short)"), "{message}");
    fs::write(&path, text.replacen("\"generation\":2", "\"generation\":\"two\"", 1)).expect("written");
    let message = refused(&path);
    assert!(
        message.ends_with("a.jsonl: line 1: column generation: expected 64-bit integer, found \"two\""),
        "{message}"
    );
    fs::write(&path, text.replacen("\"line\":1", "\"line\":null", 1)).expect("written");
    assert!(refused(&path).contains("line 1: column diagnostics[0].line: expected 64-bit integer, found null"));
}

#[test]
fn numbers_that_are_none_are_refused_in_both_formats() {
    let folder = folder();
    let row = Candidate { val_acc: Some(vec![0.5, f64::NAN]), ..candidate() };
    let table: Table = [candidate(), row].map(Row::from).into_iter().collect();
    for file in ["t.parquet", "t.jsonl"] {
        let path = folder.path().join(file);
        let error = table::write(&table, &path).expect_err("NaN").to_string();
        assert!(error.contains("row 2: column val_acc: NaN is not a value"), "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn newer_schema_versions_are_refused() {
    let folder = folder();
    let path = folder.path().join("a.parquet");
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_key_value_metadata(Some(vec![parquet::file::metadata::KeyValue::new(
            "emberline.schema_version".to_owned(),
            "99".to_owned(),
        )]))
        .build();
    let batch = RecordBatch::new_empty(Arc::new(schemas::arrow_schema::<Candidate>()));
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).expect("a file"), batch.schema(), Some(properties))
        .expect("Parquet");
    writer.write(&batch).expect("Parquet");
    writer.close().expect("Parquet");
    assert!(refused(&path).contains("schema version 99, but this program reads version 2"));
}

#[test]
fn patterns_programs_and_formats() {
    let folder = folder();
    for run in ["b", "a"] {
        fs::create_dir(folder.path().join(run)).expect("made");
        let row = Candidate { run: run.into(), ..minimal() };
        let table: Table = [Row::from(row)].into_iter().collect();
        table::write(&table, &folder.path().join(run).join("t.jsonl")).expect("written");
    }
    let runs = |pattern: &str| {
        let table = table::read(&[name(&folder.path().join(pattern))]).expect("read");
        table.candidates().map(|c| c.run.clone()).collect::<Vec<_>>()
    };
    assert_eq!(runs("*/t.jsonl"), ["a", "b"]);
    assert!(refused(&folder.path().join("c*/t.jsonl")).starts_with("no file matches "));
    assert!(refused(&folder.path().join("t.csv")).contains("t.csv: no table of ours fits into such a file"));
    assert!(refused(&folder.path().join("t.json")).contains("one a line: name it .jsonl"));
    assert!(
        refused(&folder.path().join("t.txt"))
            .ends_with("t.txt: cannot tell its format: name it .parquet or .jsonl (or .py for a program)")
    );
    let program: PathBuf = folder.path().join("mine.py");
    fs::write(&program, "x = 1\n").expect("written");
    assert!(refused(&program).contains("mine.py: this stage takes tables, not programs"));
    let table = table::read_with_programs(&[name(&program)]).expect("read");
    let row = &table.rows[0].candidate;
    assert_eq!((row.source.as_str(), row.proposer.as_str(), row.edit.as_deref()), ("x = 1\n", "file", Some("mine.py")));
    assert_eq!(row.status, Status::Proposed);
}

#[test]
fn full_disk_leaves_the_old_file() {
    let folder = folder();
    let path = folder.path().join("t.jsonl");
    table::write(&table(), &path).expect("written");
    let before = fs::read(&path).expect("read");
    let error = table::write(&table(), Path::new("/dev/full")).expect_err("it is full");
    assert!(
        format!("{error:#}").contains("/dev/full: cannot write (earlier files are intact): No space left"),
        "{error:#}"
    );
    let error = table::write(&table(), &folder.path().join("none/t.jsonl")).expect_err("no such folder");
    assert!(error.to_string().contains("none/t.jsonl: cannot write (is there such a folder?)"), "{error:#}");
    assert_eq!(fs::read(&path).expect("read"), before);
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
}

#[test]
fn columns_of_any_names_become_a_file_with_types() {
    let folder = folder();
    let path = folder.path().join("counted.parquet");
    let numbers = Values::Number(vec![Some(0.5), None]);
    let texts = Values::Text(vec![None, Some("ä, \"b\"".into())]);
    table::write_columns("counted", &[("share", numbers.clone()), ("what", texts)], &path).expect("written");
    let file = fs::File::open(&path).expect("there");
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("readable");
    let batch = reader.next().expect("a batch").expect("readable");
    assert_eq!(batch.schema().field(0).data_type(), &DataType::Float64);
    let share = batch.column(0).as_primitive::<arrow_array::types::Float64Type>();
    assert!(share.value(0) == 0.5 && share.is_null(1));
    let what = batch.column(1).as_string::<i32>();
    assert!(what.is_null(0) && what.value(1) == "ä, \"b\"");

    let refused = |columns: &[(&str, Values)]| {
        let error =
            table::write_columns("counted", columns, &folder.path().join("other.parquet")).expect_err("refused");
        assert!(!folder.path().join("other.parquet").exists());
        format!("{error:#}")
    };
    assert!(refused(&[("a", numbers.clone()), ("a", numbers.clone())]).contains("two columns are called a"));
    assert!(refused(&[("a", Values::Number(vec![Some(f64::NAN)]))]).contains("NaN"));
    refused(&[("a", numbers), ("b", Values::Text(vec![None]))]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_row_survives_both_formats(
        source in ".*", reason in proptest::option::of(".*"), attempt in any::<i64>(),
        fitness in proptest::option::of(-1e300..1e300f64), seeds in proptest::collection::vec(any::<i64>(), 0..4),
        status in proptest::sample::select(Status::ALL),
    ) {
        let folder = folder();
        let row = Candidate { source, reason, attempt, fitness, train_seeds: Some(seeds), status, ..minimal() };
        let table: Table = [Row::from(row.clone())].into_iter().collect();
        for file in ["t.parquet", "t.jsonl"] {
            prop_assert_eq!(&reread(&table, &folder.path().join(file)), std::slice::from_ref(&row));
        }
    }
}
