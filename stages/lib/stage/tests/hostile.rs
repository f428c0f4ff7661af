//! Tables that mean harm: each is read, or refused by name, in seconds and within bounds; none panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use schemas::Candidate;
use stage::table::{self, limits, read_records};
use stage::{Table, TableError};
use tempfile::TempDir;

const REQUIRED: &str = r#""run":"r","method":"m","proposer":"p","generation":0,"slot":0,"attempt":0,"island":0,"candidate_id":"c","source":"x","status":"proposed""#;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a scratch folder")
}

fn read(path: &Path) -> Result<Table, TableError> {
    table::read(&[path.display().to_string()])
}

/// The message about a table that is refused, within seconds.
fn refused(path: &Path) -> String {
    let began = Instant::now();
    let error = read(path).expect_err("it must be refused").to_string();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}: {error}", began.elapsed());
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(error.contains(&name), "the file is named: {error}");
    error
}

fn text(folder: &TempDir, content: &str) -> PathBuf {
    let path = folder.path().join("hostile.jsonl");
    fs::write(&path, content).expect("written");
    path
}

/// A Parquet file of the least columns that a row needs, with others beside them.
fn parquet(folder: &TempDir, rows: usize, others: Vec<(String, ArrayRef)>) -> PathBuf {
    let table: Table = (0..rows).map(|_| Candidate::default().into()).collect();
    let plain = folder.path().join("plain.parquet");
    table::write(&table, &plain).expect("written");
    let file = fs::File::open(&plain).expect("there");
    let batches = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("a table");
    let batches: Vec<_> =
        batches.with_batch_size(rows.max(1)).build().expect("readable").map(|b| b.expect("rows")).collect();
    let batch = batches.into_iter().next().expect("a batch");
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !others.iter().any(|(name, _)| name == field.name()) {
            columns.push((field.name().clone(), column.clone()));
        }
    }
    columns.extend(others);
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let path = folder.path().join("hostile.parquet");
    let file = fs::File::create(&path).expect("writable");
    let packed = WriterProperties::builder().set_dictionary_page_size_limit(64 << 20).build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(packed)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    path
}

#[test]
fn numbers_that_are_none_are_found_on_reading() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let folder = folder();
        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None, Some(bad)]));
        let error = refused(&parquet(&folder, 3, vec![("ood_acc".into(), column)]));
        assert!(error.contains("row 3") && error.contains("ood_acc"), "{error}");
        let seeds = vec![None, Some(vec![Some(1.0), Some(bad)]), None];
        let column: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(seeds));
        let error = refused(&parquet(&folder, 3, vec![("ood_acc_seeds".into(), column)]));
        assert!(error.contains("row 2") && error.contains("ood_acc_seeds"), "{error}");
    }
    let error = refused(&text(&folder(), &format!("{{{REQUIRED},\"ood_acc\":1e999}}\n")));
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn too_many_columns_are_refused_and_many_pass() {
    let names = |n: usize| (0..n).map(|i| format!("\"u{i}\":{i}")).collect::<Vec<_>>().join(",");
    let scratch = folder();
    let error = refused(&text(&scratch, &format!("{{{REQUIRED},{}}}\n", names(100_000))));
    assert!(error.contains("line 1") && error.contains("columns") && error.contains("4096"), "{error}");
    // Few in each line, many in all.
    let lines: String = (0..20_000).map(|i| format!("{{{REQUIRED},\"u{i}\":1}}\n")).collect();
    assert!(refused(&text(&scratch, &lines)).contains("unknown columns"));
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let many = (0..20_000).map(|i| (format!("u{i}"), column.clone())).collect();
    assert!(refused(&parquet(&scratch, 1, many)).contains("columns"));

    let began = Instant::now();
    let line = format!("{{{REQUIRED},{}}}\n", names(4000));
    let table = read(&text(&scratch, &line.repeat(50))).expect("below the limit");
    let wide = scratch.path().join("wide.parquet");
    table::write(&table, &wide).expect("written");
    let again = read(&wide).expect("read back");
    table::write(&again, &scratch.path().join("wide.jsonl")).expect("written");
    table::write(&again, &scratch.path().join("again.parquet")).expect("written");
    assert_eq!(again.rows.len(), 50);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn endless_lines_cells_and_lists_are_refused() {
    let scratch = folder();
    let long = "x".repeat(limits::CELL + 1);
    let error = refused(&text(&scratch, &format!("{{{REQUIRED},\"source\":\"{long}\"}}\n")));
    assert!(error.contains("line 1") && error.contains("source"), "{error}");
    let error = refused(&text(&scratch, &format!("{{{REQUIRED},\"source\":\"{long}{long}{long}\"}}\n")));
    assert!(error.contains("line 1") && error.contains("bytes"), "{error}");
    let list = format!("{{{REQUIRED},\"mine\":[{}0]}}\n", "0,".repeat(limits::ELEMENTS));
    assert!(refused(&text(&scratch, &list)).contains("column mine"));
    let column: ArrayRef = Arc::new(StringArray::from(vec![long.as_str()]));
    let error = refused(&parquet(&scratch, 1, vec![("source".into(), column)]));
    assert!(error.contains("row 1") && error.contains("source"), "{error}");
    let program = scratch.path().join("long.py");
    fs::write(&program, &long).expect("written");
    let error = table::read_with_programs(&[program.display().to_string()]).expect_err("too long").to_string();
    assert!(error.contains("long.py") && error.contains("bytes"), "{error}");
}

#[test]
fn a_value_that_unpacks_to_gigabytes_is_refused() {
    let scratch = folder();
    let value = "x".repeat(8 << 20);
    let rows = 3000;
    let keys = Int32Array::from(vec![0; rows]);
    let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(vec![value]))));
    let path = parquet(&scratch, rows, vec![("source".into(), column)]);
    assert!(fs::metadata(&path).expect("there").len() < 32 << 20);
    let error = refused(&path);
    assert!(error.contains("unpacked"), "{error}");
}

