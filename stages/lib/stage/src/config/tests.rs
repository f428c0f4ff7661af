//! Every key has a sample here: a key that does nothing, or a new one without a test, fails.

use super::*;

/// Another value than the default, for every key.
const SAMPLES: &[(&str, &str)] = &[
    ("task.algorithm", "\"bfs\""),
    ("network.hidden", "64"),
    ("network.nb_msg_passing_steps", "2"),
    ("network.hint_teacher_forcing", "0.5"),
    ("network.hint_repred_mode", "\"hard\""),
    ("network.dtype", "\"f64\""),
    ("train.lengths", "[4, 7]"),
    ("train.batch_size", "8"),
    ("train.steps", "50"),
    ("train.learning_rate", "0.001"),
    ("train.grad_clip", "0.0"),
    ("train.seeds", "[1, 2]"),
    ("train.max_seeds", "4"),
    ("train.val_length", "16"),
    ("train.val_samples", "64"),
    ("train.val_every", "10"),
    ("train.rungs", "[20, 40]"),
    ("train.keep", "0.25"),
    ("train.time_limit_s", "0"),
    ("train.checkpoint_s", "5.5"),
    ("train.memory_limit_mb", "100"),
    ("train.together", "2"),
    ("train.threads", "2"),
    ("train.graphs", "false"),
    ("train.jobs", "3"),
    ("train.device", "\"cuda:1\""),
    ("train.device_model", "\"H100\""),
    ("train.engine", "\"slurm\""),
    ("engine.slurm", "{ max = 3, options = [\"--partition=a100\", \"--gpus=1\"] }"),
    ("engine.command", "{ cancel = \"c {ids}\", status = \"q {ids}\", submit = \"s {script}\" }"),
    ("engine.poll_s", "2.0"),
    ("engine.losses", "5"),
    ("engine.running", "\"cancel\""),
    ("score.ood_length", "24"),
    ("score.ood_samples", "16"),
    ("score.ood_seed", "99"),
    ("score.test_length", "64"),
    ("score.test_samples", "16"),
    ("score.fitness", "\"test\""),
    ("score.batch_size", "4"),
    ("score.diagnosis", "false"),
    ("score.lesion_samples", "8"),
    ("score.lesion_by", "\"zero\""),
    ("search.method", "\"eoh\""),
    ("search.editable", "\"file\""),
    ("search.operator", "\"alone\""),
    ("search.attempts", "100"),
    ("search.evaluations", "20"),
    ("search.tokens", "5000"),
    ("search.generation_size", "4"),
    ("search.lag", "2"),
    ("search.islands", "5"),
    ("search.seeds", "[\"other.py\"]"),
    ("search.archive_size", "40"),
    ("search.migration_interval", "0"),
    ("search.migration_rate", "0.2"),
    ("search.exploration", "0.1"),
    ("search.exploitation", "0.6"),
    ("search.context", "\"run\""),
    ("search.features", "[\"params\"]"),
    ("search.bins", "4"),
    ("search.target", "0.9"),
    ("search.patience", "20"),
    ("search.seed", "7"),
    ("evoprompting.parents", "4"),
    ("evoprompting.shots", "3"),
    ("evoprompting.threshold", "1.0"),
    ("evoprompting.target_size", "0.8"),
    ("evoprompting.target_accuracy", "1.1"),
    ("funsearch.temperature", "0.2"),
    ("funsearch.period", "300"),
    ("funsearch.versions", "3"),
    ("funsearch.reset", "0"),
    ("eoh.population", "5"),
    ("eoh.parents", "2"),
    ("confirm.top", "0"),
    ("confirm.choosing", "2"),
    ("confirm.seeds", "[5, 6]"),
    ("propose.proposer", "\"replay\""),
    ("propose.program", "\"my.py\""),
    ("propose.entangled", "\"allow\""),
    ("propose.condition", "false"),
    ("propose.motifs", "false"),
    ("propose.diagnosis", "true"),
    ("llm.base_url", "\"http://localhost:11434/v1\""),
    ("llm.key_env", "\"MY_KEY\""),
    ("llm.key_header", "\"api-key\""),
    ("llm.headers", "{ X-Title = \"a\" }"),
    ("llm.query", "{ api-version = \"2024-10-21\" }"),
    ("llm.context", "8192"),
    ("llm.requests_per_minute", "20"),
    ("llm.tokens_per_minute", "100000"),
    ("llm.continues", "\"prefill\""),
    ("llm.endpoints", "{ big = { key_env = \"BIG_KEY\", url = \"http://big/v1\" } }"),
    ("llm.router_endpoint", "\"big\""),
    ("llm.critic_endpoint", "\"big\""),
    ("llm.writer_endpoint", "\"big\""),
    ("llm.models", "[\"a\", \"b=2\"]"),
    ("llm.router_model", "\"small\""),
    ("llm.critic_model", "\"large\""),
    ("llm.writer_model", "\"large\""),
    ("llm.temperature", "0.7"),
    ("llm.top_p", "0.9"),
    ("llm.max_tokens", "8192"),
    ("llm.max_tokens_field", "\"max_completion_tokens\""),
    ("llm.seed", "5"),
    ("llm.extra", "{ reasoning_effort = \"low\" }"),
    ("llm.stream", "false"),
    ("llm.stream_usage", "false"),
    ("llm.connect_timeout_s", "3.0"),
    ("llm.first_byte_timeout_s", "30.0"),
    ("llm.idle_timeout_s", "30.0"),
    ("llm.attempt_timeout_s", "60.0"),
    ("llm.deadline_s", "120.0"),
    ("llm.patience", "60.0"),
    ("llm.check_prompt", "false"),
    ("llm.retries", "0"),
    ("llm.backoff_s", "0.5"),
    ("llm.backoff_max_s", "5.0"),
    ("llm.max_reply_bytes", "1000"),
    ("llm.jobs", "1"),
    ("llm.max_cost", "2.5"),
    ("llm.max_tokens_total", "100000"),
    ("llm.prices", "{ m = { input = 1.0, output = 4.0 } }"),
    ("llm.repair_rounds", "0"),
    ("llm.router_rounds", "0"),
    ("llm.splice", "true"),
    ("llm.diff", "true"),
    ("llm.reply", "\"file\""),
    ("llm.language", "\"page\""),
    ("llm.lenses", "false"),
    ("llm.router_parameters", "{ temperature = 0.0 }"),
    ("llm.critic_parameters", "{ top_p = 0.5 }"),
    ("llm.writer_parameters", "{ max_tokens = 9000 }"),
    ("llm.prompts", "\"my-prompts\""),
    ("llm.history", "3"),
    ("stages.after_propose", "[\"./my_stage\"]"),
    ("stages.after_check", "[\"python3\", \"my stage.py\"]"),
    ("stages.after_train", "[\"./my_stage\"]"),
    ("stages.after_score", "[\"./my_stage\"]"),
    ("transfer.tasks", "[\"bfs\", \"dfs\"]"),
    ("transfer.seeds", "[5]"),
    ("transfer.lengths", "[4]"),
    ("transfer.steps", "10"),
    ("transfer.overrides", "{ bfs = { steps = 7 } }"),
    ("transfer.test_length", "32"),
    ("transfer.test_samples", "8"),
    ("transfer.reference", "\"\""),
];

