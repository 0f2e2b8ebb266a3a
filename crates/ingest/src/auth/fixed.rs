//! Values that stay as they are until somebody changes the secret: read once, compared after a 401.

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::secrets::{Secret, SecretRef};

use super::error::AuthError;
use super::text::Text;
use super::{Context, Generation};

/// After a reading that brought nothing new, secrets are not read again for this long. It is enough for
/// requests that failed together, and lets a run notice a rotation that comes hours later.
pub(super) const REST: SignedDuration = SignedDuration::from_secs(60);

/// `N` texts of the settings and their values.
pub(super) struct Fixed<const N: usize> {
    texts: [Text; N],
    context: Context,
    state: Mutex<State<N>>,
}

struct State<const N: usize> {
    values: Option<[Secret; N]>,
    generation: Generation,
    read_in_vain: Option<Timestamp>,
}

impl<const N: usize> Fixed<N> {
    pub(super) fn new(texts: [Text; N], context: Context) -> Self {
        let state = State { values: None, generation: Generation::default(), read_in_vain: None };
        Self { texts, context, state: Mutex::new(state) }
    }

    pub(super) fn texts(&self) -> &[Text; N] {
        &self.texts
    }

    pub(super) fn context(&self) -> &Context {
        &self.context
    }

    /// The values, read at the first call.
    ///
    /// # Errors
    ///
    /// A secret cannot be read.
    pub(super) async fn values(&self) -> Result<([Secret; N], Generation), AuthError> {
        let mut state = self.state.lock().await;
        let values = match &state.values {
            Some(values) => values.clone(),
            None => self.resolve().await?,
        };
        state.values = Some(values.clone());
        Ok((values, state.generation))
    }

    /// Reads the secrets once more, unless that has been done. Says whether they are others than those
    /// attempted with.
    ///
    /// # Errors
    ///
    /// A secret cannot be read. The old values stay.
    pub(super) async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        let mut state = self.state.lock().await;
        if state.generation > attempted_with {
            return Ok(true);
        }
        let now = self.context.calls.now();
        let rests = state.read_in_vain.is_some_and(|read| now.duration_since(read) < REST);
        let references: Vec<&SecretRef> = self.texts.iter().flat_map(Text::references).collect();
        if rests || references.is_empty() {
            return Ok(false);
        }
        for reference in references {
            self.context.vault.renew(reference).await;
        }
        let values = self.resolve().await?;
        if state.values.as_ref() == Some(&values) {
            state.read_in_vain = Some(now);
            return Ok(false);
        }
        state.generation = state.generation.next();
        state.read_in_vain = None;
        state.values = Some(values);
        Ok(true)
    }

    async fn resolve(&self) -> Result<[Secret; N], AuthError> {
        let mut values = [const { None }; N];
        for (value, text) in values.iter_mut().zip(&self.texts) {
            *value = Some(text.resolve(&self.context.vault).await?);
        }
        // Each is filled above.
        Ok(values.map(|value| value.unwrap_or_else(|| Secret::new(""))))
    }
}
