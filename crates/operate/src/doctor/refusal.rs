//! A no, in words: whose fault it is, what came, and what to do. A refusal for lack of rights names the action and
//! the resource that the policy lacks (D5).

use std::io;

use solder_landing::PlaceError;

use super::finding::{Fault, Finding, Verdict};
use super::innermost;
use super::place::Kind;

/// What is done to a place, as policies tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    List,
    Read,
    Write,
    Delete,
}

/// What was tried, where.
#[derive(Clone, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) kind: Kind,
    pub(super) verb: Verb,
    /// The bucket or container.
    pub(super) bucket: &'a str,
    /// What objects of the place begin with, below the bucket.
    pub(super) prefix: &'a str,
    /// The region, which decides how ARNs begin.
    pub(super) region: Option<&'a str>,
    /// Whether the store has answered at all.
    pub(super) has_answered: bool,
}

/// What a store's answer says in XML, or in the words of its client.
struct Said {
    code: String,
    message: String,
}

/// The finding for an attempt that failed.
pub(super) fn refused(
    what: (&str, &str),
    tried: String,
    error: &PlaceError,
    attempt: &Attempt<'_>,
) -> Finding {
    let (fault, came, advice) = match error {
        PlaceError::Disk { source, .. } => of_disk(source),
        PlaceError::NotFound { source, .. }
            if attempt.kind == Kind::Disk && attempt.verb == Verb::Write =>
        {
            // Folders are made where they lack, so that it is a file that is in the way.
            (Fault::Output, source.to_string(), FILE_IN_THE_WAY.to_owned())
        }
        PlaceError::NotFound { source, .. } if attempt.kind == Kind::Disk => (
            Fault::NoInput,
            source.to_string(),
            "correct the path, or run first what writes there".to_owned(),
        ),
        PlaceError::CreateUnsupported { .. } if attempt.kind == Kind::Disk => (
            Fault::Configuration,
            "this file system has no hard links, on which commits rest".to_owned(),
            "choose a folder on another file system".to_owned(),
        ),
        PlaceError::Connect { source, .. } => (
            Fault::Configuration,
            innermost(source.as_ref()),
            "correct what the environment says of the store (`AWS_*`, `GOOGLE_*`, `AZURE_*`)"
                .to_owned(),
        ),
        _ => of_store(error, attempt),
    };
    Finding::new(what, Verdict::Fail(fault), tried, came).with_advice(advice)
}

const FILE_IN_THE_WAY: &str = "a file stands where a folder should be: choose another path";

fn of_disk(error: &io::Error) -> (Fault, String, String) {
    let (fault, advice) = match error.kind() {
        io::ErrorKind::PermissionDenied => (
            Fault::Credentials,
            "give the user of this process the right to it (`chown`, `chmod`), or choose another folder",
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            (Fault::Output, "mount it so that it can be written, or choose another folder")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (Fault::Output, "make room, or choose another disk")
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            (Fault::Output, FILE_IN_THE_WAY)
        }
        _ => (Fault::ReadWrite, "see to the disk, or choose another folder"),
    };
    (fault, error.to_string(), advice.to_owned())
}