fn error(sets: &[&str]) -> String {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Config::load(None, &sets, &[]).expect_err("it is refused").to_string()
}

fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("c.toml");
    std::fs::write(&path, text).expect("it can be written");
    (folder, path)
}

#[test]
fn every_key_has_a_test() {
    let tested: Vec<_> = SAMPLES.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(tested, KEYS.iter().map(Key::path).collect::<Vec<_>>());
    for (key, value) in SAMPLES {
        let config = Config::load(None, &[format!("{key}={value}")], &[]).expect(key);
        let printed = config.to_toml();
        let line = format!("{} = {value}", key.split_once('.').expect("section.key").1);
        assert!(printed.lines().any(|l| l.starts_with(&line) && l.ends_with("# --set")), "{key}:\n{printed}");
        assert_ne!(config.settings, Settings::default(), "{key} does nothing, or its sample is the default");
    }
}

#[test]
fn every_key_is_documented() {
    for key in KEYS {
        assert!(key.doc.ends_with('.'), "{}", key.path());
    }
}

#[test]
fn what_is_printed_is_read_back() {
    let sets: Vec<String> = SAMPLES.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let config = Config::load(None, &sets, &[]).expect("all samples together");
    let (_folder, path) = file(&config.to_toml());
    let again = Config::load(Some(&path), &[], &[]).expect("valid TOML");
    assert_eq!(again.settings, config.settings);
}

