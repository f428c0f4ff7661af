//! Writes made-up runs to look at: `cargo run -p report --example made_up_runs -- FOLDER`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder to write to"));
    common::write_run(&folder.join("spark-dfs-seed0"), "spark-dfs-seed0", "spark", 0, 64);
    for method in ["spark", "openevolve", "evoprompting", "funsearch", "eoh"] {
        for seed in 0..3 {
            let run = format!("{method}-dfs-seed{seed}");
            common::write_run(&folder.join("compare").join(&run), &run, method, seed, 60);
        }
    }
    common::write_run(&folder.join("huge"), "huge", "spark", 3, 10_000);
    let row = |n: usize| common::rows("small", "spark", 1, 12).into_iter().take(n).collect::<Vec<_>>();
    for (name, rows) in [
        ("empty", Vec::new()),
        ("seed-only", row(1)),
        ("one-candidate", row(12).into_iter().filter(|r| r.ood_acc.is_some()).take(2).collect()),
        ("all-rejected", row(12).into_iter().filter(|r| r.attempt == 0 || r.ood_acc.is_none()).collect()),
    ] {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).expect("a writable folder");
        common::write_rows(&folder.join("archive.parquet"), rows);
    }
}
