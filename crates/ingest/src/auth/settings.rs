//! What a source file says about credentials.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::placement::Place;
use super::text::Text;
use crate::secrets::SecretRef;

/// How requests prove who sends them (I3).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum AuthSettings {
    /// Not at all.
    None,
    /// A fixed value in a header, a query parameter or a cookie.
    ApiKey(ApiKeySettings),
    /// `Authorization: Bearer …` with a fixed token.
    Bearer(BearerSettings),
    /// `Authorization: Basic …`.
    Basic(BasicSettings),
    /// OAuth 2, the program's own credentials.
    Oauth2ClientCredentials(ClientCredentialsSettings),
    /// OAuth 2, on behalf of a user who agreed once.
    Oauth2RefreshToken(RefreshTokenSettings),
    /// A login call that gives a token.
    Session(SessionSettings),
    /// AWS Signature Version 4.
    AwsSigv4(AwsSigv4Settings),
}

impl AuthSettings {
    /// What a plan shows of it: where credentials go, and never which.
    pub fn shown(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            AuthSettings::None => "",
            AuthSettings::ApiKey(ApiKeySettings { place, name, .. }) => {
                return Cow::Owned(match place {
                    Place::Header => format!("{}: ***", name.to_ascii_lowercase()),
                    Place::Query => format!("with `{name}=***` in the query"),
                    Place::Cookie => format!("cookie: {name}=***"),
                });
            }
            AuthSettings::Bearer(_) => "authorization: Bearer ***",
            AuthSettings::Basic(_) => "authorization: Basic ***",
            AuthSettings::Oauth2ClientCredentials(_) | AuthSettings::Oauth2RefreshToken(_) => {
                "authorization: Bearer *** (OAuth 2)"
            }
            AuthSettings::Session(_) => "with the token of a login",
            AuthSettings::AwsSigv4(_) => "authorization: AWS4-HMAC-SHA256 ***",
        })
    }
}

impl AuthSettings {
    /// The references to secrets in it.
    pub(crate) fn references(&self) -> Vec<SecretRef> {
        let mut texts: Vec<Text> = Vec::new();
        match self {
            AuthSettings::None | AuthSettings::AwsSigv4(_) => {}
            AuthSettings::ApiKey(settings) => texts.push(settings.value.clone()),
            AuthSettings::Bearer(settings) => texts.push(settings.token.clone()),
            AuthSettings::Basic(settings) => {
                texts.extend([settings.username.clone(), settings.password.clone()]);
            }
            AuthSettings::Oauth2ClientCredentials(settings) => {
                texts.extend([settings.client_id.clone(), settings.client_secret.clone()]);
                texts.extend(settings.audience.clone());
                texts.extend(settings.params.values().cloned());
            }
            AuthSettings::Oauth2RefreshToken(settings) => {
                texts.extend([settings.client_id.clone(), settings.refresh_token.clone()]);
                texts.extend(settings.client_secret.clone());
                texts.extend(settings.params.values().cloned());
            }
            AuthSettings::Session(settings) => {
                texts.extend(settings.login.headers.values().cloned());
                match &settings.login.body {
                    None => {}
                    Some(LoginBody::Form(pairs)) => texts.extend(pairs.values().cloned()),
                    Some(LoginBody::Json(value)) => add_texts(value, &mut texts),
                }
            }
        }
        texts.iter().flat_map(Text::references).cloned().collect()
    }
}

/// The texts of a JSON value.
fn add_texts(value: &serde_json::Value, texts: &mut Vec<Text>) {
    match value {
        // One that cannot be understood was refused with the source.
        serde_json::Value::String(text) => texts.extend(text.parse()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| add_texts(item, texts)),
        serde_json::Value::Object(members) => {
            members.values().for_each(|member| add_texts(member, texts));
        }
        _ => {}
    }
}

/// A fixed value that goes with every request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ApiKeySettings {
    /// Where it goes.
    #[serde(rename = "in", default)]
    pub place: Place,
    /// The name of the header, parameter or cookie.
    pub name: String,
    /// The value.
    pub value: Text,
}

/// A fixed bearer token.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BearerSettings {
    /// The token, without `Bearer`.
    pub token: Text,
}

/// User name and password.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BasicSettings {
    /// The user; without a colon.
    pub username: Text,
    /// The password; may be empty.
    #[serde(default)]
    pub password: Text,
}

/// OAuth 2 client credentials (RFC 6749, section 4.4).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ClientCredentialsSettings {
    /// Where tokens are had.
    pub token_url: String,
    /// The client.
    pub client_id: Text,
    /// Its secret.
    pub client_secret: Text,
    /// What the token is for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whom the token is for, as some servers want to know.
    #[serde(default)]
    pub audience: Option<Text>,
    /// More parameters of the call.
    #[serde(default)]
    pub params: BTreeMap<String, Text>,
    /// How the client proves itself to the token server.
    #[serde(default)]
    pub credentials_in: CredentialsIn,
    /// What stands before the token in `Authorization`.
    #[serde(default = "bearer")]
    pub scheme: String,
}

/// OAuth 2 refresh token (RFC 6749, section 6).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RefreshTokenSettings {
    /// Where tokens are had.
    pub token_url: String,
    /// The client.
    pub client_id: Text,
    /// Its secret, where it has one.
    #[serde(default)]
    pub client_secret: Option<Text>,
    /// The refresh token: one reference to a secret, as a rotated one is stored there.
    pub refresh_token: Text,
    /// What the token is for, when it is less than what was agreed to.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// More parameters of the call.
    #[serde(default)]
    pub params: BTreeMap<String, Text>,
    /// How the client proves itself to the token server.
    #[serde(default)]
    pub credentials_in: CredentialsIn,
    /// What stands before the token in `Authorization`.
    #[serde(default = "bearer")]
    pub scheme: String,
}

