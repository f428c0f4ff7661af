//! One line of a program: whether it is a marker of a region, and of which.

use schemas::Factor;

/// Most words of a comment that is read as a marker by its words alone: prose that happens to use them is longer.
const WORDS: usize = 8;

/// What a line is, where it is a marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The region of this factor begins.
    Begin(Factor),
    /// The region of this factor ends.
    End(Factor),
    /// It has the form of a marker, and what it names is not a name of a factor.
    Nameless(String),
}

/// Reads a line.
pub fn read(line: &str) -> Option<Marker> {
    let text = line.trim().strip_prefix('#')?;
    if let Some(marker) = ruled(text) {
        return match marker {
            Marker::Nameless(_) => paper(text).or(Some(marker)),
            named => Some(named),
        };
    }
    paper(text)
}

/// The general form: `BEGIN <NAME> REGION` or `END <NAME> REGION`, with a rule of `=`, `-`, `#` or `*` before or behind it.
fn ruled(comment: &str) -> Option<Marker> {
    let rule = ['=', '-', '#', '*'];
    let comment = comment.trim();
    if !comment.starts_with(rule) && !comment.ends_with(rule) {
        return None;
    }
    let words: Vec<&str> =
        comment.trim_matches(|c: char| rule.contains(&c) || c.is_whitespace()).split_whitespace().collect();
    let [first, name @ .., last] = words.as_slice() else { return None };
    if name.is_empty() || words.len() > WORDS || !last.eq_ignore_ascii_case("REGION") {
        return None;
    }
    let begin = ["BEGIN", "START"].iter().any(|word| word.eq_ignore_ascii_case(first));
    if !begin && !["END", "STOP"].iter().any(|word| word.eq_ignore_ascii_case(first)) {
        return None;
    }
    let name = name.join(" ");
    Some(match Factor::parse(&name) {
        Some(factor) if begin => Marker::Begin(factor),
        Some(factor) => Marker::End(factor),
        None => Marker::Nameless(name),
    })
}

/// The paper's two regions, whose words may stand in any order.
fn paper(comment: &str) -> Option<Marker> {
    let upper = comment.to_uppercase();
    let words: Vec<&str> = upper.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let has = |word: &str| words.contains(&word);
    let begin = has("BEGIN") || has("START");
    let end = has("END") || has("STOP");
    if begin == end || words.len() > WORDS {
        return None;
    }
    let (evolve, region) = (has("EVOLVE"), has("REGION"));
    let operator = (has("OPERATOR") && (region || evolve)) || (evolve && has("PROJECTIONS"));
    let action = (has("ACTION") && (region || evolve)) || (evolve && has("TRI") && has("MSGS"));
    let factor = if operator {
        Factor::OPERATOR
    } else if action {
        Factor::ACTION
    } else {
        return None;
    };
    Some(if begin { Marker::Begin(factor) } else { Marker::End(factor) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(line: &str, begin: bool, name: &str) {
        let factor = Factor::parse(name).unwrap();
        assert_eq!(read(line), Some(if begin { Marker::Begin(factor) } else { Marker::End(factor) }), "{line}");
    }

    #[test]
    fn the_papers_two_in_both_spellings() {
        for (line, begin, name) in [
            ("    # ===== BEGIN OPERATOR REGION =====", true, "OPERATOR"),
            ("# ===== END ACTION REGION =====", false, "ACTION"),
            ("# begin action region", true, "ACTION"),
            ("# EVOLVE TRIPLET PROJECTIONS START", true, "OPERATOR"),
            ("# === EVOLVE TRIPLET_PROJECTIONS END ===", false, "OPERATOR"),
            ("# BEGIN EVOLVE TRI_MSGS", true, "ACTION"),
            ("# EVOLVE-BLOCK-END: TRI_MSGS", false, "ACTION"),
            ("# ===== BEGIN OPERATOR (WHAT EXISTS) REGION =====", true, "OPERATOR"),
            ("#===END OPERATOR REGION===", false, "OPERATOR"),
        ] {
            reads(line, begin, name);
        }
    }

    #[test]
    fn any_other_name_stands_between_rules() {
        for (line, begin, name) in [
            ("# ===== BEGIN READOUT REGION =====", true, "READOUT"),
            ("\t# ===== END readout region =====\r\n", false, "READOUT"),
            ("# --- START gate_2 REGION", true, "GATE_2"),
            ("# STOP gate_2 REGION ***", false, "GATE_2"),
            ("# ===== BEGIN MESSAGE OPERATOR REGION =====", true, "MESSAGE OPERATOR"),
            ("# ===== END MESSAGE ACTION REGION =====", false, "MESSAGE ACTION"),
            ("# ===== BEGIN REACTION REGION =====", true, "REACTION"),
        ] {
            reads(line, begin, name);
        }
        for (line, name) in [
            ("# ===== BEGIN READ-OUT REGION =====", "READ-OUT"),
            ("# ===== END EDGE UPDATE REGION =====", "EDGE UPDATE"),
            (&format!("# ===== BEGIN {} REGION =====", "X".repeat(33)), &"X".repeat(33)),
        ] {
            assert_eq!(read(line), Some(Marker::Nameless(name.to_owned())), "{line}");
        }
    }

    #[test]
    fn prose_and_code_are_no_markers() {
        for line in [
            "# the begin of a region",
            "# begin the message region",
            "# ===== REGION =====",
            "# ===== BEGIN REGION =====",
            "# ===== messages =====",
            "x = 1  # ===== BEGIN READOUT REGION =====",
            "begin readout region",
            "# --- we begin with the messages that reach the region of every single node ---",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
