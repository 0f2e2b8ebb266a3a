//! An S3 server on loopback over a temporary folder, which counts requests, and is slow or fails when told
//! to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{TryStreamExt, stream};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822::DateTimePrinter;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::engine::files;

pub const ACCESS_KEY: &str = "AKIASOLDER";
pub const SECRET_KEY: &str = "a-secret-for-tests";
pub const BUCKET: &str = "bucket";

/// What goes wrong when an object is read.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The connection breaks in the middle of the bytes, so many times.
    Break(usize),
    /// Somebody writes the object anew before it is read.
    Replace,
}

/// What goes wrong when an object is written.
#[derive(Clone, Copy, Debug)]
pub enum WriteFault {
    /// It is stored, and the answer is an error of the server.
    StoredThenError,
    /// It is stored, and the connection is cut before the answer.
    StoredThenCut,
    /// The server is busy, and nothing is stored.
    Busy,
}

/// The server; its end is that of its runtime.
pub struct Server {
    pub endpoint: String,
    folder: TempDir,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct State {
    requests: Mutex<BTreeMap<&'static str, u64>>,
    /// What requests for objects said beside the object, each once.
    said: Mutex<BTreeSet<String>>,
    /// Keys that were read.
    read: Mutex<Vec<String>>,
    /// By the end of the key.
    fault: Mutex<Option<(&'static str, Fault)>>,
    /// By the end of the key, and so many times.
    write_fault: Mutex<Option<(&'static str, WriteFault, usize)>>,
    /// Whether objects are overwritten that should only be created.
    ignores_conditions: AtomicBool,
    /// Held while an object is created: S3 lets one of many writers do so, the folder would let several.
    creating: tokio::sync::Mutex<()>,
    /// Requests that a policy forbids, and what is said of each.
    denied: Mutex<BTreeMap<&'static str, String>>,
    /// By how many seconds the server's clock is ahead of this machine's.
    ahead_seconds: AtomicI64,
    /// How long a request takes before it is answered.
    delay: Mutex<Duration>,
    /// Requests for objects that are under way, and the most there ever were.
    under_way: Mutex<(usize, usize)>,
    /// The last listing of a prefix, whose pages are asked for one by one.
    listings: Mutex<HashMap<String, Arc<Vec<Object>>>>,
}

impl Server {
    pub fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let state = Arc::new(State::default());
        let files = FileSystem::new(folder.path()).unwrap();
        let root = folder.path().to_owned();
        let mut builder = S3ServiceBuilder::new(Counted { files, root, state: state.clone() });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = Dated { service: builder.build(), state: state.clone() };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let serving =
                    http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
                tokio::spawn(serving);
            }
        });
        Server { endpoint, folder, state, _runtime: runtime }
    }

    /// Where the objects below a key are on disk.
    pub fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(key)
    }

    pub fn url(&self, key: &str) -> String {
        format!("s3://{BUCKET}/{key}")
    }

    /// Puts an object there, without a request.
    pub fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What requests for objects said since the last time: the kind, encryption and key, who pays.
    pub fn take_said(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.said.lock().unwrap()).into_iter().collect()
    }

    /// Makes reading of the object that ends so fail.
    pub fn fail(&self, key_end: &'static str, fault: Fault) {
        *self.state.fault.lock().unwrap() = Some((key_end, fault));
    }

    /// Makes writing of the object that ends so fail so many times.
    pub fn fail_writing(&self, key_end: &'static str, fault: WriteFault, times: usize) {
        *self.state.write_fault.lock().unwrap() = Some((key_end, fault, times));
    }

    /// Whether the fault that was asked for has struck as often as it should.
    pub fn has_failed(&self) -> bool {
        self.state.write_fault.lock().unwrap().is_none()
    }

    /// Makes the server overwrite objects that should only be created, as some stores do.
    pub fn ignore_conditions(&self) {
        self.state.ignores_conditions.store(true, Ordering::Relaxed);
    }

    /// Makes a policy forbid requests of this kind.
    pub fn deny(&self, request: &'static str, message: &str) {
        self.state.denied.lock().unwrap().insert(request, message.to_owned());
    }

    /// Sets the server's clock so many seconds ahead of this machine's.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.state.ahead_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Makes every request for an object or a listing take so long.
    pub fn slow_down(&self, delay: Duration) {
        *self.state.delay.lock().unwrap() = delay;
    }

    /// The most requests for objects that were under way at one time.
    pub fn most_under_way(&self) -> usize {
        self.state.under_way.lock().unwrap().1
    }

    /// The requests since the last time this was asked, by kind.
    pub fn take_requests(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.state.requests.lock().unwrap())
    }

    /// The keys read since the last time this was asked, sorted.
    pub fn take_read(&self) -> Vec<String> {
        let mut read = std::mem::take(&mut *self.state.read.lock().unwrap());
        read.sort();
        read
    }
}

