//! What a store is asked, request by request, as it is paid for.

use std::fmt;
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};

/// How many requests of each kind were sent to a store, repeated ones as often as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Requests {
    /// Pages of listings.
    pub list: u64,
    /// Objects or parts of them that were read.
    pub get: u64,
    /// Questions whether an object is there, and how large it is.
    pub head: u64,
    /// Objects or parts of them that were written, and the begin and end of what is written in parts.
    pub put: u64,
    /// Objects that were copied within the store.
    pub copy: u64,
    /// Deletions, of one object or of many at once.
    pub delete: u64,
}

impl Requests {
    /// The kinds and their numbers.
    pub fn by_kind(&self) -> [(&'static str, u64); 6] {
        let Requests { list, get, head, put, copy, delete } = *self;
        [
            ("list", list),
            ("get", get),
            ("head", head),
            ("put", put),
            ("copy", copy),
            ("delete", delete),
        ]
    }
}

impl Add for Requests {
    type Output = Requests;

    fn add(self, other: Requests) -> Requests {
        Requests {
            list: self.list + other.list,
            get: self.get + other.get,
            head: self.head + other.head,
            put: self.put + other.put,
            copy: self.copy + other.copy,
            delete: self.delete + other.delete,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    List,
    Get,
    Head,
    Put,
    Copy,
    Delete,
}

/// The kind of a request to S3, Google Cloud Storage or Azure, as their clients send them.
fn kind(request: &HttpRequest) -> Kind {
    const COPY_HEADERS: [&str; 3] = ["x-amz-copy-source", "x-goog-copy-source", "x-ms-copy-source"];

    let mut parameters = request.uri().query().unwrap_or_default().split('&');
    let mut has = |wanted: &[&str]| parameters.any(|parameter| wanted.contains(&parameter));
    match request.method().as_str() {
        "GET" if has(&["list-type=2", "comp=list"]) => Kind::List,
        "GET" => Kind::Get,
        "HEAD" => Kind::Head,
        "DELETE" => Kind::Delete,
        // Many deletions in one request, in S3 and in Azure.
        "POST" if has(&["delete", "delete=", "comp=batch"]) => Kind::Delete,
        _ if COPY_HEADERS.iter().any(|name| request.headers().contains_key(*name)) => Kind::Copy,
        _ => Kind::Put,
    }
}

/// What a store's last answer said beside its content, of a place that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When it came, by the clock of this machine.
    pub came: SystemTime,
    /// When it was sent, by the clock of the store: the header `Date`.
    pub date: Option<String>,
    /// The region of the bucket, as S3 tells it.
    pub bucket_region: Option<String>,
    /// How the object is encrypted that was written or read: `AES256`, `aws:kms`.
    pub encryption: Option<String>,
    /// With which key of KMS.
    pub encryption_key: Option<String>,
}

impl Answer {
    fn of(response: &HttpResponse) -> Self {
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Self {
            status: response.status().as_u16(),
            came: SystemTime::now(),
            date: header("date"),
            bucket_region: header("x-amz-bucket-region"),
            encryption: header("x-amz-server-side-encryption"),
            encryption_key: header("x-amz-server-side-encryption-aws-kms-key-id"),
        }
    }
}

/// The requests of one client so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    numbers: [AtomicU64; 6],
    /// The last answer, where answers are kept.
    answer: Mutex<Option<Answer>>,
}

impl Counters {
    fn count(&self, kind: Kind) {
        if let Some(counter) = self.numbers.get(kind as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many there were.
    pub(crate) fn requests(&self) -> Requests {
        let [list, get, head, put, copy, delete] =
            self.numbers.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        Requests { list, get, head, put, copy, delete }
    }

    /// The last answer, where answers are kept.
    pub(crate) fn answer(&self) -> Option<Answer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
    }
}

/// Makes clients that count what they send.
///
/// A store's builder asks for clients to get credentials with, and last for the one that speaks with the
/// store: only the requests of that one are requests to the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct CountedConnector {
    last: Arc<Mutex<Arc<Counters>>>,
    keeps_answers: bool,
}

impl CountedConnector {
    /// One whose clients keep the last answer as well, if told to.
    pub(crate) fn new(keeps_answers: bool) -> Self {
        Self { keeps_answers, ..Self::default() }
    }

    /// The counters of the client that was made last.
    pub(crate) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.last.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpConnector for CountedConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        let counters = Arc::new(Counters::default());
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&counters);
        let keeps_answers = self.keeps_answers;
        Ok(HttpClient::new(CountedService { client, counters, keeps_answers }))
    }
}

struct CountedService {
    client: HttpClient,
    counters: Arc<Counters>,
    keeps_answers: bool,
}

impl fmt::Debug for CountedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedService").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl HttpService for CountedService {
    fn call<'service, 'call>(
        &'service self,
        request: HttpRequest,
    ) -> BoxFuture<'call, Result<HttpResponse, HttpError>>
    where
        'service: 'call,
        Self: 'call,
    {
        self.counters.count(kind(&request));
        let answer = self.client.execute(request);
        if !self.keeps_answers {
            return answer.boxed();
        }
        let keep = |response: &HttpResponse| self.counters.keep(Answer::of(response));
        answer.map(move |outcome| outcome.inspect(keep)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpRequestBody;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::s3_page("GET", "http://s3/bucket?list-type=2&prefix=raw%2F", "", Kind::List)]
    #[case::azure_page("GET", "https://a/c?restype=container&comp=list", "", Kind::List)]
    #[case::get("GET", "http://s3/bucket/list-type=2", "", Kind::Get)]
    #[case::head("HEAD", "http://s3/bucket/a.json", "", Kind::Head)]
    #[case::put("PUT", "http://s3/bucket/a.json", "", Kind::Put)]
    #[case::part("PUT", "http://s3/bucket/a?partNumber=1&uploadId=x", "", Kind::Put)]
    #[case::begin("POST", "http://s3/bucket/a?uploads", "", Kind::Put)]
    #[case::s3_copy("PUT", "http://s3/bucket/a", "x-amz-copy-source", Kind::Copy)]
    #[case::gcs_copy("PUT", "https://g/bucket/a", "x-goog-copy-source", Kind::Copy)]
    #[case::azure_copy("PUT", "https://a/c/a", "x-ms-copy-source", Kind::Copy)]
    #[case::delete("DELETE", "http://s3/bucket/a.json", "", Kind::Delete)]
    #[case::s3_delete_many("POST", "http://s3/bucket?delete", "", Kind::Delete)]
    #[case::azure_delete_many("POST", "https://a/c?restype=container&comp=batch", "", Kind::Delete)]
    fn requests_are_told_apart(
        #[case] method: &str,
        #[case] url: &str,
        #[case] header: &'static str,
        #[case] expected: Kind,
    ) {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = url.parse().unwrap();
        if !header.is_empty() {
            request.headers_mut().insert(header, "bucket/b".parse().unwrap());
        }
        assert_eq!(kind(&request), expected);
    }

    #[test]
    fn every_kind_has_a_counter_of_its_own() {
        let counters = Counters::default();
        let kinds = [Kind::List, Kind::Get, Kind::Head, Kind::Put, Kind::Copy, Kind::Delete];
        for (times, kind) in (1..).zip(kinds) {
            (0..times).for_each(|_| counters.count(kind));
        }
        let expected = Requests { list: 1, get: 2, head: 3, put: 4, copy: 5, delete: 6 };
        assert_eq!(counters.requests(), expected);
        assert_eq!((expected + expected).by_kind().map(|(_, number)| number), [2, 4, 6, 8, 10, 12]);
    }
}
