//! Clients for object stores, set up from the environment when first used.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::memory::InMemory;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

use crate::aws_max_attempts;

use super::profile::{self, Profile};
use super::requests::{Answer, CountedConnector, Counters, Requests};

/// The kinds of object stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// Amazon S3 and stores that speak its language.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage and Data Lake Storage.
    Azure,
    /// The memory of this process, for tests: one store per name, gone with the process.
    Memory,
}

/// A client that is made when it is first needed: reading certificates takes longer than starting up.
#[derive(Debug)]
pub(crate) struct Client {
    service: Service,
    root: String,
    patience: Patience,
    made: OnceLock<Connected>,
}

/// How long one waits for a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As those who have work to do.
    Long,
    /// As those who ask how a store is: a few seconds. The last answer is kept.
    Short,
}

#[derive(Debug)]
struct Connected {
    store: Arc<dyn ObjectStore>,
    /// `None` for stores without requests.
    counters: Option<Arc<Counters>>,
}

impl Client {
    /// A client for `root` (scheme and bucket), not made yet.
    pub(crate) fn new(service: Service, root: String) -> Self {
        Self { service, root, patience: Patience::Long, made: OnceLock::new() }
    }

    /// Waits a few seconds only, and keeps the last answer; of a client that is not made yet.
    pub(crate) fn be_hasty(&mut self) {
        self.patience = Patience::Short;
    }

    /// A client that a caller has made.
    pub(crate) fn with_store(store: Arc<dyn ObjectStore>) -> Self {
        let made = OnceLock::from(Connected { store, counters: None });
        let (service, patience) = (Service::Memory, Patience::Long);
        Self { service, root: String::new(), patience, made }
    }

    /// Scheme and bucket.
    pub(crate) fn root(&self) -> &str {
        match self.root.as_str() {
            "" => "memory://",
            root => root,
        }
    }

    /// Whether the other client is for the same bucket.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.service, &self.root) == (other.service, &other.root)
    }

    /// The requests so far; `None` before there were any, and for stores that need none.
    pub(crate) fn requests(&self) -> Option<Requests> {
        Some(self.made.get()?.counters.as_ref()?.requests())
    }

    /// The last answer, where answers are kept.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.made.get()?.counters.as_ref()?.answer()
    }

    /// The store, made now if it was not yet; no request is sent.
    ///
    /// # Errors
    ///
    /// What the builder finds wrong with the environment's settings.
    pub(crate) fn store(&self) -> object_store::Result<&Arc<dyn ObjectStore>> {
        if let Some(made) = self.made.get() {
            return Ok(&made.store);
        }
        let connected = connect(self.service, &self.root, self.patience)?;
        Ok(&self.made.get_or_init(|| connected).store)
    }
}

fn connect(service: Service, root: &str, patience: Patience) -> object_store::Result<Connected> {
    let connector = CountedConnector::new(patience == Patience::Short);
    let request_timeout = |variable| request_timeout(variable, patience);
    let store: Arc<dyn ObjectStore> = match service {
        Service::S3 => {
            let mut builder = follow_s3_endpoint(AmazonS3Builder::from_env());
            if let Some(timeout) = request_timeout("AWS_TIMEOUT") {
                builder = builder.with_config(AmazonS3ConfigKey::Client(TIMEOUT), timeout);
            }
            if profile::is_asked_for() {
                builder = builder.with_credentials(Arc::new(Profile::default()));
                if let Some(region) = profile::region() {
                    builder = builder.with_region(region);
                }
            }
            builder = builder.with_http_connector(connector.clone());
            Arc::new(builder.with_retry(retries(patience)).with_url(root).build()?)
        }
        Service::Gcs => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(root);
            if is_http(builder.get_config_value(&GoogleConfigKey::BaseUrl)) {
                let allow_http = GoogleConfigKey::Client(ClientConfigKey::AllowHttp);
                builder = builder.with_config(allow_http, "true");
            }
            if let Some(timeout) = request_timeout("GOOGLE_TIMEOUT") {
                builder = builder.with_config(GoogleConfigKey::Client(TIMEOUT), timeout);
            }
            builder = builder.with_http_connector(connector.clone());
            Arc::new(builder.with_retry(retries(patience)).build()?)
        }
        Service::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(root);
            if is_http(builder.get_config_value(&AzureConfigKey::Endpoint)) {
                builder = builder.with_allow_http(true);
            }
            if let Some(timeout) = request_timeout("AZURE_TIMEOUT") {
                builder = builder.with_config(AzureConfigKey::Client(TIMEOUT), timeout);
            }
            builder = builder.with_http_connector(connector.clone());
            Arc::new(builder.with_retry(retries(patience)).build()?)
        }
        Service::Memory => memory_store(root),
    };
    let counters = (service != Service::Memory).then(|| connector.counters());
    Ok(Connected { store, counters })
}