#[test]
fn what_is_not_set_is_printed_as_a_comment() {
    let printed = Config::default().to_toml();
    assert!(
        printed.lines().any(|line| line.starts_with("# temperature =") && line.ends_with("# default")),
        "{printed}"
    );
    let (_folder, path) = file(&printed);
    assert_eq!(Config::load(Some(&path), &[], &[]).expect("valid TOML").llm.temperature, None);
}

#[test]
fn prices_are_a_table_of_their_own_or_inline() {
    let (_folder, path) = file("[llm]\njobs = 2\n\n[llm.prices.\"a/b:1\"]\ninput = 1\noutput = 4.5\n");
    let config = Config::load(Some(&path), &[], &[]).expect("valid");
    let price = ModelPrice { input: 1.0, output: 4.5, cached_input: None };
    assert_eq!((config.llm.prices.get("a/b:1"), config.llm.jobs), (Some(&price), 2));
    assert!(error(&["llm.prices={ m = { inputs = 1.0 } }"]).contains("setting `llm.prices`: unknown field"));
}

#[test]
fn values_within_a_setting_are_set_one_by_one() {
    let sets = |sets: &[&str]| sets.iter().map(|set| (*set).to_owned()).collect::<Vec<_>>();
    let (_folder, path) = file("[llm]\nextra = { top_k = 3 }\n\n[llm.prices.m]\ninput = 9\noutput = 4\n");
    let given = sets(&["llm.prices.m.input=1.5 llm.extra.reasoning_effort=\"low\"", "llm.prices.\"a/b:1\".input=2"]);
    let message = Config::load(Some(&path), &given, &[]).expect_err("half a price").to_string();
    assert!(message.starts_with("--set: setting `llm.prices`: ") && message.contains("output"), "{message}");
    let given = [given, sets(&["llm.prices.\"a/b:1\".output=3 llm.extra.stop=[\"x y=1\", \"}\"]"])].concat();
    let config = Config::load(Some(&path), &given, &[]).expect("valid");
    let price = |input, output| ModelPrice { input, output, cached_input: None };
    assert_eq!(config.llm.prices, [("m".into(), price(1.5, 4.0)), ("a/b:1".into(), price(2.0, 3.0))].into());
    assert_eq!(
        toml::Value::from(config.llm.extra.clone()).to_string(),
        r#"{ reasoning_effort = "low", stop = ["x y=1", "}"], top_k = 3 }"#
    );
    assert_eq!(config.origin("llm.prices"), Origin::Set);
    // A whole value takes the place of what was there.
    let config = Config::load(Some(&path), &sets(&["llm.extra={ a = { b = 1 } }", "llm.extra.a.c=2"]), &[]);
    let extra = config.expect("valid").llm.extra.clone();
    assert_eq!(toml::Value::from(extra).to_string(), "{ a = { b = 1, c = 2 } }");
    assert_eq!(error(&["train.steps.x=1"]), "--set: setting `train.steps`: it is no table, so there is no `x` in it");
    assert!(error(&["llm.price.m.input=1"]).ends_with("unknown setting `llm.price`; did you mean `llm.prices`?"));
    assert!(error(&["llm.prices.m.imput=1"]).contains("setting `llm.prices`: unknown field `imput`"));
    let message = error(&["llm.prices.qwen3:32b.input=1"]);
    assert!(message.starts_with("--set: setting `llm.prices`: ") && message.contains("quotation marks"), "{message}");
}