/// The service, with the date of its clock in every answer.
#[derive(Clone)]
struct Dated {
    service: S3Service,
    state: Arc<State>,
}

impl hyper::service::Service<Request<Incoming>> for Dated {
    type Response = Response<s3s::Body>;
    type Error = s3s::HttpError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let ahead = self.state.ahead_seconds.load(Ordering::Relaxed);
        let answer = hyper::service::Service::call(&self.service, request);
        Box::pin(async move {
            let mut response = answer.await?;
            let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(ahead);
            let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap();
            response.headers_mut().insert("date", date.parse().unwrap());
            Ok(response)
        })
    }
}

/// The folder as S3, with the counts and faults of the server.
struct Counted {
    files: FileSystem,
    root: PathBuf,
    state: Arc<State>,
}

impl Counted {
    /// Refuses what a policy forbids.
    fn allow(&self, request: &'static str) -> S3Result<()> {
        match self.state.denied.lock().unwrap().get(request) {
            Some(message) => Err(s3s::s3_error!(AccessDenied, "{}", message)),
            None => Ok(()),
        }
    }

    fn count(&self, request: &'static str) {
        *self.state.requests.lock().unwrap().entry(request).or_default() += 1;
    }

    fn said<const N: usize>(&self, kind: &str, values: [Option<&str>; N]) {
        let words: Vec<&str> = [kind].into_iter().chain(values.into_iter().flatten()).collect();
        self.state.said.lock().unwrap().insert(words.join(" "));
    }

