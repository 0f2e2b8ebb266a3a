//! A connection that answers from a script, under a clock that stands still.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{AuthSettings, Authenticator, Context, authenticator};
use crate::http::{Answer, CallError, Calls, Request};
use crate::secrets::{Redactor, Vault};

type Script = Box<dyn Fn(usize, &str) -> Result<Answer, CallError> + Send + Sync>;

pub(super) struct TestCalls {
    script: Script,
    sent: Mutex<Vec<Request>>,
    now: Mutex<Timestamp>,
}

impl TestCalls {
    /// The script gets the number of the call, from 0, and its body.
    pub(super) fn new(
        script: impl Fn(usize, &str) -> Result<Answer, CallError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let now = "2015-08-30T12:36:00Z".parse().unwrap();
        Arc::new(Self { script: Box::new(script), sent: Mutex::default(), now: Mutex::new(now) })
    }

    /// No call is expected.
    pub(super) fn none() -> Arc<Self> {
        Self::new(|_, _| Err("no call is expected".into()))
    }

    pub(super) fn pass(&self, seconds: i64) {
        *self.now.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    pub(super) fn sent(&self) -> Vec<Request> {
        self.sent.lock().unwrap().clone()
    }

    pub(super) fn bodies(&self) -> Vec<String> {
        let body = |request: Request| {
            String::from_utf8(request.body.unwrap_or_default().to_vec()).unwrap()
        };
        self.sent().into_iter().map(body).collect()
    }
}

#[async_trait::async_trait]
impl Calls for TestCalls {
    async fn call(&self, request: Request) -> Result<Answer, CallError> {
        let body = String::from_utf8(request.body.clone().unwrap_or_default().to_vec()).unwrap();
        let number = {
            let mut sent = self.sent.lock().unwrap();
            sent.push(request);
            sent.len() - 1
        };
        // Others get their turn while the answer is on its way.
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        (self.script)(number, &body)
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }
}

pub(super) fn answer(status: u16, body: Value) -> Result<Answer, CallError> {
    let status = StatusCode::from_u16(status).unwrap();
    Ok(Answer { status, headers: HeaderMap::new(), body: body.to_string().into() })
}

pub(super) fn get(url: &str) -> Request {
    let (method, url) = (Method::GET, url.parse().unwrap());
    Request { method, url, headers: HeaderMap::new(), body: None }
}

/// Variables that a test may change.
#[derive(Clone, Default)]
pub(super) struct Variables(Arc<Mutex<HashMap<String, String>>>);

impl Variables {
    pub(super) fn new(variables: &[(&str, &str)]) -> Self {
        let own = Self::default();
        for (name, value) in variables {
            own.set(name, value);
        }
        own
    }

    pub(super) fn set(&self, name: &str, value: &str) {
        self.0.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    pub(super) fn vault(&self) -> Vault {
        let own = self.clone();
        Vault::new(Redactor::new())
            .with_environment(move |name| own.0.lock().unwrap().get(name).map(Into::into))
    }
}

/// An authenticator as the settings describe it, over a vault and scripted calls.
pub(super) fn build(
    settings: Value,
    vault: Vault,
    calls: &Arc<TestCalls>,
) -> (Arc<dyn Authenticator>, Arc<Vault>) {
    let settings: AuthSettings = serde_json::from_value(settings).unwrap();
    let vault = Arc::new(vault);
    let calls: Arc<dyn Calls> = Arc::clone(calls) as _;
    let context = Context { vault: Arc::clone(&vault), calls };
    (authenticator(&settings, &context).unwrap(), vault)
}

/// Why settings cannot be used.
pub(super) fn refused(settings: Value) -> String {
    let settings: AuthSettings = serde_json::from_value(settings).unwrap();
    let calls: Arc<dyn Calls> = TestCalls::none();
    let context = Context { vault: Arc::new(Variables::default().vault()), calls };
    match authenticator(&settings, &context) {
        Ok(_) => panic!("these settings can be used"),
        Err(error) => error.to_string(),
    }
}

/// The header that an authenticator puts on a request.
pub(super) async fn authorization(auth: &Arc<dyn Authenticator>) -> String {
    let mut request = get("https://api.example.com/x");
    auth.apply(&mut request).await.unwrap();
    request.headers["authorization"].to_str().unwrap().to_owned()
}
