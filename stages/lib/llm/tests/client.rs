//! The client against real servers that do everything servers do.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use llm::mock::{
    Request, Server, Step, completion, data, event, head, respond, respond_json, stream_end, stream_head, streamed,
};
use llm::{
    Agent, Blame, Call, CallError, Client, Endpoint, Finish, Kind, Ledger, Message, Model, Notice, Outcome, Secret,
    Settings, Spent, Waits,
};
use serde_json::{Value, json};
use stage::config::{Continues, ModelPrice};

const KEY: &str = "sk-test-0123456789-very-secret";

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn at(url: &str) -> Endpoint {
    Endpoint { base_url: url.to_owned(), ..Endpoint::default() }
}

fn settings(server: &Server) -> Settings {
    let mut settings = Settings {
        endpoint: at(&server.url()),
        models: vec![Model { name: "m".into(), weight: 1.0 }],
        waits: Waits {
            connect: ms(500),
            first_byte: ms(150),
            idle: ms(150),
            attempt: Some(ms(2000)),
            deadline: None,
            patience: ms(60),
            backoff: ms(4),
            backoff_max: ms(20),
        },
        ..Settings::default()
    };
    (settings.llm.retries, settings.llm.max_reply_bytes) = (2, 200_000);
    settings
}

fn with(mut settings: Settings, change: impl FnOnce(&mut Settings)) -> Settings {
    change(&mut settings);
    settings
}

fn call(settings: &Settings) -> Call {
    Call {
        agent: Agent::Writer,
        model: "m".into(),
        messages: vec![Message::system("You write."), Message::user("Größe 🙂?")],
        params: settings.params(Agent::Writer, 0, 8000),
    }
}

fn quiet() -> Notice {
    Arc::new(|_: &str| ())
}

fn chat_until(settings: &Settings, deadline: Duration) -> Outcome {
    let client = Client::new(settings, &settings.endpoint, Secret::new(KEY), quiet()).unwrap();
    let ledger = Ledger::new(settings, Spent::default());
    client.chat(&call(settings), "0.0", &ledger, Some(Instant::now() + deadline))
}

fn chat(settings: &Settings) -> Outcome {
    chat_until(settings, ms(5000))
}

fn serve(scripts: Vec<Vec<Step>>) -> Server {
    Server::scripted(scripts).unwrap()
}

/// The messages of a request that only asks whether somebody is there.
fn asks(request: &Request) -> bool {
    request.prompt() == "Ready?"
}

/// One script again and again, from a server that answers no question either: the last error of the call itself, and how often
/// it was tried. What is the service's fault ends as such.
fn fails(script: Vec<Step>) -> (CallError, usize) {
    let server = serve(vec![script]);
    let outcome = chat(&settings(&server));
    let error = outcome.result.unwrap_err();
    let last = outcome.tries.last().expect("an attempt").error.clone();
    assert!(outcome.tries.iter().all(|attempt| attempt.error.kind == last.kind), "{:?}", outcome.tries);
    let made = server.requests().iter().filter(|request| !asks(request)).count();
    assert_eq!(outcome.tries.len(), made);
    assert_eq!(error.kind == Kind::Unavailable, last.blame() == Blame::Service, "{error}");
    assert_eq!(made < server.requests().len(), error.kind == Kind::Unavailable && last.status != Some(429));
    (last, made)
}

/// A fault, then a good reply: the good one must arrive.
fn heals(script: Vec<Step>, kind: Kind) {
    let server = serve(vec![script, respond_json(200, &completion("fine", None))]);
    let outcome = chat(&settings(&server));
    assert_eq!(outcome.result.unwrap().text, "fine");
    assert_eq!(outcome.tries.len(), 1);
    assert_eq!(outcome.tries[0].error.kind, kind, "{:?}", outcome.tries);
}

fn ok(text: &str) -> Vec<Step> {
    respond_json(200, &completion(text, None))
}

