//! The program in a writer's reply.

use crate::agents::critic::titled;
use crate::error::excerpt;

/// What every program defines; it tells the program from other code in a reply.
const ENTRY: &str = "def get_processor_factory";

/// A program, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    /// Ends in one line feed; line ends are line feeds.
    pub code: String,
    /// Whether it looks like a whole program.
    pub whole: bool,
    /// The sentence after `Idea:`.
    pub idea: Option<String>,
}

/// Finds the program; the error says what a second reply should do better.
///
/// In order of preference: the last fenced block with the entry point (models correct themselves within a reply), the
/// longest fenced block, a block whose closing fence is missing, a reply that is nothing but code. A block within a block
/// counts for itself.
pub fn extract(text: &str) -> Result<Extracted, String> {
    let text = plain(text);
    let idea = idea(&text);
    let code = code(&text).ok_or("the reply has no code block with the program")?;
    let code = format!("{}\n", code.trim_start_matches('\n').trim_end());
    Ok(Extracted { whole: code.contains(ENTRY), code, idea })
}

/// The code of a text, if there is any.
fn code(text: &str) -> Option<String> {
    let blocks = fenced(text);
    // A block around another one has its fences in it, and is not a program.
    let clean = |block: &&String| !block.lines().any(|line| fence(line.trim()).is_some());
    let last = |entry: bool| {
        let mut found = blocks.iter().rev().filter(|block| !entry || block.contains(ENTRY));
        found.clone().find(clean).or_else(|| found.next()).cloned()
    };
    let longest = || blocks.iter().filter(clean).max_by_key(|block| block.len()).cloned();
    let chosen = last(true).or_else(longest).or_else(|| last(false)).or_else(|| bare(text));
    chosen.filter(|code| !code.trim().is_empty())
}

/// The text with line feeds alone as line ends, with plain spaces in place of those that do not break, and without
/// characters that cannot be seen: models and web pages put all of these into code.
fn plain(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let seen = text.chars().filter(|c| !matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'));
    seen.map(|c| if matches!(c, '\u{a0}' | '\u{202f}' | '\u{2007}') { ' ' } else { c }).collect()
}

/// The sentence after `Idea:`.
pub fn idea(text: &str) -> Option<String> {
    text.lines().find_map(|line| titled(line, "idea")).map(|idea| excerpt(&idea, 400))
}

/// The contents of fenced blocks in the order of their beginnings, those within others and a last one that is not closed
/// included.
fn fenced(text: &str) -> Vec<String> {
    struct Open<'a> {
        fence: &'a str,
        indent: usize,
        /// Where its text stands among the blocks.
        place: usize,
    }
    let mut blocks: Vec<String> = Vec::new();
    let mut open: Vec<Open<'_>> = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        // a fence closes with the same sign, at least as long, and nothing after it
        let closes = |open: &Open<'_>| {
            trimmed.starts_with(open.fence) && trimmed.trim_start_matches(&open.fence[..1]).is_empty()
        };
        if open.last().is_some_and(closes) {
            open.pop();
            // The closing line of an inner block belongs to the blocks around it.
            for around in &open {
                append(&mut blocks, around.place, around.indent, line);
            }
            continue;
        }
        for around in &open {
            append(&mut blocks, around.place, around.indent, line);
        }
        if let Some(fence) = fence(trimmed)
            && open.last().is_none_or(|_| trimmed.len() > fence.len())
        {
            let indent = line.len() - line.trim_start().len();
            open.push(Open { fence, indent, place: blocks.len() });
            blocks.push(String::new());
        }
    }
    blocks
}

/// Adds a line to a block. A block within a list is indented as a whole.
fn append(blocks: &mut [String], place: usize, indent: usize, line: &str) {
    let extra = indent.min(line.len() - line.trim_start_matches(' ').len());
    if let Some(block) = blocks.get_mut(place) {
        block.push_str(line.get(extra..).unwrap_or(line));
        block.push('\n');
    }
}

