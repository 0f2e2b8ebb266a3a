//! A place, tried as runs use it: list, write, read, create, parts, delete (D3).

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use solder_landing::{Answer, Place, PlaceError};

use super::aws::Access;
use super::finding::{Fault, Finding, Verdict};
use super::refusal::{Attempt, NO_ANSWER, Verb, refused};
use super::{PATIENCE, clock, variable};

/// What a place is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// It is read, and must be there.
    Read,
    /// It is read, and what writes it may not have run yet.
    ReadLater,
    /// Objects are added and none is removed, as `ingest` does in `raw/`.
    Land,
    /// Objects come, change and go.
    Keep,
}

/// Kinds of places, as credentials and policies tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Disk,
    S3,
    Gcs,
    Azure,
    Memory,
}

impl Kind {
    /// The kind of place that a text names.
    pub(super) fn of(place: &str) -> Kind {
        let scheme = place.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("s3" | "s3a") => Kind::S3,
            Some("gs") => Kind::Gcs,
            Some("az" | "azure" | "adl" | "abfs" | "abfss") => Kind::Azure,
            Some("memory") => Kind::Memory,
            _ => Kind::Disk,
        }
    }
}

/// Examines one place.
pub(super) async fn examine(
    text: &str,
    purpose: Purpose,
    access: &Access,
    tell: &mut (dyn FnMut(Finding) + Send),
) {
    let kind = Kind::of(text);
    if kind == Kind::S3 && access.is_denied {
        let came = "no credentials for AWS";
        tell(Finding::new((text, "reach"), Verdict::Skipped, "all of it", came));
        return;
    }
    let place = match Place::parse_watched(text) {
        Ok(place) => place,
        Err(error) => {
            let verdict = Verdict::Fail(Fault::Configuration);
            let finding = Finding::new((text, "address"), verdict, "the text", error.to_string());
            tell(finding.with_advice("correct it: a path, or a URL such as `s3://bucket/raw`"));
            return;
        }
    };
    let mut examiner = Examiner { place, about: text, kind, access, is_lost: false, tell };
    examiner.examine(purpose).await;
}

struct Examiner<'a> {
    place: Place,
    about: &'a str,
    kind: Kind,
    access: &'a Access,
    /// Nobody answers: there is no use in asking on.
    is_lost: bool,
    tell: &'a mut (dyn FnMut(Finding) + Send),
}

/// What came of an attempt.
enum Came<T> {
    There(T),
    Refused(PlaceError),
    /// Nothing within [`PATIENCE`].
    Nothing,
}

