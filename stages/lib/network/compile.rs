//! This crate's own build script: compiles its one C++ file, as torch-sys compiles its own half of the binding, against the
//! headers beside libtorch's libraries.

#[path = "build.rs"]
mod rpath;

use std::path::{Path, PathBuf};

const SOURCE: &str = "src/execute/node.cpp";

fn main() {
    rpath::main();
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rerun-if-env-changed=LIBTORCH_CXX11_ABI");
    let Ok(libraries) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    let home = std::env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from);
    let home = home.or_else(|| Path::new(&libraries).parent().map(Path::to_owned)).unwrap_or_default();
    let abi = std::env::var("LIBTORCH_CXX11_ABI").unwrap_or_else(|_| "1".to_owned());
    cc::Build::new()
        .cpp(true)
        .pic(true)
        .warnings(false)
        .include(home.join("include"))
        .include(home.join("include/torch/csrc/api/include"))
        .flag("-std=c++17")
        .flag(format!("-D_GLIBCXX_USE_CXX11_ABI={abi}"))
        .opt_level(1)
        .debug(false)
        .file(SOURCE)
        .compile("network_node");
}
