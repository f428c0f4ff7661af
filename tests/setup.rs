//! What `make setup` downloads is pinned: wheels with other contents are refused.

use std::fs;
use std::path::Path;

use tests::{Outcome, root, shell, skip};

/// Makes a wheel of libtorch's name and returns its SHA-256.
const MAKE_WHEEL: &str = r#"
import hashlib, platform, sys, zipfile
folder, name, version, tags, content = sys.argv[1:]
path = f"{folder}/{name}-{version}-{tags.format(platform.machine())}.whl"
with zipfile.ZipFile(path, "w") as wheel:
    info = f"{name}-{version}.dist-info/"
    wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n")
    wheel.writestr(info + "RECORD", "")
    for file in ["lib/libtorch_cpu.so", "lib/libc10.so", "include/torch/script.h"]:
        wheel.writestr("torch/" + file, content)
print(hashlib.sha256(open(path, "rb").read()).hexdigest())
"#;

fn wheel(folder: &Path, content: &str) -> String {
    let script = folder.join("wheel.py");
    fs::write(&script, MAKE_WHEEL).expect("written");
    let tags = "cp311-cp311-manylinux_2_28_{}";
    let made =
        shell(&format!("python3 '{}' '{}' torch 2.11.0 '{tags}' '{content}'", script.display(), folder.display()));
    made.ok().stdout.trim().to_owned()
}

/// Sets up libtorch in `folder` from the wheels that lie there, and from nowhere else.
fn setup(folder: &Path, script: &Path) -> Outcome {
    shell(&format!(
        "env -u LIBTORCH CUDA=no PIP_NO_INDEX=1 PIP_FIND_LINKS='{0}' sh '{1}' '{0}/root'",
        folder.display(),
        script.display()
    ))
}

#[test]
fn only_the_pinned_files_are_installed() {
    if shell("python3 -m pip --version").code != Some(0) {
        return skip("python3 with pip is needed");
    }
    let folder = tempfile::tempdir().expect("a scratch folder");
    let folder = folder.path();
    let sources = root().join("stages/lib/executor");
    // The project's own pins.
    wheel(folder, "not libtorch");
    setup(folder, &sources.join("libtorch.sh")).refused(1, &["HASHES", "libtorch-cpu.txt", "nothing was installed"]);
    assert!(!folder.join("root/.libtorch/link").exists() && !folder.join("root/.libtorch/stamp").exists());
    // The same script with pins of the test's own wheel, before and after it is tampered with.
    let script = folder.join("libtorch.sh");
    fs::copy(sources.join("libtorch.sh"), &script).expect("copied");
    let pin = |hash: &str| {
        fs::write(folder.join("libtorch-cpu.txt"), format!("torch==2.11.0 --hash=sha256:{hash}\n")).expect("written");
    };
    let hash = wheel(folder, "ours");
    wheel(folder, "ours, tampered with");
    pin(&hash);
    setup(folder, &script).refused(1, &["HASHES", "nothing was installed"]);
    pin(&wheel(folder, "ours"));
    setup(folder, &script).ok();
    let library = fs::read_to_string(folder.join("root/.libtorch/link/lib/libtorch_cpu.so")).expect("installed");
    assert_eq!(library, "ours");
}

#[test]
fn every_pin_has_hashes_for_both_architectures() {
    for file in ["libtorch-cpu.txt", "libtorch-cuda.txt"] {
        let text = fs::read_to_string(root().join("stages/lib/executor").join(file)).expect("pins");
        let packages = text.lines().filter(|line| line.contains("==") && !line.starts_with('#')).count();
        let hashes = text.lines().filter(|line| line.trim_start().starts_with("--hash=sha256:")).count();
        assert!(packages >= 3 && hashes == 2 * packages, "{file}: {packages} packages, {hashes} hashes");
    }
}

#[test]
fn what_the_targets_for_developers_run_is_shell() {
    for target in
        ["bench BASE=HEAD", "bench PEER=true", "bench-engine", "parity", "gpu-check", "fuzz", "install", "dist", "lint"]
    {
        shell(&format!("env -u MAKEFLAGS -u MAKELEVEL make -n {target} | bash -n")).ok();
    }
}

#[test]
fn container_and_hosted_tests_call_what_is_there() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (makefile, manifest) = (read("Makefile"), read("Cargo.toml"));
    let rust = manifest.split("rust-version = \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a version");
    let mut called = 0;
    for (name, compiler) in [
        (".github/Containerfile", format!("FROM rust:{rust}-")),
        (".github/workflows/ci.yml", format!("install {rust}.")),
    ] {
        let text = read(name);
        assert!(text.contains(&compiler), "{name} has another compiler than Cargo.toml: {compiler}");
        for line in text.lines().filter(|line| !line.contains("apt-get")) {
            for rest in line.split("make ").skip(1) {
                let target: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                assert!(makefile.contains(&format!("\n{target}:")), "{name}: there is no target {target}");
                for variable in rest
                    .split(" && ")
                    .take(1)
                    .flat_map(str::split_whitespace)
                    .filter_map(|word| Some(word.split_once('=')?.0))
                {
                    assert!(makefile.contains(&format!("\n{variable} ")), "{name}: there is no variable {variable}");
                }
                called += 1;
            }
        }
    }
    assert!(called >= 8, "only {called} calls were found");
}

/// Every Markdown page of the project, below `folder`.
fn pages(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let ours = !name.starts_with('.') || name == ".github";
        if path.is_dir() && ours && !["target", "runs", "cache", "fixtures"].contains(&name.as_str()) {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut found = Vec::new();
    pages(root(), &mut found);
    assert!(found.len() > 10, "{found:?}");
    // As sites make anchors of headings.
    let anchor = |heading: &str| -> String {
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    for page in found {
        let text = fs::read_to_string(&page).expect("a page");
        // Code has brackets of its own.
        let text: String = text.split("```").step_by(2).collect();
        let text: String = text.split('`').step_by(2).collect();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.contains(char::is_whitespace) {
                continue;
            }
            let (path, wanted) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name("").join(path) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !wanted.is_empty() {
                let there = fs::read_to_string(&target).expect("a page");
                let mut headings = there.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                assert!(headings.any(|heading| anchor(heading) == wanted), "{}: {link}", page.display());
            }
        }
    }
}
