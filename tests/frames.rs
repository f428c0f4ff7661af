//! Tables as data frames hand them back: pandas, polars, pyarrow and DuckDB with their default settings, and stages that are
//! written in them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use schemas::{
    Candidate, ConfirmedRow, CurvePoint, DiagnosisRow, GraphScore, RunRow, Status, Table, TransferRow, TransferSummary,
};
use stage::table::read_records;
use tests::{Outcome, blocks, finish, make, make_search, root, run, shell};

/// A Python with all of them.
fn frames() -> Option<PathBuf> {
    let packages = ["duckdb==2.0.0", "pandas", "polars", "pyarrow"];
    tests::python::python("frames", &["duckdb", "pandas", "polars", "pyarrow"], &packages)
}

/// Runs a script; `arguments` are its `sys.argv[1:]`.
#[track_caller]
fn script(python: &Path, text: &str, arguments: &[&Path]) {
    let output = Command::new(python).args(["-c", text]).args(arguments).output().expect("python starts");
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
}

/// Every table below a folder, but for the samples beside an exported winner, which no stage reads.
fn tables(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.ends_with("samples") => {}
            path if path.is_dir() => found.extend(tables(&path)),
            path if path.extension().is_some_and(|extension| extension == "parquet") => found.push(path),
            _ => {}
        }
    }
    found.sort();
    found
}

/// That two files hold the same rows of this type.
#[track_caller]
fn same<T: Table + PartialEq + std::fmt::Debug>(one: &Path, other: &Path) {
    let rows = |path: &Path| -> Vec<T> {
        let records = read_records(path).unwrap_or_else(|error| panic!("{error}"));
        records.rows.into_iter().map(|(row, _)| row).collect()
    };
    assert!(rows(one) == rows(other), "{} changed its rows", other.display());
}

#[track_caller]
fn same_table(one: &Path, other: &Path) {
    let name = one.file_name().expect("a name").to_string_lossy().trim_end_matches(".parquet").to_owned();
    match name.trim_end_matches(|c: char| c.is_ascii_digit()) {
        "curves" => same::<CurvePoint>(one, other),
        "graphs" => same::<GraphScore>(one, other),
        "diagnosis" => same::<DiagnosisRow>(one, other),
        "confirmed" => same::<ConfirmedRow>(one, other),
        "transfer" => same::<TransferRow>(one, other),
        "transfer_summary" => same::<TransferSummary>(one, other),
        "runs" => same::<RunRow>(one, other),
        "proposed" | "checked" | "trained" | "scored" | "archive" => same::<Candidate>(one, other),
        other => panic!("{other}: a table without a test"),
    }
}

/// Writes each table of argv[2:] again, under the folder argv[1] and its own path. `{}` is what happens to one.
fn rewrite(body: &str) -> String {
    let lines: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "import os, sys\nimport pandas as pd, polars as pl, duckdb, pyarrow as pa, pyarrow.parquet as pq\n\
         for source in sys.argv[2:]:\n    target = sys.argv[1] + source\n    os.makedirs(os.path.dirname(target), exist_ok=True)\n{lines}"
    )
}

