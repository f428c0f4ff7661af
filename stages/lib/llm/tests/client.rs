//! The client against real servers that do everything servers do.

use std::time::{Duration, Instant};

use llm::mock::{
    Request, Server, Step, completion, data, event, head, respond, respond_json, stream_end, stream_head, streamed,
};
use llm::{
    Agent, Call, CallError, Client, Finish, Kind, Ledger, Message, Model, Outcome, Price, Secret, Settings, Spent,
};
use serde_json::{Value, json};

const KEY: &str = "sk-test-0123456789-very-secret";

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn settings(server: &Server) -> Settings {
    Settings {
        base_url: server.url(),
        models: vec![Model { name: "m".into(), weight: 1.0 }],
        connect_timeout: ms(500),
        first_byte_timeout: ms(150),
        idle_timeout: ms(150),
        attempt_timeout: ms(2000),
        retries: 2,
        backoff: ms(4),
        backoff_max: ms(20),
        max_reply_bytes: 200_000,
        ..Settings::default()
    }
}

fn call(settings: &Settings) -> Call {
    Call {
        agent: Agent::Writer,
        model: "m".into(),
        messages: vec![Message::system("You write."), Message::user("Größe 🙂?")],
        params: settings.params(Agent::Writer, 0),
    }
}

fn chat_until(settings: &Settings, deadline: Duration) -> Outcome {
    let client = Client::new(settings, Secret::new(KEY)).unwrap();
    let ledger = Ledger::new(settings, Spent::default());
    client.chat(&call(settings), "0.0", &ledger, Instant::now() + deadline)
}

fn chat(settings: &Settings) -> Outcome {
    chat_until(settings, ms(5000))
}

fn serve(scripts: Vec<Vec<Step>>) -> Server {
    Server::scripted(scripts).unwrap()
}

/// One script again and again: the error that remains, and how many requests were made.
fn fails(script: Vec<Step>) -> (CallError, usize) {
    let server = serve(vec![script]);
    let outcome = chat(&settings(&server));
    let error = outcome.result.unwrap_err();
    assert!(outcome.tries.iter().all(|attempt| attempt.error.kind == error.kind), "{:?}", outcome.tries);
    assert_eq!(outcome.tries.len(), server.requests().len());
    (error, server.requests().len())
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
    });
    assert_eq!(request.json(), expected);

    let mut quiet = settings(&server);
    quiet.stream = false;
    quiet.temperature = Some(0.25);
    chat(&quiet).result.unwrap();
    let body = server.requests().remove(1).json();
    assert_eq!((&body["temperature"], body.get("stream"), body.get("stream_options")), (&json!(0.25), None, None));
}

