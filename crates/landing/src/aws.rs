//! What all that asks AWS takes from the machine: credentials, and how often to try.

use std::time::{Duration, SystemTime};

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use tokio::sync::{Mutex, OnceCell};

/// Credentials are asked for anew so long before they end, for requests take their time.
const MARGIN: Duration = Duration::from_secs(300);

/// Credentials of AWS, held until shortly before they end.
#[derive(Debug, Default)]
pub struct AwsCredentials {
    provider: OnceCell<SharedCredentialsProvider>,
    held: Mutex<Option<Credentials>>,
}

impl AwsCredentials {
    /// Credentials from a provider. Those of [`Default`] come from AWS's default chain, which is set up when
    /// they are first asked for: environment, profile, web identity, container, instance.
    pub fn of(provider: SharedCredentialsProvider) -> Self {
        Self { provider: OnceCell::from(provider), held: Mutex::default() }
    }

    /// Credentials that are good for the next minutes.
    ///
    /// # Errors
    ///
    /// None were found, or who gives them did not answer.
    pub async fn get(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        if let Some(credentials) = held.as_ref().filter(|held| is_good(held)) {
            return Ok(credentials.clone());
        }
        let make = || async {
            SharedCredentialsProvider::new(DefaultCredentialsChain::builder().build().await)
        };
        let found = self.provider.get_or_init(make).await.provide_credentials().await?;
        *held = Some(found.clone());
        Ok(found)
    }

    /// Lets go of credentials that a service does not take any more, so that others are asked for.
    pub async fn reject(&self, rejected: &Credentials) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.access_key_id() == rejected.access_key_id()) {
            *held = None;
        }
    }
}

fn is_good(credentials: &Credentials) -> bool {
    credentials.expiry().is_none_or(|ends| SystemTime::now() + MARGIN < ends)
}

/// How often a request is sent at most, where `AWS_MAX_ATTEMPTS` says so, as in the AWS tools.
pub fn aws_max_attempts() -> Option<usize> {
    std::env::var("AWS_MAX_ATTEMPTS").ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    use aws_credential_types::provider::future;

    /// Gives credentials with another key each time.
    #[derive(Debug)]
    struct Numbered {
        given: AtomicU32,
        lifetime: Duration,
    }

    impl ProvideCredentials for Numbered {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            let ends = SystemTime::now() + self.lifetime;
            let key = format!("key {number}");
            future::ProvideCredentials::ready(Ok(Credentials::new(
                key,
                "secret",
                None,
                Some(ends),
                "test",
            )))
        }
    }

    fn numbered(lifetime: Duration) -> AwsCredentials {
        let provider = Numbered { given: AtomicU32::new(0), lifetime };
        AwsCredentials::of(SharedCredentialsProvider::new(provider))
    }

    #[tokio::test]
    async fn credentials_are_held_until_they_end_or_are_rejected() {
        let credentials = numbered(Duration::from_secs(3600));
        let first = credentials.get().await.unwrap();
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key 0");
        credentials.reject(&first).await;
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key 1");
        // Somebody else has renewed them already.
        credentials.reject(&first).await;
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key 1");
    }

    #[tokio::test]
    async fn credentials_that_end_soon_are_asked_for_anew() {
        let credentials = numbered(Duration::from_secs(60));
        credentials.get().await.unwrap();
        assert_eq!(credentials.get().await.unwrap().access_key_id(), "key 1");
    }
}