#[test]
fn every_table_comes_back_from_every_data_frame() {
    let Some(python) = frames() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let mut search = make_search(folder.path(), 0);
    search.arg("SET=train.rungs=[2]");
    finish(search).ok();
    finish(make(folder.path(), "transfer")).ok();
    let all: Vec<PathBuf> = tables(folder.path())
        .into_iter()
        .filter(|path| path.starts_with(folder.path().join("run")) || path.ends_with("runs.parquet"))
        .filter(|path| !path.to_string_lossy().contains("/tables/"))
        .collect();
    assert!(all.len() >= 20, "{all:?}");
    let ways = [
        ("pandas", "pd.read_parquet(source).to_parquet(target)"),
        ("pandas by rows", "frame = pd.read_parquet(source)\nframe.loc[list(frame.index)].to_parquet(target)"),
        ("polars", "pl.read_parquet(source).write_parquet(target)"),
        ("pyarrow", "pq.write_table(pq.read_table(source), target)"),
        ("duckdb", "duckdb.sql(f\"copy (from '{source}') to '{target}' (format parquet)\")"),
        (
            "pandas, numpy types",
            "frame = pd.read_parquet(source, dtype_backend='numpy_nullable')\nframe[frame.columns[::-1]].to_parquet(target)",
        ),
        (
            "polars, columns reversed",
            "frame = pl.read_parquet(source)\nframe.select(frame.columns[::-1]).write_parquet(target)",
        ),
        (
            "pyarrow, large and dictionaries",
            "table = pq.read_table(source)\n\
             for at, field in enumerate(table.schema):\n    \
                 if pa.types.is_string(field.type):\n        \
                     kind = pa.dictionary(pa.int32(), pa.string()) if at % 2 else pa.large_string()\n        \
                     table = table.set_column(at, field.name, table.column(at).cast(kind) if at % 2 == 0 else table.column(at).dictionary_encode())\n\
             pq.write_table(table, target, data_page_version='2.0')",
        ),
    ];
    for (name, body) in ways {
        let into = folder.path().join(name.replace([' ', ','], "_"));
        let mut arguments = vec![into.as_path()];
        arguments.extend(all.iter().map(PathBuf::as_path));
        script(&python, &rewrite(body), &arguments);
        for table in &all {
            let made = PathBuf::from(format!("{}{}", into.display(), table.display()));
            same_table(table, &made);
        }
    }
    // The stages themselves take what pandas and polars hand back, and so does the report.
    for name in ["pandas", "polars"] {
        let run_folder =
            PathBuf::from(format!("{}{}/run", folder.path().join(name).display(), folder.path().display()));
        let path = |table: &str| run_folder.join(table).display().to_string();
        let out = |table: &str| folder.path().join(format!("{name}-{table}.parquet")).display().to_string();
        let (tiny, cache) = ("data/profiles/tiny.toml", folder.path().join("cache").display().to_string());
        run("check", ["--config", tiny, &path("gen001/proposed.parquet"), "-o", &out("checked")]).ok();
        run("train", ["--config", tiny, "--cache", &cache, &path("gen001/checked.parquet"), "-o", &out("trained")])
            .ok();
        run("score", ["--config", tiny, "--cache", &cache, &path("gen001/trained.parquet"), "-o", &out("scored")]).ok();
        let archive = path("gen000/archive.parquet");
        run(
            "select",
            ["--config", tiny, &path("gen001/scored1.parquet"), "--archive", &archive, "-o", &out("archive")],
        )
        .ok();
        run(
            "propose",
            [
                "--config",
                tiny,
                "--parents",
                &path("archive.parquet"),
                "--generation",
                "3",
                "--n",
                "2",
                "-o",
                &out("proposed"),
            ],
        )
        .ok();
        run("report", [&path("archive.parquet"), "--quiet"]).ok();
        same::<Candidate>(&PathBuf::from(out("archive")), &folder.path().join("run/gen001/archive.parquet"));
    }
}

