//! As much of S3 as landing needs, in memory. It stores what it is sent, and can lose its answers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

pub const BUCKET: &str = "bucket";

/// What becomes of the answer to a write that took effect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lost {
    /// The connection is cut.
    Cut,
    /// It is an error of the server.
    Error,
}

#[derive(Clone)]
pub struct Store {
    pub endpoint: String,
    data: Arc<Mutex<Data>>,
}

#[derive(Default)]
struct Data {
    objects: BTreeMap<String, Vec<u8>>,
    /// Keys that begin so, and how many answers about them are lost, in what way.
    losing: Option<(&'static str, Lost, usize)>,
}

impl Store {
    pub fn start() -> Store {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let store = Store { endpoint, data: Arc::default() };
        let serving = store.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = serving.clone();
                std::thread::spawn(move || while store.answer(&stream).is_some() {});
            }
        });
        store
    }

    /// So many answers to writes of keys that begin with `prefix` are lost.
    pub fn lose(&self, prefix: &'static str, lost: Lost, times: usize) {
        self.data.lock().unwrap().losing = Some((prefix, lost, times));
    }

    /// Whether an answer was lost for every time that was asked for; loses none from now on.
    pub fn has_lost(&self) -> bool {
        self.data.lock().unwrap().losing.take().is_some_and(|(_, _, times)| times == 0)
    }

    /// Writes all objects into a folder.
    pub fn save(&self, folder: &Path) {
        for (key, bytes) in &self.data.lock().unwrap().objects {
            let file = folder.join(key);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }

    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next()?, words.next()?);
        let (mut num_bytes, mut is_create, mut range) = (0, false, None);
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => num_bytes = value.parse().unwrap(),
                "if-none-match" => is_create = value == "*",
                "range" => range = value.strip_prefix("bytes=")?.split_once('-').map(numbers),
                _ => {}
            }
        }
        let mut body = vec![0; num_bytes];
        reader.read_exact(&mut body).ok()?;
        let url = url::Url::parse(&format!("{}{target}", self.endpoint)).ok()?;
        let key = url.path().strip_prefix(&format!("/{BUCKET}")).unwrap().trim_start_matches('/');
        let key = percent_encoding::percent_decode_str(key).decode_utf8().unwrap().into_owned();
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();

        let mut data = self.data.lock().unwrap();
        let (status, answer) = match method.as_str() {
            "PUT" if is_create && data.objects.contains_key(&key) => (412, Vec::new()),
            "PUT" => {
                data.objects.insert(key.clone(), body);
                (200, Vec::new())
            }
            "POST" if query.contains_key("delete") => {
                let text = String::from_utf8(body).unwrap();
                for rest in text.split("<Key>").skip(1) {
                    data.objects.remove(rest.split("</Key>").next().unwrap());
                }
                (200, b"<DeleteResult></DeleteResult>".to_vec())
            }
            "GET" if query.contains_key("list-type") => (200, data.list(&query)),
            "GET" | "HEAD" => match (data.objects.get(&key), range) {
                (None, _) => (404, Vec::new()),
                (Some(bytes), None) => (200, bytes.clone()),
                (Some(bytes), Some((from, to))) => {
                    (206, bytes[from..bytes.len().min(to.saturating_add(1))].to_vec())
                }
            },
            other => panic!("{other} {target} is not known here"),
        };
        let is_lost = matches!(&data.losing, Some((prefix, _, 1..)) if key.starts_with(prefix));
        if let (true, "PUT", Some((_, lost, times))) = (is_lost, method.as_str(), &mut data.losing)
        {
            *times -= 1;
            if *lost == Lost::Cut {
                stream.shutdown(std::net::Shutdown::Both).ok()?;
                return None;
            }
            return stream.write_all(b"HTTP/1.1 500 Sorry\r\ncontent-length: 0\r\n\r\n").ok();
        }
        let total = data.objects.get(&key).map_or(0, Vec::len);
        drop(data);
        let mut head = format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\netag: \"{total}\"\r\n\
             last-modified: Wed, 01 May 2024 00:00:00 GMT\r\n",
            answer.len()
        );
        if let (206, Some((from, _))) = (status, range) {
            let last = from + answer.len() - 1;
            head.push_str(&format!("content-range: bytes {from}-{last}/{total}\r\n"));
        }
        stream.write_all((head + "\r\n").as_bytes()).ok()?;
        if method != "HEAD" {
            stream.write_all(&answer).ok()?;
        }
        Some(())
    }
}

impl Data {
    fn list(&self, query: &BTreeMap<String, String>) -> Vec<u8> {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let mut xml = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
        for (key, bytes) in &self.objects {
            if key.starts_with(text("prefix")) && key.as_str() > text("start-after") {
                xml.push_str(&format!(
                    "<Contents><Key>{key}</Key><Size>{}</Size><ETag>\"{}\"</ETag>\
                     <LastModified>2024-05-01T00:00:00.000Z</LastModified></Contents>",
                    bytes.len(),
                    bytes.len()
                ));
            }
        }
        (xml + "</ListBucketResult>").into_bytes()
    }
}

fn numbers((from, to): (&str, &str)) -> (usize, usize) {
    (from.parse().unwrap(), to.parse().unwrap_or(usize::MAX))
}
