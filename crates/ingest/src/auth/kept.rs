//! A token that is fetched once for all who need it, and again before it ends.

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::Generation;
use super::error::AuthError;

/// How long before its end a token is not used any more: clocks differ, and a request takes its time.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What a fetch gave.
pub(super) struct Fresh<T> {
    pub(super) token: T,
    /// How long it lives from the moment the fetch began; `None` when the server does not say.
    pub(super) lifetime: Option<SignedDuration>,
}

/// A token, and the lock under which it is fetched.
pub(super) struct Kept<T> {
    is_same: fn(&T, &T) -> bool,
    state: Mutex<State<T>>,
}

struct State<T> {
    current: Option<Current<T>>,
    generation: Generation,
}

struct Current<T> {
    token: T,
    renew_at: Option<Timestamp>,
    was_rejected: bool,
}

impl<T: Clone> Kept<T> {
    /// Each fetch makes a new generation.
    pub(super) fn new() -> Self {
        Self::with_same(|_, _| false)
    }

    /// A fetch that gives the same as before makes no new generation.
    pub(super) fn with_same(is_same: fn(&T, &T) -> bool) -> Self {
        let state = State { current: None, generation: Generation::default() };
        Self { is_same, state: Mutex::new(state) }
    }

    /// The token, when there is one that is good at this moment.
    pub(super) async fn peek(&self, now: Timestamp) -> Option<(T, Generation)> {
        self.state.lock().await.good(now)
    }

    /// The token, fetched unless there is one that is good at this moment. Others who ask wait for the same
    /// fetch. `fetch` learns whether the token before was rejected by the server.
    ///
    /// # Errors
    ///
    /// The fetch failed; the next who asks tries again.
    pub(super) async fn get<F, Fetching>(
        &self,
        now: impl Fn() -> Timestamp,
        fetch: F,
    ) -> Result<(T, Generation), AuthError>
    where
        F: FnOnce(bool) -> Fetching,
        Fetching: Future<Output = Result<Fresh<T>, AuthError>>,
    {
        let mut state = self.state.lock().await;
        // Only now, as the wait for the lock may have been long.
        let began = now();
        if let Some(good) = state.good(began) {
            return Ok(good);
        }
        let before = state.current.as_ref();
        let fresh = fetch(before.is_some_and(|before| before.was_rejected)).await?;
        let is_same = before.is_some_and(|before| (self.is_same)(&before.token, &fresh.token));
        let renew_at = fresh.lifetime.map(|lifetime| renew_at(began, lifetime));
        if !is_same {
            state.generation = state.generation.next();
        }
        let token = fresh.token.clone();
        state.current = Some(Current { token, renew_at, was_rejected: false });
        Ok((fresh.token, state.generation))
    }

    /// The server rejected the token of this generation: it is not given out again.
    pub(super) async fn reject(&self, attempted_with: Generation) {
        let mut state = self.state.lock().await;
        if state.generation <= attempted_with
            && let Some(current) = &mut state.current
        {
            current.was_rejected = true;
        }
    }
}

impl<T: Clone> State<T> {
    fn good(&self, now: Timestamp) -> Option<(T, Generation)> {
        let current = self.current.as_ref().filter(|current| !current.was_rejected)?;
        match current.renew_at.is_none_or(|renew_at| now < renew_at) {
            true => Some((current.token.clone(), self.generation)),
            false => None,
        }
    }
}

/// When a token is fetched anew: [`MARGIN`] before its end or after 90 % of its life, whichever is first, but
/// not before half of its life. Without the last, a token of one minute would be fetched for every request.
fn renew_at(began: Timestamp, lifetime: SignedDuration) -> Timestamp {
    let lifetime = lifetime.max(SignedDuration::ZERO);
    let most = lifetime.saturating_sub(MARGIN).min(lifetime / 10 * 9).max(lifetime / 2);
    began.checked_add(most).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::margin(300, 240)]
    #[case::where_they_meet(600, 540)]
    #[case::share(3600, 3240)]
    #[case::short(90, 45)]
    #[case::very_short(2, 1)]
    #[case::none(0, 0)]
    #[case::negative(-5, 0)]
    fn i3_a_token_is_renewed_before_its_end(#[case] lifetime: i64, #[case] after: i64) {
        let began = Timestamp::UNIX_EPOCH;

        let renewed = renew_at(began, SignedDuration::from_secs(lifetime));

        assert_eq!(renewed.duration_since(began).as_secs(), after);
    }

    #[test]
    fn i3_a_life_without_end_is_no_overflow() {
        assert_eq!(renew_at(Timestamp::UNIX_EPOCH, SignedDuration::MAX), Timestamp::MAX);
    }
}
