//! A call that gives a token for secrets, and a second one when the secrets have changed meanwhile.

use crate::secrets::{FaultKind, SecretRef, Vault};

use super::error::AuthError;

/// A token or login call.
#[async_trait::async_trait]
pub(super) trait Exchange: Sync {
    /// What is sent.
    type Asked: PartialEq + Send + Sync;
    /// What comes back.
    type Given: Send;

    /// Where the secrets are read.
    fn vault(&self) -> &Vault;

    /// The secrets of the call.
    fn references(&self) -> Vec<&SecretRef>;

    /// Reads the secrets.
    async fn prepare(&self) -> Result<Self::Asked, AuthError>;

    /// Makes the call.
    async fn ask(&self, asked: &Self::Asked) -> Result<Self::Given, AuthError>;

    /// Gets a token; with `reread`, from secrets that are read anew. When the server refuses the credentials,
    /// the secrets are read once more, and if they are others now, the call is made once more.
    ///
    /// # Errors
    ///
    /// A secret cannot be read, no answer came, or the server refused.
    async fn exchange(&self, reread: bool) -> Result<(Self::Given, Self::Asked), AuthError> {
        if reread {
            self.forget().await;
        }
        let asked = self.prepare().await?;
        let refusal = match self.ask(&asked).await {
            Ok(given) => return Ok((given, asked)),
            Err(error) => error,
        };
        let is_refused = matches!(refusal, AuthError::Refused { .. });
        if !is_refused || refusal.kind() != FaultKind::Credentials {
            return Err(refusal);
        }
        self.forget().await;
        let anew = self.prepare().await?;
        match anew == asked {
            true => Err(refusal),
            false => Ok((self.ask(&anew).await?, anew)),
        }
    }

    /// Makes the vault read the secrets anew.
    async fn forget(&self) {
        for reference in self.references() {
            self.vault().renew(reference).await;
        }
    }
}
