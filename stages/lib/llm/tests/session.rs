//! Attempts of the search against scripted models: rows, repair rounds, prompts, transcripts, budgets, replay.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use llm::mock::{Request, Server, Step, completion, respond_json};
use llm::{
    CallError, Chat, Checker, Client, Endpoint, Judgement, Kind, Known, Live, Made, Model, Place, Prompts, Recorded,
    Recorder, Replay, Secret, Session, Settings, Shared, TaskFacts,
};
use schemas::{Candidate, Factor, Status};
use search::methods::{self, AttemptContext};
use search::population::Population;
use search::proposer::Parent;
use search::random::StreamKey;
use search::region::Region;
use search::sampling::SamplingSettings;
use serde_json::{Value, json};

const KEY: &str = "sk-test-0123456789-very-secret";
const SEED: &str = search::SEED_PROGRAM;

/// Rejects what has the word `BROKEN`, and edits outside of the factor.
struct Words;

impl Checker for Words {
    fn language(&self) -> &str {
        "THE LANGUAGE PAGE\n"
    }

    fn judge(&self, source: &str, parent: &str, factor: Option<Factor>) -> Judgement {
        if source.contains("BROKEN") {
            let report = "error[E-UNSUPPORTED-OP]: BROKEN is not a word".to_owned();
            return Judgement { accepted: false, report, graph: None };
        }
        let frozen = |text: &str, factor| Region::find(text, factor).map(|region| region.splice(""));
        let local = factor.is_none_or(|factor| frozen(parent, factor) == frozen(source, factor));
        let report = if local { "" } else { "error[E-ENTANGLED]: the edit leaves its region" };
        // What is computed, as far as these tests go: the text without spaces.
        let graph = Some(source.split_whitespace().collect::<String>());
        Judgement { accepted: local, report: report.to_owned(), graph }
    }

    fn region(&self, source: &str, factor: Factor) -> Option<Range<usize>> {
        let text = Region::find(source, factor)?.text();
        let start = text.as_ptr() as usize - source.as_ptr() as usize;
        Some(start..start + text.len())
    }
}

fn at(url: &str) -> Endpoint {
    Endpoint { base_url: url.to_owned(), ..Endpoint::default() }
}

fn settings(server: &Server) -> Settings {
    let mut settings = Settings {
        endpoint: at(&server.url()),
        models: vec![Model { name: "m".into(), weight: 1.0 }],
        ..Settings::default()
    };
    settings.waits.first_byte = Duration::from_millis(300);
    settings.waits.idle = Duration::from_millis(300);
    settings.waits.patience = Duration::from_millis(80);
    settings.waits.backoff = Duration::from_millis(2);
    settings.llm.retries = 1;
    settings
}

fn shared_with(settings: Settings, chat: Box<dyn Chat>) -> Arc<Shared> {
    let task = TaskFacts {
        algorithm: "dfs".into(),
        hidden: 32,
        train_lengths: vec![4, 8],
        eval_length: 16,
        batch_size: 32,
        steps: 200,
        card: "TASK dfs: Depth-first search".into(),
    };
    let prompts = Prompts::built_in().unwrap();
    Arc::new(Shared { settings, prompts, chat, checker: Box::new(Words), task, known: known() })
}

/// The seed program fails in `s`, needs `t_1` and does without `t_g`.
fn known() -> Known {
    let lesion = |name: &str, loss: f64| search::diagnosis::Lesion {
        name: name.into(),
        loss,
        most: loss.abs(),
        by_probe: vec![("pi_h".into(), loss)],
        ..Default::default()
    };
    let diagnosis = search::diagnosis::Diagnosis {
        nodes: 16,
        score: 0.5,
        outputs: vec![search::diagnosis::Probe {
            name: "pi".into(),
            accuracy: 0.5,
            forced: Some(0.75),
            ..Default::default()
        }],
        hints: vec![search::diagnosis::Probe { name: "s".into(), accuracy: 0.25, ..Default::default() }],
        operators: vec![lesion("t_1", 0.25), lesion("t_g", 0.0)],
        ..Default::default()
    };
    Known { diagnoses: [("seed".to_owned(), diagnosis)].into(), ..Known::default() }
}

fn live(settings: &Settings, transcript: Option<&Path>) -> Arc<Shared> {
    let client = Client::new(settings, &settings.endpoint, Secret::new(KEY), Arc::new(|_: &str| ())).unwrap();
    let transcript = transcript.map(|path| Recorder::open(path, || ()).unwrap());
    shared_with(settings.clone(), Box::new(Live::new(client, settings, transcript)))
}

fn replay(settings: &Settings, transcript: &Path) -> Arc<Shared> {
    shared_with(settings.clone(), Box::new(Replay::new(Recorded::read(transcript).unwrap())))
}

fn rows() -> Vec<Candidate> {
    let seed = Candidate {
        candidate_id: "seed".into(),
        source: SEED.into(),
        status: Status::Scored,
        fitness: Some(0.5),
        fitness_sd: Some(0.02),
        trainings: Some(3),
        ..Candidate::default()
    };
    let tried = Candidate {
        candidate_id: "other".into(),
        parent_id: Some("seed".into()),
        attempt: 1,
        factor: Some(Factor::ACTION),
        edit: Some("sum instead of max".into()),
        fitness: Some(0.4),
        fitness_sd: None,
        trainings: Some(1),
        ..seed.clone()
    };
    vec![seed, tried]
}

