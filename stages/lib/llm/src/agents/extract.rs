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
/// longest fenced block, a block whose closing fence is missing, a reply that is nothing but code.
pub fn extract(text: &str) -> Result<Extracted, String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let idea = idea(&text);
    let blocks = fenced(&text);
    let chosen = blocks
        .iter()
        .rev()
        .find(|block| block.contains(ENTRY))
        .or_else(|| blocks.iter().max_by_key(|block| block.len()))
        .cloned()
        .or_else(|| bare(&text));
    let code = chosen.filter(|code| !code.trim().is_empty()).ok_or("the reply has no code block with the program")?;
    let code = format!("{}\n", code.trim_start_matches('\n').trim_end());
    Ok(Extracted { whole: code.contains(ENTRY), code, idea })
}

/// The sentence after `Idea:`.
pub fn idea(text: &str) -> Option<String> {
    text.lines().find_map(|line| titled(line, "idea")).map(|idea| excerpt(&idea, 400))
}

/// The contents of fenced blocks, a last one that is not closed included.
fn fenced(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize, String)> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        match &mut open {
            None => {
                if let Some(fence) = fence(trimmed) {
                    let indent = line.len() - line.trim_start().len();
                    open = Some((fence, indent, String::new()));
                }
            }
            // a fence closes with the same sign, at least as long, and nothing after it
            Some((fence, ..)) if trimmed.starts_with(*fence) && trimmed.trim_start_matches(&fence[..1]).is_empty() => {
                blocks.extend(open.take().map(|(.., block)| block));
            }
            Some((_, indent, block)) => {
                // a block within a list is indented as a whole
                let extra = (*indent).min(line.len() - line.trim_start_matches(' ').len());
                block.push_str(line.get(extra..).unwrap_or(line));
                block.push('\n');
            }
        }
    }
    blocks.extend(open.map(|(.., block)| block));
    blocks
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
    fn no_program_is_an_error() {
        for text in ["", "I cannot do that.", "```\n\n```"] {
            assert!(extract(text).unwrap_err().contains("no code block"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_reply_breaks_it(text in "(```|~~~|python|\n| |def get_processor_factory|é|x=1|:|Idea:){0,40}") {
            let _ = extract(&text);
        }
    }
}
