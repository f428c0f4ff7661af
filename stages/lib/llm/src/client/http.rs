//! One attempt: a request out, a reply in, within its time and size limits.

use std::time::Duration;

use reqwest::header;
use tokio::time::{Instant, timeout};

use crate::call::Usage;
use crate::client::sse::Decoder;
use crate::client::wire::{Assembly, api_error};
use crate::client::{chain, retry};
use crate::error::{CallError, Kind, excerpt};

/// Most bytes that are read of the body of an HTTP error.
const ERROR_BYTES: usize = 64 * 1024;
/// How long a reply that is complete waits for the count of its tokens.
const GRACE: Duration = Duration::from_secs(2);

/// One request, ready to send.
pub struct Request {
    pub url: reqwest::Url,
    pub authorization: Option<header::HeaderValue>,
    pub body: String,
    /// Longest silence until the head of the reply.
    pub first_byte: Duration,
    /// Longest silence within the reply.
    pub idle: Duration,
    /// Longest time for everything.
    pub total: Duration,
    pub max_bytes: usize,
}

/// What arrived, also if the attempt failed: it may cost.
#[derive(Debug, Default)]
pub struct Received {
    /// The server accepted the request (status 200).
    pub accepted: bool,
    pub text_bytes: usize,
    /// The server's own count.
    pub usage: Option<Usage>,
}

/// Sends the request and puts the reply together.
pub async fn exchange(
    http: &reqwest::Client,
    request: Request,
    received: &mut Received,
) -> Result<Assembly, CallError> {
    let clock = Clock { end: Instant::now() + request.total, total: request.total };
    let mut builder = http
        .post(request.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "text/event-stream, application/json");
    if let Some(value) = request.authorization {
        builder = builder.header(header::AUTHORIZATION, value);
    }
    let sending = builder.body(request.body).send();
    let response = match timeout(clock.at_most(request.first_byte), sending).await {
        Err(_) => return Err(clock.expired("no answer", request.first_byte)),
        Ok(Err(error)) => return Err(transport(&error)),
        Ok(Ok(response)) => response,
    };
    if response.status() != reqwest::StatusCode::OK {
        return Err(refused(response, &clock, request.idle).await);
    }
    received.accepted = true;
    let mut assembly = Assembly::default();
    let result = read(response, &mut assembly, &clock, request.idle, request.max_bytes).await;
    received.text_bytes = assembly.text_bytes();
    received.usage = assembly.usage;
    result.map(|()| assembly)
}

/// The limits of an attempt.
struct Clock {
    end: Instant,
    total: Duration,
}

impl Clock {
    fn at_most(&self, limit: Duration) -> Duration {
        limit.min(self.end.saturating_duration_since(Instant::now()))
    }

    fn expired(&self, what: &str, limit: Duration) -> CallError {
        let (limit, which) = if Instant::now() >= self.end {
            (self.total, "the whole attempt may take no longer")
        } else {
            (limit, "no byte came")
        };
        CallError::new(Kind::Timeout, format!("{what} within {:.1} s ({which})", limit.as_secs_f64()))
    }
}

/// The two forms of a reply. What the server declares is often wrong, so the first byte decides.
enum Form {
    Json(Vec<u8>),
    Events(Decoder),
}