/// One attempt of a method; the rows and what the method made of it.
fn attempt(shared: &Arc<Shared>, method: &str, number: i64) -> (Vec<Made>, Option<Factor>, Option<String>) {
    attempt_on(shared, method, number, &rows())
}

/// What ends the stage in an attempt.
fn stops(shared: &Arc<Shared>, method: &str, number: i64) -> CallError {
    tried(shared, method, number, &rows()).unwrap_err()
}

/// An attempt, without the seconds that it took.
fn timeless(mut attempt: (Vec<Made>, Option<Factor>, Option<String>)) -> (Vec<Made>, Option<Factor>, Option<String>) {
    attempt.0.iter_mut().for_each(|made| made.taken.latency_ms = 0);
    attempt
}

/// The same after these rows.
fn attempt_on(
    shared: &Arc<Shared>,
    method: &str,
    number: i64,
    rows: &[Candidate],
) -> (Vec<Made>, Option<Factor>, Option<String>) {
    tried(shared, method, number, rows).unwrap()
}

#[allow(clippy::type_complexity, reason = "the rows, the factor and the directive of an attempt")]
fn tried(
    shared: &Arc<Shared>,
    method: &str,
    number: i64,
    rows: &[Candidate],
) -> Result<(Vec<Made>, Option<Factor>, Option<String>), CallError> {
    let population = Population::new(rows);
    let context = AttemptContext {
        population: &population,
        known: &population,
        diagnoses: None,
        constants: search::methods::Constants::default(),
        lag: 0,
        members: &[0],
        islands: 1,
        island: 0,
        turn: 0,
        seed: Parent { id: "seed", source: SEED, row: rows.first() },
        sampling: SamplingSettings { exploration: 0.0, exploitation: 1.0 },
        key: StreamKey { seed: 0, stage: "propose", generation: 1, slot: number, redraw: 0 },
    };
    let session: Session = shared.session(Place { generation: 1, slot: number, attempt: number, call: 0 });
    let attempt = methods::named(method).unwrap().attempt(&context, &session);
    let made = session.finish(attempt.draft.err().map(|error| error.to_string()))?;
    Ok((made, attempt.factor, attempt.directive.map(|directive| directive.text)))
}

fn answer(text: &str) -> Vec<Step> {
    respond_json(200, &completion(text, Some((100, 10))))
}

fn action(body: &str) -> String {
    Region::find(SEED, Factor::ACTION).unwrap().splice(body)
}

fn program(body: &str) -> String {
    format!("Idea: {}\n```python\n{}```\n", body.trim(), action(body))
}

const ROUTED: &str = r#"{"factor": "ACTION", "reason": "max forgets"}"#;
const DIRECTED: &str = "Title: mean of triplets\n\nTake the mean.";

/// Answers each agent with its own replies in turn.
fn agents(router: &'static str, critic: &'static str, writer: Vec<String>) -> Server {
    let written = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |_, request: &Request| match agent_of(request) {
        "router" => answer(router),
        "critic" => answer(critic),
        _ => {
            let n = written.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            answer(&writer[n.min(writer.len() - 1)])
        }
    })
    .unwrap()
}

/// Who was asked, by the opening of the conversation.
fn agent_of(request: &Request) -> &'static str {
    let body = request.json();
    let opening = body["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
    if opening.contains("Choose the one factor") {
        "router"
    } else if opening.contains("Write a directive") {
        "critic"
    } else {
        "writer"
    }
}

fn asked(server: &Server) -> Vec<&'static str> {
    server.requests().iter().map(agent_of).collect()
}

#[test]
fn where_then_how_then_write() {
    let server = agents(ROUTED, DIRECTED, vec![program("        tri_msgs = 1\n")]);
    let (made, factor, directive) = attempt(&live(&settings(&server), None), "spark", 3);
    assert_eq!(asked(&server), ["router", "critic", "writer"]);
    assert_eq!((factor, directive.as_deref()), (Some(Factor::ACTION), Some("Take the mean.")));
    let [row] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(row.source.as_deref(), Some(action("        tri_msgs = 1\n").as_str()));
    assert_eq!((row.repair_round, row.calls, row.taken.usage.total()), (0, 3, 330));
    assert_eq!((row.idea.as_deref(), row.failure.as_deref()), (Some("tri_msgs = 1"), None));
    let routed = row.routed.as_ref().unwrap();
    assert_eq!((routed.reason.as_str(), routed.fallback), ("max forgets", false));
}

#[test]
fn prompts_tell_what_is_known() {
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    attempt(&live(&settings(&server), None), "spark", 0);
    for request in server.requests() {
        let (prompt, agent) = (request.prompt(), agent_of(&request));
        assert!(
            prompt.contains("class PGN(Processor)") && prompt.contains("- fitness: 0.500 ± 0.020 (3 trainings)\n"),
            "{prompt}"
        );
        let past = "- [ACTION] sum instead of max: fitness 0.4000 (1 training), gain -0.1000";
        assert!(prompt.contains(past), "{agent}: {prompt}");
        let system = request.json()["messages"][0]["content"].as_str().unwrap().to_owned();
        assert!(!system.contains("THE LANGUAGE PAGE"), "the digest is enough to begin with");
        assert_eq!(system.contains("Refused:"), agent != "router");
        assert!(system.contains("graphs with 4, 8 nodes") && system.contains("TASK dfs: Depth-first"), "{system}");
        assert!(system.contains("200 steps of 32 graphs"), "{system}");
        for fact in ["- output pi: 0.500, true hints 0.750\n", "- hint s: 0.250\n"] {
            assert!(prompt.contains(fact), "{fact:?} is missing in {prompt}");
        }
        assert!(prompt.contains("- without t_1: accuracy -0.250 (most in pi_h: -0.250)\n"), "{prompt}");
        assert!(prompt.contains("- idle, nothing changes without them: t_g\n"), "{prompt}");
        assert!(!prompt.contains("{{") && !prompt.contains("{%") && !prompt.contains("\n\n\n\n"), "{prompt}");
    }
    let router = server.requests()[0].prompt();
    assert!(router.contains("- ACTION: 1 tried, 1 trained and scored, 0 better than their parent"), "{router}");
}