#[test]
fn too_many_rows_are_refused() {
    let scratch = folder();
    let line = format!("{{{REQUIRED}}}\n");
    let error = refused(&text(&scratch, &format!("{line}{}", "{}\n".repeat(1_100_000))));
    assert!(error.contains("line 2") && error.contains("missing"), "rows without the least are named: {error}");
    let column: ArrayRef = Arc::new(Int64Array::from(vec![0; limits::ROWS + 1]));
    let batch = RecordBatch::try_from_iter([("slot", column)]).expect("a batch");
    let path = scratch.path().join("hostile.parquet");
    let mut writer =
        ArrowWriter::try_new(fs::File::create(&path).expect("writable"), batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    assert!(fs::metadata(&path).expect("there").len() < 1 << 20, "it packs well");
    assert!(refused(&path).contains("rows"));
}

#[test]
fn deep_values_are_refused() {
    let scratch = folder();
    let deep = format!("{{{REQUIRED},\"mine\":{}{}}}\n", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&text(&scratch, &deep)).contains("line 1"));
}

/// A column of two rows that holds this column, one element or field in each row.
fn wrapped(inner: ArrayRef, how: usize) -> ArrayRef {
    let field = |name: &str| Arc::new(Field::new(name, inner.data_type().clone(), true));
    let each = || OffsetBuffer::from_lengths(vec![1; inner.len()]);
    match how % 3 {
        0 => Arc::new(ListArray::new(field("item"), each(), inner.clone(), None)),
        1 => Arc::new(StructArray::from(vec![(field("part"), inner.clone())])),
        _ => {
            let keys: ArrayRef = Arc::new(StringArray::from_iter_values((0..inner.len()).map(|i| format!("k{i}"))));
            let key = Arc::new(Field::new("keys", DataType::Utf8, false));
            let entries = StructArray::from(vec![(key, keys), (field("values"), inner.clone())]);
            let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
            Arc::new(MapArray::new(field, each(), entries, None, false))
        }
    }
}

#[test]
fn columns_inside_of_columns_pass_or_are_named() {
    let scratch = folder();
    for how in 0..9 {
        for levels in [1, 3, 12, 70] {
            let mut column: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), Some(0.25)]));
            (0..levels).for_each(|level| column = wrapped(column.clone(), how + level * (how / 3)));
            let path = parquet(&scratch, 2, vec![("mine".into(), column.clone())]);
            if levels == 70 {
                let error = refused(&path);
                assert!(error.contains("levels"), "{how}: {error}");
                continue;
            }
            let table = read(&path).unwrap_or_else(|error| panic!("{how}, {levels}: {error}"));
            let [again, lines] = ["again.parquet", "lines.jsonl"].map(|name| scratch.path().join(name));
            table::write(&table, &again).expect("written");
            assert_eq!(read(&again).expect("read back").rows.len(), 2, "{how}, {levels}");
            match table::write(&table, &lines) {
                Ok(_) => assert!(fs::read_to_string(&lines).expect("there").contains("0.25")),
                Err(error) => assert!(error.to_string().contains("lines.jsonl"), "{how}, {levels}: {error}"),
            }
            for known in ["source", "generation", "ood_acc", "ood_acc_seeds", "diagnostics", "weights"] {
                let path = parquet(&scratch, 2, vec![(known.into(), column.clone())]);
                // one of them is a list of numbers, as the column is to be
                if let Err(error) = read(&path) {
                    let error = error.to_string();
                    assert!(error.contains("hostile.parquet") && error.contains(known), "{how}, {levels}: {error}");
                }
            }
        }
    }
}

