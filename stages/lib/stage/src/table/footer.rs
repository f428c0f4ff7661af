//! The part of a Parquet file that describes it, looked at before a reader believes it.
//!
//! The reader builds the tree of columns by recursion: a description of a few bytes a level, many levels deep, would end the
//! process. So the depth of the tree is counted here first, on the description's bytes (Thrift's compact protocol, of which the
//! `FileMetaData` of the Parquet format is a structure).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::{TableError, limits};

/// The type numbers of Thrift's compact protocol.
mod kind {
    pub const STOP: u8 = 0;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
}

/// The field of `FileMetaData` with the columns, and that of a column with the number of its children.
const SCHEMA: i64 = 2;
const CHILDREN: i64 = 5;
/// Structures inside of structures that are read over.
const NESTED: u32 = 32;

/// Checks that a file's description is neither too long nor too deep. The file is at its beginning afterwards.
pub(super) fn check(file: &mut File, path: &Path) -> Result<(), TableError> {
    let unread = |source| TableError::Io { path: path.to_owned(), source };
    let length = length(file).map_err(unread)?;
    limits::within(length, limits::FOOTER, path, "", "bytes of description")?;
    let bytes = description(file, length).map_err(unread)?;
    // What cannot be read over here is refused by the reader, which says why.
    let levels = Bytes(&bytes).levels().unwrap_or(0);
    limits::within(levels, limits::LEVELS, path, "", "levels of columns inside of columns")
}

/// Bytes of the description, as the file says at its end; 0 where it is not a Parquet file.
fn length(file: &mut File) -> io::Result<usize> {
    let size = file.metadata()?.len();
    if size < 12 {
        return Ok(0);
    }
    file.seek(SeekFrom::End(-8))?;
    let mut end = [0; 8];
    file.read_exact(&mut end)?;
    file.rewind()?;
    let [a, b, c, d, magic @ ..] = end;
    let length = u32::from_le_bytes([a, b, c, d]);
    // A length beyond the file is not a description: the reader says so.
    Ok(if magic == *b"PAR1" && u64::from(length) + 8 <= size { length as usize } else { 0 })
}

fn description(file: &mut File, length: usize) -> io::Result<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; length];
    file.seek(SeekFrom::End(-8 - i64::try_from(length).unwrap_or(0)))?;
    file.read_exact(&mut bytes)?;
    file.rewind()?;
    Ok(bytes)
}

/// Bytes that are read from their beginning on; `None` where they end too early, or make no sense.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn over(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(count).ok()?..)?;
        Some(())
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// The next field's number and type, behind the field with number `last`; `None` inside where there is none.
    fn field(&mut self, last: i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head & 0x0f == kind::STOP {
            return Some(None);
        }
        let id = if head >> 4 == 0 { self.signed()? } else { last.checked_add(i64::from(head >> 4))? };
        Some(Some((id, head & 0x0f)))
    }

    /// How many elements a list has, and of which type.
    fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
        Some((count, head & 0x0f))
    }

    /// Reads over a value. In a list a Boolean takes a byte, in a field none.
    fn skip(&mut self, of: u8, inside: u32, in_list: bool) -> Option<()> {
        let inside = inside.checked_sub(1)?;
        match of {
            1 | 2 => self.over(u64::from(in_list)),
            3 => self.over(1),
            4..=6 => self.number().map(drop),
            7 => self.over(8),
            kind::BINARY => self.number().and_then(|count| self.over(count)),
            kind::LIST | kind::SET => {
                let (count, of) = self.list()?;
                (0..count).try_for_each(|_| self.skip(of, inside, true))
            }
            kind::MAP => {
                let count = self.number()?;
                if count == 0 {
                    return Some(());
                }
                let types = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip(types >> 4, inside, true)?;
                    self.skip(types & 0x0f, inside, true)
                })
            }
            kind::STRUCT => {
                let mut last = 0;
                while let Some((id, of)) = self.field(last)? {
                    self.skip(of, inside, false)?;
                    last = id;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// How deep the tree of columns is: its list has each column in front of its children.
    fn levels(&mut self) -> Option<usize> {
        let mut last = 0;
        loop {
            let (id, of) = self.field(last)??;
            if (id, of) == (SCHEMA, kind::LIST) {
                break;
            }
            self.skip(of, NESTED, false)?;
            last = id;
        }
        let (count, of) = self.list()?;
        if of != kind::STRUCT {
            return None;
        }
        // For each column on the way to this one, how many of its children are to come.
        let (mut open, mut deepest) = (Vec::<i64>::new(), 0);
        for _ in 0..count {
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            let (mut last, mut children) = (0, 0);
            while let Some((id, of)) = self.field(last)? {
                match (id, of) {
                    (CHILDREN, 4..=6) => children = self.signed()?,
                    _ => self.skip(of, NESTED, false)?,
                }
                last = id;
            }
            if children > 0 {
                open.push(children);
            }
            deepest = deepest.max(open.len());
        }
        Some(deepest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A description with a column in a column, so many levels deep, in Thrift's compact protocol.
    fn nested(levels: usize) -> Vec<u8> {
        // version: 1, schema: a list of structures
        let mut bytes = vec![0x15, 0x02, 0x19, 0xfc];
        let mut count = levels + 1;
        while count >= 0x80 {
            bytes.push((count & 0x7f) as u8 | 0x80);
            count >>= 7;
        }
        bytes.push(count as u8);
        for _ in 0..levels {
            // name: "a", children: 1
            bytes.extend([0x48, 0x01, b'a', 0x15, 0x02, 0x00]);
        }
        // type: 1, name: "b"
        bytes.extend([0x15, 0x02, 0x38, 0x01, b'b', 0x00, 0x00]);
        bytes
    }

    #[test]
    fn levels_are_counted_without_a_stack() {
        for levels in [0, 1, 2, 31, 5000, 1_000_000] {
            assert_eq!(Bytes(&nested(levels)).levels(), Some(levels));
        }
    }

    #[test]
    fn bytes_that_make_no_sense_have_no_levels() {
        let whole = nested(3);
        for end in 0..whole.len() - 2 {
            assert_eq!(Bytes(&whole[..end]).levels(), None, "{end}");
        }
        for bytes in [&[0xff; 64][..], &[0x19; 64], &[0x1c; 4096], &[0x1b, 0xff, 0xff, 0xff, 0x0f, 0xcc]] {
            assert_eq!(Bytes(bytes).levels(), None);
        }
    }

    #[test]
    fn a_deep_description_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep.parquet");
        let description = nested(200_000);
        let length = u32::try_from(description.len()).expect("short").to_le_bytes();
        std::fs::write(&path, [b"PAR1".as_slice(), &description, &length, b"PAR1"].concat()).expect("written");
        let error = check(&mut File::open(&path).expect("there"), &path).expect_err("too deep").to_string();
        assert!(error.contains("deep.parquet") && error.contains("levels"), "{error}");
    }
}