    async fn delay(&self) {
        let delay = *self.state.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// An object as it is stored: the folder's own way reads all of it for every part.
    fn read(&self, input: &GetObjectInput) -> S3Result<GetObjectOutput> {
        let path = self.root.join(&input.bucket).join(&input.key);
        let file = File::open(path).map_err(|_| s3s::s3_error!(NoSuchKey))?;
        let metadata = file.metadata().unwrap();
        let size_bytes = metadata.len();
        let range = input.range.map_or(Ok(0..size_bytes), |range| range.check(size_bytes))?;
        let mut bytes = vec![0; usize::try_from(range.end - range.start).unwrap()];
        file.read_exact_at(&mut bytes, range.start).unwrap();
        let content_range = format!("bytes {}-{}/{size_bytes}", range.start, range.end - 1);
        Ok(GetObjectOutput {
            content_length: i64::try_from(bytes.len()).ok(),
            content_range: input.range.map(|_| content_range),
            e_tag: Some(e_tag(&metadata)),
            last_modified: Some(metadata.modified().unwrap().into()),
            body: Some(StreamingBlob::wrap(stream::iter([Ok::<_, std::io::Error>(Bytes::from(
                bytes,
            ))]))),
            ..GetObjectOutput::default()
        })
    }

    /// A page of the objects whose keys begin with a prefix, listed when the first page is asked for.
    fn list(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let bucket = self.root.join(&input.bucket);
        if !bucket.is_dir() {
            return Err(s3s::s3_error!(NoSuchBucket));
        }
        let prefix = input.prefix.clone().unwrap_or_default();
        let begin: usize =
            input.continuation_token.as_ref().map_or(0, |token| token.parse().unwrap());
        let mut listings = self.state.listings.lock().unwrap();
        if begin == 0 {
            let mut listing = objects(&bucket, &prefix);
            listing.retain(|object| object.key > input.start_after);
            listings.insert(prefix.clone(), Arc::new(listing));
        }
        if input.delimiter.is_some() {
            let listing = listings.get(&prefix).unwrap();
            return Ok(folder_of(listing, &prefix));
        }
        let listing = listings.get(&prefix).unwrap().clone();
        let page: Vec<_> = listing.iter().skip(begin).take(PAGE_OBJECTS).cloned().collect();
        let end = begin + page.len();
        let is_truncated = end < listing.len();
        Ok(ListObjectsV2Output {
            key_count: i32::try_from(page.len()).ok(),
            contents: Some(page),
            is_truncated: Some(is_truncated),
            next_continuation_token: is_truncated.then(|| end.to_string()),
            name: Some(input.bucket),
            prefix: input.prefix,
            ..ListObjectsV2Output::default()
        })
    }

    /// The fault that strikes now.
    fn write_fault(&self, key: &str) -> Option<WriteFault> {
        let mut fault = self.state.write_fault.lock().unwrap();
        let (_, kind, times) = fault.as_mut().filter(|(end, ..)| key.ends_with(*end))?;
        let kind = *kind;
        *times -= 1;
        if *times == 0 {
            *fault = None;
        }
        Some(kind)
    }

    /// The fault that strikes now.
    fn fault(&self, key: &str) -> Option<Fault> {
        let mut fault = self.state.fault.lock().unwrap();
        let found = fault.as_ref().filter(|(end, _)| key.ends_with(end)).map(|(_, fault)| *fault);
        match found? {
            Fault::Break(0) => *fault = None,
            Fault::Break(times) => {
                if let Some((_, left)) = fault.as_mut() {
                    *left = Fault::Break(times - 1);
                }
                return found;
            }
            Fault::Replace => {
                *fault = None;
                return found;
            }
        }
        None
    }
}

/// As many objects as S3 lists at one time.
const PAGE_OBJECTS: usize = 1000;

/// What lies directly in a folder: its objects, and the folders below it.
fn folder_of(listing: &[Object], prefix: &str) -> ListObjectsV2Output {
    let mut contents = Vec::new();
    let mut folders = BTreeSet::new();
    for object in listing {
        let key = object.key.as_deref().unwrap();
        match key[prefix.len()..].find('/') {
            Some(slash) => {
                folders.insert(key[..=prefix.len() + slash].to_owned());
            }
            None => contents.push(object.clone()),
        }
    }
    let folder = |prefix| CommonPrefix { prefix: Some(prefix) };
    ListObjectsV2Output {
        contents: Some(contents),
        common_prefixes: Some(folders.into_iter().map(folder).collect()),
        is_truncated: Some(false),
        prefix: Some(prefix.to_owned()),
        ..ListObjectsV2Output::default()
    }
}

/// All objects whose keys begin with a prefix, in the order of their keys.
fn objects(bucket: &Path, prefix: &str) -> Vec<Object> {
    let folder = prefix.rfind('/').map_or("", |slash| &prefix[..slash]);
    let mut found = Vec::new();
    for (key, metadata) in files(&bucket.join(folder)) {
        let key = if folder.is_empty() { key } else { format!("{folder}/{key}") };
        if key.starts_with(prefix) {
            found.push(Object {
                size: i64::try_from(metadata.len()).ok(),
                e_tag: Some(e_tag(&metadata)),
                last_modified: Some(metadata.modified().unwrap().into()),
                key: Some(key),
                ..Object::default()
            });
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

/// Another one whenever a file is written.
fn e_tag(metadata: &Metadata) -> ETag {
    let modified = metadata.modified().unwrap().duration_since(UNIX_EPOCH).unwrap();
    ETag::Strong(format!("{:x}-{:x}", modified.as_nanos(), metadata.len()))
}

/// Counts a request for an object as under way, until it is dropped.
struct UnderWay<'a>(&'a State);

impl UnderWay<'_> {
    fn begin(state: &State) -> UnderWay<'_> {
        let mut under_way = state.under_way.lock().unwrap();
        under_way.0 += 1;
        under_way.1 = under_way.1.max(under_way.0);
        UnderWay(state)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().unwrap().0 -= 1;
    }
}

macro_rules! counted_requests {
    ({ $($own:tt)* } $($name:ident($input:ty) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for Counted {
            $($own)*
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.count(stringify!($name));
                    self.allow(stringify!($name))?;
                    self.files.$name(request).await
                }
            )*
        }
    };
}

