//! The services of AWS that are called, and where they are.

use aws_config::SdkConfig;
use url::Url;

use super::error::Error;

/// A service of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name in signatures and in the actions of policies: `glue`, `states`.
    pub name: &'static str,
    /// The first part of its hosts' names.
    pub host: &'static str,
    /// What `AWS_ENDPOINT_URL_…` ends with.
    pub variable: &'static str,
    /// How its operations are called.
    pub protocol: Protocol,
}

/// How operations of a service are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// The operation stands in `X-Amz-Target`, after this prefix, and the body is JSON.
    Json {
        /// `AWSGlue`.
        target: &'static str,
        /// `1.0` or `1.1`.
        version: &'static str,
    },
    /// The operation is a field of a form.
    Query {
        /// The API's version, a date.
        version: &'static str,
    },
}

impl Service {
    /// The Glue Data Catalog.
    pub const GLUE: Service = Service {
        name: "glue",
        host: "glue",
        variable: "GLUE",
        protocol: Protocol::Json { target: "AWSGlue", version: "1.1" },
    };
    /// Step Functions.
    pub const STEP_FUNCTIONS: Service = Service {
        name: "states",
        host: "states",
        variable: "SFN",
        protocol: Protocol::Json { target: "AWSStepFunctions", version: "1.0" },
    };
    /// The Security Token Service.
    pub const STS: Service = Service {
        name: "sts",
        host: "sts",
        variable: "STS",
        protocol: Protocol::Query { version: "2011-06-15" },
    };

    /// Where the service is: `AWS_ENDPOINT_URL_<SERVICE>`, then `AWS_ENDPOINT_URL` or the profile's endpoint,
    /// then AWS's own for the region.
    ///
    /// # Errors
    ///
    /// The environment names an endpoint that is no URL.
    pub(super) fn endpoint(&self, config: &SdkConfig, region: &str) -> Result<Url, Error> {
        let own = format!("AWS_ENDPOINT_URL_{}", self.variable);
        let text_of = |variable: &str| std::env::var(variable).ok().filter(|text| !text.is_empty());
        let is_ignored = text_of("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let own_url = text_of(&own).filter(|_| !is_ignored);
        let (variable, url) = match (own_url, config.endpoint_url()) {
            (Some(url), _) => (own, url),
            (None, Some(url)) => ("AWS_ENDPOINT_URL".to_owned(), url.to_owned()),
            (None, None) => ("AWS_REGION".to_owned(), self.public_endpoint(config, region)),
        };
        match Url::parse(&url) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
            _ => Err(Error::Endpoint { variable, url }),
        }
    }

    fn public_endpoint(&self, config: &SdkConfig, region: &str) -> String {
        let host = self.host;
        let fips = if config.use_fips().unwrap_or_default() { "-fips" } else { "" };
        let is_dual_stack = config.use_dual_stack().unwrap_or_default();
        let domain = match region {
            _ if region.starts_with("cn-") && is_dual_stack => "api.amazonwebservices.com.cn",
            _ if region.starts_with("cn-") => "amazonaws.com.cn",
            _ if region.starts_with("eusc-") => "amazonaws.eu",
            _ if region.starts_with("us-iso-") => "c2s.ic.gov",
            _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
            _ if is_dual_stack => "api.aws",
            _ => "amazonaws.com",
        };
        format!("https://{host}{fips}.{region}.{domain}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("eu-central-1", false, false, "https://glue.eu-central-1.amazonaws.com/")]
    #[case("us-gov-west-1", true, false, "https://glue-fips.us-gov-west-1.amazonaws.com/")]
    #[case("cn-north-1", false, false, "https://glue.cn-north-1.amazonaws.com.cn/")]
    #[case("eu-west-1", false, true, "https://glue.eu-west-1.api.aws/")]
    fn a_region_has_its_endpoint(
        #[case] region: &str,
        #[case] fips: bool,
        #[case] dual_stack: bool,
        #[case] expected: &str,
    ) {
        let config = SdkConfig::builder().use_fips(fips).use_dual_stack(dual_stack).build();
        let url = Service::GLUE.endpoint(&config, region).unwrap();
        assert_eq!(url.as_str(), expected);
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_told_by_its_variable() {
        let config = SdkConfig::builder().endpoint_url("localhost:4566").build();
        let error = Service::GLUE.endpoint(&config, "eu-central-1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`localhost:4566`, from `AWS_ENDPOINT_URL`, gives no http:// or https:// endpoint"
        );
    }
}