fn of_store(error: &PlaceError, attempt: &Attempt<'_>) -> (Fault, String, String) {
    let text = whole(error);
    let said = said(&text);
    let code = said.as_ref().map(|said| said.code.as_str()).unwrap_or_default();
    let came = match &said {
        Some(Said { code, message }) if message.is_empty() => format!("`{code}`"),
        Some(Said { code, message }) => format!("`{code}`: {message}"),
        None => match status(&text) {
            Some(status) => format!("status {status}"),
            None => reached(&text, error),
        },
    };
    let (fault, advice) = match code {
        "InvalidAccessKeyId" => (
            Fault::Credentials,
            "the store does not know this access key: it was deleted, or belongs to another store".to_owned(),
        ),
        "SignatureDoesNotMatch" => (
            Fault::Credentials,
            "the secret key does not belong to the access key: set both anew".to_owned(),
        ),
        "ExpiredToken" | "TokenRefreshRequired" => (
            Fault::Credentials,
            "the session has ended: log in anew (`aws sso login`), or let a role give credentials".to_owned(),
        ),
        "InvalidToken" => (
            Fault::Credentials,
            "`AWS_SESSION_TOKEN` does not belong to the access key: set all three anew, or unset it".to_owned(),
        ),
        "RequestTimeTooSkewed" => (
            Fault::Configuration,
            "let NTP set this machine's clock (chrony, systemd-timesyncd)".to_owned(),
        ),
        "NoSuchBucket" => (
            Fault::Configuration,
            "correct the name of the bucket; for a store that is not AWS's, set `AWS_ENDPOINT_URL`".to_owned(),
        ),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            (Fault::Configuration, "the bucket is in another region: set `AWS_REGION`".to_owned())
        }
        _ if text.contains("incorrectly configured region") => {
            (Fault::Configuration, "the bucket is in another region: set `AWS_REGION`".to_owned())
        }
        _ if lacks_credentials(&text) => (
            Fault::Credentials,
            "give credentials: `AWS_PROFILE`, `AWS_ACCESS_KEY_ID`, or a role of the machine".to_owned(),
        ),
        _ if error.is_permission_denied() || code == "AccessDenied" => {
            (Fault::Credentials, lacking(&text, attempt))
        }
        _ if error.is_not_found() => (
            Fault::Configuration,
            "correct the name of the bucket or container, or the address of the store".to_owned(),
        ),
        _ if !attempt.has_answered => (Fault::Unreachable, NO_ANSWER.to_owned()),
        _ if error.is_retryable() => {
            (Fault::Passing, "the store has too much to do: try again later".to_owned())
        }
        _ => (Fault::ReadWrite, "see what the store says of it".to_owned()),
    };
    (fault, came, advice)
}

/// What to do where nobody answers.
pub(super) const NO_ANSWER: &str = "see to the way there: address (`AWS_ENDPOINT_URL`), DNS, proxy (`HTTPS_PROXY`), \
     security group, NAT or a VPC endpoint";

/// An error and its causes, as one text.
fn whole(error: &PlaceError) -> String {
    let mut text = error.to_string();
    for cause in solder_landing::causes(error) {
        text.push('\n');
        text.push_str(&cause);
    }
    text
}

/// Who was asked, and what the network said.
fn reached(text: &str, error: &PlaceError) -> String {
    let last = innermost(error);
    let url = text.find("http").map(|at| &text[at..]).filter(|rest| rest.contains("://"));
    let origin = url.and_then(|url| {
        let behind = url.find("://")? + 3;
        let end = url[behind..].find(['/', ' ', '?']).map_or(url.len(), |end| behind + end);
        url.get(..end)
    });
    match origin {
        Some(origin) => format!("{origin} does not answer: {last}"),
        None => last,
    }
}

/// The status of an answer, from the words of the store's client.
fn status(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("non-2xx status code: ")?;
    rest.split([':', '\n']).next().map(str::trim)
}

fn said(text: &str) -> Option<Said> {
    if let Some(code) = between(text, "<Code>", "</Code>") {
        let message = between(text, "<Message>", "</Message>").unwrap_or_default();
        return Some(Said { code: code.to_owned(), message: plain(message) });
    }
    // Of many objects that are deleted at once, each has its own answer.
    let code = between(text, "(code: ", ")")?;
    let (_, message) = text.split_once("DeleteObjects request failed for key ")?;
    let (_, message) = message.split_once(": ")?;
    let (message, _) = message.split_once(" (code: ")?;
    Some(Said { code: code.to_owned(), message: plain(message) })
}

fn between<'t>(text: &'t str, begin: &str, end: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