counted_requests! {
    {
        async fn get_object(
            &self,
            request: S3Request<GetObjectInput>,
        ) -> S3Result<S3Response<GetObjectOutput>> {
            self.count("get_object");
            self.allow("get_object")?;
            self.said("get", [request.input.request_payer.as_ref().map(|who| who.as_str())]);
            let _under_way = UnderWay::begin(&self.state);
            self.delay().await;
            let key = request.input.key.clone();
            self.state.read.lock().unwrap().push(key.clone());
            let fault = self.fault(&key);
            if let Some(Fault::Replace) = fault {
                let file = self.root.join(&request.input.bucket).join(&key);
                let bytes = std::fs::read(&file).unwrap();
                std::fs::write(&file, bytes.to_ascii_uppercase()).unwrap();
                let later = SystemTime::now() + Duration::from_secs(60);
                let file = std::fs::File::options().write(true).open(&file).unwrap();
                file.set_modified(later).unwrap();
            }
            let mut response = S3Response::new(self.read(&request.input)?);
            if let Some(Fault::Break(_)) = fault
                && let Some(body) = response.output.body.take()
            {
                let pieces: Vec<_> = body.try_collect().await.unwrap();
                let mut first = pieces.first().cloned().unwrap_or_default();
                first.truncate(first.len() / 2);
                let broken = std::io::Error::other("the connection breaks");
                response.output.body =
                    Some(StreamingBlob::wrap(stream::iter([Ok(first), Err(broken)])));
            }
            Ok(response)
        }

        /// As S3 does it: what is a folder here is no object.
        async fn head_object(
            &self,
            request: S3Request<HeadObjectInput>,
        ) -> S3Result<S3Response<HeadObjectOutput>> {
            self.count("head_object");
            match self.root.join(&request.input.bucket).join(&request.input.key).is_dir() {
                true => Err(s3s::s3_error!(NoSuchKey)),
                false => self.files.head_object(request).await,
            }
        }

        async fn put_object(
            &self,
            mut request: S3Request<PutObjectInput>,
        ) -> S3Result<S3Response<PutObjectOutput>> {
            self.count("put_object");
            self.allow("put_object")?;
            let PutObjectInput { server_side_encryption, ssekms_key_id, request_payer, .. } =
                &request.input;
            let encryption = server_side_encryption.as_ref().map(|kind| kind.as_str());
            let payer = request_payer.as_ref().map(|who| who.as_str());
            self.said("put", [encryption, ssekms_key_id.as_deref(), payer]);
            let encryption = (server_side_encryption.clone(), ssekms_key_id.clone());
            if self.state.ignores_conditions.load(Ordering::Relaxed) {
                request.input.if_none_match = None;
            }
            let fault = self.write_fault(&request.input.key);
            if let Some(WriteFault::Busy) = fault {
                return Err(s3s::s3_error!(SlowDown));
            }
            let mut stored = match request.input.if_none_match {
                Some(_) => {
                    let _alone = self.state.creating.lock().await;
                    self.files.put_object(request).await?
                }
                None => self.files.put_object(request).await?,
            };
            (stored.output.server_side_encryption, stored.output.ssekms_key_id) = encryption;
            match fault {
                Some(WriteFault::StoredThenError) => Err(s3s::s3_error!(InternalError)),
                // The task ends with its connection, and without a word.
                Some(WriteFault::StoredThenCut) => std::panic::resume_unwind(Box::new("cut")),
                _ => Ok(stored),
            }
        }

        async fn list_objects_v2(
            &self,
            request: S3Request<ListObjectsV2Input>,
        ) -> S3Result<S3Response<ListObjectsV2Output>> {
            self.count("list_objects_v2");
            self.allow("list_objects_v2")?;
            self.delay().await;
            Ok(S3Response::new(self.list(request.input)?))
        }
    }
    copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
}