/// The opening prompts of an attempt, by agent.
fn openings(method: &str) -> Vec<(&'static str, String)> {
    openings_with(method, &|_| ())
}

/// The same with other settings.
fn openings_with(method: &str, change: &dyn Fn(&mut Settings)) -> Vec<(&'static str, String)> {
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    let mut settings = settings(&server);
    change(&mut settings);
    attempt(&live(&settings, None), method, 0);
    server
        .requests()
        .iter()
        .map(|request| {
            (agent_of(request), format!("{}\n{}", request.json()["messages"][0]["content"], request.prompt()))
        })
        .collect()
}

/// What stands in `text` from one heading to the next.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let start = text.find(heading).unwrap_or_else(|| panic!("no {heading:?} in {text}"));
    let end = text[start + 1..].find("\n# ").map_or(text.len(), |at| start + 2 + at);
    &text[start..end]
}

#[test]
fn variants_are_identical_but_for_the_ablated_step() {
    let spark = openings("spark");
    let [router, critic, writer] = spark.as_slice() else { panic!("three agents") };
    let directive = section(&writer.1, "# The directive\n");
    assert!(directive.contains("Take the mean."));
    let scope = section(&writer.1, "# What may change\n");
    assert!(scope.contains("ACTION"));

    // no directive: the router is asked the same, the writer all but the directive
    let undirected = writer.1.replace(directive, "");
    assert_eq!(openings("asr-only"), [router.clone(), ("writer", undirected.clone())]);

    // no factor: the scope is free, and nothing else changes
    let free = openings("rc-sar-only");
    let free_scope = section(&free[1].1, "# What may change\n");
    assert!(!free_scope.contains("ACTION") && !free_scope.contains("OPERATOR"));
    let unscoped = |text: &str| text.replace(scope, free_scope);
    assert_eq!(free, [("critic", unscoped(&critic.1)), ("writer", unscoped(&writer.1))]);

    // neither
    assert_eq!(openings("free-form"), [("writer", unscoped(&undirected))]);
}

/// An ablation: its method, whether prompts name the factor, and whether the whole file is open.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ablation {
    method: &'static str,
    condition: bool,
    whole_file: bool,
}

impl Ablation {
    fn writer(self) -> String {
        let prompts = openings_with(self.method, &|settings| {
            settings.condition = self.condition;
            settings.whole_file = self.whole_file;
        });
        prompts.into_iter().find(|(agent, _)| *agent == "writer").expect("a writer").1
    }

    /// The settings in which two of them differ.
    fn differing(self, other: Self) -> usize {
        usize::from(self.method != other.method)
            + usize::from(self.condition != other.condition)
            + usize::from(self.whole_file != other.whole_file)
    }
}

#[test]
fn neighbouring_ablations_differ_in_one_setting_and_one_part_of_the_prompt() {
    let of = |method| Ablation { method, condition: true, whole_file: false };
    let untold = |method| Ablation { condition: false, ..of(method) };
    let open = |method| Ablation { whole_file: true, ..of(method) };
    let pairs = [
        (of("spark"), of("asr-only"), "The directive"),
        (of("spark"), of("rc-sar-only"), "What may change"),
        (of("asr-only"), of("free-form"), "What may change"),
        (of("rc-sar-only"), of("free-form"), "The directive"),
        (of("spark"), untold("spark"), "What may change"),
        (of("asr-only"), untold("asr-only"), "What may change"),
        (of("rc-sar-only"), open("rc-sar-only"), "What may change"),
        (of("free-form"), open("free-form"), "What may change"),
    ];
    for (one, other, part) in pairs {
        assert_eq!(one.differing(other), 1, "{one:?} {other:?}");
        let (a, b) = (one.writer(), other.writer());
        let parts = |text: &str| -> Vec<String> { text.split("\n# ").map(|part| part.trim().to_owned()).collect() };
        let (a, b) = (parts(&a), parts(&b));
        let heading = |part: &str| part.lines().next().unwrap_or_default().to_owned();
        let only = |these: &[String], those: &[String]| -> Vec<String> {
            these.iter().filter(|part| !those.contains(part)).map(|part| heading(part)).collect()
        };
        let mut changed = [only(&a, &b), only(&b, &a)].concat();
        changed.dedup();
        assert_eq!(changed, [part], "{one:?} {other:?}");
    }
    // untold, the writer of spark reads what that of rc-sar-only does: the choice alone is left
    assert_eq!(untold("spark").writer(), of("rc-sar-only").writer());
    // a factor closes the rest of the file, whatever is open without one
    assert_eq!(open("spark").writer(), of("spark").writer());
}

