//! Embeds the folder of the real libtorch libraries, so that the binary runs without any environment variable. Every
//! crate with such a binary names this file as its build script, or calls it from its own.
//!
//! The linker sees links (see `stages/lib/executor/libtorch.sh`); at run time the libraries must be found where they
//! really are, for they find the CUDA libraries relative to themselves.

use std::path::Path;

pub fn main() {
    println!("cargo:rerun-if-env-changed=DEP_TCH_LIBTORCH_LIB");
    let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    let library = Path::new(&folder).join("libtorch_cpu.so");
    let real = library.canonicalize().unwrap_or(library);
    if let Some(folder) = real.parent() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    }
}