impl Examiner<'_> {
    async fn examine(&mut self, purpose: Purpose) {
        let listed = self.list(purpose).await;
        if self.is_lost {
            return;
        }
        if let Some(answer) = self.place.last_answer() {
            self.region(&answer);
            if let Some(date) = &answer.date {
                let finding = clock::compare(self.about, "the store", date, answer.came);
                self.tell(finding);
            }
        }
        match purpose {
            Purpose::Read | Purpose::ReadLater => {
                if let Some(key) = listed {
                    self.read_object(&key).await;
                }
            }
            Purpose::Land | Purpose::Keep => self.write_and_remove(purpose).await,
        }
    }

    fn tell(&mut self, finding: Finding) {
        (self.tell)(finding);
    }

    /// Lists, and gives the key of an object that is there.
    async fn list(&mut self, purpose: Purpose) -> Option<String> {
        let what = (self.about, "list");
        let tried = "one object of it";
        let begun = Instant::now();
        let came = wait(self.place.any_object()).await;
        let took = match self.kind {
            Kind::Disk | Kind::Memory => String::new(),
            _ => format!(", in {} ms", begun.elapsed().as_millis()),
        };
        match came {
            Came::There(Some(object)) => {
                let came = format!("there is one{took}");
                self.tell(Finding::new(what, Verdict::Ok, tried, came));
                return Some(object.key);
            }
            Came::There(None) => {
                self.tell(Finding::new(what, Verdict::Ok, tried, format!("it is empty{took}")));
            }
            Came::Refused(error)
                if self.kind == Kind::Disk && error.is_not_found() && purpose != Purpose::Read =>
            {
                let came = "the folder is not there yet; the first write makes it";
                self.tell(Finding::new(what, Verdict::Ok, tried, came));
            }
            Came::Refused(error) => {
                self.refused("list", tried, &error, Verb::List);
                // Behind a refusal there is a place; where nobody answers, or there is no bucket, is none.
                let is_absent = error.is_not_found() || self.place.last_answer().is_none();
                self.is_lost = self.kind != Kind::Disk && is_absent;
            }
            Came::Nothing => self.unanswered("list", tried),
        }
        None
    }

    fn region(&mut self, answer: &Answer) {
        if let Some(bucket) = &answer.bucket_region {
            let ours = self.access.region.as_ref().map(|(ours, _)| ours.as_str());
            self.tell(region(self.about, ours, bucket));
        }
    }

    async fn read_object(&mut self, key: &str) {
        let tried = "the first byte of that object";
        match wait(self.place.read_range(key, 0..1)).await {
            Came::There(_) => self.well("read", tried, "it can be read"),
            // An empty one has no first byte.
            Came::Refused(PlaceError::RangeBehindEnd { .. }) => {
                self.well("read", tried, "it can be read");
            }
            Came::Refused(error) => self.refused("read", tried, &error, Verb::Read),
            Came::Nothing => self.unanswered("read", tried),
        }
    }

    /// Writes an object under a name of its own, does with it what runs do, and removes it.
    async fn write_and_remove(&mut self, purpose: Purpose) {
        let key = format!("_solder-doctor-{}", uuid::Uuid::new_v4().simple());
        let made = self.place.local_path(&key).map(|path| absent_folders(&path));
        if self.write(&key).await {
            self.encryption();
            self.read_back(&key).await;
            self.create(&key).await;
            if self.kind != Kind::Disk && !self.is_lost {
                self.parts(&key).await;
            }
            self.delete(&key, purpose).await;
        }
        for folder in made.into_iter().flatten() {
            // What is not empty is somebody's by now.
            let _ = std::fs::remove_dir(folder);
        }
    }

    async fn write(&mut self, key: &str) -> bool {
        let tried = "an object of its own";
        match wait(self.place.write(key, Bytes::from_static(CONTENT))).await {
            Came::There(()) => {
                self.well("write", tried, "written");
                return true;
            }
            Came::Refused(error) => self.refused("write", tried, &error, Verb::Write),
            Came::Nothing => self.unanswered("write", tried),
        }
        false
    }

    /// What the answer to the write says of encryption, where S3 is told to encrypt or says that it does.
    fn encryption(&mut self) {
        if self.kind != Kind::S3 {
            return;
        }
        let Some(answer) = self.place.last_answer() else { return };
        let told = variable("AWS_SERVER_SIDE_ENCRYPTION");
        self.tell(encryption(self.about, told.as_deref(), &answer));
    }

    async fn read_back(&mut self, key: &str) {
        let tried = "that object";
        match wait(self.place.read(key)).await {
            Came::There(bytes) if bytes == CONTENT => {
                self.well("read", tried, "as it was written");
            }
            Came::There(_) => {
                let verdict = Verdict::Fail(Fault::ReadWrite);
                let finding = Finding::new(
                    (self.about, "read"),
                    verdict,
                    tried,
                    "other bytes than were written",
                );
                let advice = "the store or a cache before it is not to be trusted: choose another";
                self.tell(finding.with_advice(advice));
            }
            Came::Refused(error) => self.refused("read", tried, &error, Verb::Read),
            Came::Nothing => self.unanswered("read", tried),
        }
    }

    async fn create(&mut self, key: &str) {
        let tried = "creating it once more";
        match wait(self.place.honours_create(key)).await {
            Came::There(true) => self.well("put-if-absent", tried, "refused, as it should be"),
            Came::There(false) => {
                let verdict = Verdict::Fail(Fault::Configuration);
                let what = (self.about, "put-if-absent");
                let came =
                    "overwritten: of two writers at a time, one would lose what it committed";
                let finding = Finding::new(what, verdict, tried, came);
                self.tell(finding.with_advice(
                    "use a store with conditional writes (AWS S3, MinIO, GCS, Azure), or a newer version of it",
                ));
            }
            Came::Refused(error) => {
                self.refused("put-if-absent", tried, &error, Verb::Write);
            }
            Came::Nothing => self.unanswered("put-if-absent", tried),
        }
    }

    async fn parts(&mut self, key: &str) {
        let tried = "writing it in parts, as large objects are";
        match wait(self.place.write_in_parts(key, Bytes::from_static(CONTENT))).await {
            Came::There(()) => self.well("parts", tried, "written"),
            Came::Refused(error) => self.refused("parts", tried, &error, Verb::Write),
            Came::Nothing => self.unanswered("parts", tried),
        }
    }

    async fn delete(&mut self, key: &str, purpose: Purpose) {
        let tried = "that object";
        let left = format!("`{}` stays", self.place.address(key));
        match wait(self.place.delete(&[key])).await {
            Came::There(()) => self.well("delete", tried, "it is gone"),
            Came::Refused(error) if purpose == Purpose::Land => {
                let finding = refused(
                    (self.about, "delete"),
                    tried.to_owned(),
                    &error,
                    &self.attempt(Verb::Delete),
                );
                let came = format!("{}; {left}", finding.came);
                let finding = Finding { verdict: Verdict::Warn, came, ..finding };
                let advice = "`ingest` removes nothing, so that this is well; remove that object with other rights";
                self.tell(finding.with_advice(advice));
            }
            Came::Refused(error) => {
                let finding = refused(
                    (self.about, "delete"),
                    tried.to_owned(),
                    &error,
                    &self.attempt(Verb::Delete),
                );
                let came = format!("{}; {left}", finding.came);
                self.tell(Finding { came, ..finding });
            }
            Came::Nothing => self.unanswered("delete", &format!("{tried} ({left})")),
        }
    }

    fn attempt(&self, verb: Verb) -> Attempt<'_> {
        let rest = self.about.split_once("://").map_or("", |(_, rest)| rest);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let region = self.access.region.as_ref().map(|(region, _)| region.as_str());
        let has_answered = self.place.last_answer().is_some();
        Attempt { kind: self.kind, verb, bucket, prefix, region, has_answered }
    }

    fn well(&mut self, check: &str, tried: &str, came: &str) {
        self.tell(Finding::new((self.about, check), Verdict::Ok, tried, came));
    }

    fn refused(&mut self, check: &str, tried: &str, error: &PlaceError, verb: Verb) {
        let finding = refused((self.about, check), tried.to_owned(), error, &self.attempt(verb));
        self.tell(finding);
    }

    fn unanswered(&mut self, check: &str, tried: &str) {
        self.is_lost = true;
        let verdict = Verdict::Fail(Fault::Unreachable);
        let came = format!("no answer within {} s", PATIENCE.as_secs());
        let advice = match self.kind {
            Kind::Disk => "see to the disk: a network folder whose server is away waits for ever",
            _ => NO_ANSWER,
        };
        self.tell(Finding::new((self.about, check), verdict, tried, came).with_advice(advice));
    }
}

