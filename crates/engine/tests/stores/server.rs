//! An S3 server on loopback over a temporary folder, which counts requests and fails when told to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::{TryStreamExt, stream};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

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
    /// Keys that were read.
    read: Mutex<Vec<String>>,
    /// By the end of the key.
    fault: Mutex<Option<(&'static str, Fault)>>,
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
        let service = builder.build();
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

    /// Makes reading of the object that ends so fail.
    pub fn fail(&self, key_end: &'static str, fault: Fault) {
        *self.state.fault.lock().unwrap() = Some((key_end, fault));
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

/// The folder as S3, with the counts and faults of the server.
struct Counted {
    files: FileSystem,
    root: PathBuf,
    state: Arc<State>,
}

impl Counted {
    fn count(&self, request: &'static str) {
        *self.state.requests.lock().unwrap().entry(request).or_default() += 1;
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

macro_rules! counted_requests {
    ({ $($own:tt)* } $($name:ident($input:ty) -> $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for Counted {
            $($own)*
            $(
                async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                    self.count(stringify!($name));
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
            let mut response = self.files.get_object(request).await?;
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

        /// As S3 does it, and the folder does not: with the objects' etags.
        async fn list_objects_v2(
            &self,
            request: S3Request<ListObjectsV2Input>,
        ) -> S3Result<S3Response<ListObjectsV2Output>> {
            self.count("list_objects_v2");
            let bucket = request.input.bucket.clone();
            let mut response = self.files.list_objects_v2(request).await?;
            for object in response.output.contents.iter_mut().flatten() {
                let path = self.root.join(&bucket).join(object.key.as_deref().unwrap_or_default());
                let hash = xxhash_rust::xxh3::xxh3_128(&std::fs::read(path).unwrap());
                object.e_tag = Some(ETag::Strong(format!("{hash:032x}")));
            }
            Ok(response)
        }
    }
    put_object(PutObjectInput) -> PutObjectOutput;
    copy_object(CopyObjectInput) -> CopyObjectOutput;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part(UploadPartInput) -> UploadPartOutput;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
}
