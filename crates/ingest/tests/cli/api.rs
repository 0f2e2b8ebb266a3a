//! A small API: what it answers is a function of the request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// A request, as far as tests look.
#[derive(Debug)]
pub struct Asked {
    /// The path and the query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// A status with its reason, headers, and a body.
pub struct Answer(pub &'static str, pub Vec<(&'static str, String)>, pub Vec<u8>);

impl Answer {
    pub fn ok(body: impl Into<Vec<u8>>) -> Answer {
        Answer("200 OK", Vec::new(), body.into())
    }

    pub fn status(status: &'static str, body: &str) -> Answer {
        Answer(status, Vec::new(), body.into())
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    pub fn page(&self) -> u64 {
        let (_, rest) = self.target.split_once("page=").unwrap_or(("", "1"));
        rest.split('&').next().unwrap().parse().unwrap()
    }
}

/// Serves until the tests end; gives the address.
pub fn serve(answer: impl Fn(&Asked) -> Answer + Send + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || while exchange(&stream, &answer).is_some() {});
        }
    });
    address
}

fn exchange(mut stream: &TcpStream, answer: &impl Fn(&Asked) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split(' ').map(str::to_owned);
    let target = words.nth(1)?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut asked = Asked { target, headers, body: String::new() };
    let mut body = vec![0; asked.header("content-length").parse().unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).unwrap();
    let Answer(status, headers, body) = answer(&asked);
    let mut head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all((head + "\r\n").as_bytes()).ok()?;
    stream.write_all(&body).ok()
}

/// Two pages of orders, and an empty one.
pub fn orders(asked: &Asked) -> Answer {
    Answer::ok(match asked.page() {
        1 => "{\"data\":[{\"order_id\":1, \"price\":1.50},{\"order_id\":2,\"price\":1e2}]}",
        2 => "{\"data\":[{\"order_id\":12345678901234567890,\"note\":\"caf\\u00e9\"}]}",
        _ => "{\"data\":[]}",
    })
}

/// A source of the stream `orders` at an address.
pub fn orders_source(address: &str) -> String {
    source(address, "{ type: none }")
}

/// As [`orders_source`], with credentials.
pub fn source(address: &str, auth: &str) -> String {
    format!(
        "version: 1
connection:
  base_url: http://{address}
  allow_private_networks: true
  auth: {auth}
  retry: {{ max_attempts: 2, backoff: 1ms }}
streams:
  orders:
    path: /orders
    records: $.data[*]
    primary_key: [order_id]
    paginate: {{ type: page }}
"
    )
}