#[test]
fn no_two_attempts_of_a_generation_get_the_same_writer_prompt() {
    for method in ["spark", "asr-only", "rc-sar-only", "free-form", "random-router", "sequential"] {
        let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
        let shared = live(&settings(&server), None);
        for slot in 0..40 {
            attempt(&shared, method, slot);
        }
        // What opens the conversation: a prompt of a repair round has others before it.
        let opens = |r: &&Request| agent_of(r) == "writer" && r.json()["messages"].as_array().map(Vec::len) == Some(2);
        let written: Vec<String> = server.requests().iter().filter(opens).map(Request::prompt).collect();
        let distinct: std::collections::BTreeSet<&String> = written.iter().collect();
        assert_eq!((written.len(), distinct.len()), (40, 40), "{method}");
    }
}

#[test]
fn regions_alone_are_an_answer() {
    let region = "Idea: x\n```python\n# ===== BEGIN ACTION REGION =====\ntri_msgs = None\n# ===== END ACTION REGION =====\n```\n";
    let server = agents(ROUTED, DIRECTED, vec![region.to_owned()]);
    let (made, ..) = attempt(&live(&settings(&server), None), "spark", 0);
    let [row] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(row.source.as_deref(), Some(action("        tri_msgs = None\n").as_str()));
}

#[test]
fn the_page_comes_when_a_program_goes_beyond_the_digest_and_once() {
    let replies = vec![program("        BROKEN = 1\n"), program("        BROKEN = 2\n"), program("        x = 1\n")];
    let server = agents(ROUTED, DIRECTED, replies);
    let (made, ..) = attempt(&live(&settings(&server), None), "asr-only", 0);
    assert_eq!(made.len(), 3);
    let prompts: Vec<String> = server.requests().iter().map(Request::prompt).collect();
    let pages: Vec<bool> = prompts.iter().map(|prompt| prompt.contains("THE LANGUAGE PAGE")).collect();
    assert_eq!(pages, [false, false, true, false], "router, writer, first and second repair");
}

#[test]
fn a_program_that_computes_nothing_new_goes_back_with_the_name_of_its_twin() {
    let replies = vec![program("        tri_msgs = 1\n"), program("        tri_msgs = 2\n")];
    let server = agents(ROUTED, DIRECTED, replies);
    let shared = live(&settings(&server), None);
    let graph = |body: &str| Some(action(body).split_whitespace().collect::<String>());
    let mut rows = rows();
    rows[1].graph_hash = graph("        tri_msgs = 1\n");
    let made = attempt_on(&shared, "asr-only", 0, &rows).0;
    assert_eq!(made.iter().map(|made| made.repair_round).collect::<Vec<_>>(), [0, 1]);
    let again = server.requests().last().unwrap().prompt();
    assert!(again.contains("computes the same as that of attempt 1 (sum instead of max)"), "{again}");
    rows[0].graph_hash = graph("        tri_msgs = 2\n");
    let server = agents(ROUTED, DIRECTED, vec![program("        tri_msgs = 2\n"), program("        tri_msgs = 3\n")]);
    let made = attempt_on(&live(&settings(&server), None), "asr-only", 0, &rows).0;
    assert_eq!(made.len(), 2);
    assert!(server.requests().last().unwrap().prompt().contains("computes the same as the parent program"));
}

#[test]
fn a_parent_that_has_no_row_yet_is_a_twin_too() {
    let same = format!("{}\n", Region::find(SEED, Factor::ACTION).unwrap().text());
    let server = agents(ROUTED, DIRECTED, vec![program(&same), program("        tri_msgs = 3\n")]);
    let mut rows = rows();
    rows[0].graph_hash = None;
    let made = attempt_on(&live(&settings(&server), None), "asr-only", 0, &rows).0;
    assert_eq!(made.iter().map(|made| made.repair_round).collect::<Vec<_>>(), [0, 1]);
    assert!(server.requests().last().unwrap().prompt().contains("computes the same as the parent program"));
}

#[test]
fn a_template_that_cannot_be_rendered_ends_the_stage() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("critic.jinja"), "Write a directive {{ parent.name.first }}").unwrap();
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    let mut shared = Arc::into_inner(live(&settings(&server), None)).expect("nobody else has it");
    shared.prompts = Prompts::with_folder(folder.path()).unwrap();
    let error = tried(&Arc::new(shared), "spark", 0, &rows()).unwrap_err();
    assert_eq!((error.kind, asked(&server)), (Kind::Setup, vec!["router"]));
    assert!(error.message.contains("critic.jinja"), "{error}");
}

#[test]
fn a_writer_reads_its_own_words_again() {
    let region = |body: &str| {
        format!(
            "Idea: halves\n```python\n# ===== BEGIN ACTION REGION =====\n{body}\n# ===== END ACTION REGION =====\n```\n"
        )
    };
    let whole = program("        BROKEN = 2\n");
    let server = agents(ROUTED, DIRECTED, vec![region("BROKEN = 1"), whole, region("x = 1")]);
    let (made, ..) = attempt(&live(&settings(&server), None), "asr-only", 0);
    assert_eq!(made.len(), 3);
    let last = server.requests().last().unwrap().json();
    let said = |at: usize| last["messages"][at]["content"].as_str().unwrap().to_owned();
    assert_eq!(said(2), region("BROKEN = 1"), "regions stay regions");
    assert!(said(4).starts_with("Idea: ") && said(4).contains("BROKEN = 2"), "{}", said(4));
}

