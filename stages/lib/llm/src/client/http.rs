//! One attempt: a request out, a reply in, within its time and size limits.

use std::time::Duration;

use reqwest::header;
use tokio::time::{Instant, timeout};

use crate::call::Usage;
use crate::client::sse::Decoder;
use crate::client::wire::{Assembly, Begun};
use crate::client::{chain, faults, retry};
use crate::error::{CallError, Kind, excerpt};
use crate::secret::Mask;

/// Most bytes that are read of the body of an HTTP error.
const ERROR_BYTES: usize = 64 * 1024;
/// How long a reply that is complete waits for the count of its tokens.
const GRACE: Duration = Duration::from_secs(2);

/// One request, ready to send.
pub struct Request {
    pub url: reqwest::Url,
    pub headers: header::HeaderMap,
    pub body: String,
    /// Longest silence until the head of the reply.
    pub first_byte: Duration,
    /// Longest silence within the reply.
    pub idle: Duration,
    /// Longest time for everything.
    pub total: Option<Duration>,
    pub max_bytes: usize,
    /// Longest text of a reply, reasoning and answer: beyond it the model runs away.
    pub max_text: usize,
    /// What no message and no reply may hold.
    pub mask: Mask,
    /// What the reply goes on from.
    pub begun: Begun,
}

/// What arrived, also if the attempt failed: it may cost.
#[derive(Debug, Default)]
pub struct Received {
    pub text_bytes: usize,
    /// The text of a reply that did not come to its end.
    pub partial: Option<String>,
    /// What another request can go on from, of such a reply.
    pub begun: Option<Begun>,
    /// The server's own count.
    pub usage: Option<Usage>,
}

/// Sends the request and puts the reply together.
pub async fn exchange(
    http: &reqwest::Client,
    request: Request,
    received: &mut Received,
) -> Result<Assembly, CallError> {
    let clock = Clock { end: request.total.map(|total| (Instant::now() + total, total)) };
    let sending = http
        .post(request.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "text/event-stream, application/json")
        // Packing holds back the events of a stream. A server that packs all the same may use gzip.
        .header(header::ACCEPT_ENCODING, "identity")
        .headers(request.headers)
        .body(request.body)
        .send();
    let response = match timeout(clock.at_most(request.first_byte), sending).await {
        Err(_) => return Err(clock.expired(request.first_byte, None)),
        Ok(Err(error)) => return Err(transport(&error)),
        Ok(Ok(response)) => response,
    };
    if response.status() != reqwest::StatusCode::OK {
        return Err(refused(response, &clock, request.idle, &request.mask).await);
    }
    unpacked(&response, &request.mask)?;
    let limits = Limits { idle: request.idle, bytes: request.max_bytes, text: request.max_text };
    let mut assembly = Assembly::new(request.mask.clone(), request.begun);
    let result = read(response, &mut assembly, &clock, &limits, &request.mask).await;
    received.text_bytes = assembly.text_bytes();
    received.usage = assembly.usage;
    if result.is_err() {
        received.partial = assembly.partial();
        received.begun = assembly.begun();
    }
    result.map(|()| assembly)
}

/// Refuses a body that would have to be unpacked first in a way that this client has not offered (it offers gzip).
fn unpacked(response: &reqwest::Response, mask: &Mask) -> Result<(), CallError> {
    let encoding =
        response.headers().get(header::CONTENT_ENCODING).map(|value| String::from_utf8_lossy(value.as_bytes()));
    match encoding.as_deref().map(str::trim) {
        None | Some("" | "identity") => Ok(()),
        Some(other) => {
            let name = excerpt(&mask.scrub(other), 40);
            Err(CallError::new(
                Kind::Encoding,
                format!("the server packs its replies as {name:?}, which was not asked for"),
            ))
        }
    }
}

/// The time of an attempt, where it is limited.
struct Clock {
    end: Option<(Instant, Duration)>,
}

impl Clock {
    fn at_most(&self, limit: Duration) -> Duration {
        self.end.map_or(limit, |(end, _)| limit.min(end.saturating_duration_since(Instant::now())))
    }

