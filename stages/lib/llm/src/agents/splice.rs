//! Taking one region from a reply and keeping the rest of the parent: locality by construction.

use std::ops::Range;

/// The parent with the lines of `region` replaced by those of `reply_region`, every other byte as it was.
///
/// `region` and `reply_region` are byte ranges of whole lines, between the markers.
pub fn from_program(parent: &str, region: Range<usize>, reply: &str, reply_region: Range<usize>) -> Option<String> {
    put(parent, region, reply.get(reply_region)?)
}

/// The same for a reply that is the region's lines alone, at whatever depth they are indented.
pub fn from_fragment(parent: &str, region: Range<usize>, fragment: &str) -> Option<String> {
    let indent = indentation_before(parent, region.start);
    let depth = fragment
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches(' ').len())
        .min()
        .unwrap_or(0);
    let mut body = String::with_capacity(fragment.len());
    for line in fragment.lines() {
        let line = line.get(depth.min(line.len())..).unwrap_or(line).trim_end();
        if !line.trim().is_empty() {
            body.push_str(indent);
            body.push_str(line);
        }
        body.push('\n');
    }
    put(parent, region, &body)
}

fn put(parent: &str, region: Range<usize>, body: &str) -> Option<String> {
    let (before, after) = (parent.get(..region.start)?, parent.get(region.end..)?);
    let gap = if body.is_empty() || body.ends_with('\n') { "" } else { "\n" };
    Some(format!("{before}{body}{gap}{after}"))
}

/// The indentation of the marker line that ends just before `at`.
fn indentation_before(source: &str, at: usize) -> &str {
    let before = source.get(..at).unwrap_or_default().trim_end_matches('\n');
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.get(..line.len() - line.trim_start().len()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "a\n    # BEGIN\n    b\n    # END\nc  \n\n\n";

    fn region(source: &str) -> Range<usize> {
        source.find("# BEGIN\n").unwrap() + 8..source.rfind("    # END").unwrap()
    }

    #[test]
    fn fragments_take_the_depth_of_the_region() {
        let spliced = from_fragment(PARENT, region(PARENT), "  x = 1\n\n  if x:\n      y = 2").unwrap();
        assert_eq!(spliced, "a\n    # BEGIN\n    x = 1\n\n    if x:\n        y = 2\n    # END\nc  \n\n\n");
    }

    proptest! {
        #[test]
        fn splice_keeps_frozen_bytes(body in "[ -~äö\n]{0,60}", frozen in "[ -~äö\n]{0,30}") {
            let reply = format!("{frozen}\n    # BEGIN\n{body}\n    # END\n{frozen}");
            let Some(start) = reply.find("# BEGIN\n") else { return Ok(()) };
            prop_assume!(reply.matches("# BEGIN").count() == 1 && reply.matches("    # END").count() == 1);
            let range = start + 8..reply.find("    # END").unwrap();
            let spliced = from_program(PARENT, region(PARENT), &reply, range.clone()).unwrap();
            let own = region(PARENT);
            prop_assert!(spliced.starts_with(&PARENT[..own.start]));
            prop_assert!(spliced.ends_with(&PARENT[own.end..]));
            prop_assert_eq!(&spliced[own.start..spliced.len() - (PARENT.len() - own.end)], &reply[range]);
        }
    }
}
