//! AWS Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningInstructions,
    SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::http::Request;
use crate::secrets::{AwsFailure, Secret};

use super::error::AuthError;
use super::fixed::REST;
use super::kept::{Fresh, Kept};
use super::settings::AwsSigv4Settings;
use super::{Authenticator, Context, Generation};

/// Headers that an earlier attempt may have left, and that would be signed along.
const OWN_HEADERS: [HeaderName; 4] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static("x-amz-content-sha256"),
];

/// Signs requests with the credentials of AWS's default chain.
///
/// All headers that are there are signed; those that the client adds later are not, which AWS allows.
pub(super) struct AwsSigv4 {
    service: String,
    region: Option<String>,
    context: Context,
    kept: Kept<Credentials>,
    read_in_vain: Mutex<Option<Timestamp>>,
}

impl AwsSigv4 {
    pub(super) fn new(settings: &AwsSigv4Settings, context: Context) -> Self {
        let AwsSigv4Settings { service, region } = settings.clone();
        Self {
            service,
            region,
            context,
            kept: Kept::with_same(is_same),
            read_in_vain: Mutex::default(),
        }
    }

    async fn credentials(&self) -> Result<(Credentials, Generation), AuthError> {
        self.kept.get(|| self.context.calls.now(), async |_| self.fetch().await).await
    }

    async fn fetch(&self) -> Result<Fresh<Credentials>, AuthError> {
        let failed = |error: CredentialsError| AuthError::AwsCredentials {
            source: AwsFailure::of_credentials(&error),
        };
        let provider = self.context.vault.aws_config().await.credentials_provider();
        let provider = provider.ok_or_else(|| failed(CredentialsError::not_loaded_no_source()))?;
        let credentials = provider.provide_credentials().await.map_err(failed)?;
        let redactor = self.context.redactor();
        redactor.learn(&Secret::new(credentials.secret_access_key()));
        if let Some(token) = credentials.session_token() {
            redactor.learn(&Secret::new(token));
        }
        let now = self.context.calls.now();
        let end = credentials.expiry().and_then(|end| Timestamp::try_from(end).ok());
        Ok(Fresh { token: credentials, lifetime: end.map(|end| end.duration_since(now)) })
    }

    async fn region(&self) -> Result<String, AuthError> {
        match &self.region {
            Some(region) => Ok(region.clone()),
            None => {
                let config = self.context.vault.aws_config().await;
                let region = config.region().map(ToString::to_string);
                region.ok_or(AuthError::NoRegion)
            }
        }
    }

    fn settings(&self) -> SigningSettings {
        let mut settings = SigningSettings::default();
        if matches!(self.service.as_str(), "s3" | "s3express" | "s3-outposts" | "s3-object-lambda")
        {
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        // S3 and OpenSearch Serverless want to see the hash of the body.
        if self.service.starts_with("s3") || self.service == "aoss" {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        settings
    }

    fn sign(
        &self,
        request: &Request,
        credentials: Credentials,
        region: &str,
    ) -> Result<SigningInstructions, AuthError> {
        let identity = credentials.into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(&self.service)
            .time(SystemTime::from(self.context.calls.now()))
            .settings(self.settings())
            .build()
            .map_err(|error| self.failed(error))?
            .into();
        let mut headers = Vec::with_capacity(request.headers.len());
        for (name, value) in &request.headers {
            headers.push((name.as_str(), value.to_str().map_err(|error| self.failed(error))?));
        }
        let body = SignableBody::Bytes(request.body.as_deref().unwrap_or_default());
        let signable = SignableRequest::new(
            request.method.as_str(),
            request.url.as_str(),
            headers.into_iter(),
            body,
        );
        let signable = signable.map_err(|error| self.failed(error))?;
        let signed = sign(signable, &params).map_err(|error| self.failed(error))?;
        Ok(signed.into_parts().0)
    }

    fn failed(&self, source: impl std::error::Error + Send + Sync + 'static) -> AuthError {
        AuthError::Sign { service: self.service.clone(), source: Box::new(source) }
    }
}

#[async_trait::async_trait]
impl Authenticator for AwsSigv4 {
    async fn apply(&self, request: &mut Request) -> Result<Generation, AuthError> {
        let (credentials, generation) = self.credentials().await?;
        let region = self.region().await?;
        for name in &OWN_HEADERS {
            request.headers.remove(name);
        }
        // The signature takes `+` for a blank, which servers of AWS read as a plus.
        if let Some(query) = request.url.query().filter(|query| query.contains('+')) {
            let query = query.replace('+', "%20");
            request.url.set_query(Some(&query));
        }
        request.url.set_fragment(None);
        let (headers, _) = self.sign(request, credentials, &region)?.into_parts();
        for header in headers {
            let mut value =
                HeaderValue::from_str(header.value()).map_err(|error| self.failed(error))?;
            value.set_sensitive(header.sensitive() || header.name() == AUTHORIZATION.as_str());
            request.headers.insert(HeaderName::from_static(header.name()), value);
        }
        Ok(generation)
    }

    async fn renew(&self, attempted_with: Generation) -> Result<bool, AuthError> {
        let mut read_in_vain = self.read_in_vain.lock().await;
        let now = self.context.calls.now();
        let (_, generation) = self.credentials().await?;
        if generation > attempted_with {
            return Ok(true);
        }
        if read_in_vain.is_some_and(|read| now.duration_since(read) < REST) {
            return Ok(false);
        }
        self.kept.reject(attempted_with).await;
        let (_, generation) = self.credentials().await?;
        let is_other = generation > attempted_with;
        *read_in_vain = (!is_other).then_some(now);
        Ok(is_other)
    }
}

fn is_same(one: &Credentials, other: &Credentials) -> bool {
    one.access_key_id() == other.access_key_id()
        && one.secret_access_key() == other.secret_access_key()
        && one.session_token() == other.session_token()
}
