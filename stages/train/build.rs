//! Embeds the version of the code that results depend on.

use std::fs;
use std::path::{Path, PathBuf};

/// What decides on the numbers of a training: the data, the graph and its passes, the network.
const CODE: &[&str] =
    &["../lib/clrs/src", "../lib/graph/src", "../lib/executor/src", "../lib/model/src", "../lib/network/src"];

/// Text for readers: results do not depend on it.
const CARDS: &str = "clrs/src/card";

fn main() {
    println!("cargo:rustc-env=CODE_VERSION={:016x}", code_version());
}

/// A hash of the sources: whoever changes them need not think of the cache.
fn code_version() -> u64 {
    let mut files = Vec::new();
    for folder in CODE {
        println!("cargo:rerun-if-changed={folder}");
        collect(Path::new(folder), &mut files);
    }
    files.sort();
    // FNV-1a: stable across compilers, and nobody attacks it here.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for path in files {
        for byte in fs::read(&path).unwrap_or_default() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.ends_with(CARDS) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "cpp") {
            files.push(path);
        }
    }
}