#[test]
fn an_operator_that_nothing_uses_is_followed_by_the_action_that_does() {
    const OPERATOR: &str = r#"{"factor": "OPERATOR", "reason": "a gate is missing"}"#;
    let grown = Region::find(SEED, Factor::OPERATOR).unwrap();
    let operator = grown.splice(&format!("{}        self.t_gate = nn.Linear(z_size, 8)\n", grown.text()));
    let used = Region::find(&operator, Factor::ACTION).unwrap().splice("        tri_msgs = self.t_gate(z)\n");
    let reply = |program: &str| format!("Idea: a gate\n```python\n{program}```\n");
    // `Words` takes the text for what is computed: the operator alone shall be the parent's.
    struct Unused;
    impl Checker for Unused {
        fn language(&self) -> &str {
            "THE LANGUAGE PAGE\n"
        }
        fn judge(&self, source: &str, parent: &str, factor: Option<Factor>) -> Judgement {
            let judgement = Words.judge(source, parent, factor);
            let action = Region::find(source, Factor::ACTION).map(|region| region.text().to_owned());
            Judgement { graph: action, ..judgement }
        }
        fn region(&self, source: &str, factor: Factor) -> Option<Range<usize>> {
            Words.region(source, factor)
        }
    }
    let mut rows = rows();
    rows[0].graph_hash = Region::find(SEED, Factor::ACTION).map(|region| region.text().to_owned());
    let attempt = |two_phase: bool| {
        let server = agents(OPERATOR, DIRECTED, vec![reply(&operator), reply(&used)]);
        let mut settings = settings(&server);
        (settings.two_phase, settings.llm.repair_rounds) = (two_phase, 1);
        let shared = live(&settings, None);
        let mut shared = Arc::into_inner(shared).expect("nobody else has it");
        shared.checker = Box::new(Unused);
        let made = attempt_on(&Arc::new(shared), "asr-only", 0, &rows).0;
        (made, server.requests().iter().map(Request::prompt).collect::<Vec<_>>())
    };

    let (made, prompts) = attempt(true);
    let [first, second] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!((first.phase, first.repair_round, first.source.as_deref()), (Some(1), 0, Some(operator.as_str())));
    assert_eq!((second.phase, second.repair_round, second.source.as_deref()), (Some(2), 0, Some(used.as_str())));
    assert_eq!(second.prepared, Some((operator.clone(), Factor::ACTION)));
    assert_eq!(prompts.len(), 3, "router, writer, writer");
    assert!(prompts[1].contains("is asked for next") && prompts[2].contains("Use it now"), "{}", prompts[2]);
    assert!(prompts[2].contains("self.t_gate = nn.Linear(z_size, 8)"), "the parent of the second phase is the first's");
    assert!(prompts[2].contains("the two marker comments of the ACTION region"));

    // Alone, it goes back as one that computes nothing new.
    let (made, prompts) = attempt(false);
    assert!(made.iter().all(|made| made.phase.is_none() && made.prepared.is_none()));
    assert!(prompts[2].contains("computes the same as the parent program"), "{}", prompts[2]);
}

#[test]
fn every_method_has_prompts_for_its_operations() {
    for method in methods::all() {
        let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
        let (made, ..) = attempt(&live(&settings(&server), None), method.name(), 0);
        assert!(made[0].failure.is_none(), "{}: {made:?}", method.name());
        assert!(server.requests().last().unwrap().prompt().contains("# Your task"));
    }
}

#[test]
fn a_router_that_babbles_is_asked_again_and_then_replaced() {
    let server = agents("I think ACTION is best.", DIRECTED, vec![program("        x = 1\n")]);
    let mut settings = settings(&server);
    settings.llm.router_rounds = 1;
    let (made, factor, _) = attempt(&live(&settings, None), "asr-only", 2);
    assert_eq!(asked(&server)[..2], ["router", "router"]);
    let second = server.requests()[1].json();
    assert_eq!(second["messages"].as_array().unwrap().len(), 4);
    assert!(second["messages"][3]["content"].as_str().unwrap().contains("no JSON object"));
    let routed = made[0].routed.as_ref().unwrap();
    assert!(routed.fallback && routed.reason.contains("JSON"));
    // drawn from the seed: the same again, and not always the same
    assert_eq!(Some(routed.factor), factor);
    let shared = live(&settings, None);
    let drawn: Vec<_> = (0..12).map(|n| attempt(&shared, "asr-only", n).1).collect();
    assert_eq!(drawn[2], factor);
    assert!(drawn.contains(&Some(Factor::ACTION)) && drawn.contains(&Some(Factor::OPERATOR)));
}

#[test]
fn diagnostics_reach_the_repair_prompt() {
    let replies = vec![
        program("        BROKEN = 1\n"),
        "Sorry, I cannot write code.".to_owned(),
        program("        tri_msgs = 2\n"),
    ];
    let server = agents(ROUTED, DIRECTED, replies);
    let (made, ..) = attempt(&live(&settings(&server), None), "spark", 0);
    let rounds: Vec<_> = made.iter().map(|row| (row.repair_round, row.calls, row.source.is_some())).collect();
    assert_eq!(rounds, [(0, 3, true), (1, 1, false), (2, 1, true)]);
    assert!(made[0].failure.is_none(), "check will reject it, with all its diagnostics");
    assert!(made[1].failure.as_ref().unwrap().contains("no code block"));
    let requests = server.requests();
    assert!(requests[3].prompt().contains("error[E-UNSUPPORTED-OP]: BROKEN is not a word"));
    assert!(requests[3].prompt().contains("markers of the ACTION region"));
    assert!(requests[4].prompt().contains("the reply has no code block with the program"));
    let echoed = requests[3].json()["messages"][2]["content"].as_str().unwrap().to_owned();
    assert!(echoed.contains("BROKEN = 1"));
}

