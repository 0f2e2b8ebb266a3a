//! OAuth 2 refresh token (RFC 6749, section 6), with servers that give a new one each time.
//!
//! ```text
//!   vault ── refresh token ──▶ token server ──▶ access token + new refresh token
//!     ▲                                                           │
//!     └──────────── 1. stored ◀───────────────────────────────────┘
//!                   2. only then the access token is used
//! ```
//!
//! A refresh token that a server rotates works once. Whoever loses the new one has locked himself out, so:
//!
//! - it is stored before the access token is used for the first time, in `check` too;
//! - the work from the token call to the store goes on when the request that wanted a token is given up;
//! - when storing fails, all requests fail, and each tries first to store what is still in memory;
//! - the token is read anew before each call but the first, and once more when the server calls it spent: another
//!   run may have rotated it.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::http::Request;
use crate::secrets::{Secret, SecretRef};

use super::answer::parse_url;
use super::bearer::put_token;
use super::error::AuthError;
use super::exchange::Exchange;
use super::kept::{Fresh, Kept};
use super::settings::RefreshTokenSettings;
use super::text::Text;
use super::token_endpoint::TokenEndpoint;
use super::{Authenticator, Context, Generation};

/// Fetches tokens on behalf of a user who agreed once.
pub(super) struct RefreshToken {
    grant: Arc<Grant>,
    scheme: String,
}

struct Grant {
    endpoint: TokenEndpoint,
    stored_in: SecretRef,
    kept: Kept<Secret>,
    rotation: Mutex<Rotation>,
}

#[derive(Default)]
struct Rotation {
    /// Whether the refresh token has been read before.
    was_read: bool,
    /// What a server gave that is not stored yet.
    pending: Option<Pending>,
}

struct Pending {
    refresh: Secret,
    access: Fresh<Secret>,
}

impl RefreshToken {
    pub(super) fn new(
        settings: &RefreshTokenSettings,
        context: Context,
    ) -> Result<Self, AuthError> {
        let url = parse_url(&settings.token_url, "token_url")?;
        let stored_in = settings.refresh_token.as_reference().cloned().ok_or_else(|| {
            AuthError::setting(
                "refresh_token",
                "has to be one reference like `${secret:aws-sm://name#key}`: a rotated token is stored there",
            )
        })?;
        let mut form = vec![
            ("grant_type".to_owned(), Text::literal("refresh_token")),
            ("refresh_token".to_owned(), settings.refresh_token.clone()),
        ];
        if !settings.scopes.is_empty() {
            form.push(("scope".to_owned(), Text::literal(settings.scopes.join(" "))));
        }
        let client =
            [settings.client_id.clone(), settings.client_secret.clone().unwrap_or_default()];
        let mut endpoint = TokenEndpoint::new(url, form, client, settings.credentials_in, context);
        for (name, value) in &settings.params {
            if name == "refresh_token" {
                return Err(AuthError::setting("params", "must not hold `refresh_token`"));
            }
            endpoint.set(name, value.clone());
        }
        let (kept, rotation) = (Kept::new(), Mutex::default());
        let grant = Arc::new(Grant { endpoint, stored_in, kept, rotation });
        Ok(Self { grant, scheme: settings.scheme.clone() })
    }
}

impl Grant {
    async fn token(&self) -> Result<(Secret, Generation), AuthError> {
        let calls = &self.endpoint.context().calls;
        self.kept.get(|| calls.now(), async |_| self.refresh().await).await
    }

    /// Fetches a token, and stores the refresh token that came with it.
    async fn refresh(&self) -> Result<Fresh<Secret>, AuthError> {
        let mut rotation = self.rotation.lock().await;
        if let Some(pending) = rotation.pending.take() {
            return self.store(&mut rotation, pending).await;
        }
        let (given, asked) = self.endpoint.exchange(rotation.was_read).await?;
        rotation.was_read = true;
        match given.refresh {
            Some(refresh) if asked.refresh_token() != Some(&refresh) => {
                let pending = Pending { refresh, access: given.access };
                self.store(&mut rotation, pending).await
            }
            _ => Ok(given.access),
        }
    }

    async fn store(
        &self,
        rotation: &mut Rotation,
        pending: Pending,
    ) -> Result<Fresh<Secret>, AuthError> {
        match self.endpoint.context().vault.put(&self.stored_in, &pending.refresh).await {
            Ok(()) => Ok(pending.access),
            Err(source) => {
                rotation.pending = Some(pending);
                Err(AuthError::NotStored { reference: self.stored_in.to_string(), source })
            }
        }
    }
}

#[async_trait::async_trait]
impl Authenticator for RefreshToken {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let endpoint = &self.grant.endpoint;
        let (token, generation) = match self.grant.kept.peek(endpoint.context().calls.now()).await {
            Some(good) => good,
            None => {
                // A task of its own, so that a request that is given up does not take a rotated token with it.
                let grant = Arc::clone(&self.grant);
                let fetching = tokio::spawn(async move { grant.token().await });
                fetching.await.map_err(|source| AuthError::Interrupted {
                    endpoint: endpoint.address(),
                    source,
                })??
            }
        };
        put_token(request, &self.scheme, &token, &endpoint.origin())?;
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        self.grant.kept.reject(attempted_with).await;
        Ok(true)
    }
}
