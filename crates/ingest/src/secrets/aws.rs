//! Secrets in AWS: Secrets Manager and Parameter Store.
//!
//! Clients are made at the first use, by the default chain of AWS: environment (`AWS_ENDPOINT_URL` too),
//! profile, container, instance.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::config::Builder as SecretsManagerConfig;
use aws_sdk_ssm::config::Builder as ParametersConfig;
use aws_sdk_ssm::types::{ParameterMetadata, ParameterStringFilter, ParameterTier, ParameterType};
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::error::{Action, AwsFailure, SecretError};

/// Time for one attempt of a call, and for a call with the client's own three attempts (I12).
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The clients of AWS, made when first needed.
#[derive(Default)]
pub(super) struct Aws {
    given: Option<SdkConfig>,
    config: OnceCell<SdkConfig>,
    secrets: OnceCell<aws_sdk_secretsmanager::Client>,
    parameters: OnceCell<aws_sdk_ssm::Client>,
}

impl Aws {
    /// With settings that are given, and not taken from the environment.
    pub(super) fn with_config(config: SdkConfig) -> Self {
        Self { given: Some(config), ..Self::default() }
    }

    /// The settings for clients of AWS.
    pub(super) async fn config(&self) -> &SdkConfig {
        let load = || async {
            match &self.given {
                Some(config) => config.clone(),
                None => {
                    let timeouts = TimeoutConfig::builder()
                        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                        .operation_timeout(CALL_TIMEOUT)
                        .build();
                    let loader = aws_config::defaults(BehaviorVersion::latest());
                    loader.timeout_config(timeouts).load().await
                }
            }
        };
        self.config.get_or_init(load).await
    }

    /// The text of a secret in Secrets Manager.
    pub(super) async fn read_secret(
        &self,
        name: &str,
        reference: &str,
    ) -> Result<Option<Zeroizing<String>>, SecretError> {
        let place = Place { action: Action::Reading, reference, region: region_of_arn(name) };
        let client = self.secrets(&place).await?;
        let call = client.get_secret_value().secret_id(name);
        let answer =
            call.send().await.map_err(|error| place.failed(AwsFailure::of_call(&error)))?;
        Ok(answer.secret_string.map(Zeroizing::new))
    }

    /// Makes a text the current version of a secret in Secrets Manager.
    pub(super) async fn store_secret(
        &self,
        name: &str,
        text: &str,
        reference: &str,
    ) -> Result<(), SecretError> {
        let place = Place { action: Action::Storing, reference, region: region_of_arn(name) };
        let client = self.secrets(&place).await?;
        let call = client.put_secret_value().secret_id(name).secret_string(text);
        // The client sends the same token in each of its attempts, so a lost answer makes no second
        // version. A token made from the value would be wrong: a value that was there before would be
        // taken for a repetition, and not become current again.
        let call = call.client_request_token(uuid::Uuid::new_v4().to_string());
        call.send().await.map_err(|error| place.failed(AwsFailure::of_call(&error)))?;
        Ok(())
    }

    /// The decrypted text of a parameter.
    pub(super) async fn read_parameter(
        &self,
        name: &str,
        reference: &str,
    ) -> Result<Option<Zeroizing<String>>, SecretError> {
        let place = Place { action: Action::Reading, reference, region: region_of_arn(name) };
        let client = self.parameters(&place).await?;
        let call = client.get_parameter().name(name).with_decryption(true);
        let answer =
            call.send().await.map_err(|error| place.failed(AwsFailure::of_call(&error)))?;
        Ok(answer.parameter.and_then(|parameter| parameter.value).map(Zeroizing::new))
    }

    /// Puts another text in a parameter, encrypted.
    pub(super) async fn store_parameter(
        &self,
        name: &str,
        text: &str,
        reference: &str,
    ) -> Result<(), SecretError> {
        let place = Place { action: Action::Storing, reference, region: region_of_arn(name) };
        let client = self.parameters(&place).await?;
        let old = describe(&client, name).await;
        let key = old.as_ref().and_then(|old| old.key_id.clone());
        // A parameter of the advanced tier cannot become a standard one.
        let tier = old.and_then(|old| old.tier).filter(|tier| *tier == ParameterTier::Advanced);
        let call = client.put_parameter().name(name).value(text).overwrite(true);
        let call = call.r#type(ParameterType::SecureString).set_key_id(key).set_tier(tier);
        call.send().await.map_err(|error| place.failed(AwsFailure::of_call(&error)))?;
        Ok(())
    }

    /// A client; for an ARN, of the region that it names.
    async fn secrets(
        &self,
        place: &Place<'_>,
    ) -> Result<aws_sdk_secretsmanager::Client, SecretError> {
        let config = self.config_for(place).await?;
        if let Some(region) = place.region() {
            let config = SecretsManagerConfig::from(config).region(Some(region)).build();
            return Ok(aws_sdk_secretsmanager::Client::from_conf(config));
        }
        let make = || async { aws_sdk_secretsmanager::Client::new(config) };
        Ok(self.secrets.get_or_init(make).await.clone())
    }

    /// As [`Aws::secrets`], for parameters.
    async fn parameters(&self, place: &Place<'_>) -> Result<aws_sdk_ssm::Client, SecretError> {
        let config = self.config_for(place).await?;
        if let Some(region) = place.region() {
            let config = ParametersConfig::from(config).region(Some(region)).build();
            return Ok(aws_sdk_ssm::Client::from_conf(config));
        }
        let make = || async { aws_sdk_ssm::Client::new(config) };
        Ok(self.parameters.get_or_init(make).await.clone())
    }

    async fn config_for(&self, place: &Place<'_>) -> Result<&SdkConfig, SecretError> {
        let config = self.config().await;
        match config.region().is_some() || place.region.is_some() {
            true => Ok(config),
            false => Err(SecretError::NoRegion {
                action: place.action,
                reference: place.reference.to_owned(),
            }),
        }
    }
}

/// The key and tier that a parameter has. A new value would take the account's default key otherwise.
///
/// Who may not describe parameters (`ssm:DescribeParameters`) stores all the same: a rotated value that is
/// not stored is lost.
async fn describe(client: &aws_sdk_ssm::Client, name: &str) -> Option<ParameterMetadata> {
    if name.starts_with("arn:") {
        return None;
    }
    let filter = ParameterStringFilter::builder().key("Name").option("Equals").values(name);
    let answer = client.describe_parameters().parameter_filters(filter.build().ok()?).send().await;
    answer.ok()?.parameters?.into_iter().next()
}

/// What is being done to which secret, for errors, and the region its ARN names.
struct Place<'r> {
    action: Action,
    reference: &'r str,
    region: Option<&'r str>,
}

impl Place<'_> {
    fn region(&self) -> Option<Region> {
        self.region.map(|region| Region::new(region.to_owned()))
    }

    fn failed(&self, source: AwsFailure) -> SecretError {
        let (action, reference) = (self.action, self.reference.to_owned());
        SecretError::Aws { action, reference, source }
    }
}

/// `eu-west-1` of `arn:aws:secretsmanager:eu-west-1:123456789012:secret:x`.
fn region_of_arn(name: &str) -> Option<&str> {
    let mut parts = name.strip_prefix("arn:")?.split(':');
    parts.nth(2).filter(|region| !region.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i2_an_arn_names_its_region() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/x-AbCdEf";

        assert_eq!(region_of_arn(arn), Some("eu-west-1"));
        assert_eq!(region_of_arn("prod/x"), None);
        assert_eq!(region_of_arn("arn:aws"), None);
    }
}
