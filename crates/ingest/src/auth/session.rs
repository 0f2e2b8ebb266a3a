//! A login call that gives a token for the requests that follow.

use http::header::{ACCEPT, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::SignedDuration;
use url::Url;

use crate::http::{Answer, Request};
use crate::secrets::{JsonKey, JsonKeyError, Secret, SecretRef, Vault};

use super::answer::{endpoint, parse_url, refusal, says_error};
use super::body::Body;
use super::error::AuthError;
use super::exchange::Exchange;
use super::kept::{Fresh, Kept};
use super::placement::{Slot, put_header};
use super::settings::{SessionSettings, TokenFrom};
use super::text::Text;
use super::{Authenticator, Context, Generation};

const LOGGING_IN: &str = "logging in at";

/// Logs in, and puts the token on requests.
pub(super) struct Session {
    login: Login,
    slot: Slot,
    prefix: String,
    kept: Kept<Secret>,
}

/// The login call.
struct Login {
    method: Method,
    url: Url,
    headers: Vec<(HeaderName, Text)>,
    body: Option<Body>,
    from: From,
    ttl: Option<SignedDuration>,
    context: Context,
}

/// Where the token is.
enum From {
    Json(JsonKey),
    Header(HeaderName),
    Cookie(String),
}

/// What is sent.
#[derive(PartialEq)]
struct Asked {
    headers: Vec<Secret>,
    body: Option<Secret>,
}

impl Session {
    pub(super) fn new(settings: &SessionSettings, context: Context) -> Result<Self, AuthError> {
        let put = &settings.put;
        let slot = Slot::new(put.place, &put.name, "put.name")?;
        let login = Login::new(settings, context)?;
        Ok(Self { login, slot, prefix: put.prefix.clone(), kept: Kept::new() })
    }
}

impl Login {
    fn new(settings: &SessionSettings, context: Context) -> Result<Self, AuthError> {
        let call = &settings.login;
        let method = call.method.to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| AuthError::setting("login.method", "is not a method of HTTP"))?;
        let headers = call.headers.iter().map(|(name, text)| {
            let wrong =
                || AuthError::setting("login.headers", "has a name that no header can have");
            Ok((name.parse().map_err(|_| wrong())?, text.clone()))
        });
        // A life beyond the range of the clock is one without end.
        let ttl = settings.ttl.and_then(|ttl| SignedDuration::try_from(ttl).ok());
        Ok(Self {
            method,
            url: parse_url(&call.url, "login.url")?,
            headers: headers.collect::<Result<_, AuthError>>()?,
            body: call.body.as_ref().map(Body::new).transpose()?,
            from: From::new(&settings.token)?,
            ttl,
            context,
        })
    }

    fn address(&self) -> String {
        endpoint(&self.url)
    }

    fn request(&self, asked: &Asked) -> Result<Request, AuthError> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        if let Some(body) = &self.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(body.content_type()));
        }
        let body = asked.body.as_ref().map(|body| body.expose().to_owned().into());
        let mut request =
            Request { method: self.method.clone(), url: self.url.clone(), headers, body };
        for ((name, text), value) in self.headers.iter().zip(&asked.headers) {
            put_header(&mut request, name.clone(), value, &text.origin())?;
        }
        Ok(request)
    }

    fn no_token(&self, source: Option<JsonKeyError>) -> AuthError {
        AuthError::NoToken {
            doing: LOGGING_IN,
            endpoint: self.address(),
            place: self.from.shown(),
            source,
        }
    }
}

#[async_trait::async_trait]
impl Exchange for Login {
    type Asked = Asked;
    type Given = Fresh<Secret>;

    fn vault(&self) -> &Vault {
        &self.context.vault
    }

    fn references(&self) -> Vec<&SecretRef> {
        let headers = self.headers.iter().flat_map(|(_, text)| text.references());
        headers.chain(self.body.iter().flat_map(Body::references)).collect()
    }

