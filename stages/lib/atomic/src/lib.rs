//! Files that appear whole or not at all.

#![warn(missing_docs)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable))]

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file could not be written. Whatever was there before is still there.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write{}", path.display(), hint(source))]
pub struct WriteError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => " (is there such a folder?)",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            " (earlier files are intact)"
        }
        _ => "",
    }
}

/// Writes a file through `fill`: into a temporary file beside it, synced, renamed, and the folder synced.
///
/// What exists and is not a regular file (`/dev/null`, a named pipe) is written to directly.
pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let fail = |source| WriteError { path: path.to_owned(), source };
    // A full disk shows while filling: then, too, the message says which file it was.
    let named = |error: anyhow::Error| match error.downcast::<io::Error>() {
        Ok(source) => fail(source).into(),
        Err(error) => error,
    };
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        if path.is_dir() {
            return Err(fail(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")).into());
        }
        let mut out = BufWriter::new(File::options().write(true).open(path).map_err(fail)?);
        fill(&mut out).map_err(named)?;
        return Ok(out.flush().map_err(fail)?);
    }
    let folder = folder_of(path);
    let name = path.file_name().ok_or_else(|| fail(io::Error::new(io::ErrorKind::InvalidInput, "not a file name")))?;
    let mut temporary = tempfile::Builder::new();
    temporary.prefix(name).suffix(".tmp");
    // As any file that a program makes: the umask decides, not the privacy of temporary files.
    #[cfg(unix)]
    temporary.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = temporary.tempfile_in(folder).map_err(fail)?;
    let mut out = BufWriter::new(file);
    fill(&mut out).map_err(named)?;
    let file = out.into_inner().map_err(|error| fail(error.into_error()))?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|error| fail(error.error))?;
    Ok(sync_folder(folder).map_err(fail)?)
}

/// Writes these bytes to a file.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write(path, |out| Ok(out.write_all(bytes)?))
}

/// Makes a folder with its parents.
pub fn make_folder(path: &Path) -> Result<(), WriteError> {
    fs::create_dir_all(path).map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Moves a filled folder to its final name, synced.
///
/// # Errors
/// Where that name is taken by anything but an empty folder: the first one stays, and ours is where it was.
pub fn publish_folder(from: &Path, to: &Path) -> Result<(), WriteError> {
    let fail = |source| WriteError { path: to.to_owned(), source };
    sync_folder(from).map_err(fail)?;
    fs::rename(from, to).and_then(|()| sync_folder(folder_of(to))).map_err(fail)
}

/// The folder that a file of this name lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems have nothing to sync for a folder.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.txt");
        write_bytes(&path, b"old").expect("it can be written");
        let failed = write(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("boom").into())
        });
        assert!(failed.expect_err("boom").to_string().contains("a.txt: cannot write"));
        assert_eq!(fs::read(&path).expect("it is there"), b"old");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn missing_folder_is_named() {
        let error = write_bytes(Path::new("/nowhere/at/all.txt"), b"").expect_err("no such folder");
        assert!(error.to_string().contains("/nowhere/at/all.txt: cannot write (is there such a folder?)"), "{error}");
    }

    #[test]
    fn devices_are_written_directly() {
        write_bytes(Path::new("/dev/null"), b"x").expect("/dev/null takes anything");
    }

    #[test]
    fn second_publisher_yields() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [a, b, target] = ["a", "b", "target"].map(|name| folder.path().join(name));
        for (from, text) in [(&a, "first"), (&b, "second")] {
            make_folder(from).expect("a folder");
            fs::write(from.join("x"), text).expect("a file");
            assert_eq!(publish_folder(from, &target).is_ok(), text == "first");
        }
        assert_eq!(fs::read_to_string(target.join("x")).expect("there"), "first");
        assert!(!a.exists() && b.exists());
    }
}
