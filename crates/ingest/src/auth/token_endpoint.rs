//! The token call of OAuth 2 (RFC 6749, section 3.2).

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::http::Request;
use crate::secrets::{Secret, SecretRef, Vault};

use super::Context;
use super::answer::{endpoint, lifetime, refusal, says_error};
use super::basic::{learn_pair, put_pair};
use super::error::AuthError;
use super::exchange::Exchange;
use super::kept::Fresh;
use super::settings::CredentialsIn;
use super::text::Text;

pub(super) const FETCHING: &str = "fetching a token from";

/// A token server, and what is asked of it.
pub(super) struct TokenEndpoint {
    url: Url,
    form: Vec<(String, Text)>,
    basic: Option<[Text; 2]>,
    context: Context,
}

/// What is sent.
#[derive(PartialEq)]
pub(super) struct Asked {
    form: Vec<(String, Secret)>,
    basic: Option<[Secret; 2]>,
}

/// What comes back.
pub(super) struct Given {
    pub(super) access: Fresh<Secret>,
    pub(super) refresh: Option<Secret>,
}

impl TokenEndpoint {
    pub(super) fn new(
        url: Url,
        form: Vec<(String, Text)>,
        client: [Text; 2],
        credentials_in: CredentialsIn,
        context: Context,
    ) -> Self {
        let mut endpoint = Self { url, form, basic: None, context };
        match credentials_in {
            CredentialsIn::Basic => endpoint.basic = Some(client),
            CredentialsIn::Body => {
                let [id, secret] = client;
                endpoint.set("client_id", id);
                // A public client has no secret, and an empty one is refused by some servers.
                if !secret.parts().is_empty() {
                    endpoint.set("client_secret", secret);
                }
            }
        }
        endpoint
    }

    /// Puts a parameter in the form, instead of what was there under this name: RFC 6749 allows each once.
    pub(super) fn set(&mut self, name: &str, value: Text) {
        match self.form.iter_mut().find(|(found, _)| found == name) {
            Some((_, old)) => *old = value,
            None => self.form.push((name.to_owned(), value)),
        }
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    pub(super) fn address(&self) -> String {
        endpoint(&self.url)
    }

    /// Where the access token came from, for errors about its value.
    pub(super) fn origin(&self) -> String {
        format!("the token server `{}`", self.address())
    }

    fn request(&self, asked: &Asked) -> Result<Request, AuthError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &asked.form {
            form.append_pair(name, value.expose());
        }
        let mut headers = HeaderMap::new();
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form_type);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let mut request = Request {
            method: Method::POST,
            url: self.url.clone(),
            headers,
            body: Some(form.finish().into()),
        };
        if let (Some(texts), Some(values)) = (&self.basic, &asked.basic) {
            let [id, secret] = values.each_ref().map(encode);
            let [id_text, secret_text] = texts;
            learn_pair(&self.context, [(id_text, &id), (secret_text, &secret)]);
            put_pair(&mut request, id.expose(), secret.expose(), &secret_text.origin())?;
        }
        Ok(request)
    }
}

/// RFC 6749, section 2.3.1: id and secret are form-encoded before they become a pair.
fn encode(value: &Secret) -> Secret {
    Secret::new(form_urlencoded::byte_serialize(value.expose().as_bytes()).collect::<String>())
}

#[async_trait::async_trait]
impl Exchange for TokenEndpoint {
    type Asked = Asked;
    type Given = Given;

    fn vault(&self) -> &Vault {
        &self.context.vault
    }

    fn references(&self) -> Vec<&SecretRef> {
        let form = self.form.iter().map(|(_, text)| text);
        form.chain(self.basic.iter().flatten()).flat_map(Text::references).collect()
    }

    async fn prepare(&self) -> Result<Asked, AuthError> {
        let mut form = Vec::with_capacity(self.form.len());
        for (name, text) in &self.form {
            form.push((name.clone(), text.resolve(self.vault()).await?));
        }
        let basic = match &self.basic {
            None => None,
            Some([id, secret]) => {
                Some([id.resolve(self.vault()).await?, secret.resolve(self.vault()).await?])
            }
        };
        Ok(Asked { form, basic })
    }

    async fn ask(&self, asked: &Asked) -> Result<Given, AuthError> {
        let request = self.request(asked)?;
        let answer = self.context.calls.call(request).await.map_err(|source| AuthError::Call {
            doing: FETCHING,
            endpoint: self.address(),
            source,
        })?;
        let redactor = self.context.redactor();
        if !answer.status.is_success() {
            return Err(refusal(FETCHING, &self.address(), &answer, redactor));
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let secret = |name| {
            let text = body.get(name)?.as_str().filter(|text| !text.is_empty())?;
            let secret = Secret::new(text);
            redactor.learn(&secret);
            Some(secret)
        };
        let refresh = secret("refresh_token");
        let _ = secret("id_token");
        match secret("access_token") {
            Some(token) => {
                let lifetime = lifetime(body.get("expires_in"));
                Ok(Given { access: Fresh { token, lifetime }, refresh })
            }
            None if says_error(&answer) => {
                Err(refusal(FETCHING, &self.address(), &answer, redactor))
            }
            None => Err(AuthError::NoToken {
                doing: FETCHING,
                endpoint: self.address(),
                place: "`access_token`".to_owned(),
                source: None,
            }),
        }
    }
}

impl Asked {
    /// The refresh token that was sent.
    pub(super) fn refresh_token(&self) -> Option<&Secret> {
        self.form.iter().find(|(name, _)| name == "refresh_token").map(|(_, value)| value)
    }
}
