//! Signing, sending, retrying.

use std::time::{Duration, Instant, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use solder_landing::{AwsCredentials, aws_max_attempts};
use tokio::sync::OnceCell;
use url::Url;
use url::form_urlencoded;

use super::error::{Error, Fault};
use super::refusal::Refusal;
use super::service::{Protocol, Service};

/// Time for a connection, and for one attempt of a call.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// How often and how long a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all.
    pub max_attempts: usize,
    /// The longest wait before the second attempt; it doubles with every attempt, and a random part of it is
    /// waited (full jitter).
    pub backoff: Duration,
    /// What no wait is longer than.
    pub max_backoff: Duration,
    /// So long after the first attempt, none is begun any more.
    pub deadline: Duration,
}

impl Retries {
    /// As the environment says (`AWS_MAX_ATTEMPTS`), or 6 attempts within a minute.
    pub fn from_env() -> Self {
        Self { max_attempts: aws_max_attempts().unwrap_or(6).max(1), ..Self::default() }
    }

    /// The wait after so many attempts, of which there was one at least.
    fn wait(&self, attempts: usize) -> Duration {
        let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(20);
        let longest = self.backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        longest.mul_f64(fastrand::f64())
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(8),
            deadline: Duration::from_secs(60),
        }
    }
}

/// Calls operations of AWS's services.
///
/// Region, credentials and endpoints come from the environment as the AWS tools read it, when the first call
/// is made. Needs a tokio runtime with time and input and output enabled.
#[derive(Debug, Default)]
pub struct Client {
    given: Option<SdkConfig>,
    retries: Option<Retries>,
    made: OnceCell<Made>,
}

#[derive(Debug)]
struct Made {
    config: SdkConfig,
    /// `None`: the chain has none to ask.
    credentials: Option<AwsCredentials>,
    http: reqwest::Client,
}

/// A request but for its signature.
struct Call<'c> {
    service: &'c Service,
    action: String,
    url: Url,
    region: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
}

impl Client {
    /// A client with settings that are given, and not taken from the environment.
    pub fn with_config(config: SdkConfig, retries: Retries) -> Self {
        Self { given: Some(config), retries: Some(retries), made: OnceCell::new() }
    }

    /// Calls an operation of a service that speaks JSON, and gives its answer: `{}` where it is empty.
    ///
    /// Throttling, faults of the service and lost connections are retried, so an operation may be done twice
    /// when an answer was lost.
    ///
    /// # Errors
    ///
    /// No region, credentials or endpoint; the service refused, or was not reached in all attempts.
    pub async fn call(
        &self,
        service: &Service,
        operation: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let (target, version) = match service.protocol {
            Protocol::Json { target, version } => (target, version),
            // Such a service takes no JSON; it will say so.
            Protocol::Query { version } => (service.name, version),
        };
        let action = format!("{}:{operation}", service.name);
        let header = |text: String| {
            let value = HeaderValue::from_str(&text);
            value.map_err(|source| Error::Sign { action: action.clone(), source: source.into() })
        };
        let headers = vec![
            (CONTENT_TYPE, header(format!("application/x-amz-json-{version}"))?),
            (HeaderName::from_static("x-amz-target"), header(format!("{target}.{operation}"))?),
        ];
        let answer = self.send(service, action.clone(), headers, body.to_string()).await?;
        match answer.trim() {
            "" => Ok(Value::Object(serde_json::Map::new())),
            text => serde_json::from_str(text).map_err(|source| Error::Answer { action, source }),
        }
    }