#[test]
fn repair_rounds_are_bounded_and_each_is_a_row() {
    for rounds in [0, 1, 3] {
        let server = agents(ROUTED, DIRECTED, vec![program("        BROKEN = 1\n")]);
        let mut settings = settings(&server);
        settings.llm.repair_rounds = rounds;
        let (made, ..) = attempt(&live(&settings, None), "free-form", 0);
        assert_eq!(made.len(), rounds as usize + 1);
        assert_eq!(server.requests().len(), rounds as usize + 1);
        assert!(made.iter().all(|row| row.source.is_some()));
    }
}

#[test]
fn an_edit_that_leaves_its_region_goes_back() {
    let outside = format!("```python\n{}\nX = 1\n```", action("        x = 1\n"));
    let server = agents(ROUTED, DIRECTED, vec![outside.clone(), program("        x = 1\n")]);
    let (made, ..) = attempt(&live(&settings(&server), None), "spark", 0);
    assert_eq!(made.len(), 2);
    assert!(server.requests()[3].prompt().contains("E-ENTANGLED"));
    // without a factor there is nothing to leave
    let server = agents(ROUTED, DIRECTED, vec![outside]);
    assert_eq!(attempt(&live(&settings(&server), None), "free-form", 0).0.len(), 1);
}

#[test]
fn splicing_makes_edits_local() {
    let body = "        tri_msgs = self.o3(nodes.mean(dim=1))\n";
    let everything_changed =
        action(body).replace("BLOCKED = -1e6", "BLOCKED = -1e9").replace("class MPNN", "class Net");
    for reply in [everything_changed, "tri_msgs = self.o3(nodes.mean(dim=1))\n".to_owned()] {
        let server = agents(ROUTED, DIRECTED, vec![format!("```python\n{reply}```")]);
        let mut settings = settings(&server);
        settings.llm.splice = true;
        let (made, ..) = attempt(&live(&settings, None), "spark", 0);
        assert_eq!(made.len(), 1);
        assert_eq!(made[0].source.as_deref(), Some(action(body).as_str()));
    }
    // a whole program without the region is not a fragment
    let server = agents(ROUTED, DIRECTED, vec!["```python\ndef get_processor_factory():\n    pass\n```".to_owned()]);
    let mut settings = settings(&server);
    (settings.llm.splice, settings.llm.repair_rounds) = (true, 0);
    let (made, ..) = attempt(&live(&settings, None), "spark", 0);
    assert!(made[0].failure.as_ref().unwrap().contains("no ACTION region"), "{made:?}");
}

#[test]
fn changed_passages_are_put_into_the_program() {
    let block = |search: &str, replace: &str| {
        format!("Idea: better\n\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n")
    };
    let amax = "        tri_msgs = self.o3(triplets.amax(dim=1))";
    let (broken, mended) = (amax.replace("amax", "BROKEN"), amax.replace("amax", "mean"));
    // The second reply misses its place; the third changes what was refused, not the parent.
    let replies = vec![block(amax, &broken), block("        no such line", ""), block(&broken, &mended)];
    let server = agents(ROUTED, DIRECTED, replies);
    let mut settings = settings(&server);
    settings.llm.diff = true;
    let (made, ..) = attempt(&live(&settings, None), "openevolve", 0);
    assert_eq!(made.len(), 3, "{made:?}");
    assert_eq!(made[0].source.as_deref(), Some(SEED.replace(amax, &broken).as_str()));
    assert!(made[1].failure.as_ref().unwrap().contains("`no such line`"), "{made:?}");
    assert_eq!(made[2].source.as_deref(), Some(SEED.replace(amax, &mended).as_str()));
    assert_eq!(made[2].idea.as_deref(), Some("better"));
    let prompts: Vec<String> = server.requests().iter().map(Request::prompt).collect();
    assert!(prompts[0].contains("<<<<<<< SEARCH") && !prompts[0].contains("in one ```python block"));
    assert!(prompts[1].contains("the program as you see it above"), "{}", prompts[1]);
    // a whole program is as good
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    let settings = Settings { endpoint: at(&server.url()), ..settings };
    let (made, ..) = attempt(&live(&settings, None), "openevolve", 0);
    assert_eq!(made[0].source.as_deref(), Some(action("        x = 1\n").as_str()));
}

#[test]
fn thoughts_are_asked_for_and_shown() {
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    let shared = live(&settings(&server), None);
    attempt(&shared, "eoh", 0);
    attempt(&shared, "free-form", 1);
    let prompts: Vec<String> = server.requests().iter().map(Request::prompt).collect();
    // E1 draws both programs: one is the parent, the other an example
    assert!(prompts[0].contains("sum instead of max"), "the thought of the other program is missing");
    assert!(prompts[0].contains("describes the idea of your program as a whole"), "{}", prompts[0]);
    assert!(prompts[1].contains("says what you change"), "{}", prompts[1]);
}

#[test]
fn a_reply_cut_off_is_no_program() {
    let mut cut = completion(&program("        x = 1\n"), None);
    cut["choices"][0]["finish_reason"] = json!("length");
    let whole = completion(&program("        x = 1\n"), None);
    let server = Server::scripted(vec![respond_json(200, &cut), respond_json(200, &whole)]).unwrap();
    let (made, ..) = attempt(&live(&settings(&server), None), "free-form", 0);
    assert_eq!(made.len(), 2);
    assert!(made[0].failure.as_ref().unwrap().contains("cut off by the token limit"));
    assert!(server.requests()[1].prompt().contains("cut off"));
}

