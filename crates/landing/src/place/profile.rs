//! Credentials and region from the files of the AWS tools (`~/.aws`), where the environment gives none: keys,
//! roles taken on, single sign-on, a `credential_process`.
//!
//! The store's own client knows the environment, containers, web identity and instances, and not these files.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::AwsCredentials;

/// Any of these gives other credentials, or says that there are to be none.
const OTHERS: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
];

/// Whether the credentials for S3 come from the files of the AWS tools (`~/.aws`): the environment gives no
/// others, and there are such files or `AWS_PROFILE` names a profile.
pub fn is_asked_for() -> bool {
    let is_set = |variable: &str| env::var_os(variable).is_some_and(|text| !text.is_empty());
    let file = |variable: &str, name: &str| match env::var_os(variable) {
        Some(path) => PathBuf::from(path).exists(),
        None => env::home_dir().is_some_and(|home| home.join(".aws").join(name).exists()),
    };
    !OTHERS.into_iter().any(is_set)
        && (is_set("AWS_PROFILE")
            || file("AWS_SHARED_CREDENTIALS_FILE", "credentials")
            || file("AWS_CONFIG_FILE", "config"))
}

/// The region of the profile, where the environment names none.
pub(super) fn region() -> Option<String> {
    let is_named =
        ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().any(|v| env::var_os(v).is_some());
    if is_named {
        return None;
    }
    // Clients are made where no waiting is possible, with a runtime or without one.
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(ProfileFileRegionProvider::new().region())
    };
    let region = std::thread::spawn(ask).join().ok().flatten()?;
    Some(region.to_string())
}

/// The credentials of the profile, held until shortly before they end.
#[derive(Debug, Default)]
pub(super) struct Profile(AwsCredentials);

#[async_trait]
impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let found = self.0.get().await.map_err(|source| object_store::Error::Unauthenticated {
            path: "the profile of ~/.aws".to_owned(),
            source: source.into(),
        })?;
        Ok(Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        }))
    }
}