#[test]
fn every_codec_is_read() {
    let Some(python) = frames() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let source = folder.path().join("checked.parquet");
    shell(&format!("propose --n 4 --seed 3 | check - -o '{}'", source.display())).ok();
    let body = "
import sys, pandas as pd, polars as pl, duckdb, pyarrow.parquet as pq
source, into = sys.argv[1:]
for codec in ['snappy', 'gzip', 'brotli', 'zstd', 'lz4', None]:
    pd.read_parquet(source).to_parquet(f'{into}/pandas-{codec}.parquet', compression=codec)
    pq.write_table(pq.read_table(source), f'{into}/pyarrow-{codec}.parquet', compression=codec or 'none')
for codec in ['snappy', 'gzip', 'brotli', 'zstd', 'lz4', 'uncompressed']:
    pl.read_parquet(source).write_parquet(f'{into}/polars-{codec}.parquet', compression=codec)
for codec in ['snappy', 'gzip', 'brotli', 'zstd', 'lz4_raw', 'uncompressed']:
    duckdb.sql(f\"copy (from '{source}') to '{into}/duckdb-{codec}.parquet' (format parquet, compression {codec})\")
";
    let into = folder.path().join("codecs");
    fs::create_dir(&into).expect("a folder");
    script(&python, body, &[&source, &into]);
    let made = tables(&into);
    assert_eq!(made.len(), 24);
    for table in made {
        same::<Candidate>(&source, &table);
    }
    // As lines of JSON, too: pandas writes nulls, and whole numbers as floats.
    let body = "
import sys, pandas as pd, polars as pl, duckdb
source, into = sys.argv[1:]
pd.read_parquet(source).to_json(f'{into}/pandas.jsonl', orient='records', lines=True, double_precision=15)
pl.read_parquet(source).write_ndjson(f'{into}/polars.jsonl')
duckdb.sql(f\"copy (from '{source}') to '{into}/duckdb.jsonl' (format json)\")
";
    script(&python, body, &[&source, &into]);
    for name in ["pandas", "polars", "duckdb"] {
        same::<Candidate>(&source, &into.join(format!("{name}.jsonl")));
    }
}

#[test]
fn own_columns_keep_their_types_and_what_is_no_value_is_named() {
    let Some(python) = frames() else { return };
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    shell(&format!("propose --n 3 --seed 3 -o '{}'", text("rows.parquet"))).ok();
    let body = "
import datetime, decimal, sys, pandas as pd, polars as pl
source, into = sys.argv[1:]
rows = pd.read_parquet(source)
rows['when'] = pd.Timestamp('2026-01-02 03:04:05', tz='Europe/Berlin')
rows['naive'] = pd.Timestamp('2026-01-02 03:04:05')
rows['day'] = datetime.date(2026, 1, 2)
rows['price'] = decimal.Decimal('1.25')
rows['label'] = pd.Categorical(['a', 'b', 'a'])
rows['took'] = pd.Timedelta(seconds=3)
rows.index = ['x', 'y', 'z']
rows.to_parquet(f'{into}/mine.parquet')
pl.read_parquet(source).with_columns(pl.col('status').cast(pl.Categorical), pl.lit(1).alias('mine')).write_parquet(f'{into}/categories.parquet')
for name, column, value in [('half', 'generation', 2.5), ('large', 'generation', 1e300), ('none', 'attempt', float('inf'))]:
    rows = pd.read_parquet(source)
    rows[column] = rows[column].astype(float)
    rows.iloc[1, rows.columns.get_loc(column)] = value
    rows.to_parquet(f'{into}/{name}.parquet')
rows = pd.read_parquet(source)
rows.drop(columns='source').to_parquet(f'{into}/sourceless.parquet')
rows['attempt'] = rows['attempt'].astype(str)
rows.to_parquet(f'{into}/texts.parquet')
rows = pd.read_parquet(source)
rows['status'] = 'done'
rows.to_parquet(f'{into}/status.parquet')
";
    script(&python, body, &[&path("rows.parquet"), folder.path()]);
    run("check", [text("mine.parquet"), "-o".into(), text("checked.parquet")]).ok();
    let kept = "
import sys, pandas as pd
rows = pd.read_parquet(sys.argv[1])
assert rows['when'].iloc[0] == pd.Timestamp('2026-01-02 03:04:05', tz='Europe/Berlin'), rows['when']
assert str(rows['when'].dtype).startswith('datetime64') and str(rows['naive'].dtype).startswith('datetime64'), rows.dtypes
assert str(rows['price'].iloc[0]) == '1.25' and list(rows['label']) == ['a', 'b', 'a']
assert rows['took'].iloc[0] == pd.Timedelta(seconds=3), rows['took']
assert not [name for name in rows.columns if name.startswith('__index')], rows.columns
";
    script(&python, kept, &[&path("checked.parquet")]);
    // On the way into a pipe, a moment is a moment.
    let rows = run("check", [text("mine.parquet")]).ok().rows();
    let when = rows[0]["when"].as_str().expect("a time");
    assert!(when.starts_with("2026-01-02T02:04:05"), "{when}");
    run("check", [text("categories.parquet")]).ok();

    for (name, words) in [
        ("half", &["half.parquet", "row 2", "column generation", "2.5"][..]),
        ("large", &["row 2", "column generation", "64-bit integer"]),
        ("none", &["row 2", "column attempt", "inf"]),
        ("sourceless", &["sourceless.parquet", "column source is missing"]),
        ("texts", &["texts.parquet", "column attempt", "64-bit integer"]),
        ("status", &["row 1", "column status", "`done`"]),
    ] {
        let out = text("none.jsonl");
        run("check", [text(&format!("{name}.parquet")), "-o".into(), out.clone()]).refused(1, words);
        assert!(!Path::new(&out).exists());
    }
}

#[test]
fn csv_is_refused_before_any_work() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("rows.csv"), "source\nx = 1\n").expect("written");
    let cache = path("cache");
    let seed = "data/seed_pgn.py";
    let tiny = "data/profiles/tiny.toml";
    let words = ["csv", ".parquet or .jsonl"];
    let refused = |outcome: Outcome| {
        outcome.refused(1, &words);
        assert!(!Path::new(&cache).exists(), "something was trained");
    };
    refused(run("check", [path("rows.csv")]));
    refused(run("train", ["--config", tiny, "--cache", &cache, &path("rows.csv")]));
    refused(run("train", ["--config", tiny, "--cache", &cache, seed, "-o", &path("out.csv")]));
    refused(run(
        "train",
        ["--config", tiny, "--cache", &cache, seed, "-o", &path("o.jsonl"), "--curves", &path("curves.csv")],
    ));
    for side in ["--graphs", "--diagnosis"] {
        refused(run(
            "score",
            ["--config", tiny, "--cache", &cache, &path("no.parquet"), "-o", &path("o.jsonl"), side, &path("x.csv")],
        ));
    }
    refused(run("propose", ["--parents", &path("rows.csv")]));
    refused(run("propose", ["-o", &path("out.csv")]));
    refused(run("select", [path("rows.csv")]));
    refused(run("transfer", ["--config", tiny, "--cache", &cache, "--program", seed, "-o", &path("out.csv")]));
    run("sample", ["--algorithm", "dfs", "--length", "4", "-o", &path("out.csv")]).refused(2, &words);
    refused(run("report", [path("rows.csv")]));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "something was written");
}

