//! The page about a winner: what it is, how good, what it costs, where it comes from, and how to load it.

use std::fmt::Write as _;

use race::Confirmation;
use schemas::Candidate;
use stage::config::Fitness;
use stage::{Config, markdown};

use crate::export::Chosen;

/// Markdown, in which nothing from the table is markup. `considered`: how many candidates it was chosen from.
pub fn card(
    best: &Candidate,
    chosen: &Chosen,
    considered: usize,
    confirmation: Option<&Confirmation>,
    config: &Config,
) -> String {
    let task = best.task.as_deref().unwrap_or(&config.task.algorithm);
    let mut text = format!("# The best program of {}\n\n", markdown::text(&best.run));
    let _ = writeln!(
        text,
        "A message-passing processor for the CLRS task {}, found by an architecture search. `best.py` is the program, \
         `best.safetensors` its trained weights under PyTorch's names, with those of the encoders and decoders around it.\n",
        markdown::code(task)
    );
    let _ = writeln!(text, "{}\n", gain(confirmation));
    text.push_str("| | |\n|---|---|\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {value} |");
    };
    line("task", markdown::text(task));
    let (score, train) = (&config.score, &config.train);
    let seeds = best.train_seeds.as_ref().map_or(0, Vec::len);
    line(
        &format!("accuracy, validation out of distribution ({} nodes)", score.ood_length),
        accuracy(best.ood_acc, best.ood_acc_std, seeds),
    );
    line(
        &format!("accuracy, CLRS test seed ({} nodes)", score.test_length),
        accuracy(best.test_acc, best.test_acc_std, seeds),
    );
    line("parameters of the processor", count(best.params));
    line("multiply-accumulates", macs(best));
    line("weights", weights(chosen));
    line("found by", origin(best));
    line("program", markdown::code(&best.candidate_id));
    if let Some(parent) = &best.parent_id {
        line("made from", markdown::code(parent));
    }
    text.push('\n');
    let by = match score.fitness {
        Fitness::Ood => "the first of the two accuracies, so that one is optimistic; the second was only looked at",
        Fitness::Test => "its accuracy on the test split, which is therefore no measure of how it does on unseen data",
    };
    let fresh = match confirmation.map(|confirmation| confirmation.candidates.len()) {
        Some(leaders @ 2..) => format!(", and among the {leaders} leaders by trainings on fresh seeds"),
        _ => String::new(),
    };
    let _ = writeln!(
        text,
        "It was chosen from {considered} evaluated candidates by {by}{fresh}. Accuracies in the table are those of the search, on {} graphs (times CLRS's factor for tasks with \
         few scored values a graph), after {} training steps on graphs of {} nodes: other sizes and longer training give \
         others.\n",
        score.test_samples.max(score.ood_samples),
        best.train_steps.unwrap_or(i64::try_from(train.steps).unwrap_or(0)),
        list(&train.lengths),
    );
    text.push_str(&loading(config.network.hidden));
    text.push_str(&settings(config));
    text
}

