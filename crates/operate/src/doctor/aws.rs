//! Credentials for AWS: who gives them, whose they are, when they end; and the region.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::region::ProvideRegion;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_sts::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_sts::error::{BoxError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError;

use super::finding::{Fault, Finding, Verdict};
use super::{Environment, PATIENCE, clock, innermost, refusal, variable};

const ABOUT: &str = "AWS";
/// Where requests to S3 go that nobody names a region for.
const DEFAULT_REGION: &str = "us-east-1";
/// Credentials that are not renewed and end so soon hardly last for a run.
const SOON: Duration = Duration::from_secs(15 * 60);
/// For one attempt of a call, of which there are two.
const ATTEMPT: Duration = Duration::from_secs(4);

/// What the examination of AWS found, for that of places in S3.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// There are no credentials: no use in asking S3.
    pub(super) is_denied: bool,
    /// Where requests to S3 go, and who says so.
    pub(super) region: Option<(String, String)>,
}

/// Where the credentials come from, in the order in which stores are reached with them.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    /// Requests are not signed.
    Nobody,
    /// `AWS_ACCESS_KEY_ID`.
    Environment,
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`: a role of a Kubernetes service account.
    WebIdentity,
    /// `AWS_CONTAINER_CREDENTIALS_…`: the role of a task or pod.
    Container,
    /// The files of the AWS tools.
    Profile(String),
    /// The role of the machine, asked for at its metadata service.
    Instance,
}

impl Origin {
    fn of(environment: Environment<'_>, asks_profile: bool) -> Origin {
        let is_set = |name: &str| environment(name).is_some();
        if environment("AWS_SKIP_SIGNATURE").is_some_and(|value| is_true(&value)) {
            Origin::Nobody
        } else if is_set("AWS_ACCESS_KEY_ID") {
            Origin::Environment
        } else if is_set("AWS_WEB_IDENTITY_TOKEN_FILE") {
            Origin::WebIdentity
        } else if is_set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            || is_set("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        {
            Origin::Container
        } else if asks_profile {
            Origin::Profile(environment("AWS_PROFILE").unwrap_or_else(|| "default".to_owned()))
        } else {
            Origin::Instance
        }
    }

    /// What is asked, for people.
    fn spoken(&self) -> String {
        match self {
            Origin::Nobody => "`AWS_SKIP_SIGNATURE`".to_owned(),
            Origin::Environment => "the environment (`AWS_ACCESS_KEY_ID`)".to_owned(),
            Origin::WebIdentity => {
                "the role of the service account (`AWS_WEB_IDENTITY_TOKEN_FILE`)".to_owned()
            }
            Origin::Container => {
                "the role of the task or pod (`AWS_CONTAINER_CREDENTIALS_…`)".to_owned()
            }
            Origin::Profile(name) => format!("the profile `{name}` of ~/.aws"),
            Origin::Instance => "the role of this machine (its metadata service)".to_owned(),
        }
    }

    /// What to do where it gives none.
    fn advice(&self) -> &'static str {
        match self {
            Origin::Nobody | Origin::Environment => {
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, for a session also `AWS_SESSION_TOKEN`"
            }
            Origin::WebIdentity => {
                "see to `AWS_ROLE_ARN`, the token file, and whom the role trusts (`sts:AssumeRoleWithWebIdentity`)"
            }
            Origin::Container => {
                "give the task a role (`taskRoleArn`, `jobRoleArn`), or the pod an association with one"
            }
            Origin::Profile(_) => {
                "log in (`aws sso login`), or correct the profile; `AWS_PROFILE` names another one"
            }
            Origin::Instance => {
                "on a laptop set `AWS_PROFILE` or `AWS_ACCESS_KEY_ID`; give a machine or job a role"
            }
        }
    }

    /// Whether new credentials are fetched before these end.
    fn is_renewed(&self) -> bool {
        !matches!(self, Origin::Nobody | Origin::Environment)
    }

    async fn credentials(&self, region: &str) -> Result<Credentials, CredentialsError> {
        let region = Some(Region::new(region.to_owned()));
        let config = ProviderConfig::default().with_region(region);
        match self {
            Origin::WebIdentity => {
                let provider =
                    WebIdentityTokenCredentialsProvider::builder().configure(&config).build();
                provider.provide_credentials().await
            }
            Origin::Container => {
                let provider = EcsCredentialsProvider::builder().configure(&config).build();
                provider.provide_credentials().await
            }
            Origin::Instance => {
                let provider = ImdsCredentialsProvider::builder().configure(&config).build();
                provider.provide_credentials().await
            }
            Origin::Nobody | Origin::Environment | Origin::Profile(_) => {
                DefaultCredentialsChain::builder().build().await.provide_credentials().await
            }
        }
    }
}

fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "y", "on"].iter().any(|truth| value.eq_ignore_ascii_case(truth))
}

/// Looks at AWS, where a place is in S3 or something else needs it.
pub(super) async fn examine(
    uses_s3: bool,
    needs_aws: bool,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Access {
    if !uses_s3 && !needs_aws {
        let (tried, came) = ("who gives them", "nothing here is in AWS");
        tell(Finding::new((ABOUT, "credentials"), Verdict::Skipped, tried, came));
        return Access::default();
    }
    let asks_profile = solder_landing::asks_profile();
    let origin = Origin::of(&variable, asks_profile);
    let of_profile = match asks_profile {
        true => ProfileFileRegionProvider::new().region().await,
        false => None,
    };
    let region = region(&variable, of_profile.map(|region| region.to_string()));
    tell(region_finding(region.as_ref()));
    let name = region.as_ref().map_or(DEFAULT_REGION, |(name, _)| name).to_owned();
    let mut access = Access { is_denied: false, region };
    if origin == Origin::Nobody {
        let came = "requests to S3 are not signed";
        tell(Finding::new((ABOUT, "credentials"), Verdict::Skipped, origin.spoken(), came));
        return access;
    }
    let Some(credentials) = find(&origin, &name, tell).await else {
        access.is_denied = true;
        return access;
    };
    if let Some(other) = other_chain(&origin, &variable) {
        tell(other);
    }
    identify(credentials, &name, tell).await;
    access
}

/// The region, and who says so: as the store's client takes it.
fn region(environment: Environment<'_>, of_profile: Option<String>) -> Option<(String, String)> {
    let of_environment = ["AWS_REGION", "AWS_DEFAULT_REGION"]
        .into_iter()
        .find_map(|name| Some((environment(name)?, format!("`{name}`"))));
    of_environment.or_else(|| Some((of_profile?, "the profile of ~/.aws".to_owned())))
}

fn region_finding(region: Option<&(String, String)>) -> Finding {
    let tried = "`AWS_REGION`, `AWS_DEFAULT_REGION`, the profile";
    match region {
        Some((name, from)) => {
            Finding::new((ABOUT, "region"), Verdict::Ok, tried, format!("{name}, from {from}"))
        }
        None => {
            let came = format!("none: requests to S3 go to {DEFAULT_REGION}, secrets are not read");
            Finding::new((ABOUT, "region"), Verdict::Warn, tried, came)
                .with_advice("set `AWS_REGION` to the region of the bucket and the secrets")
        }
    }
}

/// The credentials, or why there are none.
async fn find(
    origin: &Origin,
    region: &str,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Option<Credentials> {
    let what = (ABOUT, "credentials");
    let found = tokio::time::timeout(PATIENCE, origin.credentials(region)).await;
    let failed = |came: String, lacks: Option<String>| {
        let verdict = Verdict::Fail(Fault::Credentials);
        let advice = lacks.unwrap_or_else(|| origin.advice().to_owned());
        Finding::new(what, verdict, origin.spoken(), came).with_advice(advice)
    };
    match found {
        Ok(Ok(credentials)) => {
            tell(lasting(origin, credentials.expiry(), SystemTime::now()));
            Some(credentials)
        }
        Ok(Err(error)) => {
            let came = match &error {
                CredentialsError::CredentialsNotLoaded(_) => "gives none".to_owned(),
                _ => format!("gives none: {}", innermost(&error)),
            };
            // Only here do answers of STS show their words; they hold no credentials.
            let words = DisplayErrorContext(&error).to_string();
            let lacks = refusal::permission_named_in(&words);
            let lacks = lacks.map(|(action, on)| refusal::allow(&action, on.as_deref()));
            tell(failed(came, lacks));
            None
        }
        Err(_) => {
            tell(failed(format!("no answer within {} s", PATIENCE.as_secs()), None));
            None
        }
    }
}

/// How long credentials last. The keys themselves are not shown.
fn lasting(origin: &Origin, expiry: Option<SystemTime>, now: SystemTime) -> Finding {
    let what = (ABOUT, "credentials");
    let left = expiry.map(|ends| ends.duration_since(now).unwrap_or_default());
    let minutes = left.map(|left| left.as_secs() / 60);
    let came = match (minutes, origin.is_renewed()) {
        (None, _) => "given, without an end that is known".to_owned(),
        (Some(minutes), true) => format!("given, for {minutes} min; renewed before they end"),
        (Some(minutes), false) => format!("given, for {minutes} min; nobody renews them"),
    };
    match left.is_some_and(|left| left < SOON) && !origin.is_renewed() {
        false => Finding::new(what, Verdict::Ok, origin.spoken(), came),
        true => Finding::new(what, Verdict::Warn, origin.spoken(), came).with_advice(
            "a run that takes longer fails: log in anew, or let a role give credentials",
        ),
    }
}

/// Stores prefer the role of a task; the tools of AWS, with which secrets are read, prefer files.
fn other_chain(origin: &Origin, environment: Environment<'_>) -> Option<Finding> {
    let is_role = matches!(origin, Origin::WebIdentity | Origin::Container);
    let profile = environment("AWS_PROFILE").filter(|_| is_role)?;
    let came =
        format!("the profile `{profile}`, where stores are reached with {}", origin.spoken());
    let finding = Finding::new((ABOUT, "secrets by"), Verdict::Warn, "`AWS_PROFILE`", came);
    Some(finding.with_advice("unset `AWS_PROFILE` where a role gives the credentials"))
}

/// Keeps the `Date` of STS's answer.
#[derive(Clone, Debug, Default)]
struct DateOfAnswer(Arc<Mutex<Option<(String, SystemTime)>>>);

impl DateOfAnswer {
    fn get(&self) -> Option<(String, SystemTime)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Intercept for DateOfAnswer {
    fn name(&self) -> &'static str {
        "DateOfAnswer"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date").map(str::to_owned);
        let date = date.map(|date| (date, SystemTime::now()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = date;
        Ok(())
    }
}

/// Asks STS whose the credentials are. Nobody needs a right for that.
async fn identify(credentials: Credentials, region: &str, tell: &mut (dyn FnMut(Finding) + Send)) {
    let what = (ABOUT, "identity");
    let tried = "sts:GetCallerIdentity";
    if let Some(name) = other_store(&variable) {
        let came = format!("`{name}` names another store, whose keys AWS does not know");
        tell(Finding::new(what, Verdict::Skipped, tried, came));
        return;
    }
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .credentials_provider(credentials)
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::standard().with_max_attempts(2))
        .timeout_config(timeouts)
        .load();
    let date = DateOfAnswer::default();
    let call = async {
        let client = aws_sdk_sts::Client::new(&config.await);
        client.get_caller_identity().customize().interceptor(date.clone()).send().await
    };
    // Boxed: the futures of AWS's clients are large.
    let answered = tokio::time::timeout(PATIENCE, Box::pin(call)).await;
    let finding = match answered {
        Ok(Ok(identity)) => {
            let came = format!(
                "account {}, {}",
                identity.account().unwrap_or("unknown"),
                identity.arn().unwrap_or("without a name")
            );
            Finding::new(what, Verdict::Ok, tried, came)
        }
        Ok(Err(error)) => unidentified(&error),
        Err(_) => unanswered(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    tell(finding);
    if let Some((date, came)) = date.get() {
        tell(clock::compare(ABOUT, "STS", &date, came));
    }
}

/// The variable that leads requests to S3 elsewhere and leaves STS at AWS.
fn other_store(environment: Environment<'_>) -> Option<&'static str> {
    let has_sts = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"];
    if has_sts.into_iter().any(|name| environment(name).is_some()) {
        return None;
    }
    ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"].into_iter().find(|name| environment(name).is_some())
}

fn unidentified(error: &SdkError<GetCallerIdentityError>) -> Finding {
    let SdkError::ServiceError(refusal) = error else {
        return unanswered(innermost(error));
    };
    let code = refusal.err().code().unwrap_or("no code").to_owned();
    let message = refusal.err().message().unwrap_or_default().to_owned();
    of_refusal(&code, &message, refusal.raw().status().as_u16(), &variable)
}

fn of_refusal(code: &str, message: &str, status: u16, environment: Environment<'_>) -> Finding {
    let (what, tried) = ((ABOUT, "identity"), "sts:GetCallerIdentity");
    if environment("AWS_ENDPOINT_URL").is_some() && environment("AWS_ENDPOINT_URL_STS").is_none() {
        let came = format!("`AWS_ENDPOINT_URL` names a store that is no AWS (`{code}`)");
        return Finding::new(what, Verdict::Skipped, tried, came);
    }
    let came = match message {
        "" => format!("`{code}`"),
        message => format!("`{code}`: {message}"),
    };
    let (fault, advice) = match code {
        _ if status >= 500 || code.contains("Throttling") => {
            (Fault::Passing, "try again later".to_owned())
        }
        "ExpiredToken" | "ExpiredTokenException" => (
            Fault::Credentials,
            "the session has ended: log in anew (`aws sso login`), or let a role give credentials"
                .to_owned(),
        ),
        "SignatureDoesNotMatch" => (
            Fault::Credentials,
            "the secret key does not belong to the access key, or this machine's clock is wrong"
                .to_owned(),
        ),
        "RequestExpired" => {
            (Fault::Configuration, "let NTP set this machine's clock".to_owned())
        }
        _ => match refusal::permission_named_in(message) {
            Some((action, _)) => {
                (Fault::Credentials, format!("a policy of the organization forbids `{action}`"))
            }
            None => (
                Fault::Credentials,
                "AWS does not know these keys: were they deleted, or is `AWS_SESSION_TOKEN` missing?"
                    .to_owned(),
            ),
        },
    };
    Finding::new(what, Verdict::Fail(fault), tried, came).with_advice(advice)
}

/// STS was not reached. Runs do not need it, so this is no failure of theirs.
fn unanswered(came: String) -> Finding {
    Finding::new((ABOUT, "identity"), Verdict::Warn, "sts:GetCallerIdentity", came).with_advice(
        "runs do without it; to know whose credentials these are, open the way to STS (a VPC endpoint, a proxy)",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn environment(pairs: &[(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        let pairs = pairs.to_vec();
        move |name| {
            let found = pairs.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    /// D6: credentials come from where stores get theirs.
    #[rstest]
    #[case::keys(&[("AWS_ACCESS_KEY_ID", "x"), ("AWS_PROFILE", "p")], true, Origin::Environment)]
    #[case::pod(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "f")], true, Origin::WebIdentity)]
    #[case::task(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x")], true, Origin::Container)]
    #[case::profile(&[("AWS_PROFILE", "team")], true, Origin::Profile("team".into()))]
    #[case::files(&[], true, Origin::Profile("default".into()))]
    #[case::machine(&[], false, Origin::Instance)]
    #[case::public(&[("AWS_SKIP_SIGNATURE", "true"), ("AWS_ACCESS_KEY_ID", "x")], true, Origin::Nobody)]
    #[case::signed(&[("AWS_SKIP_SIGNATURE", "false"), ("AWS_ACCESS_KEY_ID", "x")], true, Origin::Environment)]
    fn d6_origins(
        #[case] variables: &[(&'static str, &'static str)],
        #[case] asks_profile: bool,
        #[case] expected: Origin,
    ) {
        assert_eq!(Origin::of(&environment(variables), asks_profile), expected);
    }

    #[rstest]
    #[case::variable(&[("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "x")], None, Some(("eu-west-1", "`AWS_REGION`")))]
    #[case::other_variable(&[("AWS_DEFAULT_REGION", "eu-west-3")], Some("x"), Some(("eu-west-3", "`AWS_DEFAULT_REGION`")))]
    #[case::profile(&[], Some("eu-west-2"), Some(("eu-west-2", "the profile of ~/.aws")))]
    #[case::none(&[], None, None)]
    fn d6_regions(
        #[case] variables: &[(&'static str, &'static str)],
        #[case] of_profile: Option<&str>,
        #[case] expected: Option<(&str, &str)>,
    ) {
        let found = region(&environment(variables), of_profile.map(str::to_owned));
        let parts = found.as_ref().map(|(name, from)| (name.as_str(), from.as_str()));
        assert_eq!(parts, expected);
        assert_eq!(region_finding(found.as_ref()).advice.is_some(), expected.is_none());
    }

    /// D6: credentials that nobody renews are warned of when they hardly last for a run.
    #[rstest]
    #[case::renewed(Origin::Container, Some(3), Verdict::Ok, "for 3 min; renewed")]
    #[case::ends_soon(Origin::Environment, Some(3), Verdict::Warn, "for 3 min; nobody renews")]
    #[case::lasts(Origin::Environment, Some(60), Verdict::Ok, "for 60 min; nobody renews")]
    #[case::no_end(Origin::Environment, None, Verdict::Ok, "without an end")]
    fn d6_ends(
        #[case] origin: Origin,
        #[case] minutes: Option<u64>,
        #[case] verdict: Verdict,
        #[case] says: &str,
    ) {
        let now = SystemTime::now();
        let expiry = minutes.map(|minutes| now + Duration::from_secs(minutes * 60));
        let found = lasting(&origin, expiry, now);
        assert_eq!(found.verdict, verdict);
        assert!(found.came.contains(says), "{}", found.came);
    }

    #[rstest]
    #[case::unknown(&[], "InvalidClientTokenId", "", 403, Verdict::Fail(Fault::Credentials), "does not know these keys")]
    #[case::ended(&[], "ExpiredToken", "", 403, Verdict::Fail(Fault::Credentials), "log in anew")]
    #[case::wrong(&[], "SignatureDoesNotMatch", "", 403, Verdict::Fail(Fault::Credentials), "secret key")]
    #[case::forbidden(
        &[],
        "AccessDenied",
        "User: x is not authorized to perform: sts:GetCallerIdentity with an explicit deny",
        403,
        Verdict::Fail(Fault::Credentials),
        "forbids `sts:GetCallerIdentity`"
    )]
    #[case::busy(&[], "Throttling", "", 400, Verdict::Fail(Fault::Passing), "later")]
    #[case::other_store(&[("AWS_ENDPOINT_URL", "http://minio")], "AccessDenied", "", 403, Verdict::Skipped, "")]
    fn d6_refusals_of_sts(
        #[case] variables: &[(&'static str, &'static str)],
        #[case] code: &str,
        #[case] message: &str,
        #[case] status: u16,
        #[case] verdict: Verdict,
        #[case] says: &str,
    ) {
        let found = of_refusal(code, message, status, &environment(variables));
        assert_eq!(found.verdict, verdict);
        assert!(found.advice.unwrap_or_default().contains(says));
    }

    #[rstest]
    #[case::aws(&[], None)]
    #[case::s3_elsewhere(&[("AWS_ENDPOINT_URL_S3", "http://minio")], Some("AWS_ENDPOINT_URL_S3"))]
    #[case::all_elsewhere(&[("AWS_ENDPOINT_URL_S3", "x"), ("AWS_ENDPOINT_URL", "x")], None)]
    fn d6_keys_of_another_store_are_not_shown_to_aws(
        #[case] variables: &[(&'static str, &'static str)],
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(other_store(&environment(variables)), expected);
    }

    #[test]
    fn d6_roles_and_profiles_that_disagree_are_told() {
        let both = environment(&[("AWS_PROFILE", "team")]);
        let found = other_chain(&Origin::Container, &both).unwrap();
        assert_eq!(found.verdict, Verdict::Warn);
        assert_eq!(other_chain(&Origin::Profile("team".into()), &both), None);
        assert_eq!(other_chain(&Origin::Container, &environment(&[])), None);
    }
}
