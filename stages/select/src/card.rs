//! The page about a winner: what it is, how good, what it costs, where it comes from, and how to load it.

use std::fmt::Write as _;

use schemas::Candidate;
use stage::Config;
use stage::config::Fitness;

use crate::export::Chosen;

/// Markdown. `considered`: how many candidates it was chosen from.
pub fn card(best: &Candidate, chosen: &Chosen, considered: usize, config: &Config) -> String {
    let task = best.task.as_deref().unwrap_or(&config.task.algorithm);
    let mut text = format!("# The best program of {}\n\n", best.run);
    let _ = writeln!(
        text,
        "A message-passing processor for the CLRS task `{task}`, found by an architecture search. `best.py` is the program, \
         `best.safetensors` its trained weights under PyTorch's names, with those of the encoders and decoders around it.\n"
    );
    text.push_str("| | |\n|---|---|\n");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|").replace('\n', " "));
    };
    line("task", task.to_owned());
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
    line("program", format!("`{}`", best.candidate_id));
    if let Some(parent) = &best.parent_id {
        line("made from", format!("`{parent}`"));
    }
    text.push('\n');
    let by = match score.fitness {
        Fitness::Ood => {
            "the first of the two accuracies, so that one is somewhat optimistic; the second was only looked at"
        }
        Fitness::Test => "its accuracy on the test split, which is therefore no measure of how it does on unseen data",
    };
    let _ = writeln!(
        text,
        "It was chosen from {considered} evaluated candidates by {by}. Accuracies are those of {} graphs (times CLRS's factor for tasks with \
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

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn accuracy(mean: Option<f64>, std: Option<f64>, seeds: usize) -> String {
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
    let formula = best.macs_formula.as_ref().map_or_else(String::new, |formula| format!(": `{formula}`"));
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
    let mut text = format!("method {}, proposer {}", best.method, best.proposer);
    if best.parent_id.is_none() {
        text.push_str("; it is the program that the search began with");
        return text;
    }
    let _ = write!(text, "; attempt {}, generation {}", best.attempt, best.generation);
    if let Some(factor) = best.factor {
        let _ = write!(text, ", an edit of {factor}");
    }
    if let Some(edit) = best.edit.as_ref().or(best.directive.as_ref()) {
        let _ = write!(text, ": {edit}");
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
```

"#
    )
}

fn settings(config: &Config) -> String {
    let toml = config.to_toml();
    let mut text = String::from("## Settings\n\n```toml\n");
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
    text.push_str("```\n");
    text
}

fn list(lengths: &[usize]) -> String {
    lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
