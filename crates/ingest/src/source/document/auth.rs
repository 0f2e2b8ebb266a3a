//! How requests prove who sends them (I3).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::Method;
use crate::source::ordered::Ordered;

/// How requests prove who sends them. Secrets stand in as `${secret:aws-sm://name#json.key}`,
/// `${secret:ssm://name}`, `${secret:env:NAME}` or `${secret:file:path}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// No credentials.
    None {},
    /// A key in a header, a query parameter or a cookie.
    ApiKey {
        /// Where the key goes (default `header`).
        #[serde(default, rename = "in")]
        place: TokenPlace,
        /// The name of the header, parameter or cookie.
        name: String,
        /// The key.
        value: String,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: String,
    },
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        username: String,
        /// The password; many APIs want none.
        #[serde(default)]
        password: String,
    },
    /// OAuth 2, client credentials: a token is fetched, and fetched anew before it expires.
    Oauth2ClientCredentials {
        /// Where tokens are fetched.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: String,
        /// The scopes asked for.
        #[serde(default)]
        scopes: Vec<String>,
        /// Further parameters of the token request, for instance `audience`.
        #[serde(default)]
        params: Ordered<String>,
        /// Where the client's id and secret go (default `body`).
        #[serde(default)]
        client_auth: ClientAuth,
    },
    /// OAuth 2, refresh token. An API that gives a new refresh token with each access token has it stored
    /// where the old one was, before the access token is used.
    Oauth2RefreshToken {
        /// Where tokens are fetched.
        token_url: String,
        /// The client's id.
        client_id: String,
        /// The client's secret; public clients have none.
        #[serde(default)]
        client_secret: Option<String>,
        /// The refresh token: a reference that can be written to, if the API changes it.
        refresh_token: String,
        /// The scopes asked for.
        #[serde(default)]
        scopes: Vec<String>,
        /// Further parameters of the token request.
        #[serde(default)]
        params: Ordered<String>,
        /// Where the client's id and secret go (default `body`).
        #[serde(default)]
        client_auth: ClientAuth,
    },
    /// A login request whose answer has the token for all others.
    Session {
        /// The login request.
        login: Login,
        /// The token in the answer: a JSON path, or `header.NAME`.
        token: String,
        /// Where the token goes (default `header`).
        #[serde(default, rename = "in")]
        place: TokenPlace,
        /// The name of the header, parameter or cookie (default `Authorization`).
        #[serde(default)]
        name: Option<String>,
        /// What stands before the token, for instance `Token `.
        #[serde(default)]
        prefix: String,
        /// How long a session lasts, for instance `PT1H`; without it, until the API says 401.
        #[serde(default)]
        ttl: Option<String>,
    },
    /// AWS Signature Version 4, with the credentials that AWS programs find by default.
    AwsSigv4 {
        /// The service's name for signing, for instance `execute-api`.
        service: String,
        /// The region; the one of the environment without it.
        #[serde(default)]
        region: Option<String>,
    },
}

/// Where a key or token goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenPlace {
    /// In a header.
    #[default]
    Header,
    /// In a query parameter.
    Query,
    /// In a cookie.
    Cookie,
}

/// How an OAuth client proves who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// `client_id` and `client_secret` in the form.
    #[default]
    Body,
    /// `Authorization: Basic …`.
    Basic,
}

/// A login request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The method (default POST).
    #[serde(default)]
    pub method: Option<Method>,
    /// The path below the base URL, or a whole URL of the same origin.
    pub path: String,
    /// Headers.
    #[serde(default)]
    pub headers: Ordered<String>,
    /// A JSON body.
    #[serde(default)]
    pub body: Option<Value>,
    /// A form, instead of a JSON body.
    #[serde(default)]
    pub form: Option<Ordered<String>>,
}

impl Default for Auth {
    fn default() -> Self {
        Auth::None {}
    }
}