fn bearer() -> String {
    "Bearer".to_owned()
}

/// Where client id and secret go in a token call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialsIn {
    /// `client_id` and `client_secret` in the form.
    #[default]
    Body,
    /// `Authorization: Basic …`, both form-encoded first, as RFC 6749 section 2.3.1 wants it.
    Basic,
}

/// A login call, and what to do with the token it gives.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SessionSettings {
    /// The call.
    pub login: LoginRequest,
    /// Where in the answer the token is.
    pub token: TokenFrom,
    /// Where in requests the token goes.
    pub put: TokenPlacement,
    /// How long a token lives, like `30m` or `PT30M`; without it, until a 401.
    #[serde(default, deserialize_with = "duration")]
    pub ttl: Option<Duration>,
}

/// A login call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct LoginRequest {
    /// The method.
    #[serde(default = "post")]
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Headers of the call.
    #[serde(default)]
    pub headers: BTreeMap<String, Text>,
    /// The body, if there is one.
    #[serde(default)]
    pub body: Option<LoginBody>,
}

fn post() -> String {
    "POST".to_owned()
}

/// The body of a login call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginBody {
    /// JSON; each text in it may hold references to secrets.
    Json(serde_json::Value),
    /// A form.
    Form(BTreeMap<String, Text>),
}

/// Where in the answer to a login the token is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenFrom {
    /// A path into the JSON body: `$.data.token`, `data.token`, `$.tokens[0]`.
    Json(String),
    /// A header.
    Header(String),
    /// A cookie that the answer sets.
    Cookie(String),
}

/// Where a token goes in requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenPlacement {
    /// Header, query parameter or cookie.
    #[serde(rename = "in", default)]
    pub place: Place,
    /// Its name.
    pub name: String,
    /// What stands before the token, with its space: `"Bearer "`.
    #[serde(default)]
    pub prefix: String,
}

/// AWS Signature Version 4, with the credentials of AWS's default chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AwsSigv4Settings {
    /// The service, like `execute-api`.
    pub service: String,
    /// The region; without it, that of the environment.
    #[serde(default)]
    pub region: Option<String>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let wrong = || {
        let expected = "a duration like `30m` or `PT30M`, and more than nothing";
        serde::de::Error::invalid_value(serde::de::Unexpected::Str(&text), &expected)
    };
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    let duration = Duration::try_from(duration).map_err(|_| wrong())?;
    match duration.is_zero() {
        true => Err(wrong()),
        false => Ok(Some(duration)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn i3_settings_are_read_with_their_defaults() {
        let settings: AuthSettings = serde_json::from_value(json!({
            "type": "oauth2_client_credentials", "token_url": "https://id.example.com/token",
            "client_id": "me", "client_secret": "${secret:env:X}",
        }))
        .unwrap();

        let AuthSettings::Oauth2ClientCredentials(settings) = settings else {
            panic!("other kind")
        };
        assert_eq!(settings.credentials_in, CredentialsIn::Body);
        assert_eq!((settings.scheme.as_str(), settings.audience), ("Bearer", None));
    }

    #[test]
    fn i3_a_session_is_read() {
        let settings: AuthSettings = serde_json::from_value(json!({
            "type": "session",
            "login": { "url": "https://x.example.com/login", "body": { "json": { "user": "me" } } },
            "token": { "json": "$.token" }, "put": { "in": "cookie", "name": "SID" }, "ttl": "30m",
        }))
        .unwrap();

        let AuthSettings::Session(settings) = settings else { panic!("other kind") };
        assert_eq!(settings.ttl, Some(Duration::from_secs(1800)));
        assert_eq!(settings.put.place, Place::Cookie);
        assert_eq!(settings.login.method, "POST");
    }

    /// D7: every reference of a login is found, wherever it stands.
    #[test]
    fn d7_references_of_a_login() {
        let settings: AuthSettings = serde_json::from_value(json!({
            "type": "session",
            "login": {
                "url": "https://x.example.com/login",
                "headers": { "x-key": "${secret:env:KEY}" },
                "body": { "json": { "user": "me", "in": ["Basic ${secret:file:pass}"] } },
            },
            "token": { "json": "$.token" }, "put": { "name": "x" },
        }))
        .unwrap();
        let found: Vec<_> = settings.references().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["env:KEY", "file:pass"]);
        let plain: AuthSettings = serde_json::from_value(json!({"type": "none"})).unwrap();
        assert!(plain.references().is_empty());
    }

    #[test]
    fn i3_api_keys_bearer_and_none_are_read() {
        let read = |value| serde_json::from_value::<AuthSettings>(value);
        assert!(read(json!({"type": "none"})).is_ok());
        assert!(read(json!({"type": "bearer", "token": "${secret:env:X}"})).is_ok());
        assert!(read(json!({"type": "basic", "username": "x"})).is_ok());
        assert!(read(json!({"type": "aws_sigv4", "service": "execute-api"})).is_ok());
        assert!(read(json!({"type": "api_key", "in": "query", "name": "k", "value": "v"})).is_ok());
        let error = read(json!({"type": "bearer", "token": "${secret:X}"})).unwrap_err();
        assert!(error.to_string().contains("`X` is not a reference to a secret"), "{error}");
    }
}