    /// Calls an operation of a service that takes forms, such as [`Service::STS`], and gives the text of its
    /// answer: XML, of which [`xml_text`](super::xml_text) gives single elements.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn query(
        &self,
        service: &Service,
        operation: &str,
        fields: &[(&str, &str)],
    ) -> Result<String, Error> {
        let version = match service.protocol {
            Protocol::Json { version, .. } | Protocol::Query { version } => version,
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", operation).append_pair("Version", version);
        let body = form.extend_pairs(fields).finish();
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
            (ACCEPT, HeaderValue::from_static("text/xml")),
        ];
        self.send(service, format!("{}:{operation}", service.name), headers, body).await
    }

    /// The region that calls go to.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn region(&self) -> Result<String, Error> {
        self.made("sts:GetCallerIdentity").await?.region("sts:GetCallerIdentity")
    }

    async fn made(&self, action: &str) -> Result<&Made, Error> {
        let make = || async {
            let config = match &self.given {
                Some(config) => config.clone(),
                None => aws_config::defaults(BehaviorVersion::latest()).load().await,
            };
            let http = reqwest::Client::builder()
                .user_agent(concat!("solder/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(ATTEMPT_TIMEOUT)
                .build()
                .map_err(|source| Error::Sign { action: action.to_owned(), source: source.into() });
            let credentials = config.credentials_provider().map(AwsCredentials::of);
            Ok(Made { config, credentials, http: http? })
        };
        self.made.get_or_try_init(make).await
    }

    async fn send(
        &self,
        service: &Service,
        action: String,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: String,
    ) -> Result<String, Error> {
        let made = self.made(&action).await?;
        let region = made.region(&action)?;
        let url = service.endpoint(&made.config, &region)?;
        let call = Call { service, action, url, region, headers, body };
        let retries = self.retries.unwrap_or_else(Retries::from_env);
        let begun = Instant::now();
        let mut attempts = 0;
        let mut is_renewed = false;
        loop {
            attempts += 1;
            let credentials = made.credentials(&call.action).await?;
            let error = match made.attempt(&call, &credentials, attempts).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // Credentials may end or be replaced while they are held: once, others are asked for.
            if error.fault() == Fault::Credentials && !is_renewed {
                is_renewed = true;
                made.reject(&credentials).await;
                let renewed = made.credentials(&call.action).await?;
                if renewed.access_key_id() != credentials.access_key_id() {
                    continue;
                }
            }
            let wait = retries.wait(attempts);
            let is_last =
                attempts >= retries.max_attempts || begun.elapsed() + wait >= retries.deadline;
            if is_last || !error.is_retryable() {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

impl Made {
    fn region(&self, action: &str) -> Result<String, Error> {
        let region = self.config.region().map(ToString::to_string);
        region.ok_or_else(|| Error::NoRegion { action: action.to_owned() })
    }

    async fn credentials(&self, action: &str) -> Result<Credentials, Error> {
        let found = match &self.credentials {
            Some(credentials) => credentials.get().await,
            None => Err(CredentialsError::not_loaded_no_source()),
        };
        found.map_err(|source| Error::Credentials { action: action.to_owned(), source })
    }

    async fn reject(&self, credentials: &Credentials) {
        if let Some(held) = &self.credentials {
            held.reject(credentials).await;
        }
    }

    /// Sends a request once, signed for this moment.
    async fn attempt(
        &self,
        call: &Call<'_>,
        credentials: &Credentials,
        attempts: usize,
    ) -> Result<String, Error> {
        let unreachable = |source: reqwest::Error| Error::Unreachable {
            action: call.action.clone(),
            host: call.url.host_str().unwrap_or_default().to_owned(),
            attempts,
            source: source.without_url(),
        };
        let request = self.http.post(call.url.clone());
        let request = request.headers(call.signed(credentials)?).body(call.body.clone());
        let answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let code = answer.headers().get("x-amzn-errortype");
        let code = code.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = answer.text().await.map_err(unreachable)?;
        if status.is_success() {
            return Ok(text);
        }
        let refusal = Refusal::of(status.as_u16(), code.as_deref(), &text);
        Err(Error::Refused { action: call.action.clone(), refusal, attempts })
    }
}

impl Call<'_> {
    /// The headers, with those of the signature
    /// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
    fn signed(&self, credentials: &Credentials) -> Result<HeaderMap, Error> {
        let identity = credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|source| self.unsigned(source))?
            .into();
        let mut headers: HeaderMap = self.headers.iter().cloned().collect();
        let as_text =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let body = SignableBody::Bytes(self.body.as_bytes());
        let request = SignableRequest::new("POST", self.url.as_str(), as_text, body);
        let request = request.map_err(|source| self.unsigned(source))?;
        let signed = sign(request, &params).map_err(|source| self.unsigned(source))?;
        let (instructions, _) = signed.into_parts();
        let (own, _) = instructions.into_parts();
        for header in own {
            let value = HeaderValue::from_str(header.value());
            let mut value = value.map_err(|source| self.unsigned(source))?;
            value.set_sensitive(header.sensitive() || header.name() == AUTHORIZATION.as_str());
            headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(headers)
    }

    fn unsigned(&self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::Sign { action: self.action.clone(), source: Box::new(source) }
    }
}