#[test]
fn outputs_are_looked_at_before_the_work() {
    let scratch = folder();
    let at = |name: &str| table::check_output(&scratch.path().join(name)).map_err(|error| error.to_string());
    at("new.parquet").expect("it can be made");
    assert!(at("none/new.parquet").expect_err("no folder").contains("there is no folder"));
    assert!(at("new.csv").expect_err("no such format").contains(".parquet"));
    assert!(at("new.py").expect_err("no table").contains("new.py"));
    fs::create_dir(scratch.path().join("folder.parquet")).expect("made");
    assert!(at("folder.parquet").expect_err("a folder").contains("folder"));
    assert_eq!(fs::read_dir(scratch.path()).expect("there").count(), 1, "nothing is left behind");
    table::check_output(Path::new("-")).expect("stdout");
    table::check_output(Path::new("/dev/null")).expect("a device");
}

/// A generator of numbers for mutations: SplitMix64, so that a seed gives the same files everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// One change to a file: bytes flipped, set to what makes lengths huge, cut, repeated, or the description's length changed.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    // Most of what a reader believes stands in the description at the end.
    let tail = bytes.len().min(6000);
    let at = if numbers.below(3) == 0 { numbers.below(bytes.len()) } else { bytes.len() - 1 - numbers.below(tail) };
    match numbers.below(6) {
        0 => bytes[at] ^= 1 << numbers.below(8),
        1 => bytes[at] = [0, 0x7f, 0x80, 0xff][numbers.below(4)],
        2 => bytes.iter_mut().skip(at).take(1 + numbers.below(9)).for_each(|byte| *byte = 0xff),
        3 => bytes.truncate(at),
        4 => {
            let piece = bytes[at..(at + numbers.below(64)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => {
            let end = bytes.len().saturating_sub(8);
            let length = (numbers.next() as u32 >> numbers.below(32)).to_le_bytes();
            bytes.iter_mut().skip(end).zip(length).for_each(|(byte, new)| *byte = new);
        }
    }
}

/// Reads so many broken tables; each is read or refused, quickly.
fn broken_tables(seed: u64, count: usize) {
    let scratch = folder();
    let list: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>((0..40).map(|i| Some(vec![Some(f64::from(i))]))));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|i| format!("name {i}"))));
    let good =
        fs::read(parquet(&scratch, 40, vec![("ood_acc_seeds".into(), list), ("mine".into(), names)])).expect("there");
    let lines: String =
        (0..20).map(|i| format!("{{{REQUIRED},\"ood_acc\":0.{i},\"mine\":[{{\"a\":\"é\"}}]}}\n")).collect();
    let mut numbers = Numbers(seed);
    let (mut read, mut slowest) = (0, Duration::ZERO);
    for number in 0..count {
        let (mut bytes, name) =
            if number % 4 == 3 { (lines.clone().into_bytes(), "m.jsonl") } else { (good.clone(), "m.parquet") };
        for _ in 0..=numbers.below(3) {
            if !bytes.is_empty() {
                mutate(&mut bytes, &mut numbers);
            }
        }
        let path = scratch.path().join(name);
        fs::write(&path, &bytes).expect("written");
        let began = Instant::now();
        match read_records::<Candidate>(&path) {
            Ok(_) => read += 1,
            Err(error) => assert!(error.to_string().contains(name), "seed {seed}, number {number}: {error}"),
        }
        slowest = slowest.max(began.elapsed());
        assert!(began.elapsed() < Duration::from_secs(20), "seed {seed}, number {number}: {:?}", began.elapsed());
    }
    println!("{count} broken tables of seed {seed}: {read} read all the same, the slowest in {slowest:?}");
}

#[test]
fn broken_tables_are_read_or_refused() {
    broken_tables(1, 3000);
}

#[test]
#[ignore = "an hour: the long form of the test above"]
fn very_many_broken_tables_are_read_or_refused() {
    let until = Instant::now() + Duration::from_secs(3600);
    for seed in (2..).take_while(|_| Instant::now() < until) {
        broken_tables(seed, 5000);
    }
}
