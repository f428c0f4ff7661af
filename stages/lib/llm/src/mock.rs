//! A real HTTP server on a local port whose every byte and pause is scripted: for tests of clients and of whole
//! searches. Only with the feature `mock`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path of the first line, with its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The text of the body; empty where there is none.
    pub body: String,
}

impl Request {
    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body; null if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The text of the last message.
    pub fn prompt(&self) -> String {
        let body = self.json();
        let message = body.pointer("/messages").and_then(Value::as_array).and_then(|messages| messages.last());
        message.and_then(|m| m.get("content")).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// What the server does on a connection, in order; then it closes it.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits for so long.
    Sleep(Duration),
    /// Says nothing more until the client leaves or the server ends.
    Stall,
    /// Breaks the connection off, so that the client sees a reset.
    Reset,
}

/// The server. Ends when dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

type Handler = dyn Fn(usize, &Request) -> Vec<Step> + Send + Sync;

impl Server {
    /// Serves with `handler`, which gets the number of the request, from 0, and the request.
    pub fn start(handler: impl Fn(usize, &Request) -> Vec<Step> + Send + Sync + 'static) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (seen, over) = (Arc::clone(&requests), Arc::clone(&ended));
        let listening = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (seen, over, handler) = (Arc::clone(&seen), Arc::clone(&over), Arc::clone(&handler));
                std::thread::spawn(move || {
                    // a client that has left is not a concern of the server's
                    let _ = serve(stream, &seen, &over, &*handler);
                });
            }
        });
        Ok(Self { address, requests, ended, listening: Some(listening) })
    }

    /// Serves one script after the other; the last one again and again.
    pub fn scripted(scripts: Vec<Vec<Step>>) -> std::io::Result<Self> {
        Self::start(move |number, _| scripts.get(number).or(scripts.last()).cloned().unwrap_or_default())
    }

    /// What a client takes as base URL.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // wakes the listener, which waits for a connection
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, ended: &AtomicBool, handler: &Handler) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(1, stream.try_clone()?);
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0u8; length.unwrap_or(0)];
    // The last byte stays in the socket: closing with unread input is what makes the system send a reset.
    if let Some((last, most)) = body.split_last_mut() {
        reader.read_exact(most)?;
        while stream.peek(std::slice::from_mut(last))? == 0 {}
    }
    let request = Request { path, headers, body: String::from_utf8_lossy(&body).into_owned() };
    let number = {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(request.clone());
        seen.len() - 1
    };
    let steps = handler(number, &request);
    if !steps.iter().any(|step| matches!(step, Step::Reset)) && !body.is_empty() {
        stream.read_exact(&mut [0])?;
    }
    for step in steps {
        match step {
            Step::Send(bytes) => stream.write_all(&bytes)?,
            Step::Sleep(time) => std::thread::sleep(time),
            Step::Reset => break,
            Step::Stall => {
                stream.set_read_timeout(Some(Duration::from_millis(5)))?;
                while !ended.load(Ordering::SeqCst) {
                    // nothing read without an error: the client has left
                    match stream.read(&mut [0]) {
                        Ok(0) => break,
                        _ => continue,
                    }
                }
            }
        }
    }
    Ok(())
}

/// The head of a response without its length: the end of the connection ends the body.
pub fn head(status: u16, headers: &[(&str, &str)]) -> Step {
    let mut text = format!("HTTP/1.1 {status} X\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    Step::Send(text.into_bytes())
}

/// A whole response.
pub fn respond(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<Step> {
    let length = body.len().to_string();
    let mut all = headers.to_vec();
    all.push(("Content-Length", &length));
    vec![head(status, &all), Step::Send(body.as_bytes().to_vec())]
}

/// A whole response of JSON.
pub fn respond_json(status: u16, body: &Value) -> Vec<Step> {
    respond(status, &[("Content-Type", "application/json")], &body.to_string())
}

/// A completion in one object; `usage` as (prompt, completion) tokens.
pub fn completion(text: &str, usage: Option<(u64, u64)>) -> Value {
    let mut body = json!({
        "id": "x", "object": "chat.completion", "model": "mock",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
    });
    if let Some((prompt, completion)) = usage {
        body["usage"] =
            json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    }
    body
}

/// The head of an event stream.
pub fn stream_head() -> Step {
    head(200, &[("Content-Type", "text/event-stream; charset=utf-8")])
}

/// One event with a piece of text.
pub fn event(text: &str) -> Vec<u8> {
    data(&json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}))
}

/// One event with any data.
pub fn data(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

/// The events that end a stream.
pub fn stream_end(finish: &str, usage: Option<(u64, u64)>) -> Vec<u8> {
    let mut bytes = data(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}));
    if let Some((prompt, completion)) = usage {
        bytes
            .extend(data(&json!({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})));
    }
    bytes.extend(b"data: [DONE]\n\n");
    bytes
}

/// A completion as a stream of pieces of a few characters.
pub fn streamed(text: &str, usage: Option<(u64, u64)>) -> Vec<Step> {
    let characters: Vec<char> = text.chars().collect();
    let mut steps = vec![stream_head()];
    let pieces: Vec<u8> = characters.chunks(11).flat_map(|piece| event(&piece.iter().collect::<String>())).collect();
    steps.push(Step::Send(pieces));
    steps.push(Step::Send(stream_end("stop", usage)));
    steps
}

/// A model that plays all three agents, for whole searches: it chooses factors in turn, and makes small edits of the
/// parent program in the prompt that are valid in the seed program's frame. Every fifth program is broken, and every
/// seventh changes frozen code, as those of real models are.
pub fn player() -> impl Fn(usize, &Request) -> Vec<Step> + Send + Sync + 'static {
    move |number, request| {
        let body = request.json();
        let message = |n: usize| body["messages"][n]["content"].as_str().unwrap_or_default().to_owned();
        let opening = message(1);
        let repaired = body["messages"].as_array().is_some_and(|messages| messages.len() > 2);
        let text = if opening.contains("Choose the one factor") {
            let factor = if number.is_multiple_of(2) { "OPERATOR" } else { "ACTION" };
            format!("{{\"factor\": \"{factor}\", \"reason\": \"it is its turn\"}}")
        } else if opening.contains("Write a directive") {
            format!("Title: scale number {number}\n\nScale the triplet messages by a constant of your choice.")
        } else {
            program(&opening, number, repaired)
        };
        streamed(&text, Some((request.body.len() as u64 / 4, text.len() as u64 / 4)))
    }
}

/// The reply of a writer.
fn program(prompt: &str, number: usize, repaired: bool) -> String {
    let parent = prompt.split("```python\n").nth(1).and_then(|rest| rest.split("\n```").next()).unwrap_or_default();
    let operator = prompt.contains("marker comments of the OPERATOR region");
    let constant = 1 + number % 997;
    let (end, line) = if operator {
        ("# ===== END OPERATOR REGION =====", format!("    nn.init.constant_(self.o3.bias, 0.{constant:03})\n        "))
    } else {
        ("# ===== END ACTION REGION =====", format!("tri_msgs = tri_msgs * 1.{constant:03}\n        "))
    };
    let mut source = parent.replacen(end, &format!("{line}{end}"), 1);
    if !repaired && number.is_multiple_of(5) {
        source = source.replacen(&line, "tri_msgs = self.no_such_layer(z)\n        ", 1);
    } else if !repaired && number.is_multiple_of(7) {
        source = source.replacen("BLOCKED = -1e6", "BLOCKED = -1e5", 1);
    }
    format!("Idea: a scale of {constant}, as the directive asks.\n\n```python\n{source}\n```\n")
}
