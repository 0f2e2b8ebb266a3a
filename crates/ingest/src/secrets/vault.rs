//! The one place that reads secrets: each once, and once more when somebody asks to.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use zeroize::Zeroizing;

use super::aws::Aws;
use super::error::{Action, SecretError};
use super::file;
use super::json_key::JsonKey;
use super::redact::Redactor;
use super::reference::{SecretRef, Source};
use super::secret::Secret;

type Environment = Box<dyn Fn(&str) -> Option<OsString> + Send + Sync>;

/// Reads secrets by reference and stores rotated ones (I2, I3).
///
/// A secret is fetched once per source, however many keys of it are used and however many tasks ask at
/// the same time. All values that leave the vault are known to its [`Redactor`] before. Failures are not
/// kept: the next who asks tries again.
pub struct Vault {
    redactor: Redactor,
    is_masked: bool,
    folder: PathBuf,
    environment: Environment,
    aws: Aws,
    entries: Mutex<HashMap<Source, Arc<Entry>>>,
}

/// What is known of one source. The lock is held while it is fetched or stored.
type Entry = tokio::sync::Mutex<Known>;

#[derive(Default)]
struct Known {
    text: Option<Secret>,
    values: HashMap<Option<JsonKey>, Secret>,
}

impl Vault {
    /// A vault over the environment of this process. Relative paths begin at its working folder.
    pub fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            is_masked: false,
            folder: PathBuf::new(),
            environment: Box::new(|name| std::env::var_os(name)),
            aws: Aws::default(),
            entries: Mutex::default(),
        }
    }

    /// A vault that reads nothing: all secrets are `***`, as recordings and plans show them.
    #[must_use]
    pub fn masked(redactor: Redactor) -> Self {
        Self { is_masked: true, ..Self::new(redactor) }
    }

    /// Relative paths of `file:` begin at this folder.
    #[must_use]
    pub fn with_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// `env:` reads through this.
    #[must_use]
    pub fn with_environment(
        mut self,
        environment: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static,
    ) -> Self {
        self.environment = Box::new(environment);
        self
    }

    /// AWS is reached with these settings, and not with those of the environment.
    #[must_use]
    pub fn with_aws(mut self, config: SdkConfig) -> Self {
        self.aws = Aws::with_config(config);
        self
    }

    /// Knows all values that this vault gave out.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The settings for clients of AWS, loaded at the first use.
    pub async fn aws_config(&self) -> &SdkConfig {
        self.aws.config().await
    }

    /// The value that a reference names. It is never empty.
    ///
    /// # Errors
    ///
    /// The secret is not there, is empty, is no text, lacks the key, or its store cannot be reached.
    pub async fn get(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        if self.is_masked {
            return Ok(Secret::new("***"));
        }
        let entry = self.entry(reference);
        let mut known = entry.lock().await;
        let key = reference.key().cloned();
        if let Some(value) = known.values.get(&key) {
            return Ok(value.clone());
        }
        let text = match &known.text {
            Some(text) => text.clone(),
            // Boxed: the futures of AWS's clients are large, and every request waits for secrets.
            None => Box::pin(self.fetch(reference)).await?,
        };
        known.text = Some(text.clone());
        let value = match reference.key() {
            None => text,
            Some(key) => {
                Secret::new(key.find(text.expose()).map_err(|source| SecretError::Key {
                    action: Action::Reading,
                    reference: reference.to_string(),
                    source,
                })?)
            }
        };
        if value.expose().is_empty() {
            return Err(SecretError::Empty { reference: reference.to_string() });
        }
        self.redactor.learn(&value);
        known.values.insert(key, value.clone());
        Ok(value)
    }

    /// Forgets a secret, with all of its keys, so that the next [`Vault::get`] reads it anew.
    pub async fn renew(&self, reference: &SecretRef) {
        *self.entry(reference).lock().await = Known::default();
    }

    /// Stores a new value where the reference says. When this returns, it is durable.
    ///
    /// Of a JSON secret all other keys stay as they are: it is read anew for that. Neither store can do this
    /// as one step, so of two programs that store different keys of one secret at the same moment one may
    /// win; inside this one they take turns.
    ///
    /// # Errors
    ///
    /// An environment variable cannot be stored; the secret or its key is not there; the store refuses or
    /// cannot be reached.
    pub async fn put(&self, reference: &SecretRef, value: &Secret) -> Result<(), SecretError> {
        if let Source::Environment(_) = reference.source() {
            return Err(SecretError::ReadOnly { reference: reference.to_string() });
        }
        self.redactor.learn(value);
        let entry = self.entry(reference);
        let mut known = entry.lock().await;
        *known = Known::default();
        let text = match reference.key() {
            None => value.clone(),
            Some(key) => {
                let old = self.fetch(reference).await?;
                let new = key.replace(old.expose(), value.expose());
                Secret::new(new.map_err(|source| SecretError::Key {
                    action: Action::Storing,
                    reference: reference.to_string(),
                    source,
                })?)
            }
        };
        self.store(reference, &text).await?;
        known.text = Some(text);
        Ok(())
    }

    fn entry(&self, reference: &SecretRef) -> Arc<Entry> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        match entries.get(reference.source()) {
            Some(entry) => Arc::clone(entry),
            None => Arc::clone(entries.entry(reference.source().clone()).or_default()),
        }
    }

    /// The whole text of a secret.
    async fn fetch(&self, reference: &SecretRef) -> Result<Secret, SecretError> {
        let shown = reference.to_string();
        let text = match reference.source() {
            Source::Environment(name) => match (self.environment)(name) {
                None => return Err(SecretError::Unset { reference: shown }),
                Some(value) => value.into_string().ok().map(Zeroizing::new),
            },
            Source::File(path) => {
                let path = self.folder.join(path);
                let outcome = on_disk(Action::Reading, &shown, move || file::read(&path)).await;
                match outcome {
                    Err(SecretError::File { source, .. })
                        if source.kind() == io::ErrorKind::InvalidData =>
                    {
                        None
                    }
                    Err(error) => return Err(error),
                    Ok(None) => {
                        let limit_bytes = file::MAX_SIZE_BYTES;
                        return Err(SecretError::TooLarge { reference: shown, limit_bytes });
                    }
                    Ok(Some(text)) => Some(Zeroizing::new(text)),
                }
            }
            Source::SecretsManager(name) => self.aws.read_secret(name, &shown).await?,
            Source::Parameter(name) => self.aws.read_parameter(name, &shown).await?,
        };
        match text {
            None => Err(SecretError::NotText { reference: shown }),
            Some(text) if text.is_empty() => Err(SecretError::Empty { reference: shown }),
            Some(mut text) => Ok(Secret::new(std::mem::take(&mut *text))),
        }
    }

    async fn store(&self, reference: &SecretRef, text: &Secret) -> Result<(), SecretError> {
        let shown = reference.to_string();
        match reference.source() {
            Source::Environment(_) => Err(SecretError::ReadOnly { reference: shown }),
            Source::File(path) => {
                let (path, text) = (self.folder.join(path), text.clone());
                let work = move || file::replace(&path, text.expose());
                on_disk(Action::Storing, &shown, work).await
            }
            Source::SecretsManager(name) => {
                self.aws.store_secret(name, text.expose(), &shown).await
            }
            Source::Parameter(name) => self.aws.store_parameter(name, text.expose(), &shown).await,
        }
    }
}

/// Runs blocking work on a thread for such.
async fn on_disk<T: Send + 'static>(
    action: Action,
    shown: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, SecretError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(SecretError::File { action, reference: shown.to_owned(), source }),
        Err(source) => {
            Err(SecretError::Interrupted { action, reference: shown.to_owned(), source })
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("folder", &self.folder).finish_non_exhaustive()
    }
}
