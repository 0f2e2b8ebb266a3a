//! Whoever observers talk to: a server on loopback that keeps what it was told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Value,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// The operation of a service of AWS.
    pub fn operation(&self) -> &str {
        self.header("x-amz-target").rsplit('.').next().unwrap_or_default()
    }
}

/// A status and a body.
pub type Answer = (u16, String);

/// The server.
pub struct Collector {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Collector {
    /// Takes whatever comes.
    pub fn start() -> Collector {
        Collector::answering(|_| (200, "{}".to_owned()))
    }

    pub fn answering(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (kept, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (kept.clone(), answer.clone());
                std::thread::spawn(
                    move || {
                        while exchange(&stream, &kept, answer.as_ref()).is_some() {}
                    },
                );
            }
        });
        Collector { url, asked }
    }

    /// What came, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The operations of a service of AWS that were called, in order.
    pub fn operations(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.operation().to_owned()).collect()
    }

    /// Waits until so many requests have come.
    pub fn wait_for(&self, number: usize) {
        let began = Instant::now();
        while self.asked().len() < number {
            assert!(began.elapsed() < Duration::from_secs(20), "{:?}", self.asked());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The URL of a server that takes connections, and never answers.
pub fn deaf() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        kept.extend(listener.incoming());
    });
    url
}

/// The URL of a server that is not there.
pub fn absent() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{address}")
}

fn exchange(
    mut stream: &TcpStream,
    kept: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked) -> Answer,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut asked = Asked { path, headers, body: Value::Null };
    let mut body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    asked.body = serde_json::from_slice(&body).unwrap_or_default();
    kept.lock().unwrap().push(asked.clone());
    let (status, body) = answer(&asked);
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).ok()
}