#[test]
fn streams_are_put_together() {
    let text = "Idea: größer 🙂\n```python\nx = '漢字'\n```\n";
    let server = serve(vec![streamed(text, Some((70, 30)))]);
    let outcome = chat(&settings(&server));
    let reply = outcome.result.unwrap();
    assert_eq!((reply.text.as_str(), reply.finish), (text, Finish::Stop));
    assert_eq!(
        (outcome.usage.prompt_tokens, outcome.usage.completion_tokens, outcome.usage.estimated),
        (70, 30, false)
    );
    assert!(outcome.tries.is_empty());
}

#[test]
fn servers_that_do_not_stream_are_understood() {
    let server = serve(vec![respond_json(200, &completion("plain", Some((5, 2))))]);
    let outcome = chat(&settings(&server));
    assert_eq!(outcome.result.unwrap().text, "plain");
    assert_eq!(outcome.usage.total(), 7);
    // whatever they call it
    for declared in ["text/plain", "text/event-stream", ""] {
        let server = serve(vec![respond(200, &[("Content-Type", declared)], &completion("plain", None).to_string())]);
        assert_eq!(chat(&settings(&server)).result.unwrap().text, "plain", "{declared:?}");
    }
}

#[test]
fn characters_split_between_packets() {
    let bytes = [event("größer 🙂 "), event("漢字"), stream_end("stop", None)].concat();
    let mut script = vec![stream_head()];
    for byte in bytes {
        script.push(Step::Send(vec![byte]));
    }
    assert_eq!(chat(&settings(&serve(vec![script]))).result.unwrap().text, "größer 🙂 漢字");
}

#[test]
fn what_is_not_set_is_not_sent() {
    let server = serve(vec![ok("x")]);
    chat(&settings(&server)).result.unwrap();
    let request: Request = server.requests().remove(0);
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    let expected = json!({
        "model": "m",
        "messages": [{"role": "system", "content": "You write."}, {"role": "user", "content": "Größe 🙂?"}],
        "stream": true,
        "stream_options": {"include_usage": true},
        // without a limit a model that runs on would never end
        "max_tokens": 16384,
    });
    assert_eq!(request.json(), expected);

    let mut quiet = settings(&server);
    quiet.llm.stream = false;
    quiet.llm.temperature = Some(0.25);
    chat(&quiet).result.unwrap();
    let body = server.requests().remove(1).json();
    assert_eq!((&body["temperature"], body.get("stream"), body.get("stream_options")), (&json!(0.25), None, None));
}

#[test]
fn without_a_key_no_header() {
    let server = serve(vec![ok("x")]);
    let settings = settings(&server);
    let client = Client::new(&settings, &settings.endpoint, None, quiet()).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    client.chat(&call(&settings), "0.0", &ledger, Some(Instant::now() + ms(2000))).result.unwrap();
    assert_eq!(server.requests()[0].header("authorization"), None);
}

#[test]
fn reasoning_is_set_apart() {
    let script = vec![
        stream_head(),
        Step::Send(data(&json!({"choices": [{"delta": {"reasoning_content": "let me "}}]}))),
        Step::Send(data(&json!({"choices": [{"delta": {"reasoning_content": "see"}}]}))),
        Step::Send(event("answer")),
        Step::Send(stream_end("stop", None)),
    ];
    let reply = chat(&settings(&serve(vec![script]))).result.unwrap();
    assert_eq!((reply.text.as_str(), reply.reasoning.as_deref()), ("answer", Some("let me see")));
    let reply = chat(&settings(&serve(vec![streamed("<think>hm\n</think>\n\nanswer", None)]))).result.unwrap();
    assert_eq!((reply.text.as_str(), reply.reasoning.as_deref()), ("answer", Some("hm")));
}

#[test]
fn a_reply_cut_off_by_the_token_limit_says_so() {
    let script = vec![stream_head(), Step::Send(event("half a pro")), Step::Send(stream_end("length", None))];
    assert_eq!(chat(&settings(&serve(vec![script]))).result.unwrap().finish, Finish::Length);
    let (error, requests) = fails(vec![stream_head(), Step::Send(stream_end("length", None))]);
    assert_eq!((error.kind, requests), (Kind::TooLong, 1));
}

