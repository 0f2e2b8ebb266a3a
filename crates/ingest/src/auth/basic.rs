//! `Authorization: Basic …` (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::http::Request;
use crate::secrets::Secret;

use super::error::AuthError;
use super::fixed::Fixed;
use super::placement::put_header;
use super::settings::BasicSettings;
use super::text::Text;
use super::{Authenticator, Context, Generation};

/// Puts user name and password on requests.
pub(super) struct Basic {
    pair: Fixed<2>,
}

impl Basic {
    pub(super) fn new(settings: &BasicSettings, context: Context) -> Self {
        let texts = [settings.username.clone(), settings.password.clone()];
        Self { pair: Fixed::new(texts, context) }
    }
}

#[async_trait::async_trait]
impl Authenticator for Basic {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let ([username, password], generation) = self.pair.values().await?;
        let [user_text, password_text] = self.pair.texts();
        if username.expose().contains(':') {
            return Err(AuthError::Unsendable {
                origin: user_text.origin(),
                place: "as a user name".to_owned(),
                reason: "it has a colon, which ends the name",
            });
        }
        learn_pair(self.pair.context(), [(user_text, &username), (password_text, &password)]);
        put_pair(request, username.expose(), password.expose(), &password_text.origin())?;
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        self.pair.renew(attempted_with).await
    }
}

/// Makes the pair known to the redactor, when there is a secret in it. What stands in the settings for all to
/// see is not hidden on its own.
pub(super) fn learn_pair(context: &Context, pair: [(&Text, &Secret); 2]) {
    let shown = Secret::new("");
    let [user, password] =
        pair.map(|(text, value)| if text.references().next().is_some() { value } else { &shown });
    if !user.expose().is_empty() || !password.expose().is_empty() {
        let [(_, username), (_, password)] = pair;
        context.redactor().learn_pair(username, password);
    }
}

/// `Authorization: Basic <base64 of the pair>`.
///
/// # Errors
///
/// None that is known: base64 can be sent.
pub(super) fn put_pair(
    request: &mut Request,
    username: &str,
    password: &str,
    origin: &str,
) -> Result<(), AuthError> {
    let pair = Zeroizing::new(format!("{username}:{password}"));
    let value = Secret::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    put_header(request, AUTHORIZATION, &value, origin)
}