#[test]
fn files_go_one_over_the_other() {
    let (_first, profile) = file("[train]\nsteps = 3\njobs = 2\n\n[llm.prices.m]\ninput = 9\noutput = 4\n");
    let (_second, own) =
        file("[train]\nsteps = 7\n\n[llm.prices.m]\ninput = 1\n[llm.prices.n]\ninput = 2\noutput = 2\n");
    let config = Config::layered(&[&profile, &own], &[], &[]).expect("valid");
    assert_eq!((config.train.steps, config.train.jobs), (7, 2));
    assert_eq!(config.llm.prices.keys().collect::<Vec<_>>(), ["m", "n"]);
    assert_eq!((config.llm.prices["m"].input, config.llm.prices["m"].output), (1.0, 4.0));
    assert_eq!(config.origin("train.steps").to_string(), format!("{}:2", own.display()));
    assert_eq!(config.origin("train.jobs").to_string(), format!("{}:3", profile.display()));
    assert!(Config::layered(&[&own], &[], &[]).is_err(), "half a price");
}

#[test]
fn single_tasks_have_settings_of_their_own() {
    let (_folder, path) = file("[transfer]\nsteps = 2\n\n[transfer.overrides.bfs]\nlearning_rate = 1e-3\n");
    let config = Config::load(Some(&path), &[], &[]).expect("valid");
    assert_eq!(config.transfer.overrides["bfs"].learning_rate, Some(1e-3));
    assert!(
        error(&["transfer.overrides={ bfs = { stepz = 1 } }"]).contains("setting `transfer.overrides`: unknown field")
    );
    assert!(error(&["transfer.overrides={ bfs = { steps = 0 } }"]).contains("steps at least 1"));
}

#[test]
fn a_part_of_a_table_can_be_set_alone() {
    let (_folder, path) = file("[engine.slurm]\noptions = ['--gpus=1']\nmax = 4\n");
    let sets = ["engine.slurm.options=['--mem=2G'] train.steps=3".to_owned()];
    let config = Config::load(Some(&path), &sets, &[]).expect("valid");
    let slurm = SlurmEngine { options: vec!["--mem=2G".into()], max: 4 };
    assert_eq!((&config.engine.slurm, config.train.steps), (&slurm, 3));
    assert!(error(&["engine.slurm.option=['a']"]).contains("setting `engine.slurm`: unknown field"));
    assert!(error(&["train.steps.much=3"]).contains("it is no table, so there is no `much` in it"));
    assert!(error(&["train.engine=command"]).contains("give the commands submit and status"));
}

#[test]
fn later_layers_win_and_origins_are_told() {
    let (_folder, path) = file("[train]\nsteps = 10\n\nbatch_size = 4\nlearning_rate = 1\n");
    let sets = ["train.steps=20".to_owned(), "train.jobs=2".to_owned()];
    let config = Config::load(Some(&path), &sets, &[("--jobs", "train.jobs", "5".into())]).expect("valid");
    assert_eq!((config.train.steps, config.train.batch_size, config.train.jobs), (20, 4, 5));
    assert_eq!(config.train.learning_rate, 1.0);
    assert_eq!(config.origin("train.steps"), Origin::Set);
    assert!(config.origin("train.batch_size").to_string().ends_with("c.toml:4"));
    assert_eq!(config.origin("train.jobs").to_string(), "--jobs");
    assert_eq!(config.origin("task.algorithm"), Origin::Default);
}