#[test]
fn too_many_requests_waits_as_long_as_asked() {
    let patient = |server: &Server| with(settings(server), |s| s.waits.patience = Duration::from_secs(10));
    let limited = |wait: &str| respond(429, &[("Retry-After", wait)], r#"{"error": {"message": "slow down"}}"#);
    let server = serve(vec![limited("0.12"), ok("fine")]);
    let start = Instant::now();
    let outcome = chat(&patient(&server));
    assert_eq!(outcome.result.unwrap().text, "fine");
    assert!(start.elapsed() >= ms(120));
    assert!(outcome.tries[0].waited_ms >= 120);
    assert_eq!(outcome.tries[0].error.status, Some(429));
    assert!(outcome.tries[0].error.message.contains("slow down"));

    // as a date, against the server's own clock
    let headers = [("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT")];
    let server = serve(vec![respond(503, &headers, ""), ok("fine")]);
    let outcome = chat(&patient(&server));
    assert!(outcome.result.is_ok());
    assert!((1000..1500).contains(&outcome.tries[0].waited_ms), "{:?}", outcome.tries);
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    for (status, patience, kind) in
        [(503, 7200, Kind::Deadline), (503, 60, Kind::Unavailable), (429, 60, Kind::Unavailable)]
    {
        let server = serve(vec![respond(status, &[("Retry-After", "3600")], "")]);
        let settings = with(settings(&server), |s| s.waits.patience = Duration::from_secs(patience));
        let start = Instant::now();
        let error = chat(&settings).result.unwrap_err();
        assert_eq!((error.kind, server.requests().len()), (kind, 1));
        let words =
            [format!("would wait 3600{}", if kind == Kind::Deadline { ".0 s" } else { " s" }), status.to_string()];
        assert!(words.iter().all(|word| error.message.contains(word)), "{error}");
        assert!(start.elapsed() < ms(30_000));
    }
}

#[test]
fn server_errors_are_tried_again_and_client_errors_are_not() {
    for status in [408, 409, 425, 500, 502, 503, 529] {
        let (error, requests) = fails(respond(status, &[], "<html>oops</html>"));
        assert_eq!((error.kind, error.status, requests), (Kind::Status, Some(status), 3));
    }
    let (error, requests) = fails(respond(429, &[], "<html>oops</html>"));
    assert_eq!((error.kind, error.status), (Kind::Status, Some(429)));
    assert!(requests > 3, "who asks too often is asked to wait, and waits");
    for status in [301, 400, 401, 403, 404, 413, 422] {
        let body = r#"{"error": {"message": "no, because", "type": "x"}}"#;
        let (error, requests) = fails(respond(status, &[("Location", "http://127.0.0.1:9/")], body));
        assert_eq!((error.blame(), error.status, requests), (Blame::Setup, Some(status), 1));
        assert!(error.message.contains("no, because"), "{error}");
        assert_eq!(error.message.contains("http://127.0.0.1:9/ (if that is right, set llm.base_url"), status == 301);
    }
    heals(respond(500, &[], ""), Kind::Status);
}

#[test]
fn errors_within_a_success() {
    let (error, requests) = fails(respond_json(200, &json!({"error": {"message": "no such model", "code": 404}})));
    assert_eq!((error.kind, requests), (Kind::Setup, 1));
    let broken = vec![stream_head(), Step::Send(event("a")), Step::Send(data(&json!({"error": {"message": "boom"}})))];
    heals(broken, Kind::Api);
}

#[test]
fn resets() {
    heals(vec![Step::Reset], Kind::Transport);
    heals(vec![stream_head(), Step::Send(event("a")), Step::Sleep(ms(20)), Step::Reset], Kind::Transport);
    let (error, requests) = fails(vec![Step::Reset]);
    assert_eq!((error.kind, requests), (Kind::Transport, 3));
}

#[test]
fn nobody_listens() {
    let server = serve(vec![]);
    let settings = settings(&server);
    drop(server);
    let outcome = chat(&settings);
    let error = outcome.result.unwrap_err();
    assert!(error.kind == Kind::Unavailable && error.message.contains("connect: "), "{error}");
    assert_eq!(outcome.tries.len(), 3);
    assert_eq!(outcome.usage.total(), 0);
}

#[test]
fn tls_against_a_server_without_it() {
    let server = serve(vec![respond(400, &[], "")]);
    let mut settings = settings(&server);
    settings.endpoint.base_url = settings.endpoint.base_url.replace("http://", "https://");
    assert_eq!(chat(&settings).tries[0].error.kind, Kind::Connect);
}

#[test]
fn stalls_before_and_within_the_reply() {
    heals(vec![Step::Stall], Kind::Timeout);
    heals(vec![stream_head(), Step::Stall], Kind::Timeout);
    heals(vec![stream_head(), Step::Send(event("a")), Step::Stall], Kind::Timeout);
    // a status whose body never comes
    heals(vec![head(500, &[("Content-Length", "99")]), Step::Stall], Kind::Status);
}

#[test]
fn stalled_endpoint_bounded() {
    let server = serve(vec![Step::Stall].into_iter().map(|step| vec![step]).collect());
    let mut settings = settings(&server);
    settings.waits.first_byte = Duration::from_secs(600);
    settings.waits.attempt = None;
    settings.llm.retries = 1000;
    let start = Instant::now();
    let error = chat_until(&settings, ms(300)).result.unwrap_err();
    assert!(matches!(error.kind, Kind::Deadline), "{error}");
    assert!(start.elapsed() < ms(60_000), "{:?}", start.elapsed());
}

#[test]
fn a_trickle_is_alive_until_the_attempt_is_over() {
    let mut script = vec![stream_head()];
    for _ in 0..8 {
        script.extend([Step::Send(b": keep-alive\n\n".to_vec()), Step::Sleep(ms(50))]);
    }
    script.extend([Step::Send(event("slow")), Step::Send(stream_end("stop", None))]);
    let server = serve(vec![script]);
    let mut settings = settings(&server);
    assert_eq!(chat(&settings).result.unwrap().text, "slow");
    settings.waits.attempt = Some(ms(200));
    settings.llm.retries = 0;
    let error = chat(&settings).tries.remove(0).error;
    assert!(error.kind == Kind::Timeout && error.message.contains("the whole attempt"), "{error}");
    // What is at work is not asked to begin again, and what it has written is kept.
    let mut script = vec![stream_head()];
    script.extend((0..40).flat_map(|n| [Step::Send(event(&format!("word {n} "))), Step::Sleep(ms(30))]));
    let server = serve(vec![script]);
    let settings = with(settings, |s| (s.endpoint, s.llm.retries) = (at(&server.url()), 3));
    let outcome = chat(&settings);
    let error = outcome.result.unwrap_err();
    assert!(error.kind == Kind::TooLong && error.message.contains("still coming after 0.2 s"), "{error}");
    assert!(outcome.partial.is_some_and(|text| text.starts_with("word 0 word 1")));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_model_that_runs_away_is_cut_off_and_not_asked_again() {
    let mut script = vec![stream_head()];
    script.extend((0..2000).map(|_| Step::Send(event("and so on "))));
    script.push(Step::Stall);
    let server = serve(vec![script]);
    // The server takes no notice of the limit.
    let settings = with(settings(&server), |s| s.llm.max_tokens = Some(100));
    let outcome = chat(&settings);
    let error = outcome.result.unwrap_err();
    assert!(error.kind == Kind::TooLong && error.message.contains("goes on"), "{error}");
    assert!(outcome.partial.is_some_and(|text| text.len() < 20_000 && text.starts_with("and so on")));
    assert_eq!(server.requests().len(), 1);
}

/// Half a reply, and then nothing.
fn half(text: &str) -> Vec<Step> {
    vec![stream_head(), Step::Send(event(text)), Step::Stall]
}

fn continuing(server: &Server, continues: Continues) -> Settings {
    with(settings(server), |s| s.endpoint.continues = continues)
}

fn last_message(request: &Request) -> Value {
    request.json()["messages"].as_array().expect("messages").last().expect("one").clone()
}

#[test]
fn half_a_reply_is_gone_on_with_where_the_server_can() {
    let counted = streamed(" + 3\n```", Some((20, 4)));
    let server = serve(vec![half("```python\nx = 1"), half(" + 2\n  "), counted.clone()]);
    let outcome = chat(&continuing(&server, Continues::Prefill));
    assert_eq!(outcome.result.unwrap().text, "```python\nx = 1 + 2 + 3\n```");
    assert_eq!((outcome.tries.len(), outcome.partial), (2, None));
    let requests = server.requests();
    assert_eq!(last_message(&requests[0])["role"], "user");
    assert_eq!(last_message(&requests[1]), json!({"role": "assistant", "content": "```python\nx = 1"}));
    // Blanks at the end are left out: the model writes them again.
    assert_eq!(last_message(&requests[2]), json!({"role": "assistant", "content": "```python\nx = 1 + 2"}));
    assert!(requests[2].json().get("continue_final_message").is_none());

    let server = serve(vec![half("x = 1"), counted.clone()]);
    assert_eq!(chat(&continuing(&server, Continues::Final)).result.unwrap().text, "x = 1 + 3\n```");
    let request = server.requests()[1].json();
    assert_eq!((&request["continue_final_message"], &request["add_generation_prompt"]), (&json!(true), &json!(false)));

    // A server that begins with the words it was given does not say them twice.
    let server = serve(vec![half("x = 1"), streamed("x = 1 + 3", None)]);
    assert_eq!(chat(&continuing(&server, Continues::Prefill)).result.unwrap().text, "x = 1 + 3");

    // One that will not go on is asked for the whole reply, and that is not a retry.
    let refusal = respond_json(400, &json!({"error": {"message": "the last message must be the user's"}}));
    let server = serve(vec![half("x = 1"), refusal, ok("x = 2")]);
    let settings = with(continuing(&server, Continues::Prefill), |s| s.llm.retries = 1);
    assert_eq!(chat(&settings).result.unwrap().text, "x = 2");
    assert_eq!(last_message(&server.requests()[2])["role"], "user");

    // Thoughts that are not at their end cannot be gone on with; nor is anything where nobody said that it can.
    for (continues, begun) in [(Continues::Prefill, "<think>well"), (Continues::No, "x = 1")] {
        let server = serve(vec![half(begun), ok("x = 2")]);
        assert_eq!(chat(&continuing(&server, continues)).result.unwrap().text, "x = 2");
        assert_eq!(last_message(&server.requests()[1])["role"], "user", "{begun}");
    }
}

#[test]
fn what_is_paid_for_half_a_reply_counts() {
    let server = serve(vec![half("x = 1"), streamed(" + 3", Some((20, 4)))]);
    let outcome = chat(&continuing(&server, Continues::Prefill));
    // Nobody counted the tokens of the first half: its prompt is guessed, and its five bytes are two tokens.
    assert!(outcome.usage.prompt_tokens > 20 && outcome.usage.estimated, "{:?}", outcome.usage);
    assert_eq!(outcome.usage.completion_tokens, 2 + 4);
}

#[test]
fn a_limit_that_was_not_asked_for_is_left_out_where_it_is_refused() {
    let refuse = |words: &str| respond_json(400, &json!({"error": {"message": words}}));
    let other =
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
    let server = serve(vec![refuse(other), refuse("max_completion_tokens is too large: 16384"), ok("fine")]);
    let outcome = chat(&settings(&server));
    assert_eq!(outcome.result.unwrap().text, "fine");
    let limits = |r: &Request| (r.json().get("max_tokens").is_some(), r.json().get("max_completion_tokens").is_some());
    let sent: Vec<_> = server.requests().iter().map(limits).collect();
    assert_eq!(sent, [(true, false), (false, true), (false, false)]);
    // One that the user has set is the user's to change.
    let server = serve(vec![refuse(other)]);
    let settings = with(settings(&server), |s| s.llm.max_tokens = Some(9));
    let error = chat(&settings).result.unwrap_err();
    assert!(error.ends_the_stage() && error.message.contains("llm.max_tokens_field"), "{error}");
}

#[test]
fn an_outage_is_waited_for_and_counts_against_nobody() {
    let down = Arc::new(Mutex::new(true));
    let state = Arc::clone(&down);
    let server =
        Server::start(move |_, _| if *state.lock().unwrap() { respond(503, &[], "restarting") } else { ok("fine") })
            .unwrap();
    let settings = with(settings(&server), |s| s.waits.patience = Duration::from_secs(20));
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let notice = Arc::new(move |text: &str| heard.lock().unwrap().push(text.to_owned()));
    let client = Client::new(&settings, &settings.endpoint, None, notice).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    // The time for the proposal is shorter than the outage.
    let deadline = Some(Instant::now() + ms(1500));
    let one = || client.chat(&call(&settings), "", &ledger, deadline);
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        std::thread::sleep(ms(3000));
        *down.lock().unwrap() = false;
        for call in calls {
            let outcome = call.join().unwrap();
            assert_eq!(outcome.result.unwrap().text, "fine");
            assert!(
                outcome.outage > ms(1500) && outcome.latency < ms(1500),
                "{:?} {:?}",
                outcome.outage,
                outcome.latency
            );
        }
    });
    let said = said.lock().unwrap();
    assert!(said.len() == 2 && said[0].contains("does not answer") && said[1].contains("answers again"), "{said:?}");
}