#[test]
fn the_text_of_a_program_is_a_row() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let source = fs::read_to_string(root().join("data/seed_pgn.py")).expect("the seed program");
    let line = serde_json::json!({ "source": source }).to_string();
    fs::write(path("mine.jsonl"), format!("{line}\n\n{line}\n")).expect("written");
    let rows = run("check", [path("mine.jsonl")]).ok().rows();
    let of = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("status"), ["accepted", "duplicate"]);
    assert_eq!((of("attempt"), of("proposer")), (vec![0.into(), 1.into()], vec!["file".into(), "file".into()]));
    let script = format!(
        "tiny='--config data/profiles/tiny.toml --cache {}'; check {} | train $tiny - | score $tiny - | command select - -o -",
        path("cache"),
        path("mine.jsonl")
    );
    let rows = shell(&script).ok().rows();
    assert_eq!((rows.len(), &rows[0]["status"]), (2, &serde_json::json!("scored")));
    // The example of the page.
    let Some(python) = frames() else { return };
    let page = fs::read_to_string(root().join("schemas/frames.md")).expect("the page");
    let example = blocks(&page, "python").into_iter().find(|block| block.contains("mine.parquet")).expect("an example");
    let here = folder.path().join("top");
    shell(&format!("mkdir '{0}' && cp -r data '{0}'", here.display())).ok();
    let made = Command::new(&python).args(["-c", &example]).current_dir(&here).output().expect("python starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let rows = run("check", [here.join("mine.parquet")]).ok().rows();
    assert_eq!((&rows[0]["status"], &rows[0]["run"]), (&serde_json::json!("accepted"), &serde_json::json!("-")));
}