/// What is known of a winner's gain: confirmed, beside what the search said.
pub fn gain(confirmation: Option<&Confirmation>) -> String {
    let Some(confirmation) = confirmation else {
        return "**Its gain over the seed program is not confirmed**: it was not trained again on fresh seeds. What the search \
                measured includes the luck of being chosen."
            .to_owned();
    };
    let mut text = format!("**Gain, on fresh seeds and graphs: {}.**", markdown::text(&confirmation.sentence()));
    if let Some(selected) = confirmation.as_selected_sentence() {
        let _ = write!(text, " As selected: {}.", markdown::text(&selected));
    }
    if let Some(gain) = &confirmation.test_gain {
        let _ = write!(text, " On the CLRS test split: {}.", markdown::text(&gain.to_string()));
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A mean accuracy with its spread over training seeds.
pub fn accuracy(mean: Option<f64>, std: Option<f64>, seeds: usize) -> String {
    match (mean, std) {
        (None, _) => "not measured".to_owned(),
        (Some(mean), Some(std)) if seeds > 1 => {
            format!("{} ± {} (mean and standard deviation of {seeds} training seeds)", percent(mean), percent(std))
        }
        (Some(mean), _) => format!("{} (one training seed)", percent(mean)),
    }
}

fn count(value: Option<i64>) -> String {
    value.map_or_else(|| "unknown".to_owned(), |value| value.to_string())
}

fn macs(best: &Candidate) -> String {
    let formula =
        best.macs_formula.as_ref().map_or_else(String::new, |formula| format!(": {}", markdown::code(formula)));
    format!("{} a step for one graph of the longest training length{formula}", count(best.macs))
}

fn weights(chosen: &Chosen) -> String {
    let accuracy = chosen.ood_acc.map_or_else(String::new, |accuracy| format!(" ({})", percent(accuracy)));
    match chosen.of {
        1 => format!("of training seed {}, the only one{accuracy}", chosen.seed),
        of => format!("of training seed {}, the best of {of} out of distribution{accuracy}", chosen.seed),
    }
}

fn origin(best: &Candidate) -> String {
    let mut text = format!("method {}, proposer {}", markdown::text(&best.method), markdown::text(&best.proposer));
    if best.parent_id.is_none() {
        text.push_str("; it is the program that the search began with");
        return text;
    }
    let _ = write!(text, "; attempt {}, generation {}", best.attempt, best.generation);
    if let Some(factor) = best.factor {
        let _ = write!(text, ", an edit of {factor}");
    }
    if let Some(edit) = best.edit.as_ref().or(best.directive.as_ref()) {
        let _ = write!(text, ": {}", markdown::text(edit));
    }
    text
}

/// How to get it into PyTorch. `pytorch.rs` of the pipeline's tests runs what is printed here.
fn loading(hidden: usize) -> String {
    format!(
        r#"## In PyTorch

In this folder, with `pip install torch safetensors`:

```python
import torch, safetensors.torch, best

B, N, H = 1, 4, {hidden}
processor = best.get_processor_factory(kind="mpnn", use_ln=True, nb_triplet_fts=8, nb_heads=None)(H)
inputs = dict(node_fts=torch.randn(B, N, H), edge_fts=torch.randn(B, N, N, H), graph_fts=torch.randn(B, H),
              adj_mat=torch.ones(B, N, N), hidden=torch.randn(B, N, H))
processor(**inputs)  # a first call makes its layers

weights = safetensors.torch.load_file("best.safetensors")
processor.load_state_dict({{k[10:]: v for k, v in weights.items() if k.startswith("processor.")}})
processor.eval()
```

"#
    )
}

fn settings(config: &Config) -> String {
    let toml = config.to_toml();
    let mut text = String::new();
    let mut wanted = false;
    for line in toml.lines() {
        if let Some(section) = line.strip_prefix('[') {
            wanted = ["task]", "network]", "train]", "score]"].contains(&section);
        }
        if wanted && !line.is_empty() {
            // where a value came from says nothing here
            let _ = writeln!(text, "{}", line.split("  # ").next().unwrap_or(line).trim_end());
        }
    }
    // A value may hold anything, a fence too.
    format!("## Settings\n\n{}", markdown::block("toml", &text))
}

fn list(lengths: &[usize]) -> String {
    lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use race::confirm::AsSelected;

    use super::*;

    fn confirmation(text: &str) -> Confirmation {
        Confirmation { reason: Some(text.into()), candidates: vec!["a".into(), "b".into()], ..Confirmation::default() }
    }

    #[test]
    fn the_page_says_first_whether_a_gain_is_confirmed() {
        let gain_of = |winner: &[f64]| Confirmation {
            gain: race::confirm::gain(winner, &[0.5, 0.52, 0.48]),
            as_selected: Some(AsSelected { candidate_id: "b".into(), measured: 0.211, shrunk: 0.08 }),
            ..confirmation("")
        };
        let clear = gain(Some(&gain_of(&[0.61, 0.62, 0.58])));
        assert!(clear.contains("confirmed: +10.") && clear.contains("As selected: +21.1 points"), "{clear}");
        let vague = gain(Some(&gain_of(&[0.6, 0.4, 0.52])));
        assert!(vague.starts_with("**Gain, on fresh seeds and graphs: no gain is confirmed: +0.7 points"), "{vague}");
        assert!(gain(None).contains("not confirmed"));
    }

    #[test]
    fn nothing_from_the_table_is_markup_or_code() {
        let attack = "x`\n```\n# T | <script>alert(1)</script> [a](javascript:b) ![i](http://e.vil) \u{1b}]0;t\u{7}";
        let config = Config::from_text("c", "[task]\nalgorithm = \"dfs\"\n", &[]).expect("settings");
        let make = |text: &str| {
            let best = Candidate {
                run: text.into(),
                method: text.into(),
                proposer: text.into(),
                candidate_id: text.into(),
                parent_id: Some(text.into()),
                task: Some(text.into()),
                edit: Some(text.into()),
                macs_formula: Some(text.into()),
                ..Candidate::default()
            };
            let chosen = Chosen { file: "w".into(), at: 0, seed: 0, of: 1, ood_acc: None };
            card(&best, &chosen, 3, Some(&confirmation(text)), &config)
        };
        let (plain, hostile) = (make("x"), make(attack));
        assert_eq!(plain.lines().count(), hostile.lines().count(), "{hostile}");
        let starts = |text: &str| text.lines().map(|line| line.chars().take(1).collect::<String>()).collect::<Vec<_>>();
        assert_eq!(starts(&plain), starts(&hostile));
        // What is escaped is not a bracket of a link.
        let heading = hostile.lines().next().unwrap_or_default().replace("\\]", "");
        assert!(!heading.contains("<script") && !heading.contains("](") && heading.contains("\\`"), "{heading}");
        assert!(!hostile.chars().any(|c| c.is_control() && c != '\n'), "{hostile:?}");
    }
}