#[test]
fn a_call_that_fails_beside_others_that_go_well_is_its_own_fault() {
    let poison = |request: &Request| request.prompt().contains("Größe");
    let server = Server::start(move |_, r| if poison(r) { respond(500, &[], "boom") } else { ok("yes") }).unwrap();
    let outcome = chat(&settings(&server));
    let error = outcome.result.unwrap_err();
    assert_eq!((error.kind, error.status, error.ends_the_stage()), (Kind::Status, Some(500), false));
    assert_eq!(server.requests().len(), 8, "twice three attempts, and a question whether anybody is there");
}

#[test]
fn a_packed_reply_is_unpacked_or_refused_at_once() {
    // {"choices": [{"message": {"content": "fine"}}]}
    let packed = [
        31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 206, 200, 207, 76, 78, 45, 86, 178, 82, 136, 174, 86, 202, 77,
        45, 46, 78, 76, 79, 5, 114, 170, 149, 146, 243, 243, 74, 82, 243, 74, 128, 108, 165, 180, 204, 188, 84, 165,
        218, 218, 216, 90, 0, 237, 114, 146, 201, 47, 0, 0, 0,
    ];
    let gzip = |encoding: &str| {
        vec![
            head(200, &[("Content-Type", "application/json"), ("Content-Encoding", encoding)]),
            Step::Send(packed.to_vec()),
        ]
    };
    assert_eq!(chat(&settings(&serve(vec![gzip("gzip")]))).result.unwrap().text, "fine");
    let (error, requests) = fails(gzip("br"));
    assert_eq!((error.kind, requests), (Kind::Encoding, 1));
    assert!(error.message.contains("\"br\"") && !error.message.contains('\u{1f}'), "{error}");
}