#[test]
fn unknown_key_is_error() {
    let (_folder, path) = file("[train]\nsteps = 1\nlearnin_rate = 3\n");
    let message = Config::load(Some(&path), &[], &[]).expect_err("unknown").to_string();
    assert!(
        message.ends_with("c.toml:3: unknown setting `train.learnin_rate`; did you mean `train.learning_rate`?"),
        "{message}"
    );
    let (_folder, path) = file("[trian]\nsteps = 1\n");
    let message = Config::load(Some(&path), &[], &[]).expect_err("unknown").to_string();
    assert!(message.ends_with("c.toml:1: unknown setting `trian`; did you mean `train`?"), "{message}");
    assert_eq!(error(&["score.steps=3"]), "--set: unknown setting `score.steps`; did you mean `train.steps`?");
    assert_eq!(error(&["fitness=test"]), "--set: unknown setting `fitness`; did you mean `score.fitness`?");
    assert_eq!(error(&["zzzzzz.qqqq=test"]), "--set: unknown setting `zzzzzz.qqqq`; --print-config lists all");
}

#[test]
fn wrong_values_name_the_key() {
    assert_eq!(
        error(&["train.steps=many"]),
        "--set: setting `train.steps`: it must be a whole number, and is the text \"many\""
    );
    assert_eq!(error(&["train.steps=-1"]), "--set: setting `train.steps`: it must not be negative: -1");
    assert_eq!(error(&["train.steps=1.5"]), "--set: setting `train.steps`: it must be a whole number: 1.5");
    assert!(error(&["search.method=sparkk"]).contains("there is no method `sparkk`; did you mean `spark`?"));
    assert!(error(&["task.algorithm=dsf"]).contains("did you mean 'dfs'?"));
    assert!(error(&["propose.proposer=x"]).contains("known are builtin, openai, replay"));
    assert!(error(&["score.fitness=best"]).contains("setting `score.fitness`: unknown variant `best`"));
    assert_eq!(
        error(&["train.seeds=[1, 1]"]),
        "--set: setting `train.seeds`: give a number from 1 to 1000, or a list of at least one seed below 2^53, none twice: \
         [1, 1]"
    );
    assert!(error(&["train.seeds=0"]).ends_with("none twice: 0"));
    assert!(error(&["train.seeds=-1"]).contains("a number of seeds is not negative"));
    assert!(error(&["train.seeds=few"]).contains("a number of seeds, or a list of them"));
    assert!(error(&["train.seeds=[9007199254740992]"]).contains("below 2^53"));
    assert!(error(&["train.device=tpu"]).contains("it must be auto, cpu, cuda or cuda:K: \"tpu\""));
    assert!(error(&["search.exploration=0.6"]).contains("must not exceed 1"));
    assert_eq!(error(&["train.steps"]), "--set train.steps: write it as section.key=value");
}

#[test]
fn broken_toml_names_the_line() {
    let (_folder, path) = file("[train]\nsteps = \n");
    let message = Config::load(Some(&path), &[], &[]).expect_err("broken").to_string();
    assert!(message.contains("c.toml:2: "), "{message}");
}

#[test]
fn seeds_are_a_number_or_a_list() {
    let seeds =
        |value: &str| Config::load(None, &[format!("train.seeds={value}")], &[]).expect("valid").train.seeds.clone();
    assert_eq!((seeds("3"), seeds("[4, 9]")), (Seeds::Count(3), Seeds::List(vec![4, 9])));
    assert_eq!((seeds("3").count(), seeds("[4, 9]").count()), (3, 2));
    assert_eq!((seeds("3").given(0), seeds("[4, 9]").given(1), seeds("[4, 9]").given(2)), (None, Some(9), None));
}

#[test]
fn bare_words_are_strings() {
    let config = Config::load(None, &["train.device=cpu".into()], &[]).expect("valid");
    assert_eq!(config.train.device, "cpu");
}
