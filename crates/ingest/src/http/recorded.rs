//! Answers in a folder: kept by `run --record`, played by `test`, without a network (I14).
//!
//! ```text
//!   DIR/recording.json     when it was recorded: the clock of the test
//!   DIR/0001.json …        a request and its answer each, secrets blanked
//! ```

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Body, Clock, Live, Request, Response, Transport, TransportError};
use crate::error::Error;
use crate::page::{BodyFault, Inflate};
use crate::secrets::Redactor;

#[derive(Serialize, Deserialize)]
struct Recording {
    version: u32,
    started_at: String,
}

#[derive(Serialize, Deserialize)]
struct Exchange {
    request: RecordedRequest,
    response: RecordedResponse,
}

#[derive(Serialize, Deserialize)]
struct RecordedRequest {
    method: String,
    url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RecordedResponse {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// Headers that tests need; others may say who asked.
const KEPT_HEADERS: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::LINK, header::RETRY_AFTER, header::LOCATION];

/// Passes requests on, and keeps what comes back.
pub(crate) struct Recorder {
    live: Live,
    folder: PathBuf,
    redactor: Redactor,
    number: AtomicU64,
    /// Token and login calls, until the end: only then it is known what is secret in their answers.
    calls: Mutex<Vec<(u64, Request, KeptAnswer)>>,
}

/// An answer that is to be kept.
struct KeptAnswer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Recorder {
    pub(crate) fn new(
        live: Live,
        folder: &Path,
        redactor: Redactor,
        started: Timestamp,
    ) -> Result<Self, Error> {
        let file = folder.join("recording.json");
        let recording = Recording { version: 1, started_at: started.to_string() };
        fs::create_dir_all(folder)
            .and_then(|()| write_json(&file, &recording))
            .map_err(|source| Error::Recording { file: file.display().to_string(), source })?;
        let (number, calls) = (AtomicU64::new(0), Mutex::default());
        Ok(Self { live, folder: folder.to_owned(), redactor, number, calls })
    }

    fn clean(&self, text: &str) -> String {
        self.redactor.clean(text).into_owned()
    }
}

#[async_trait]
impl Transport for Recorder {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let (response, answer) = self.answer(request).await?;
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.keep(number, request, &answer)?;
        Ok(response)
    }

    async fn send_call(&self, request: &Request) -> Result<Response, TransportError> {
        let (response, answer) = self.answer(request).await?;
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        self.calls().push((number, request.clone(), answer));
        Ok(response)
    }
}

impl Recorder {
    /// The answer to a request, to be passed on and to be kept.
    async fn answer(&self, request: &Request) -> Result<(Response, KeptAnswer), TransportError> {
        let mut response = self.live.send(request).await?;
        let mut chunks = VecDeque::new();
        while let Some(chunk) = response.body.chunk().await? {
            chunks.push_back(chunk);
        }
        let body = chunks.iter().flat_map(|chunk| chunk.to_vec()).collect();
        let (status, headers) = (response.status, response.headers.clone());
        let response = Response { body: Box::new(Whole(chunks)), ..response };
        Ok((response, KeptAnswer { status, headers, body: plain(body) }))
    }

    fn keep(
        &self,
        number: u64,
        request: &Request,
        answer: &KeptAnswer,
    ) -> Result<(), TransportError> {
        let (body, body_base64) = match std::str::from_utf8(&answer.body) {
            Ok(text) => (Some(self.clean(text)), None),
            Err(_) => {
                let clean = self.redactor.clean_bytes(&answer.body);
                (None, Some(STANDARD.encode(clean.as_ref().unwrap_or(&answer.body))))
            }
        };
        let is_kept = |name: &HeaderName| {
            KEPT_HEADERS.contains(name) || name.as_str().starts_with("x-") || name == header::DATE
        };
        let headers = answer.headers.iter().filter(|(name, _)| is_kept(name));
        let exchange = Exchange {
            request: RecordedRequest {
                method: request.method.to_string(),
                url: self.clean(request.url.as_str()),
                body: request.body.as_deref().map(|b| self.clean(&String::from_utf8_lossy(b))),
            },
            response: RecordedResponse {
                status: answer.status.as_u16(),
                headers: headers
                    .map(|(name, value)| {
                        let value = String::from_utf8_lossy(value.as_bytes());
                        (name.to_string(), self.clean(&value))
                    })
                    .collect(),
                body,
                body_base64,
            },
        };
        let file = self.folder.join(format!("{number:04}.json"));
        write_json(&file, &exchange).map_err(|source| TransportError::Recording {
            file: file.display().to_string(),
            source,
        })
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Request, KeptAnswer)>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for (number, request, answer) in std::mem::take(&mut *self.calls()) {
            // The run is over, and a recording that lacks an answer says so when it is played.
            let _ = self.keep(number, &request, &answer);
        }
    }
}