#[test]
fn what_a_model_has_to_say_is_a_row_and_faults_of_the_service_are_none() {
    let refusal = json!({"choices": [{"message": {"content": null, "refusal": "no"}}]});
    for (script, kind) in [(respond_json(200, &refusal), "refusal"), (answer(" "), "empty")] {
        let server = Server::scripted(vec![script]).unwrap();
        let (made, ..) = attempt(&live(&settings(&server), None), "free-form", 0);
        let [row] = made.as_slice() else { panic!("{made:?}") };
        assert!(row.failure.as_ref().unwrap().starts_with(kind), "{kind}: {row:?}");
        assert_eq!(row.source, None);
    }
    for script in [
        respond_json(500, &Value::Null),
        vec![Step::Reset],
        vec![Step::Stall],
        respond_json(200, &json!({"choices": 1})),
        respond_json(400, &json!({"error": {"message": "Authentication Error"}})),
        respond_json(400, &json!({"error": {"message": "maximum context length is 4096"}})),
    ] {
        let server = Server::scripted(vec![script]).unwrap();
        assert!(stops(&live(&settings(&server), None), "free-form", 0).ends_the_stage());
    }
    // Also after a first try: the attempt is made again as a whole, from what is recorded.
    let broken = answer(&program("        BROKEN = 1\n"));
    let server = Server::scripted(vec![broken.clone(), respond_json(400, &Value::Null)]).unwrap();
    assert!(stops(&live(&settings(&server), None), "free-form", 0).ends_the_stage());
    // But a conversation that has outgrown the context is at its end: the model has answered before.
    let long = json!({"error": {"code": "context_length_exceeded", "message": "too long"}});
    let server = Server::scripted(vec![broken, respond_json(400, &long)]).unwrap();
    let (made, ..) = attempt(&live(&settings(&server), None), "free-form", 0);
    assert!(made[0].source.is_some() && made[1].failure.as_ref().unwrap().starts_with("too-long"), "{made:?}");
}

#[test]
fn a_call_that_alone_fails_is_a_row() {
    let server = Server::start(|_, r| if r.prompt() == "Ready?" { answer("yes") } else { vec![Step::Reset] }).unwrap();
    let (made, ..) = attempt(&live(&settings(&server), None), "spark", 0);
    assert_eq!((made.len(), made[0].calls), (1, 1));
    assert!(made[0].failure.as_ref().unwrap().starts_with("transport"), "{made:?}");
}

#[test]
fn a_critic_that_is_refused_ends_the_stage() {
    let server = Server::start(|_, request| match agent_of(request) {
        "router" => answer(ROUTED),
        _ => respond_json(403, &Value::Null),
    })
    .unwrap();
    assert!(stops(&live(&settings(&server), None), "spark", 0).message.contains("403"));
}

fn transcript(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("transcripts.jsonl")
}

#[test]
fn a_replay_makes_the_same_rows_without_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let replies = (0..8).map(|n| program(&format!("        {} = {n}\n", if n % 3 == 1 { "BROKEN" } else { "x" })));
    let server = agents(ROUTED, DIRECTED, replies.collect());
    let mut settings = settings(&server);
    // Attempts of other numbers are asked the same.
    settings.llm.lenses = false;
    let shared = live(&settings, Some(&transcript(&folder)));
    let first: Vec<_> = (0..4).map(|n| attempt(&shared, "spark", n)).collect();
    // the last attempt met a server that was gone
    drop(server);
    let gone = stops(&shared, "spark", 9);
    assert_eq!(gone.kind, Kind::Unavailable);

    let shared = replay(&settings, &transcript(&folder));
    assert_eq!(first, (0..4).map(|n| attempt(&shared, "spark", n)).collect::<Vec<_>>());
    assert_eq!(gone, stops(&shared, "spark", 9));
    // in any order
    let shared = replay(&settings, &transcript(&folder));
    assert_eq!(first[3], attempt(&shared, "spark", 3));

    // under other numbers, equal prompts get their replies in order
    let error = stops(&shared, "asr-only", 77);
    assert_eq!(error.kind, Kind::Unrecorded);
    assert!(error.message.contains("transcripts.jsonl has no reply"), "{error}");
    assert_eq!(attempt(&replay(&settings, &transcript(&folder)), "spark", 77), first[0]);
}

#[test]
fn what_was_answered_before_an_interrupt_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    let settings = settings(&server);
    let first = attempt(&live(&settings, Some(&transcript(&folder))), "spark", 5);
    // the interrupt came while the last line was written
    let text = std::fs::read_to_string(transcript(&folder)).unwrap();
    std::fs::write(transcript(&folder), &text[..text.len() - 20]).unwrap();
    let again = attempt(&live(&settings, Some(&transcript(&folder))), "spark", 5);
    assert_eq!(timeless(again.clone()), timeless(first));
    assert_eq!(asked(&server), ["router", "critic", "writer", "writer"]);
    assert_eq!(attempt(&replay(&settings, &transcript(&folder)), "spark", 5), again);
}

