//! What models are told: the facts about the task, a digest of the language that is true, and no more than they need.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn propose() -> Command {
    Command::cargo_bin("propose").unwrap()
}

/// A dry run of one attempt after these parents, at the paper's scale.
fn page(task: &str, parents: Option<&Path>, attempt: i64) -> String {
    let mut command = propose();
    command.arg("--config").arg(root().join("data/profiles/paper.toml"));
    command.args(["--proposer", "openai", "--api-base", "http://127.0.0.1:9/v1", "--model", "m", "--n", "4"]);
    command.args(["--set", &format!("task.algorithm={task}"), "--dry-run", "--attempt", &attempt.to_string()]);
    if let Some(parents) = parents {
        command.arg("--parents").arg(parents);
    }
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

/// Tokens that a page says of an agent's prompt.
fn tokens(page: &str, agent: &str) -> u64 {
    let line = page.lines().find(|line| line.contains(&format!("{agent} asks m, about "))).expect("the agent is asked");
    let (_, rest) = line.split_once("about ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn pages_hold_the_card_and_say_where_everything_comes_from() {
    for task in ["dfs", "bfs", "kmp_matcher", "quicksort"] {
        let text = page(task, None, 2);
        let card = clrs::Card::new(clrs::find_algorithm(task).unwrap()).brief();
        assert_eq!(text.matches(card.trim()).count(), 3, "{task}: router, critic and writer know the task");
        for part in ["system.jinja", "writer.jinja", "parts/parent.jinja", "parts/language.jinja", "parts/scope.jinja"]
        {
            assert!(text.contains(&format!("<!-- prompts/{part} -->")), "{part} is missing");
        }
        assert!(text.contains("10,000 steps of 32 graphs with 4, 7, 11, 13, 16 nodes"), "{text}");
        assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
    }
    let dfs = page("dfs", None, 1);
    for fact in [
        "score = pi; pi = right pointers",
        "tri_msgs are read by the decoders of pi, pi_h, s_prev and no others, and never enter hidden",
        "pi_h (node pointer)",
        "color (node categorical)",
        "s_prev (node pointer)",
        "s_last (node mask_one)",
        "time (graph scalar)",
    ] {
        assert!(dfs.contains(fact), "{fact}");
    }
}

#[test]
fn an_attempt_of_another_generation_is_refused() {
    let mut command = propose();
    command.args(["--proposer", "openai", "--api-base", "http://127.0.0.1:9/v1", "--model", "m", "--n", "3"]);
    let output = command.args(["--dry-run", "--attempt", "9"]).assert().code(2).get_output().stderr.clone();
    let text = String::from_utf8(output).unwrap();
    assert!(text.contains("--attempt 9: this generation asks for attempts 1 to 2"), "{text}");
}

/// An archive of 40 scored programs of the built-in proposer.
fn archive(folder: &Path) -> PathBuf {
    let made = folder.join("made.jsonl");
    propose().args(["--n", "41", "--seed", "3", "--set", "search.islands=5", "-o"]).arg(&made).assert().success();
    let text = std::fs::read_to_string(&made).unwrap();
    let rows = text.lines().enumerate().map(|(n, line)| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row["status"] = "scored".into();
        row["fitness"] = (0.5 + 0.001 * ((n * 7) % 41) as f64).into();
        row["fitness_sd"] = 0.02.into();
        row["trainings"] = 2.into();
        row["ood_acc_seeds"] = vec![0.5, 0.55].into();
        format!("{row}\n")
    });
    let path = folder.join("archive.jsonl");
    std::fs::write(&path, rows.collect::<String>()).unwrap();
    path
}

#[test]
fn prompts_of_a_grown_search_stay_within_their_size() {
    let folder = tempfile::tempdir().unwrap();
    let parents = archive(folder.path());
    for attempt in [41, 42, 43, 44] {
        let text = page("dfs", Some(&parents), attempt);
        // Room is left for the lines of a diagnosis.
        assert!(tokens(&text, "writer") <= 6_500, "{}", tokens(&text, "writer"));
        assert!(tokens(&text, "critic") <= 6_500 && tokens(&text, "router") <= 5_000, "{}", tokens(&text, "router"));
        assert!(text.contains("Good and different programs"), "{text}");
        assert!(text.contains("trainings of one program differ by 0.035"), "{text}");
        let writer = text.rfind("######## attempt").map(|at| &text[at..]).unwrap();
        assert_eq!(writer.matches("def get_processor_factory").count(), 1, "the frame stands there once");
    }
}

#[test]
fn the_digest_names_what_the_language_has() {
    let digest = std::fs::read_to_string(root().join("prompts/parts/language.jinja")).unwrap();
    let page = program::language_page();
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned).collect()
    };
    let known = words(&page);
    let mut named = 0;
    for code in digest.split('`').skip(1).step_by(2) {
        // `torch.x(...)`, `nn.X`, `F.x`, and methods of tensors by their bare names
        let head: String = code.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
        let bare = head == code && !code.contains('.');
        let listed = head.starts_with("torch.") || head.starts_with("nn.") || head.starts_with("F.") || bare;
        let name = head.rsplit('.').next().unwrap_or_default().to_owned();
        let own = ["z", "forward", "range", "getattr", "eval", "adj_mat", "_like", "nonzero", "n", ""];
        if listed && !own.contains(&name.as_str()) {
            assert!(known.contains(&name), "`{code}` is not in the language");
            named += 1;
        }
    }
    assert!(named > 60, "only {named} names were found");
    assert!(digest.len() < 6_500, "a digest of some 1,500 tokens");
}
