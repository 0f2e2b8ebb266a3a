//! `Authorization: Bearer …` with a fixed token (RFC 6750).

use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use crate::http::Request;
use crate::secrets::Secret;

use super::error::AuthError;
use super::fixed::Fixed;
use super::placement::put_header;
use super::settings::BearerSettings;
use super::{Authenticator, Context, Generation};

/// Puts a fixed bearer token on requests.
pub(super) struct Bearer {
    token: Fixed<1>,
}

impl Bearer {
    pub(super) fn new(settings: &BearerSettings, context: Context) -> Self {
        Self { token: Fixed::new([settings.token.clone()], context) }
    }
}

#[async_trait::async_trait]
impl Authenticator for Bearer {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let ([token], generation) = self.token.values().await?;
        let [text] = self.token.texts();
        put_token(request, "Bearer", &token, &text.origin())?;
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        self.token.renew(attempted_with).await
    }
}

/// `Authorization: <scheme> <token>`.
///
/// # Errors
///
/// The token has a byte that no header may have.
pub(super) fn put_token(
    request: &mut Request,
    scheme: &str,
    token: &Secret,
    origin: &str,
) -> Result<(), AuthError> {
    let mut value = Zeroizing::new(format!("{scheme} {}", token.expose()));
    put_header(request, AUTHORIZATION, &Secret::new(std::mem::take(&mut *value)), origin)
}