#[test]
fn a_prompt_that_was_cut_ends_the_stage() {
    let server = serve(vec![respond_json(200, &completion("x", Some((4096, 10))))]);
    let settings = settings(&server);
    let client = Client::new(&settings, &settings.endpoint, None, quiet()).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    let long = Call { messages: vec![Message::user("a prompt of many words ".repeat(1500))], ..call(&settings) };
    let error = client.chat(&long, "", &ledger, None).result.unwrap_err();
    assert!(error.kind == Kind::Context && error.ends_the_stage(), "{error}");
    assert!(error.message.contains("4096 tokens of a prompt of about 8"), "{error}");
}

#[test]
fn malformed_and_truncated() {
    let json = |body: &str| respond(200, &[("Content-Type", "application/json")], body);
    heals(json(r#"{"choices": [{"message": {"content": "half"#), Kind::Malformed);
    heals(json("{]"), Kind::Malformed);
    heals(json(r#"{"hello": "world"}"#), Kind::Malformed);
    heals(json(r#"[{"choices": []}]"#), Kind::Malformed);
    heals(vec![stream_head(), Step::Send(b"data: {\"choices\": [{\n\n".to_vec())], Kind::Malformed);
    heals(vec![stream_head(), Step::Send(b"data: \xff\xfe\n\n".to_vec())], Kind::Malformed);
    // fewer bytes than announced
    heals(vec![head(200, &[("Content-Type", "application/json"), ("Content-Length", "500")])], Kind::Transport);
    // a stream that just ends
    heals(vec![stream_head(), Step::Send(event("half"))], Kind::Truncated);
    heals(vec![stream_head()], Kind::Empty);
}

#[test]
fn a_stream_without_its_last_event_is_whole_if_it_says_why_it_ended() {
    let end = data(&json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
    let script = vec![stream_head(), Step::Send(event("all of it")), Step::Send(end)];
    assert_eq!(chat(&settings(&serve(vec![script.clone()]))).result.unwrap().text, "all of it");
    // the connection stays open, and nothing more comes
    let open = [script, vec![Step::Stall]].concat();
    let outcome = chat(&settings(&serve(vec![open])));
    assert_eq!(outcome.result.unwrap().text, "all of it");
    assert!(outcome.usage.estimated);
}

#[test]
fn wrong_content_types() {
    for (declared, body) in [("text/html", "<html><body>Login</body></html>"), ("text/plain", "upstream is down")] {
        let (error, requests) = fails(respond(200, &[("Content-Type", declared)], body));
        assert_eq!((error.kind, requests), (Kind::ContentType, 3));
        assert!(error.message.contains(declared) && error.message.contains(&body[..8]), "{error}");
    }
    heals(respond(200, &[("Content-Type", "text/html")], "<html>"), Kind::ContentType);
    heals(respond(200, &[], ""), Kind::Empty);
}

#[test]
fn very_long_replies_are_left() {
    let piece = event(&"x".repeat(10_000));
    let mut script = vec![stream_head()];
    script.extend((0..100).map(|_| Step::Send(piece.clone())));
    script.push(Step::Stall);
    let (error, requests) = fails(script);
    assert_eq!((error.kind, requests), (Kind::TooLong, 1));
    let (error, _) = fails(respond_json(200, &completion(&"x".repeat(300_000), None)));
    assert_eq!(error.kind, Kind::TooLong);
}

#[test]
fn refusals_and_silence() {
    let refusal =
        json!({"choices": [{"message": {"content": null, "refusal": "I can't help"}, "finish_reason": "stop"}]});
    let (error, requests) = fails(respond_json(200, &refusal));
    assert_eq!((error.kind, requests), (Kind::Refusal, 1));
    assert!(error.message.contains("I can't help"), "{error}");
    let (error, requests) = fails(ok("  \n"));
    assert_eq!((error.kind, requests), (Kind::Empty, 3));
    heals(streamed("", None), Kind::Empty);
}

#[test]
fn the_key_is_nowhere() {
    let mut shown = Vec::new();
    // servers that echo it, in errors and in replies
    for (status, body) in
        [(401, format!("{{\"error\": {{\"message\": \"bad key {KEY}\"}}}}")), (500, format!("Bearer {KEY}"))]
    {
        let server = serve(vec![respond(status, &[], &body)]);
        shown.push(format!("{:?}", chat(&settings(&server))));
    }
    for text in [format!("your key is {KEY}"), format!("<think>{KEY}</think>ok")] {
        let outcome = chat(&settings(&serve(vec![streamed(&text, None)])));
        assert!(outcome.result.is_ok());
        shown.push(format!("{outcome:?}"));
    }
    let html = respond(200, &[("Content-Type", "text/html")], &format!("<html>{KEY}"));
    shown.push(format!("{:?}", fails(html)));
    // every place of a reply that is kept or shown
    let places = [
        respond(200, &[("Content-Type", &format!("text/{KEY}"))], "<html>"),
        respond(307, &[("Location", &format!("http://127.0.0.1:9/{KEY}"))], ""),
        respond(200, &[("Content-Encoding", KEY)], "x"),
        respond_json(200, &json!({"model": KEY, "choices": [{"message": {"content": "x"}, "finish_reason": KEY}]})),
        respond_json(
            200,
            &json!({"choices": [{"message": {"content": null, "refusal": format!("{}{KEY}", "x".repeat(185))}}]}),
        ),
        respond_json(200, &json!({"choices": KEY})),
        respond_json(200, &json!({"choices": [{"message": {"content": 1, "key": KEY}}]})),
        respond_json(200, &json!({"error": {"message": format!("{}{KEY}", "x".repeat(390))}})),
        respond(200, &[("Content-Type", "application/json")], &format!("{{\"{}{KEY}", "x".repeat(100))),
        respond(500, &[], &format!("{}{KEY}", "x".repeat(190))),
        vec![stream_head(), Step::Send(event(&format!("half of {KEY}"))), Step::Send(event(&KEY[..25])), Step::Stall],
        vec![
            stream_head(),
            Step::Send(event(&KEY[..15])),
            Step::Send(event(&KEY[15..])),
            Step::Send(stream_end("stop", None)),
        ],
    ];
    for place in places {
        shown.push(format!("{:?}", chat(&settings(&serve(vec![place])))));
    }
    let server = serve(vec![]);
    shown.push(format!(
        "{:?}",
        Client::new(&Settings::default(), &at(&server.url()), Secret::new(KEY), quiet()).unwrap()
    ));
    for text in &shown {
        assert!(!text.contains("very-secret") && !text.contains(&KEY[..20]), "{text}");
    }
    assert!(shown[0].contains("bad key ***"), "{}", shown[0]);
}

#[test]
fn advice_where_everybody_stumbles() {
    let server = serve(vec![respond_json(401, &json!({"error": {"message": "missing key"}}))]);
    let mut settings = settings(&server);
    settings.endpoint.key_env = "MY_KEY".into();
    let client = Client::new(&settings, &settings.endpoint, None, quiet()).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    let error = client.chat(&call(&settings), "", &ledger, Some(Instant::now() + ms(2000))).result.unwrap_err();
    assert!(error.message.contains("set the environment variable MY_KEY"), "{error}");
    let message = "Unsupported parameter: use 'max_completion_tokens' instead";
    let server = serve(vec![respond_json(400, &json!({"error": {"message": message}}))]);
    let settings = with(settings, |s| (s.endpoint, s.llm.max_tokens) = (at(&server.url()), Some(100)));
    assert!(chat(&settings).result.unwrap_err().message.contains("llm.max_tokens_field"));
}

#[test]
fn budgets_stop_before_the_call() {
    let server = serve(vec![respond_json(200, &completion("x", Some((40, 10))))]);
    let mut settings = settings(&server);
    settings.llm.max_tokens_total = Some(120);
    settings.llm.max_tokens = Some(20);
    let client = Client::new(&settings, &settings.endpoint, None, quiet()).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    let results: Vec<_> = (0..4)
        .map(|_| client.chat(&call(&settings), "", &ledger, Some(Instant::now() + ms(2000))).result.map_err(|e| e.kind))
        .map(|result| result.map(|reply| reply.text))
        .collect();
    assert_eq!(results[..2], [Ok("x".to_owned()), Ok("x".to_owned())]);
    assert_eq!(results[2..], [Err(Kind::Budget), Err(Kind::Budget)]);
    assert_eq!((server.requests().len(), ledger.spent().tokens), (2, 100));
}

#[test]
fn failed_attempts_cost_too() {
    let broken = vec![stream_head(), Step::Send(event(&"x".repeat(400))), Step::Reset];
    let server =
        serve(vec![broken, respond_json(500, &Value::Null), respond_json(200, &completion("x", Some((40, 10))))]);
    let mut settings = settings(&server);
    settings.llm.prices.insert("m".into(), ModelPrice { input: 1e6, output: 1e6, cached_input: None });
    let outcome = chat(&settings);
    assert!(outcome.result.is_ok());
    // 100 tokens of the broken reply and its prompt are guesses; the second attempt was refused and cost nothing
    let prompt = (call(&settings).estimated_prompt_tokens() as f64 * 1.4).ceil() as u64;
    assert_eq!(outcome.usage.completion_tokens, 110);
    assert_eq!(outcome.usage.prompt_tokens, 40 + prompt);
    assert!(outcome.usage.estimated);
    assert_eq!(outcome.cost, Some((150 + prompt) as f64));
}