const CONTENT: &[u8] = b"engine doctor wrote this, and removes it again";

async fn wait<T>(attempt: impl Future<Output = Result<T, PlaceError>>) -> Came<T> {
    match tokio::time::timeout(PATIENCE, attempt).await {
        Ok(Ok(there)) => Came::There(there),
        Ok(Err(error)) => Came::Refused(error),
        Err(_) => Came::Nothing,
    }
}

/// Whether the bucket is where requests go.
fn region(about: &str, ours: Option<&str>, bucket: &str) -> Finding {
    let (what, tried) = ((about, "region"), "the bucket's against ours");
    if ours == Some(bucket) {
        return Finding::new(what, Verdict::Ok, tried, format!("both are {bucket}"));
    }
    let ours = ours.unwrap_or("none is set");
    let came = format!("the bucket is in {bucket}, ours: {ours}");
    Finding::new(what, Verdict::Fail(Fault::Configuration), tried, came)
        .with_advice(format!("set `AWS_REGION={bucket}`"))
}

/// Whether S3 encrypts as the environment tells it to.
fn encryption(about: &str, told: Option<&str>, answer: &Answer) -> Finding {
    let what = (about, "encryption");
    let key = answer.encryption_key.as_ref().map(|key| format!(" with {key}")).unwrap_or_default();
    let tried = match told {
        Some(told) => format!("`AWS_SERVER_SIDE_ENCRYPTION={told}`"),
        None => "what the bucket does by itself".to_owned(),
    };
    match (told, &answer.encryption) {
        (Some(told), Some(done)) if told == done => {
            Finding::new(what, Verdict::Ok, tried, format!("in force{key}"))
        }
        (Some(_), done) => {
            let done = done.as_deref().unwrap_or("nothing");
            let came = format!("the store answers that it used {done}");
            Finding::new(what, Verdict::Fail(Fault::Configuration), tried, came).with_advice(
                "correct `AWS_SERVER_SIDE_ENCRYPTION` (`AES256`, `aws:kms`, `aws:kms:dsse`), or use a store that can do it",
            )
        }
        (None, Some(done)) => Finding::new(what, Verdict::Ok, tried, format!("{done}{key}")),
        (None, None) => Finding::new(what, Verdict::Skipped, tried, "the store does not say"),
    }
}

