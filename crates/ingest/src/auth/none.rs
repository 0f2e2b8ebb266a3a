//! No credentials.

use crate::http::Request;

use super::error::AuthError;
use super::{Authenticator, Generation};

/// Leaves requests as they are.
pub(super) struct None;

#[async_trait::async_trait]
impl Authenticator for None {
    async fn apply(&self, _request: &mut Request) -> Result<Generation, AuthError> {
        Ok(Generation::default())
    }

    async fn renew(&self, _attempted_with: Generation) -> Result<bool, AuthError> {
        Ok(false)
    }
}