#[test]
fn stages_of_ones_own_run_in_a_search() {
    let Some(python) = frames() else { return };
    let page = fs::read_to_string(root().join("schemas/frames.md")).expect("the page");
    let stages: Vec<String> = blocks(&page, "python")
        .into_iter()
        .filter(|block| block.contains("sys.argv[2]") || block.contains("sys.argv[1:3]"))
        .collect();
    assert_eq!(stages.len(), 3);
    let folder = tempfile::tempdir().expect("a scratch folder");
    let bin = python.parent().expect("a folder").display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("executable");
        file.display().to_string()
    };
    let (pandas, polars, duckdb) = (
        write("my stage", &stages[0].replace("100_000", "0")),
        write("polars", &stages[1]),
        write("duckdb", &stages[2]),
    );
    let search = |variables: &[String]| {
        let mut make = make_search(folder.path(), 0);
        make.args(variables).env("PATH", &path);
        finish(make)
    };
    let own = [
        format!("STAGE_AFTER_propose={duckdb}"),
        format!("STAGE_AFTER_train={polars}"),
        format!("STAGE_AFTER_check='{pandas}'"),
    ];
    search(&own[..2]).ok();
    let here = folder.path().join("run");
    let archive = run("check", [here.join("archive.parquet")]).ok().rows();
    let trained: Vec<_> = archive.iter().filter(|row| row["train_key"].is_string()).collect();
    assert!(!trained.is_empty() && trained.iter().all(|row| row["kilo_params"].is_number()), "{archive:?}");
    assert!(
        here.join("gen001/before/trained.parquet").exists() && !here.join("gen001/before/checked.parquet").exists()
    );
    search(&[]).refused(2, &["other settings", "stages.after_train"]);
    let again = search(&own[..2]).ok();
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    search(&own).refused(2, &["other settings", "stages.after_check"]);

    // An edited script is another stage: what lies behind it is made again.
    write("polars", &stages[1].replace("/ 1000", "/ 500"));
    let said = search(&own[..2]).ok();
    assert!(
        said.stderr.contains("gen000/trained is made again: the stage of your own after train has changed"),
        "{}",
        said.stderr
    );

    // One that rejects everything leaves nothing to train; one that fails leaves no table.
    let elsewhere = format!("RUN={}", folder.path().join("none").display());
    let outcome = search(&[elsewhere.clone(), own[2].clone()]);
    assert!(outcome.stderr.contains("no candidate has a score"), "{}", outcome.stderr);
    let rows = read_records::<Candidate>(&folder.path().join("none/archive.parquet")).expect("an archive").rows;
    let reason = Some("more parameters than we can afford");
    for (row, _) in &rows {
        assert!(row.status == Status::Duplicate || row.reason.as_deref() == reason, "{row:?}");
    }
    assert!(rows.len() > 3 && rows.iter().any(|(row, _)| row.status == Status::Rejected));
    let failing = write("failing", "#!/bin/sh\nexit 3\n");
    let elsewhere = folder.path().join("failed");
    let outcome = search(&[format!("RUN={}", elsewhere.display()), format!("STAGE_AFTER_check={failing}")]);
    assert!(outcome.code != Some(0) && outcome.stderr.contains("this stage of your own failed"), "{}", outcome.stderr);
    assert!(!elsewhere.join("gen000/checked.parquet").exists());
}
