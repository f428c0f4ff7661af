//! Data in a page: JSON, compressed (gzip), in base64, which means nothing to HTML.

use std::io::Write;

use anyhow::Result;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::{Compression, GzBuilder};
use serde::Serialize;

pub fn pack(value: &impl Serialize) -> Result<String> {
    // Without a time, equal data gives equal bytes.
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(7));
    serde_json::to_writer(&mut out, value)?;
    out.flush()?;
    Ok(BASE64_STANDARD.encode(out.finish()?))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn data_comes_back_and_holds_no_markup() {
        let value = vec!["</script><b>".to_owned(), "x".repeat(10_000)];
        let packed = pack(&value).expect("packed");
        assert!(packed.len() < 200 && packed.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c)));
        let mut text = String::new();
        flate2::read::GzDecoder::new(BASE64_STANDARD.decode(&packed).expect("base64").as_slice())
            .read_to_string(&mut text)
            .expect("gzip");
        assert_eq!(serde_json::from_str::<Vec<String>>(&text).expect("JSON"), value);
        assert_eq!(pack(&value).expect("packed"), packed);
    }
}