#[test]
fn without_a_key_no_header() {
    let server = serve(vec![ok("x")]);
    let settings = settings(&server);
    let client = Client::new(&settings, None).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    client.chat(&call(&settings), "0.0", &ledger, Instant::now() + ms(2000)).result.unwrap();
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
    let limited = |wait: &str| respond(429, &[("Retry-After", wait)], r#"{"error": {"message": "slow down"}}"#);
    let server = serve(vec![limited("0.12"), ok("fine")]);
    let start = Instant::now();
    let outcome = chat(&settings(&server));
    assert_eq!(outcome.result.unwrap().text, "fine");
    assert!(start.elapsed() >= ms(120));
    assert!(outcome.tries[0].waited_ms >= 120);
    assert_eq!(outcome.tries[0].error.status, Some(429));
    assert!(outcome.tries[0].error.message.contains("slow down"));

    // as a date, against the server's own clock
    let headers = [("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Retry-After", "Sun, 06 Nov 1994 08:49:38 GMT")];
    let server = serve(vec![respond(503, &headers, ""), ok("fine")]);
    let outcome = chat(&settings(&server));
    assert!(outcome.result.is_ok());
    assert!((1000..1500).contains(&outcome.tries[0].waited_ms), "{:?}", outcome.tries);
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let server = serve(vec![respond(429, &[("Retry-After", "3600")], "")]);
    let start = Instant::now();
    let error = chat(&settings(&server)).result.unwrap_err();
    assert_eq!((error.kind, server.requests().len()), (Kind::Deadline, 1));
    assert!(error.message.contains("would wait 3600.0 s") && error.message.contains("429"), "{error}");
    assert!(start.elapsed() < ms(2000));
}

#[test]
fn server_errors_are_tried_again_and_client_errors_are_not() {
    for status in [408, 409, 425, 429, 500, 502, 503, 529] {
        let (error, requests) = fails(respond(status, &[], "<html>oops</html>"));
        assert_eq!((error.kind, error.status, requests), (Kind::Status, Some(status), 3));
    }
    for status in [301, 400, 401, 403, 404, 413, 422] {
        let body = r#"{"error": {"message": "no, because", "type": "x"}}"#;
        let (error, requests) = fails(respond(status, &[("Location", "http://127.0.0.1:9/")], body));
        assert_eq!((error.kind, error.status, requests), (Kind::Status, Some(status), 1));
        assert!(error.message.contains("no, because"), "{error}");
    }
    heals(respond(500, &[], ""), Kind::Status);
}

#[test]
fn errors_within_a_success() {
    let (error, requests) = fails(respond_json(200, &json!({"error": {"message": "no such model", "code": 404}})));
    assert_eq!((error.kind, requests), (Kind::Api, 1));
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
    assert_eq!(outcome.result.unwrap_err().kind, Kind::Connect);
    assert_eq!(outcome.tries.len(), 3);
    assert_eq!(outcome.usage.total(), 0);
}

#[test]
fn tls_against_a_server_without_it() {
    let server = serve(vec![respond(400, &[], "")]);
    let mut settings = settings(&server);
    settings.base_url = settings.base_url.replace("http://", "https://");
    assert_eq!(chat(&settings).result.unwrap_err().kind, Kind::Connect);
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
    settings.first_byte_timeout = Duration::from_secs(600);
    settings.attempt_timeout = Duration::from_secs(600);
    settings.retries = 1000;
    let start = Instant::now();
    let error = chat_until(&settings, ms(300)).result.unwrap_err();
    assert!(matches!(error.kind, Kind::Deadline), "{error}");
    assert!(start.elapsed() < ms(1300), "{:?}", start.elapsed());
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
    settings.attempt_timeout = ms(200);
    settings.retries = 0;
    let error = chat(&settings).result.unwrap_err();
    assert!(error.kind == Kind::Timeout && error.message.contains("the whole attempt"), "{error}");
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
    let server = serve(vec![]);
    shown.push(format!("{:?}", Client::new(&settings(&server), Secret::new(KEY)).unwrap()));
    for text in &shown {
        assert!(!text.contains("very-secret"), "{text}");
    }
    assert!(shown[0].contains("bad key ***"), "{}", shown[0]);
}

#[test]
fn advice_where_everybody_stumbles() {
    let server = serve(vec![respond_json(401, &json!({"error": {"message": "missing key"}}))]);
    let mut settings = settings(&server);
    settings.key_env = "MY_KEY".into();
    let client = Client::new(&settings, None).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    let error = client.chat(&call(&settings), "", &ledger, Instant::now() + ms(2000)).result.unwrap_err();
    assert!(error.message.contains("set the environment variable MY_KEY"), "{error}");
    let message = "Unsupported parameter: use 'max_completion_tokens' instead";
    let (error, _) = fails(respond_json(400, &json!({"error": {"message": message}})));
    assert!(error.message.contains("llm.max_tokens_field"), "{error}");
}

#[test]
fn budgets_stop_before_the_call() {
    let server = serve(vec![respond_json(200, &completion("x", Some((40, 10))))]);
    let mut settings = settings(&server);
    settings.max_tokens_total = Some(120);
    settings.max_tokens = Some(20);
    let client = Client::new(&settings, None).unwrap();
    let ledger = Ledger::new(&settings, Spent::default());
    let results: Vec<_> = (0..4)
        .map(|_| client.chat(&call(&settings), "", &ledger, Instant::now() + ms(2000)).result.map_err(|e| e.kind))
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
    settings.prices.insert("m".into(), Price { input: 1e6, output: 1e6, cached_input: None });
    let outcome = chat(&settings);
    assert!(outcome.result.is_ok());
    // 100 tokens of the broken reply and its prompt are guesses; the second attempt was refused and cost nothing
    let prompt = call(&settings).estimated_prompt_tokens();
    assert_eq!(outcome.usage.completion_tokens, 110);
    assert_eq!(outcome.usage.prompt_tokens, 40 + prompt);
    assert!(outcome.usage.estimated);
    assert_eq!(outcome.cost, Some((150 + prompt) as f64));
}