fn fence(line: &str) -> Option<&str> {
    let sign = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = line.chars().take_while(|c| *c == sign).count();
    let rest = line.get(length..)?;
    (length >= 3 && !rest.contains(sign)).then(|| &line[..length])
}

/// A reply without fences that holds the program: from its first line of code on.
fn bare(text: &str) -> Option<String> {
    if !text.contains(ENTRY) {
        return None;
    }
    const STARTS: [&str; 8] = ["import ", "from ", "class ", "def ", "\"\"\"", "'''", "#!", "@"];
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if STARTS.iter().any(|start| line.starts_with(start)) {
            return text.get(offset..).map(str::to_owned);
        }
        offset += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROGRAM: &str = "import torch\n\ndef get_processor_factory(kind):\n    return None\n";

    fn code(text: &str) -> String {
        extract(text).unwrap().code
    }

    #[test]
    fn fences_of_all_kinds() {
        for (open, close) in
            [("```python", "```"), ("```", "```"), ("~~~py", "~~~"), ("````python", "````"), ("``` python3", "```")]
        {
            let text = format!("Idea: two heads\n\nHere it is:\n\n{open}\n{PROGRAM}{close}\n\nDone.");
            let found = extract(&text).unwrap();
            assert_eq!(found, Extracted { code: PROGRAM.into(), whole: true, idea: Some("two heads".into()) });
        }
    }

    #[test]
    fn the_last_whole_program_counts() {
        let text =
            format!("```\nx = 1\n```\n```python\n# old\n{PROGRAM}```\nBetter:\n```python\n{PROGRAM}```\n```\ny\n```");
        assert_eq!(code(&text), PROGRAM);
    }

    #[test]
    fn fragments_are_told_apart() {
        let found = extract("```\na\n```\n```python\n    x = self.t_1(z)\n    y = x\n```").unwrap();
        assert_eq!((found.code.as_str(), found.whole), ("    x = self.t_1(z)\n    y = x\n", false));
    }

    #[test]
    fn unclosed_indented_and_missing_fences() {
        assert_eq!(code(&format!("Sure!\n```python\n{PROGRAM}")), PROGRAM);
        assert_eq!(code(&format!("Certainly, this is it.\n\n{PROGRAM}")), PROGRAM);
        let indented: String = PROGRAM.lines().map(|line| format!("  {line}\n")).collect();
        assert_eq!(code(&format!("- it:\n  ```python\n{indented}  ```\n")), PROGRAM);
        assert_eq!(code(&format!("```python\r\n{}```", PROGRAM.replace('\n', "\r\n"))), PROGRAM);
    }

    #[test]
    fn longer_fences_hold_shorter_ones() {
        let inner = format!("{PROGRAM}TEXT = \"\"\"\n```\n\"\"\"\n");
        assert_eq!(code(&format!("````python\n{inner}````")), inner);
    }

    #[test]
    fn blocks_within_blocks() {
        assert_eq!(code(&format!("````markdown\nHere:\n```python\n{PROGRAM}```\nDone.\n````")), PROGRAM);
        assert_eq!(code(&format!("```markdown\nHere:\n```python\n{PROGRAM}```\n```")), PROGRAM);
        // the first block was never closed
        assert_eq!(code(&format!("```python\nx = 1\n\nNo, better:\n\n```python\n{PROGRAM}```\n")), PROGRAM);
    }

    #[test]
    fn spaces_that_do_not_break_are_spaces() {
        let odd = PROGRAM.replace("    ", "\u{a0}\u{202f} \u{a0}").replace("import", "\u{feff}im\u{200b}port");
        assert_eq!(code(&format!("```python\n{odd}```")), PROGRAM);
    }

    #[test]
    fn no_program_is_an_error() {
        for text in ["", "I cannot do that.", "```\n\n```"] {
            assert!(extract(text).unwrap_err().contains("no code block"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_reply_breaks_it(text in "(```|~~~|python|\u{a0}|\n| |def get_processor_factory|é|x=1|:|Idea:){0,40}") {
            let _ = extract(&text);
        }
    }
}