async fn read(
    mut response: reqwest::Response,
    assembly: &mut Assembly,
    clock: &Clock,
    idle: Duration,
    max_bytes: usize,
) -> Result<(), CallError> {
    let declared = declared_type(&response);
    let mut head: Vec<u8> = Vec::new();
    let mut form: Option<Form> = None;
    let mut events = Vec::new();
    let mut bytes = 0usize;
    loop {
        let complete = assembly.finish.is_some();
        let limit = if complete { idle.min(GRACE) } else { idle };
        let chunk = match timeout(clock.at_most(limit), response.chunk()).await {
            // only the count of tokens is missing: better a guess than a lost reply
            Err(_) | Ok(Err(_)) if complete => break,
            Err(_) => return Err(clock.expired("the reply stalled: nothing", limit)),
            Ok(Err(error)) => return Err(transport(&error)),
            Ok(Ok(None)) => break,
            Ok(Ok(Some(chunk))) => chunk,
        };
        bytes += chunk.len();
        if bytes > max_bytes {
            return Err(CallError::new(Kind::TooLong, format!("the reply exceeds {max_bytes} bytes")));
        }
        match &mut form {
            None => {
                head.extend_from_slice(&chunk);
                form = recognise(&head, &declared)?;
                if let Some(Form::Events(decoder)) = &mut form {
                    decoder.push(&head, &mut events)?;
                }
            }
            Some(Form::Json(body)) => body.extend_from_slice(&chunk),
            Some(Form::Events(decoder)) => decoder.push(&chunk, &mut events)?,
        }
        for event in events.drain(..) {
            assembly.event(&event)?;
        }
        if assembly.done {
            return Ok(());
        }
    }
    match form {
        None if head.iter().all(u8::is_ascii_whitespace) => Err(CallError::new(Kind::Empty, "the reply has no body")),
        None => Err(unreadable(&head, &declared)),
        Some(Form::Json(body)) => {
            let text = String::from_utf8(body)
                .map_err(|_| CallError::new(Kind::Malformed, "the reply's JSON is not valid UTF-8"))?;
            assembly.whole(&text)
        }
        Some(Form::Events(mut decoder)) => {
            decoder.end(&mut events)?;
            for event in events {
                assembly.event(&event)?;
            }
            if assembly.done || assembly.finish.is_some() {
                return Ok(());
            }
            let message = format!("the stream ended before the reply did, after {} bytes", assembly.text_bytes());
            Err(CallError::new(Kind::Truncated, message))
        }
    }
}

fn declared_type(response: &reqwest::Response) -> String {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The form of a body that starts with `head`; none as long as that is too little to tell.
fn recognise(head: &[u8], declared: &str) -> Result<Option<Form>, CallError> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let start = head.trim_ascii_start();
    if start.is_empty() {
        return Ok(None);
    }
    if start.starts_with(b"{") || start.starts_with(b"[") {
        return Ok(Some(Form::Json(head.to_vec())));
    }
    if declared == "text/event-stream" {
        return Ok(Some(Form::Events(Decoder::default())));
    }
    const FIELDS: [&[u8]; 5] = [b"data:", b"event:", b"id:", b"retry:", b":"];
    if FIELDS.iter().any(|field| start.starts_with(field)) {
        return Ok(Some(Form::Events(Decoder::default())));
    }
    if FIELDS.iter().any(|field| field.starts_with(start)) {
        return Ok(None);
    }
    Err(unreadable(head, declared))
}

fn unreadable(head: &[u8], declared: &str) -> CallError {
    let declared = if declared.is_empty() { "no content type" } else { declared };
    let text = excerpt(&String::from_utf8_lossy(head), 120);
    let message = format!("neither JSON nor an event stream, but {declared}: {text:?}");
    CallError::new(Kind::ContentType, message)
}

/// An HTTP status other than 200, with what the body says about it.
async fn refused(mut response: reqwest::Response, clock: &Clock, idle: Duration) -> CallError {
    let status = response.status();
    let retry_after = retry::retry_after(response.headers());
    let mut body = Vec::new();
    while body.len() < ERROR_BYTES {
        match timeout(clock.at_most(idle), response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            // the status alone says enough
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&body);
    let said = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(value) => api_error(value.get("error").unwrap_or(&value)).message,
        Err(_) => excerpt(&text, 200),
    };
    let message = if said.is_empty() { format!("{status}") } else { format!("{status}: {said}") };
    let mut error = CallError::new(Kind::Status, message).with_status(Some(status.as_u16()));
    error.retry_after = retry_after;
    error
}

fn transport(error: &reqwest::Error) -> CallError {
    let kind = if error.is_timeout() && !error.is_connect() {
        Kind::Timeout
    } else if error.is_connect() {
        Kind::Connect
    } else if error.is_builder() {
        Kind::Setup
    } else {
        Kind::Transport
    };
    CallError::new(kind, chain(error))
}
