//! The model card of an exported network, in the form of Hugging Face: front matter for machines, then a page for people.

use std::fmt::Write as _;

use clrs::Algorithm;
use schemas::Candidate;
use serde_json::json;
use stage::markdown;

use crate::card::{accuracy, gain};
use crate::network::{Network, Samples};

/// Markdown behind YAML, in neither of which anything from the table is markup.
pub fn page(network: &Network<'_>, algorithm: &Algorithm, samples: &[Samples]) -> String {
    let best = network.best;
    let mut text = String::from("---\n");
    text.push_str(&front_matter(best, algorithm, samples));
    text.push_str("---\n\n");
    let _ = writeln!(text, "# A network for the CLRS task {}\n", markdown::code(algorithm.name));
    let _ = writeln!(
        text,
        "A neural algorithmic reasoner: encoders, a message-passing processor and decoders that run over time, with the \
         processor {} that an architecture search found (run {}, method {}, proposer {}). It has {} hidden features and was \
         trained on graphs of {} nodes for {} steps.\n",
        markdown::code(&best.candidate_id),
        markdown::text(&best.run),
        markdown::text(&best.method),
        markdown::text(&best.proposer),
        network.config.network.hidden,
        network.config.train.lengths.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        best.train_steps.unwrap_or_default(),
    );
    let _ = writeln!(text, "{}\n", gain(network.confirmation));
    text.push_str("## Accuracy\n\n| samples | nodes | graphs | accuracy |\n|---|---|---|---|\n");
    let seeds = best.train_seeds.as_ref().map_or(0, Vec::len);
    for of in samples {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            of.file,
            of.split.length,
            of.split.samples,
            accuracy(scored(best, of).0, scored(best, of).1, seeds)
        );
    }
    text.push_str(
        "\n`ood` are validation graphs, larger than those of training, by which the search chose; `test` is drawn as the \
         benchmark's test split is, and chose nothing unless the settings say so. The same numbers, computed by PyTorch:\n\n",
    );
    text.push_str(&markdown::block("sh", "pip install -r requirements.txt\npython evaluate.py\n"));
    text.push_str("\nThe samples are those of `sample`, from the same project, and can be drawn again:\n\n");
    let commands: String = samples.iter().map(|of| format!("{} -o {}\n", of.command, of.file)).collect();
    text.push_str(&markdown::block("sh", &commands));
    text.push_str("\n## Use\n\n");
    text.push_str(&markdown::block(
        "python",
        "from model import load\n\nmodel = load(\"model.safetensors\")\noutputs = model(inputs, hints, lengths, steps)\n",
    ));
    let _ = writeln!(
        text,
        "\n`model.forward` says what its arguments are, and `evaluate.py` makes them from a table. `torch.compile` and \
         `torch.export` take the module as it is.\n\n\
         | file | |\n|---|---|\n\
         | `model.py` | the whole network as one PyTorch module, written from its typed graph: no text of the candidate is in it but the names of its layers |\n\
         | `model.safetensors` | the weights of training seed {}, and as metadata: task, settings, scores, hashes |\n\
         | `trainings/` | the weights of the other training seeds, where there are any |\n\
         | `samples/` | the samples that it was scored on |\n\
         | `evaluate.py` | scores it on them |\n\
         | `best.py`, `best.safetensors`, `best.md` | the program of the processor alone, as it was written; the same weights under its own names; how it was found |\n\n\
         ## Limits\n\n\
         It does this one task, on graphs like those that it was trained on; accuracy falls with their size. Accuracies of few \
         graphs and few training seeds are uncertain by several points, and that by which it was chosen is optimistic.",
        network.chosen.seed
    );
    text
}

/// Mean and spread of a winner's accuracy on these samples.
fn scored(best: &Candidate, of: &Samples) -> (Option<f64>, Option<f64>) {
    match of.split.of_benchmark {
        true => (best.test_acc, best.test_acc_std),
        false => (best.ood_acc, best.ood_acc_std),
    }
}

/// YAML; a text in JSON's quotes is one in YAML's.
fn front_matter(best: &Candidate, algorithm: &Algorithm, samples: &[Samples]) -> String {
    let mut text = String::from(
        "library_name: pytorch\npipeline_tag: graph-ml\ntags:\n- clrs\n- neural-algorithmic-reasoning\n- graph-neural-network\n- architecture-search\nmetrics:\n- accuracy\nmodel-index:\n",
    );
    let name: String = best.candidate_id.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    let _ = writeln!(text, "- name: {}\n  results:", json!(format!("{}-{name}", algorithm.name)));
    for of in samples {
        let Some(value) = scored(best, of).0.filter(|value| value.is_finite()) else { continue };
        let data = format!("CLRS {}, {} nodes, {} graphs", algorithm.name, of.split.length, of.split.samples);
        let _ = writeln!(
            text,
            "  - task:\n      type: graph-ml\n      name: {}\n    dataset:\n      type: clrs\n      name: {}\n      split: {}\n    metrics:\n    - type: accuracy\n      value: {value}",
            json!(format!("CLRS {}", algorithm.name)),
            json!(data),
            of.split.name
        );
    }
    text
}