/// The folders above a file that are not there yet, the deepest first.
fn absent_folders(file: &Path) -> Vec<PathBuf> {
    let above = file.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    above.take_while(|folder| !folder.exists()).map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("raw", Kind::Disk)]
    #[case("file:///raw", Kind::Disk)]
    #[case("S3://b/raw", Kind::S3)]
    #[case("gs://b", Kind::Gcs)]
    #[case("abfss://c@a/x", Kind::Azure)]
    #[case("memory://x", Kind::Memory)]
    fn kinds(#[case] place: &str, #[case] expected: Kind) {
        assert_eq!(Kind::of(place), expected);
    }

    async fn findings(place: &str, purpose: Purpose) -> Vec<Finding> {
        let mut findings = Vec::new();
        examine(place, purpose, &Access::default(), &mut |finding| findings.push(finding)).await;
        findings
    }

    /// D3: a place is tried as it is used, and is afterwards as it was before.
    #[rstest]
    #[case::keep(Purpose::Keep, &["list", "write", "read", "put-if-absent", "delete"])]
    #[case::land(Purpose::Land, &["list", "write", "read", "put-if-absent", "delete"])]
    #[case::read(Purpose::Read, &["list", "read"])]
    #[tokio::test]
    async fn d3_a_folder(#[case] purpose: Purpose, #[case] expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), "{}").unwrap();
        let findings = findings(folder.path().to_str().unwrap(), purpose).await;
        let checks: Vec<_> = findings.iter().map(|finding| finding.check.as_str()).collect();
        assert_eq!(checks, expected);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    /// D3: folders that were made for it go again.
    #[tokio::test]
    async fn d3_a_folder_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a/b");
        let place = place.to_str().unwrap();
        let kept = findings(place, Purpose::Keep).await;
        assert!(kept.iter().all(|finding| finding.verdict == Verdict::Ok), "{kept:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let read = findings(place, Purpose::Read).await;
        assert_eq!(read.last().unwrap().verdict, Verdict::Fail(Fault::NoInput));
        let later = findings(place, Purpose::ReadLater).await;
        assert_eq!(later.last().unwrap().verdict, Verdict::Ok);
    }

    #[tokio::test]
    async fn d3_a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), "{}").unwrap();
        let place = folder.path().join("a.json/b");
        let findings = findings(place.to_str().unwrap(), Purpose::Keep).await;
        let last = findings.last().unwrap();
        assert_eq!((last.check.as_str(), last.verdict), ("write", Verdict::Fail(Fault::Output)));
    }

    #[tokio::test]
    async fn d3_a_store_in_memory() {
        let findings = findings("memory://doctor/raw", Purpose::Keep).await;
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
        assert!(findings.iter().any(|finding| finding.check == "parts"));
        let place = Place::parse("memory://doctor").unwrap();
        assert!(place.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn d3_no_place_at_all() {
        let findings = findings("s4://b", Purpose::Keep).await;
        assert_eq!(findings[0].verdict, Verdict::Fail(Fault::Configuration));
    }

    /// D6: the region of a bucket is that of the requests.
    #[rstest]
    #[case::same(Some("eu-west-1"), Verdict::Ok, None)]
    #[case::another(
        Some("us-east-1"),
        Verdict::Fail(Fault::Configuration),
        Some("set `AWS_REGION=eu-west-1`")
    )]
    #[case::none(None, Verdict::Fail(Fault::Configuration), Some("set `AWS_REGION=eu-west-1`"))]
    fn d6_regions_of_buckets(
        #[case] ours: Option<&str>,
        #[case] verdict: Verdict,
        #[case] advice: Option<&str>,
    ) {
        let found = region("s3://b", ours, "eu-west-1");
        assert_eq!((found.verdict, found.advice.as_deref()), (verdict, advice));
    }

    /// D3: encryption that is asked for is in force, or the check fails.
    #[rstest]
    #[case::in_force(Some("aws:kms"), Some("aws:kms"), Verdict::Ok)]
    #[case::ignored(Some("aws:kms"), None, Verdict::Fail(Fault::Configuration))]
    #[case::another(Some("aws:kms"), Some("AES256"), Verdict::Fail(Fault::Configuration))]
    #[case::by_itself(None, Some("AES256"), Verdict::Ok)]
    #[case::not_asked_for(None, None, Verdict::Skipped)]
    fn d3_encryption(
        #[case] told: Option<&str>,
        #[case] done: Option<&str>,
        #[case] verdict: Verdict,
    ) {
        let answer = Answer {
            status: 200,
            came: SystemTime::now(),
            date: None,
            bucket_region: None,
            encryption: done.map(str::to_owned),
            encryption_key: None,
        };
        assert_eq!(encryption("s3://b", told, &answer).verdict, verdict);
    }
}