    async fn prepare(&self) -> Result<Asked, AuthError> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (_, text) in &self.headers {
            headers.push(text.resolve(self.vault()).await?);
        }
        let body = match &self.body {
            Some(body) => Some(body.resolve(self.vault()).await?),
            None => None,
        };
        Ok(Asked { headers, body })
    }

    async fn ask(&self, asked: &Asked) -> Result<Fresh<Secret>, AuthError> {
        let request = self.request(asked)?;
        let answer = self.context.calls.call(request).await.map_err(|source| AuthError::Call {
            doing: LOGGING_IN,
            endpoint: self.address(),
            source,
        })?;
        let redactor = self.context.redactor();
        let refused = || refusal(LOGGING_IN, &self.address(), &answer, redactor);
        // Some logins answer with a redirect to the front page, and the cookie is there all the same.
        let is_good = answer.status.is_success()
            || (answer.status.is_redirection() && matches!(self.from, From::Cookie(_)));
        if !is_good {
            return Err(refused());
        }
        match self.from.find(&answer) {
            Ok(Some(token)) if !token.expose().is_empty() => {
                redactor.learn(&token);
                Ok(Fresh { token, lifetime: self.ttl })
            }
            _ if says_error(&answer) => Err(refused()),
            Ok(_) => Err(self.no_token(None)),
            Err(source) => Err(self.no_token(Some(source))),
        }
    }
}

impl From {
    fn new(settings: &TokenFrom) -> Result<Self, AuthError> {
        let wrong = |setting: &str, reason| AuthError::setting(setting, reason);
        match settings {
            TokenFrom::Json(path) => json_key(path).map(Self::Json).ok_or_else(|| {
                wrong("token.json", "is not a path like `$.data.token` or `$.tokens[0]`")
            }),
            TokenFrom::Header(name) => name
                .parse()
                .map(Self::Header)
                .map_err(|_| wrong("token.header", "is not the name of a header")),
            TokenFrom::Cookie(name) if name.is_empty() => Err(wrong("token.cookie", "is empty")),
            TokenFrom::Cookie(name) => Ok(Self::Cookie(name.clone())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Json(key) => format!("`{key}`"),
            Self::Header(name) => format!("the header `{name}`"),
            Self::Cookie(name) => format!("the cookie `{name}`"),
        }
    }

    fn find(&self, answer: &Answer) -> Result<Option<Secret>, JsonKeyError> {
        Ok(match self {
            Self::Json(key) => {
                let text = String::from_utf8_lossy(&answer.body);
                Some(Secret::new(key.find(text.trim_start_matches('\u{feff}'))?))
            }
            Self::Header(name) => {
                answer.headers.get(name).and_then(|value| value.to_str().ok()).map(Secret::new)
            }
            Self::Cookie(name) => {
                let lines = answer.headers.get_all(SET_COOKIE).iter();
                let pairs = lines.filter_map(|line| line.to_str().ok()?.split(';').next());
                let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
                pairs.rfind(|(found, _)| found == name).map(|(_, value)| Secret::new(value))
            }
        })
    }
}

/// `tokens.0.value` of `$.tokens[0].value`.
fn json_key(path: &str) -> Option<JsonKey> {
    let path = path.strip_prefix('$').unwrap_or(path);
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.contains(['*', '\'', '"', '?', ' ']) {
        return None;
    }
    let path = path.replace('[', ".").replace(']', "");
    path.strip_prefix('.').unwrap_or(&path).parse().ok()
}

#[async_trait::async_trait]
impl Authenticator for Session {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let calls = &self.login.context.calls;
        let fetch = async |was_rejected| Ok(self.login.exchange(was_rejected).await?.0);
        let (token, generation) = self.kept.get(|| calls.now(), fetch).await?;
        let value = match self.prefix.is_empty() {
            true => token,
            false => Secret::new(format!("{}{}", self.prefix, token.expose())),
        };
        self.slot.put(request, &value, &format!("the login at `{}`", self.login.address()))?;
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        self.kept.reject(attempted_with).await;
        Ok(true)
    }
}
