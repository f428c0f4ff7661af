//! Reasoning within the text of a reply, set apart.

/// Splits `text` into reasoning (if there is any) and answer.
///
/// Models write their reasoning between `<think>` and `</think>` before the answer. Some servers put the opening tag
/// into the prompt, so that the reply has only the closing one; and a reply that is cut off may lack the closing one.
/// Tags further on belong to the answer.
pub fn split(text: &str) -> (Option<String>, String) {
    const TAGS: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text;
    'again: loop {
        let start = rest.trim_start();
        for (open, close) in TAGS {
            if let Some(inner) = start.strip_prefix(open) {
                let (inner, after) = inner.split_once(close).unwrap_or((inner, ""));
                parts.push(inner.trim());
                rest = after;
                continue 'again;
            }
        }
        break;
    }
    if parts.is_empty() {
        for (open, close) in TAGS {
            if let Some((before, after)) = rest.split_once(close)
                && !before.contains(open)
            {
                parts.push(before.trim());
                rest = after;
                break;
            }
        }
    }
    if parts.is_empty() {
        return (None, text.to_owned());
    }
    parts.retain(|part| !part.is_empty());
    let reasoning = (!parts.is_empty()).then(|| parts.join("\n\n"));
    (reasoning, rest.trim_start().to_owned())
}

/// Whether a thought holds an answer in one of the forms that agents are asked for: a code block, a choice of a factor, or a
/// directive with its title.
pub fn answers(thought: &str) -> bool {
    let choice = || thought.split('"').any(|word| word == "factor") && thought.contains('}');
    let titled = || thought.lines().any(|line| line.trim_start_matches(['*', '#', ' ']).starts_with("Title:"));
    thought.lines().any(|line| line.trim_start().starts_with("```")) || choice() || titled()
}

#[cfg(test)]
mod tests {
    use super::{answers, split};

    #[test]
    fn answers_in_a_thought_are_told_by_their_form() {
        for thought in
            ["Well.\n```python\nx\n```", "so {\"factor\": \"ACTION\", \"reason\": \"x\"}", "**Title:** gates\nDo."]
        {
            assert!(answers(thought), "{thought}");
        }
        assert!(!answers("The factor could be \"ACTION\", or so."));
    }

    fn check(text: &str, reasoning: Option<&str>, answer: &str) {
        assert_eq!(split(text), (reasoning.map(str::to_owned), answer.to_owned()), "{text:?}");
    }

    #[test]
    fn tags_before_the_answer() {
        check("plain", None, "plain");
        check("<think>a\nb</think>\n\nanswer", Some("a\nb"), "answer");
        check("  <thinking> a </thinking>answer", Some("a"), "answer");
        check("<think>a</think><think>b</think>answer", Some("a\n\nb"), "answer");
        check("<think>\n\n</think>\n\nanswer", None, "answer");
        check("no opening tag</think>answer", Some("no opening tag"), "answer");
        check("<think>cut off", Some("cut off"), "");
    }

    #[test]
    fn tags_within_the_answer_stay() {
        check("answer with <think>x</think>", None, "answer with <think>x</think>");
    }
}
