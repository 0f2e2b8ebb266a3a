//! Who `ingest` is to an API: credentials on every attempt, tokens fetched once and renewed in time (I3).
//!
//! ```text
//!   settings ──▶ [authenticator] ──▶ apply ──▶ request ──▶ server
//!                     │    ▲                                │ 401
//!                     │    └──────────── renew ◀────────────┘
//!        secrets ◀────┤  fixed: api_key · bearer · basic     (texts read from the vault)
//!          ▲          │  kept:  oauth2 · session · aws_sigv4 (tokens with an end)
//!          └─ rotated refresh token, stored before the access token is used
//! ```
//!
//! [`authenticator`] makes one of the kinds, each in a file of its own, behind [`Authenticator`]. Texts of
//! the settings hold references to secrets ([`Text`]) and are read anew after a 401. Token and login calls go
//! to the URL of the settings through [`Calls`], whose clock counts the life of a token.

mod answer;
mod api_key;
mod aws_sigv4;
mod basic;
mod bearer;
mod body;
mod client_credentials;
mod error;
mod exchange;
mod fixed;
mod kept;
mod none;
mod placement;
mod refresh_token;
mod session;
mod settings;
mod text;
mod token_endpoint;

#[cfg(test)]
mod aws_sigv4_tests;
#[cfg(test)]
mod client_credentials_tests;
#[cfg(test)]
mod fixed_tests;
#[cfg(test)]
mod refresh_token_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod test_calls;

use std::sync::Arc;

use crate::http::{Calls, Request};
use crate::secrets::{Redactor, Vault};

pub use error::AuthError;
pub use placement::Place;
pub use settings::{
    ApiKeySettings, AuthSettings, AwsSigv4Settings, BasicSettings, BearerSettings,
    ClientCredentialsSettings, CredentialsIn, LoginBody, LoginRequest, RefreshTokenSettings,
    SessionSettings, TokenFrom, TokenPlacement,
};
pub use text::{Text, TextError};

/// Which credentials a request carried: a later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Generation(u64);

impl Generation {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Puts credentials on requests.
#[async_trait::async_trait]
pub trait Authenticator: Send + Sync {
    /// Puts the credentials on a request, and says which they were; called anew for every attempt, as a
    /// token may have been renewed meanwhile. What an earlier call put there is replaced.
    ///
    /// The URL of the request may hold a secret afterwards.
    ///
    /// # Errors
    ///
    /// A secret cannot be read, a token cannot be had, or a value cannot be sent where it belongs.
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError>;

    /// The server answered 401 to a request with these credentials: secrets are read and tokens fetched once
    /// more. Says whether another attempt may go differently.
    ///
    /// Of many requests that failed with the same generation, the first renews, and the others learn what
    /// came of it.
    ///
    /// # Errors
    ///
    /// A secret cannot be read.
    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError>;
}

/// What all kinds work with.
#[derive(Clone)]
pub struct Context {
    /// Reads and stores secrets.
    pub vault: Arc<Vault>,
    /// Sends token and login calls, and knows the time.
    pub calls: Arc<dyn Calls>,
}

impl Context {
    fn redactor(&self) -> &Redactor {
        self.vault.redactor()
    }
}

/// The authenticator that the settings describe. Nothing is read or fetched yet.
///
/// # Errors
///
/// A setting cannot be used, such as a token URL that is no URL.
pub fn authenticator(
    settings: &AuthSettings,
    context: &Context,
) -> Result<Arc<dyn Authenticator>, AuthError> {
    let context = context.clone();
    Ok(match settings {
        AuthSettings::None => Arc::new(none::None),
        AuthSettings::ApiKey(settings) => Arc::new(api_key::ApiKey::new(settings, context)?),
        AuthSettings::Bearer(settings) => Arc::new(bearer::Bearer::new(settings, context)),
        AuthSettings::Basic(settings) => Arc::new(basic::Basic::new(settings, context)),
        AuthSettings::Oauth2ClientCredentials(settings) => {
            Arc::new(client_credentials::ClientCredentials::new(settings, context)?)
        }
        AuthSettings::Oauth2RefreshToken(settings) => {
            Arc::new(refresh_token::RefreshToken::new(settings, context)?)
        }
        AuthSettings::Session(settings) => Arc::new(session::Session::new(settings, context)?),
        AuthSettings::AwsSigv4(settings) => Arc::new(aws_sigv4::AwsSigv4::new(settings, context)),
    })
}
