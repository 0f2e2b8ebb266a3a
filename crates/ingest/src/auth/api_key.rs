//! A fixed value in a header, a query parameter or a cookie.

use crate::http::Request;

use super::error::AuthError;
use super::fixed::Fixed;
use super::placement::Slot;
use super::settings::ApiKeySettings;
use super::{Authenticator, Context, Generation};

/// Puts an API key in its place.
pub(super) struct ApiKey {
    slot: Slot,
    value: Fixed<1>,
}

impl ApiKey {
    pub(super) fn new(settings: &ApiKeySettings, context: Context) -> Result<Self, AuthError> {
        let slot = Slot::new(settings.place, &settings.name, "name")?;
        Ok(Self { slot, value: Fixed::new([settings.value.clone()], context) })
    }
}

#[async_trait::async_trait]
impl Authenticator for ApiKey {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let ([value], generation) = self.value.values().await?;
        let [text] = self.value.texts();
        self.slot.put(request, &value, &text.origin())?;
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        self.value.renew(attempted_with).await
    }
}