/// A body without its compression, in which no secret would be found.
fn plain(body: Vec<u8>) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut keep = |piece: &[u8]| -> Result<(), BodyFault> {
        plain.extend_from_slice(piece);
        Ok(())
    };
    let mut inflate = Inflate::new(u64::MAX);
    match inflate.feed(&body, &mut keep).and_then(|()| inflate.finish(&mut keep)) {
        Ok(()) => plain,
        Err(_) => body,
    }
}

/// Plays recorded answers. Each is played once, in the order in which they were recorded.
pub(crate) struct Replay {
    folder: String,
    started: Timestamp,
    answers: Mutex<HashMap<String, VecDeque<RecordedResponse>>>,
}

impl Replay {
    /// Has no answers.
    pub(crate) fn empty() -> Self {
        let started = Timestamp::UNIX_EPOCH;
        Self { folder: String::new(), started, answers: Mutex::default() }
    }

    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let failed = |file: &Path| {
            let file = file.display().to_string();
            move |source| Error::Recording { file, source }
        };
        let file = folder.join("recording.json");
        let recording: Recording = read_json(&file).map_err(failed(&file))?;
        let started = recording
            .started_at
            .parse()
            .map_err(|error| failed(&file)(io::Error::new(io::ErrorKind::InvalidData, error)))?;
        let mut files: Vec<PathBuf> = fs::read_dir(folder)
            .map_err(failed(folder))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter(|path| {
                let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit())
            })
            .collect();
        files.sort();
        let mut answers: HashMap<String, VecDeque<RecordedResponse>> = HashMap::new();
        for file in files {
            let exchange: Exchange = read_json(&file).map_err(failed(&file))?;
            let request = &exchange.request;
            let url = Url::parse(&request.url).map_err(|error| {
                failed(&file)(io::Error::new(io::ErrorKind::InvalidData, error))
            })?;
            let key = key(&request.method, &url, request.body.as_deref());
            answers.entry(key).or_default().push_back(exchange.response);
        }
        let answers = Mutex::new(answers);
        Ok(Self { folder: folder.display().to_string(), started, answers })
    }

    /// A clock that stands where the recording began, and moves only when something waits.
    pub(crate) fn clock(&self) -> RecordedClock {
        RecordedClock { started: self.started, begun: Instant::now(), passed: Mutex::default() }
    }
}

#[async_trait]
impl Transport for Replay {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let body = request.body.as_deref().map(String::from_utf8_lossy);
        let key = key(request.method.as_str(), &request.url, body.as_deref());
        let answer = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.get_mut(&key).and_then(VecDeque::pop_front)
        };
        let answer = answer.ok_or_else(|| TransportError::NotRecorded {
            method: request.method.to_string(),
            url: request.url.to_string(),
            folder: self.folder.clone(),
        })?;
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_str(value))
            {
                headers.append(name, value);
            }
        }
        let body = match (answer.body, answer.body_base64) {
            (Some(text), _) => Bytes::from(text),
            (None, Some(text)) => STANDARD.decode(text).unwrap_or_default().into(),
            (None, None) => Bytes::new(),
        };
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        Ok(Response { status, headers, body: Box::new(Whole([body].into())) })
    }
}

/// What tells requests apart: the order of query parameters does not.
fn key(method: &str, url: &Url, body: Option<&str>) -> String {
    let mut query: Vec<String> =
        url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    query.sort();
    format!("{method} {} {} {}", url.path(), query.join("&"), body.unwrap_or_default())
}

/// A body that is there already.
struct Whole(VecDeque<Bytes>);

#[async_trait]
impl Body for Whole {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        Ok(self.0.pop_front())
    }
}

/// The clock of a recording.
pub(crate) struct RecordedClock {
    started: Timestamp,
    begun: Instant,
    passed: Mutex<Duration>,
}

impl RecordedClock {
    fn passed(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for RecordedClock {
    fn now(&self) -> Timestamp {
        self.started.checked_add(self.passed()).unwrap_or(Timestamp::MAX)
    }

    fn instant(&self) -> Instant {
        self.begun + self.passed()
    }

    async fn sleep(&self, duration: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += duration;
        tokio::task::yield_now().await;
    }
}

fn write_json(file: &Path, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    fs::write(file, text + "\n")
}

fn read_json<T: for<'de> Deserialize<'de>>(file: &Path) -> io::Result<T> {
    let text = fs::read_to_string(file)?;
    serde_json::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
