//! Server-sent events: bytes in, the data of whole events out.
//!
//! Lines are split as bytes and decoded when they are whole, so that a character may arrive in two pieces.

use crate::error::{CallError, Kind};

/// The decoder of one stream.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data lines of the event that has not ended yet.
    data: Option<String>,
    /// The last byte was a carriage return: a line feed right after it ends no further line.
    after_cr: bool,
    started: bool,
}

impl Decoder {
    /// Feeds some bytes; gives the data of each event that they complete.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<String>) -> Result<(), CallError> {
        for &byte in bytes {
            match byte {
                b'\n' if self.after_cr => self.after_cr = false,
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.end_line(events)?;
                }
                _ => {
                    self.after_cr = false;
                    self.line.push(byte);
                }
            }
        }
        Ok(())
    }

    /// The stream has ended: an event without its closing blank line still counts, as some servers leave it out.
    pub fn end(&mut self, events: &mut Vec<String>) -> Result<(), CallError> {
        if !self.line.is_empty() {
            self.end_line(events)?;
        }
        events.extend(self.data.take());
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<String>) -> Result<(), CallError> {
        let bytes = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| CallError::new(Kind::Malformed, "the event stream is not valid UTF-8"))?;
        let text = if self.started { text } else { text.strip_prefix('\u{feff}').unwrap_or(text) };
        self.started = true;
        if text.is_empty() {
            events.extend(self.data.take());
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
        // comments (an empty field name, sent to keep connections alive) and other fields carry nothing for us
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<String>, CallError> {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.push(piece, &mut events)?;
        }
        decoder.end(&mut events)?;
        Ok(events)
    }

    #[test]
    fn line_ends_comments_and_fields() {
        let text = "\u{feff}: hello\r\ndata: a\r\n\r\nevent: x\nid: 7\ndata:b\ndata: c\n\ndata: d\r\rdata: e";
        assert_eq!(decode(&[text.as_bytes()]).unwrap(), ["a", "b\nc", "d", "e"]);
    }

    #[test]
    fn invalid_utf8_is_an_error() {
        assert_eq!(decode(&[b"data: \xff\xfe\n\n"]).unwrap_err().kind, Kind::Malformed);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cuts in prop::collection::vec(0usize..64, 0..12)) {
            let text = "data: {\"x\": \"größer 🙂 漢字\"}\r\n\r\n: ping\n\ndata: [DONE]\n\n".as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert_eq!(decode(&pieces).unwrap(), decode(&[text]).unwrap());
        }
    }
}