    /// Nothing came in time. `so_far`: bytes of the reply's text, where it has begun.
    fn expired(&self, limit: Duration, so_far: Option<usize>) -> CallError {
        match (self.end.filter(|(end, _)| Instant::now() >= *end), so_far) {
            // The model was at work, and would be again: to ask once more the same way would cost as much and end alike.
            (Some((_, total)), Some(bytes)) if bytes > 0 => CallError::new(
                Kind::TooLong,
                format!(
                    "the reply was still coming after {:.1} s ({bytes} bytes of text so far): raise \
                     llm.attempt_timeout_s or llm.deadline_s",
                    total.as_secs_f64()
                ),
            ),
            (Some((_, total)), _) => {
                let seconds = total.as_secs_f64();
                CallError::new(
                    Kind::Timeout,
                    format!("no answer within {seconds:.1} s (the whole attempt may take no longer)"),
                )
            }
            (None, None) => CallError::new(Kind::Timeout, format!("no answer within {:.1} s", limit.as_secs_f64())),
            (None, Some(bytes)) => {
                let seconds = limit.as_secs_f64();
                CallError::new(
                    Kind::Timeout,
                    format!("the reply stalled: no byte for {seconds:.1} s, after {bytes} bytes of text"),
                )
            }
        }
    }
}

/// What a reply may take.
struct Limits {
    idle: Duration,
    bytes: usize,
    text: usize,
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
    limits: &Limits,
    mask: &Mask,
) -> Result<(), CallError> {
    let declared = declared_type(&response, mask);
    let mut head: Vec<u8> = Vec::new();
    let mut form: Option<Form> = None;
    let mut events = Vec::new();
    let mut bytes = 0usize;
    loop {
        let complete = assembly.finish.is_some();
        let limit = if complete { limits.idle.min(GRACE) } else { limits.idle };
        let chunk = match timeout(clock.at_most(limit), response.chunk()).await {
            // only the count of tokens is missing: better a guess than a lost reply
            Err(_) | Ok(Err(_)) if complete => break,
            Err(_) => return Err(clock.expired(limit, Some(assembly.text_bytes()))),
            Ok(Err(error)) => return Err(transport(&error)),
            Ok(Ok(None)) => break,
            Ok(Ok(Some(chunk))) => chunk,
        };
        bytes += chunk.len();
        if bytes > limits.bytes {
            return Err(CallError::new(Kind::TooLong, format!("the reply exceeds {} bytes", limits.bytes)));
        }
        match &mut form {
            None => {
                head.extend_from_slice(&chunk);
                form = recognise(&head, &declared, mask)?;
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
        if assembly.text_bytes() > limits.text {
            let message = format!(
                "the reply is {} bytes long and goes on, more than the longest that was asked for: it was cut off (llm.max_tokens)",
                assembly.text_bytes()
            );
            return Err(CallError::new(Kind::TooLong, message));
        }
        if assembly.done {
            return Ok(());
        }
    }
    match form {
        None if head.iter().all(u8::is_ascii_whitespace) => Err(CallError::new(Kind::Empty, "the reply has no body")),
        None => Err(unreadable(&head, &declared, mask)),
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

fn declared_type(response: &reqwest::Response, mask: &Mask) -> String {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    mask.scrub(value.unwrap_or("")).split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The form of a body that starts with `head`; none as long as that is too little to tell.
fn recognise(head: &[u8], declared: &str, mask: &Mask) -> Result<Option<Form>, CallError> {
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
    Err(unreadable(head, declared, mask))
}

fn unreadable(head: &[u8], declared: &str, mask: &Mask) -> CallError {
    let declared = if declared.is_empty() { "no content type" } else { declared };
    let text = excerpt(&mask.scrub(&String::from_utf8_lossy(head)), 120);
    let message = format!("neither JSON nor an event stream, but {declared}: {text:?}");
    CallError::new(Kind::ContentType, message)
}

/// An HTTP status other than 200, with what the body says about it.
async fn refused(mut response: reqwest::Response, clock: &Clock, idle: Duration, mask: &Mask) -> CallError {
    let status = response.status();
    let retry_after = retry::retry_after(response.headers());
    let target =
        response.headers().get(header::LOCATION).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut body = Vec::new();
    while body.len() < ERROR_BYTES {
        match timeout(clock.at_most(idle), response.chunk()).await {
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            // the status alone says enough
            _ => break,
        }
    }
    let reason = match target.filter(|_| status.is_redirection()) {
        Some(target) => {
            let target = excerpt(&mask.scrub(&target), 300);
            format!("{status}: the server sends to {target} (if that is right, set llm.base_url to it)")
        }
        None => status.to_string(),
    };
    let mut error = faults::http_error(status.as_u16(), &reason, &String::from_utf8_lossy(&body), mask);
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
