//! TensorBoard's event files: TFRecords (<https://www.tensorflow.org/tutorials/load_data/tfrecord>) of `tensorflow.Event`
//! messages in protobuf's wire format. Only what scalars need is written.

use std::path::Path;

use anyhow::Result;
use stage::atomic;

use super::{Curves, crc32c, curves, part};
use crate::run::Run;

/// What TensorBoard looks for in a file's name.
const FILE: &str = "events.out.tfevents.0.emberline";

/// Writes the curves of all runs: a folder for each run, in it one for the search and one for each training. Answers how many
/// files it wrote.
pub fn write(runs: &[Run], folder: &Path) -> Result<usize> {
    let mut count = 0;
    for run in runs {
        for curves in curves(run) {
            let place = folder.join(part(&run.name)).join(part(&curves.name));
            atomic::make_folder(&place)?;
            atomic::write_bytes(&place.join(FILE), &events(&curves))?;
            count += 1;
        }
    }
    Ok(count)
}

/// An event file. TensorBoard wants wall-clock times; ours are steps, in seconds.
fn events(curves: &Curves) -> Vec<u8> {
    let mut file = record(&event(0, &[bytes_field(3, b"brain.Event:2")].concat()));
    for (name, points) in &curves.metrics {
        for (step, value) in points {
            let number = [vec![2 << 3 | 5], (*value as f32).to_le_bytes().to_vec()].concat();
            let summary = bytes_field(1, &[bytes_field(1, name.as_bytes()), number].concat());
            file.extend(record(&event(*step, &bytes_field(5, &summary))));
        }
    }
    file
}

/// `tensorflow.Event`: wall_time = 1, step = 2, and what happened.
fn event(step: i64, what: &[u8]) -> Vec<u8> {
    let mut message = vec![1 << 3 | 1];
    message.extend((step as f64).to_le_bytes());
    message.push(2 << 3);
    message.extend(varint(step as u64));
    message.extend(what);
    message
}

/// A field of bytes, text or a message.
fn bytes_field(number: u8, content: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(content.len() as u64), content.to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(crc32c::masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(crc32c::masked(data).to_le_bytes());
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_protobuf_s_form() {
        assert_eq!(varint(1), [1]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(bytes_field(3, b"ab"), [0x1a, 2, b'a', b'b']);
    }

    #[test]
    fn a_record_is_framed_by_its_length_and_checksums() {
        let framed = record(b"abc");
        assert_eq!(framed.len(), 8 + 4 + 3 + 4);
        assert_eq!(framed[..8], 3_u64.to_le_bytes());
        assert_eq!(framed[12..15], *b"abc");
    }
}
