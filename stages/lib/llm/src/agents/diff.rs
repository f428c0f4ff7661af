//! A reply that changes passages of a program instead of repeating it: blocks of lines to search, and of lines to put in
//! their place, in the notation of AlphaEvolve and OpenEvolve.
//!
//! ```text
//! <<<<<<< SEARCH
//! lines that are there, once
//! =======
//! lines that replace them
//! >>>>>>> REPLACE
//! ```

/// One change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Block<'a> {
    search: Vec<&'a str>,
    replace: Vec<&'a str>,
}

/// Whether a reply has the beginning of a change.
pub fn is_diff(reply: &str) -> bool {
    reply.lines().any(|line| marker(line, '<', "SEARCH"))
}

/// The program with all changes of a reply, one after the other; the error says what a second reply should do better.
pub fn apply(program: &str, reply: &str) -> Result<String, String> {
    let mut lines: Vec<String> = program.lines().map(str::to_owned).collect();
    for (number, block) in (1..).zip(blocks(reply)?) {
        let wanted: Vec<&str> = block.search.iter().map(|line| line.trim_end()).collect();
        if wanted.iter().all(|line| line.is_empty()) {
            return Err(format!("block {number} searches for nothing: give the lines that it replaces"));
        }
        let matches = |at: &usize| {
            let there = lines.iter().skip(*at).take(wanted.len());
            there.len() == wanted.len() && there.zip(&wanted).all(|(line, wanted)| line.trim_end() == *wanted)
        };
        let places: Vec<usize> = (0..lines.len()).filter(matches).collect();
        match places.as_slice() {
            [at] => {
                lines.splice(*at..at + wanted.len(), block.replace.iter().map(|line| (*line).to_owned()));
            }
            [] => {
                let first = wanted.iter().find(|line| !line.is_empty()).copied().unwrap_or_default();
                let first = crate::error::excerpt(first.trim(), 80);
                return Err(format!(
                    "the lines that block {number} searches for do not stand in the program in this form (they begin with \
                     `{first}`): copy them exactly, indentation included"
                ));
            }
            several => {
                return Err(format!(
                    "the lines that block {number} searches for stand in the program {} times: give more of the lines around \
                     them",
                    several.len()
                ));
            }
        }
    }
    Ok(lines.join("\n") + "\n")
}

fn blocks(reply: &str) -> Result<Vec<Block<'_>>, String> {
    enum At<'a> {
        Outside,
        Search(Block<'a>),
        Replace(Block<'a>),
    }
    let mut found = Vec::new();
    let mut at = At::Outside;
    for line in reply.lines() {
        let number = found.len() + 1;
        at = match at {
            At::Outside if marker(line, '<', "SEARCH") => At::Search(Block::default()),
            At::Outside => At::Outside,
            At::Search(block) if line.trim_end() == "=======" => At::Replace(block),
            At::Search(_) if marker(line, '>', "REPLACE") => {
                return Err(format!(
                    "block {number} has no line ======= between what is searched and what replaces it"
                ));
            }
            At::Search(mut block) => {
                block.search.push(line);
                At::Search(block)
            }
            At::Replace(block) if marker(line, '>', "REPLACE") => {
                found.push(block);
                At::Outside
            }
            At::Replace(mut block) => {
                block.replace.push(line);
                At::Replace(block)
            }
        };
    }
    match at {
        At::Outside if found.is_empty() => Err("the reply has no block that begins with <<<<<<< SEARCH".to_owned()),
        At::Outside => Ok(found),
        _ => Err(format!("block {} does not end with >>>>>>> REPLACE", found.len() + 1)),
    }
}

/// `<<<<<<< SEARCH` and its like, whatever the number of signs.
fn marker(line: &str, sign: char, word: &str) -> bool {
    let rest = line.trim().trim_start_matches(sign);
    line.trim().len() - rest.len() >= 5 && rest.trim() == word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROGRAM: &str = "import torch\n\ndef f(x):\n    y = x\n    return y\n\ndef g(x):\n    return x\n";

    fn block(search: &str, replace: &str) -> String {
        format!("<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n")
    }

    #[test]
    fn blocks_are_applied_in_turn() {
        let reply = format!(
            "Idea: twice\n```\n{}```\nand\n{}",
            block("    y = x\n", "    y = 2 * x\n"),
            block("    y = 2 * x\n    return y  \n", "")
        );
        assert!(is_diff(&reply) && !is_diff(PROGRAM));
        assert_eq!(apply(PROGRAM, &reply).unwrap(), "import torch\n\ndef f(x):\n\ndef g(x):\n    return x\n");
    }

    #[test]
    fn what_cannot_be_applied_says_why() {
        for (reply, word) in [
            (block("    z = x\n", "\n"), "`z = x`"),
            (block("y = x\n", "\n"), "indentation included"),
            (block("    return x\n", "    return y\n").repeat(2), "block 2"),
            (block("\n", "x\n"), "searches for nothing"),
            ("<<<<<<< SEARCH\nimport torch\n>>>>>>> REPLACE\n".into(), "no line ======="),
            ("<<<<<<< SEARCH\nimport torch\n=======\nimport math\n".into(), "does not end"),
            ("I would rather not.".into(), "no block"),
        ] {
            let error = apply(PROGRAM, &reply).unwrap_err();
            assert!(error.contains(word), "{word:?} is missing in {error:?}");
        }
        let twice = PROGRAM.replace("return y", "return x");
        assert!(apply(&twice, &block("    return x\n", "")).unwrap_err().contains("2 times"));
    }

    proptest! {
        #[test]
        fn no_reply_breaks_it(reply in "(<<<<<<< SEARCH|=======|>>>>>>> REPLACE|import torch|é| |\n){0,30}") {
            let _ = apply(PROGRAM, &reply);
        }

        #[test]
        fn what_is_not_named_stays(at in 0usize..8, new in "[ -;?-~]{0,20}") {
            let lines: Vec<&str> = PROGRAM.lines().collect();
            prop_assume!(lines.iter().filter(|line| **line == lines[at]).count() == 1 && !lines[at].is_empty());
            let changed = apply(PROGRAM, &block(&format!("{}\n", lines[at]), &format!("{new}\n"))).unwrap();
            for (n, line) in changed.lines().enumerate() {
                prop_assert_eq!(line, if n == at { new.as_str() } else { lines[n] });
            }
        }
    }
}