const TIMEOUT: ClientConfigKey = ClientConfigKey::Timeout;

/// How long one request may take, unless a variable of the environment says: four uploads of 8 MiB side
/// by side over a line of 5 Mbit/s.
fn request_timeout(variable: &str, patience: Patience) -> Option<&'static str> {
    match patience {
        Patience::Long => std::env::var_os(variable).is_none().then_some("60 seconds"),
        Patience::Short => Some("5 seconds"),
    }
}

/// How often requests are repeated: through half a minute of a store that is overloaded or restarts, and
/// not much longer where nobody answers. `AWS_MAX_ATTEMPTS` counts as in the AWS tools.
fn retries(patience: Patience) -> RetryConfig {
    const MAX_RETRIES: usize = 10;
    if patience == Patience::Short {
        let retry_timeout = Duration::from_secs(5);
        return RetryConfig { max_retries: 1, retry_timeout, ..RetryConfig::default() };
    }
    let attempts = aws_max_attempts();
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(8),
            base: 3.0,
        },
        max_retries: attempts.map_or(MAX_RETRIES, |attempts| attempts.saturating_sub(1)),
        retry_timeout: Duration::from_secs(45),
    }
}

/// Who names an `http://` endpoint wants plain HTTP; everybody else gets TLS or an error.
fn follow_s3_endpoint(builder: AmazonS3Builder) -> AmazonS3Builder {
    // The endpoint for S3 alone wins over the one for all of AWS, as in the AWS tools.
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    match is_http(endpoint) {
        true => builder.with_allow_http(true),
        false => builder,
    }
}

fn is_http(endpoint: Option<String>) -> bool {
    endpoint.is_some_and(|url| url.starts_with("http://"))
}

/// The store of this name, the same one for the whole process: that two places with one URL see the same
/// objects is what a store is.
fn memory_store(root: &str) -> Arc<dyn ObjectStore> {
    static STORES: LazyLock<Mutex<HashMap<String, Arc<InMemory>>>> = LazyLock::new(Mutex::default);

    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(stores.entry(root.to_owned()).or_default()) as _
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::none(None, None, "false")]
    #[case::https(Some("https://minio"), None, "false")]
    #[case::http(Some("http://minio:9000"), None, "true")]
    #[case::http_for_s3(None, Some("http://minio:9000"), "true")]
    #[case::s3_wins(Some("http://minio:9000"), Some("https://minio"), "false")]
    fn an_http_endpoint_allows_http(
        #[case] endpoint: Option<&str>,
        #[case] s3_endpoint: Option<&str>,
        #[case] allowed: &str,
    ) {
        let mut builder = AmazonS3Builder::new();
        if let Some(url) = endpoint {
            builder = builder.with_config(AmazonS3ConfigKey::Endpoint, url);
        }
        if let Some(url) = s3_endpoint {
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, url);
        }
        let key = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        let found = follow_s3_endpoint(builder).get_config_value(&key);
        assert_eq!(found.as_deref(), Some(allowed));
    }

    #[test]
    fn a_client_is_made_once() {
        let client = Client::new(Service::Memory, "memory://once".into());
        let first = Arc::clone(client.store().unwrap());
        assert!(Arc::ptr_eq(&first, client.store().unwrap()));
    }
}
