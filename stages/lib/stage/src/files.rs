//! Text files that people write: settings, programs, lists, templates.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the largest text file that is read.
pub const LARGEST: u64 = 16 << 20;

/// Reads a text file. An error says which line is not UTF-8, or that the file is too large; it is for the caller to name the
/// file.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        let reason = format!("it has more than {} MiB, and no more of a text file is read", LARGEST >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = before.filter(|byte| **byte == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_text_and_files_without_end_are_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.toml");
        std::fs::write(&path, b"a = 1\nb = '\xff'\n").expect("written");
        assert_eq!(read_text(&path).expect_err("not text").to_string(), "line 2 is not UTF-8 text");
        assert!(read_text(Path::new("/dev/zero")).expect_err("endless").to_string().contains("16 MiB"));
        std::fs::write(&path, "ä").expect("written");
        assert_eq!(read_text(&path).expect("text"), "ä");
    }
}