#[test]
fn a_spent_budget_ends_the_stage_until_it_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
    let mut settings = settings(&server);
    // room for the prompts of five calls or so: each takes 110 tokens in the server's count, and some thousands in ours
    settings.llm.max_tokens_total = Some(3_000_000);
    let shared = live(&settings, Some(&transcript(&folder)));
    let first = attempt(&shared, "spark", 0);
    assert_eq!(shared.chat.spent().tokens, 330);
    settings.llm.max_tokens_total = Some(340);
    // The recording is the first one's while it lives.
    drop(shared);
    let shared = live(&settings, Some(&transcript(&folder)));
    assert_eq!(shared.chat.spent().tokens, 330, "what a run has spent it has spent");
    let second = stops(&shared, "spark", 1);
    assert!(second.to_string().starts_with("budget: 330 of 340 tokens are spent"), "{second}");
    assert_eq!(server.requests().len(), 3);
    drop(shared);
    // With more to spend the same attempt is made.
    settings.llm.max_tokens_total = Some(3_000_000);
    let shared = live(&settings, Some(&transcript(&folder)));
    let second = attempt(&shared, "spark", 1);
    assert!(second.0[0].source.is_some());
    let shared = replay(&settings, &transcript(&folder));
    assert_eq!([attempt(&shared, "spark", 0), attempt(&shared, "spark", 1)], [first, second]);
}

#[test]
fn cost_sums_match_calls() {
    let folder = tempfile::tempdir().unwrap();
    let server = agents(ROUTED, DIRECTED, vec![program("        BROKEN = 1\n"), program("        x = 1\n")]);
    let mut settings = settings(&server);
    settings.llm.prices.insert("m".into(), stage::config::ModelPrice { input: 1.0, output: 2.0, cached_input: None });
    let shared = live(&settings, Some(&transcript(&folder)));
    let (made, ..) = attempt(&shared, "spark", 0);
    let rows: f64 = made.iter().filter_map(|row| row.taken.cost).sum();
    let recorded = Recorded::read(&transcript(&folder)).unwrap();
    assert!((rows - 4.0 * 120e-6).abs() < 1e-12, "{rows}");
    assert!((recorded.spent().cost - rows).abs() < 1e-12);
    assert_eq!(recorded.spent(), shared.chat.spent());
    assert_eq!(made.iter().map(|row| row.taken.usage.total()).sum::<u64>(), recorded.spent().tokens);
}

#[test]
fn no_key_in_any_output() {
    let folder = tempfile::tempdir().unwrap();
    let echo = program(&format!("        x = '{KEY}'\n"));
    let server = agents(ROUTED, DIRECTED, vec![echo]);
    let settings = settings(&server);
    let shared = live(&settings, Some(&transcript(&folder)));
    let mut shown = vec![format!("{:?} {:?}", attempt(&shared, "spark", 0), shared.settings)];
    // The recording is the first one's while it lives.
    drop(shared);
    let server = Server::start(|_, r| respond_json(401, &json!({"error": r.header("authorization")}))).unwrap();
    let failing = Settings { endpoint: at(&server.url()), ..settings };
    shown.push(format!("{:?}", stops(&live(&failing, Some(&transcript(&folder))), "spark", 1)));
    shown.push(std::fs::read_to_string(transcript(&folder)).unwrap());
    for text in shown {
        assert!(text.contains("***") && !text.contains("very-secret"), "{text}");
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|number, request| match number % 5 {
        0 => respond_json(429, &Value::Null),
        1 => vec![Step::Reset],
        _ => match agent_of(request) {
            "router" => answer(ROUTED),
            "critic" => answer(DIRECTED),
            _ => answer(&program("        x = 1\n")),
        },
    })
    .unwrap();
    // On a busy machine eight threads may be asked to wait for longer than a test's usual patience.
    let mut settings = settings(&server);
    (settings.llm.retries, settings.waits.patience) = (8, Duration::from_secs(30));
    let shared = live(&settings, Some(&transcript(&folder)));
    let made: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|n| {
                scope.spawn({
                    let shared = &shared;
                    move || attempt(shared, "spark", n)
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    assert!(made.iter().all(|(rows, ..)| rows.len() == 1 && rows[0].failure.is_none()), "{made:?}");
    let shared = replay(&settings, &transcript(&folder));
    assert_eq!(made, (0..8).map(|n| attempt(&shared, "spark", n)).collect::<Vec<_>>());
    assert_eq!(Recorded::read(&transcript(&folder)).unwrap().len(), 24);
}

#[test]
fn own_templates_may_include_every_part() {
    let folder = tempfile::tempdir().unwrap();
    let parts =
        ["parent", "diagnosis", "line", "history", "refusals", "examples", "scope", "directive", "operation", "answer"];
    let text: String = parts.iter().map(|part| format!("{{% include \"parts/{part}.jinja\" %}}\n")).collect();
    for agent in ["router", "critic", "writer"] {
        let opening = match agent {
            "router" => "Choose the one factor",
            "critic" => "Write a directive",
            _ => "Write",
        };
        std::fs::write(folder.path().join(format!("{agent}.jinja")), format!("{opening}\n{text}")).unwrap();
    }
    for method in ["spark", "eoh"] {
        let server = agents(ROUTED, DIRECTED, vec![program("        x = 1\n")]);
        let shared = live(&settings(&server), None);
        let mut shared = Arc::into_inner(shared).expect("nobody else has it");
        shared.prompts = Prompts::with_folder(folder.path()).unwrap();
        let made = attempt(&Arc::new(shared), method, 0).0;
        assert!(made[0].failure.is_none(), "{method}: {made:?}");
    }
}