/// Text without the escapes of XML, in one line.
fn plain(text: &str) -> String {
    let text = text.replace("&quot;", "\"").replace("&apos;", "'").replace("\\\"", "\"");
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the machine was asked for credentials, and has none.
fn lacks_credentials(text: &str) -> bool {
    ["/latest/api/token", "/latest/meta-data/iam", "/computeMetadata/", "/metadata/identity"]
        .iter()
        .any(|path| text.contains(path))
}

/// What policies lack: as the answer says it, else what the attempt needs.
fn lacking(text: &str, attempt: &Attempt<'_>) -> String {
    if let Some((action, resource)) = permission_named_in(text) {
        return allow(&action, resource.as_deref());
    }
    let Attempt { kind, verb, bucket, prefix, region, .. } = attempt;
    let objects = match prefix.trim_matches('/') {
        "" => format!("{bucket}/*"),
        prefix => format!("{bucket}/{prefix}/*"),
    };
    match kind {
        Kind::S3 => {
            let partition = match region {
                Some(region) if region.starts_with("cn-") => "aws-cn",
                Some(region) if region.starts_with("us-gov-") => "aws-us-gov",
                _ => "aws",
            };
            let (action, of) = match verb {
                Verb::List => ("s3:ListBucket", *bucket),
                Verb::Read => ("s3:GetObject", objects.as_str()),
                Verb::Write => ("s3:PutObject", objects.as_str()),
                Verb::Delete => ("s3:DeleteObject", objects.as_str()),
            };
            let more = match verb {
                Verb::List => "",
                Verb::Read => "; with a key of KMS also `kms:Decrypt` on it",
                Verb::Write => {
                    "; with a key of KMS also `kms:GenerateDataKey` and `kms:Decrypt` on it"
                }
                Verb::Delete => "",
            };
            allow(action, Some(&format!("arn:{partition}:s3:::{of}"))) + more
        }
        Kind::Gcs => {
            let action = match verb {
                Verb::List => "storage.objects.list",
                Verb::Read => "storage.objects.get",
                Verb::Write => "storage.objects.create",
                Verb::Delete => "storage.objects.delete",
            };
            allow(action, Some(&format!("bucket {bucket}")))
        }
        Kind::Azure => {
            let role = match verb {
                Verb::List | Verb::Read => "Storage Blob Data Reader",
                Verb::Write | Verb::Delete => "Storage Blob Data Contributor",
            };
            format!("assign the role `{role}` on the container `{bucket}`")
        }
        Kind::Disk | Kind::Memory => "let this user do that".to_owned(),
    }
}

pub(super) fn allow(action: &str, resource: Option<&str>) -> String {
    let on = resource.map(|resource| format!(" on `{resource}`")).unwrap_or_default();
    format!("let the role's policy allow `{action}`{on}")
}

/// The action and the resource that a message of AWS says are not allowed.
///
/// After "User: … is not authorized to perform: s3:ListBucket on resource: "arn:…" because …", as the
/// [service authorization errors](https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)
/// are written. Some services say no resource.
pub fn permission_named_in(message: &str) -> Option<(String, Option<String>)> {
    let message = plain(message);
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let is_end = |c: char| c.is_whitespace() || c == ',';
    let action = rest.split(is_end).next().filter(|action| action.contains(':'))?;
    let resource = rest.split_once("on resource: ").map(|(_, rest)| {
        let resource = rest.split_whitespace().next().unwrap_or_default();
        resource.trim_matches(['"', ',', ')']).to_owned()
    });
    Some((action.to_owned(), resource.filter(|resource| !resource.is_empty())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// D5: the action and resource that AWS names; the real forms of its messages.
    #[rstest]
    #[case::list(
        "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: s3:ListBucket on resource: \"arn:aws:s3:::b\" because no identity-based policy allows the s3:ListBucket action",
        Some(("s3:ListBucket", Some("arn:aws:s3:::b")))
    )]
    #[case::escaped(
        "is not authorized to perform: s3:PutObject on resource: &quot;arn:aws:s3:::b/raw/x&quot; with an explicit deny",
        Some(("s3:PutObject", Some("arn:aws:s3:::b/raw/x")))
    )]
    #[case::as_debug_shows_it(
        "message: Some(\"User: x is not authorized to perform: sts:AssumeRole on resource: \\\"arn:aws:iam::1:role/r\\\"\")",
        Some(("sts:AssumeRole", Some("arn:aws:iam::1:role/r")))
    )]
    #[case::kms(
        "User: x is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:1:key/k because the resource does not exist in this Region",
        Some(("kms:GenerateDataKey", Some("arn:aws:kms:eu-west-1:1:key/k")))
    )]
    #[case::secret(
        "User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: solder/shop because no identity-based policy allows the action",
        Some(("secretsmanager:GetSecretValue", Some("solder/shop")))
    )]
    #[case::without_resource(
        "User: x is not authorized to perform: sts:AssumeRole",
        Some(("sts:AssumeRole", None))
    )]
    #[case::short("Access Denied", None)]
    fn d5_permissions_that_messages_name(
        #[case] message: &str,
        #[case] expected: Option<(&str, Option<&str>)>,
    ) {
        let found = permission_named_in(message);
        let found = found.as_ref().map(|(action, on)| (action.as_str(), on.as_deref()));
        assert_eq!(found, expected);
    }

    fn attempt(kind: Kind, verb: Verb) -> Attempt<'static> {
        let (bucket, prefix) = ("b", "raw/shop");
        Attempt { kind, verb, bucket, prefix, region: None, has_answered: true }
    }

    /// D5: where the answer does not say, what the attempt needs.
    #[rstest]
    #[case(Kind::S3, Verb::List, "`s3:ListBucket` on `arn:aws:s3:::b`")]
    #[case(
        Kind::S3,
        Verb::Read,
        "`s3:GetObject` on `arn:aws:s3:::b/raw/shop/*`; with a key of KMS also `kms:Decrypt`"
    )]
    #[case(
        Kind::S3,
        Verb::Write,
        "`s3:PutObject` on `arn:aws:s3:::b/raw/shop/*`; with a key of KMS also `kms:GenerateDataKey`"
    )]
    #[case(Kind::S3, Verb::Delete, "`s3:DeleteObject` on `arn:aws:s3:::b/raw/shop/*`")]
    #[case(Kind::Gcs, Verb::Write, "`storage.objects.create` on `bucket b`")]
    #[case(Kind::Azure, Verb::List, "`Storage Blob Data Reader` on the container `b`")]
    fn d5_permissions_that_attempts_need(
        #[case] kind: Kind,
        #[case] verb: Verb,
        #[case] expected: &str,
    ) {
        let advice = lacking("Access Denied", &attempt(kind, verb));
        assert!(advice.contains(expected), "{advice}");
    }

    #[test]
    fn d5_partitions_have_arns_of_their_own() {
        let attempt = Attempt { region: Some("cn-north-1"), ..attempt(Kind::S3, Verb::List) };
        assert!(lacking("", &attempt).contains("`arn:aws-cn:s3:::b`"));
    }

    fn xml(code: &str, message: &str) -> String {
        format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>")
    }

    /// What the parts of a client's error say.
    #[rstest]
    #[case::xml(
        format!("Server returned non-2xx status code: 403 Forbidden: {}", xml("AccessDenied", "Access Denied")),
        Some(("AccessDenied", "Access Denied"))
    )]
    #[case::one_of_many(
        "Generic S3 error: DeleteObjects request failed for key raw/x: Access Denied (code: AccessDenied)".to_owned(),
        Some(("AccessDenied", "Access Denied"))
    )]
    #[case::nothing("Server returned non-2xx status code: 403 Forbidden: ".to_owned(), None)]
    fn answers_are_understood(#[case] text: String, #[case] expected: Option<(&str, &str)>) {
        let found = said(&text);
        let found = found.as_ref().map(|said| (said.code.as_str(), said.message.as_str()));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_status_without_words_is_told() {
        let text = "x\nServer returned non-2xx status code: 503 Service Unavailable: ";
        assert_eq!(status(text), Some("503 Service Unavailable"));
        assert_eq!(status("connection refused"), None);
    }

    /// D2: whose fault a refusal of the disk is.
    #[rstest]
    #[case::denied(io::ErrorKind::PermissionDenied, 77, "chown")]
    #[case::read_only(io::ErrorKind::ReadOnlyFilesystem, 73, "mount it")]
    #[case::full(io::ErrorKind::StorageFull, 73, "make room")]
    #[case::file(io::ErrorKind::NotADirectory, 73, "a file stands")]
    #[case::broken(io::ErrorKind::Other, 74, "see to the disk")]
    fn d2_disks_that_refuse(
        #[case] kind: io::ErrorKind,
        #[case] exit_code: u8,
        #[case] says: &str,
    ) {
        let (fault, _, advice) = of_disk(&kind.into());
        assert_eq!(fault.exit_code(), exit_code);
        assert!(advice.contains(says), "{advice}");
    }
}
