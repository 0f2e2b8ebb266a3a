//! OAuth 2 client credentials (RFC 6749, section 4.4).

use crate::http::Request;

use super::answer::parse_url;
use super::bearer::put_token;
use super::error::AuthError;
use super::exchange::Exchange;
use super::kept::Kept;
use super::settings::ClientCredentialsSettings;
use super::text::Text;
use super::token_endpoint::TokenEndpoint;
use super::{Authenticator, Context, Generation};
use crate::secrets::Secret;

/// Fetches tokens with the program's own credentials.
pub(super) struct ClientCredentials {
    endpoint: TokenEndpoint,
    scheme: String,
    kept: Kept<Secret>,
}

impl ClientCredentials {
    pub(super) fn new(
        settings: &ClientCredentialsSettings,
        context: Context,
    ) -> Result<Self, AuthError> {
        let url = parse_url(&settings.token_url, "token_url")?;
        let mut form = vec![("grant_type".to_owned(), Text::literal("client_credentials"))];
        if !settings.scopes.is_empty() {
            form.push(("scope".to_owned(), Text::literal(settings.scopes.join(" "))));
        }
        if let Some(audience) = &settings.audience {
            form.push(("audience".to_owned(), audience.clone()));
        }
        let client = [settings.client_id.clone(), settings.client_secret.clone()];
        let mut endpoint = TokenEndpoint::new(url, form, client, settings.credentials_in, context);
        // The settings have the last word, `grant_type` included: some servers have a name of their own for it.
        for (name, value) in &settings.params {
            endpoint.set(name, value.clone());
        }
        Ok(Self { endpoint, scheme: settings.scheme.clone(), kept: Kept::new() })
    }
}

#[async_trait::async_trait]
impl Authenticator for ClientCredentials {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let calls = &self.endpoint.context().calls;
        let fetch = async |was_rejected| Ok(self.endpoint.exchange(was_rejected).await?.0.access);
        let (token, generation) = self.kept.get(|| calls.now(), fetch).await?;
        put_token(request, &self.scheme, &token, &self.endpoint.origin())?;
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        self.kept.reject(attempted_with).await;
        Ok(true)
    }
}
