//! An API that counts: it holds records, remembers every state they ever had, and can hold answers back or
//! break off.
//!
//! ```text
//!   GET /feed?since=T&after=TOKEN     ascending by time, all states not older than T, by whole seconds
//!   GET /window?from=A&to=B&after=…   newest first, in [A, B)
//!   GET /list?page=N                  all of them by id, a page without records at the end
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

/// One state of a record: its id, when it changed (milliseconds since 1970), how often it has changed.
pub type State = (u64, i64, u64);

/// Long enough for anything that comes at all.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What goes wrong from some request on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// Answers are held back.
    Hold {
        from_request: u64,
    },
    /// The connection breaks in the middle of the answer.
    Break {
        from_request: u64,
    },
    /// Answers say 404.
    Gone {
        from_request: u64,
    },
    /// Answers have no records.
    Empty,
}

#[derive(Clone)]
pub struct Server {
    pub address: String,
    shared: Arc<(Mutex<Data>, Condvar)>,
}

struct Data {
    records: BTreeMap<u64, (i64, u64)>,
    /// Every state that a record ever had.
    history: BTreeSet<State>,
    page_size: usize,
    pad_bytes: usize,
    fault: Fault,
    /// Requests since the fault was set.
    num_requests: u64,
    num_held: u64,
}

impl Server {
    /// Records 1 to `num_records`, changed one after the other, from two days ago to one.
    pub fn start(num_records: u64, page_size: usize, pad_bytes: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let begin = now_ms() - 2 * 86_400_000;
        let step = 86_400_000 / num_records.max(1) as i64;
        // Two at a time changed at the same moment.
        let records: BTreeMap<_, _> =
            (1..=num_records).map(|id| (id, (begin + (id as i64 / 2) * 2 * step, 0))).collect();
        let history = records.iter().map(|(id, (at, n))| (*id, *at, *n)).collect();
        let fault = Fault::None;
        let data =
            Data { records, history, page_size, pad_bytes, fault, num_requests: 0, num_held: 0 };
        let server = Server { address, shared: Arc::new((Mutex::new(data), Condvar::new())) };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = serving.clone();
                std::thread::spawn(move || while server.answer(&stream).is_some() {});
            }
        });
        server
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.shared.0.lock().unwrap()
    }

    /// All requests from now on are counted anew, and meet this fault.
    pub fn set(&self, fault: Fault) {
        let mut data = self.data();
        (data.fault, data.num_requests, data.num_held) = (fault, 0, 0);
        self.shared.1.notify_all();
    }

    pub fn num_requests(&self) -> u64 {
        self.data().num_requests
    }

    /// Waits until so many answers are held back, or until `is_over`: then it is false.
    pub fn wait_held(&self, number: u64, mut is_over: impl FnMut() -> bool) -> bool {
        let mut data = self.data();
        while data.num_held < number {
            if is_over() {
                return false;
            }
            data = self.shared.1.wait_timeout(data, Duration::from_millis(5)).unwrap().0;
        }
        true
    }

    /// Changes these records, all at the same moment: those that are there have one state more.
    pub fn change(&self, ids: impl IntoIterator<Item = u64>) {
        let mut data = self.data();
        let newest = data.records.values().map(|(at, _)| *at).max().unwrap_or(0);
        let now = now_ms();
        assert!(now > newest, "the clock stands");
        for id in ids {
            let n = data.records.get(&id).map_or(0, |(_, n)| n + 1);
            data.records.insert(id, (now, n));
            data.history.insert((id, now, n));
        }
        drop(data);
        // What begins from now on begins later, by the millisecond.
        while now_ms() <= now {
            std::hint::spin_loop();
        }
    }

    /// The states that records have now.
    pub fn now(&self) -> BTreeSet<State> {
        self.data().records.iter().map(|(id, (at, n))| (*id, *at, *n)).collect()
    }

    pub fn history(&self) -> BTreeSet<State> {
        self.data().history.clone()
    }

    /// Answers one request; `None` when the connection is over.
    fn answer(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut request = String::new();
        reader.read_line(&mut request).ok()?;
        let mut header = String::new();
        while header != "\r\n" {
            header.clear();
            if reader.read_line(&mut header).ok()? == 0 {
                return None;
            }
        }
        let target = request.split(' ').nth(1)?;
        let url = url::Url::parse(&format!("http://host{target}")).ok()?;
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();

        let mut data = self.data();
        data.num_requests += 1;
        let number = data.num_requests;
        let is_broken =
            matches!(data.fault, Fault::Break { from_request } if number >= from_request);
        if matches!(data.fault, Fault::Hold { from_request } if number >= from_request) {
            data.num_held += 1;
            self.shared.1.notify_all();
            while matches!(data.fault, Fault::Hold { .. }) {
                let (held, timeout) = self.shared.1.wait_timeout(data, PATIENCE).unwrap();
                assert!(!timeout.timed_out(), "an answer is held back for ever");
                data = held;
            }
        }
        let (status, body) = match data.fault {
            Fault::Gone { from_request } if number >= from_request => {
                ("404 Not Found", String::new())
            }
            Fault::Empty => ("200 OK", r#"{"data":[],"next":null}"#.to_owned()),
            _ => ("200 OK", data.body(url.path(), &query)),
        };
        drop(data);
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        if is_broken {
            stream.write_all(&body.as_bytes()[..body.len() / 2]).ok()?;
            stream.shutdown(std::net::Shutdown::Both).ok()?;
            return None;
        }
        stream.write_all(body.as_bytes()).ok()
    }
}

impl Data {
    fn body(&self, path: &str, query: &BTreeMap<String, String>) -> String {
        let text = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        let number = |name: &str| text(name).parse::<i64>().unwrap_or(0);
        let after = text("after").split_once('-');
        let after = after.map(|(at, id)| (at.parse::<i64>().unwrap(), id.parse::<u64>().unwrap()));
        let all = self.records.iter().map(|(id, (at, n))| (*id, *at, *n));
        let mut states: Vec<State> = match path {
            "/feed" => {
                // As many APIs do, it knows whole seconds only.
                let since: Timestamp = text("since").parse().unwrap();
                all.filter(|(_, at, _)| at / 1000 >= since.as_second())
                    .filter(|(id, at, _)| after.is_none_or(|after| (*at, *id) > after))
                    .collect()
            }
            "/window" => all
                .filter(|(_, at, _)| (number("from")..number("to")).contains(at))
                .filter(|(id, at, _)| after.is_none_or(|after| (*at, *id) < after))
                .collect(),
            "/list" => all.skip((number("page") - 1) as usize * self.page_size).collect(),
            other => panic!("nothing at {other}"),
        };
        match path {
            "/feed" => states.sort_by_key(|(id, at, _)| (*at, *id)),
            "/window" => states.sort_by_key(|(id, at, _)| std::cmp::Reverse((*at, *id))),
            _ => {}
        }
        let has_more = states.len() > self.page_size;
        states.truncate(self.page_size);
        let next = match states.last() {
            Some((id, at, _)) if has_more => format!("\"{at}-{id}\""),
            _ => "null".to_owned(),
        };
        let records: Vec<_> = states.iter().map(|state| self.record(*state)).collect();
        format!("{{\"data\":[{}],\"next\":{next}}}", records.join(","))
    }

    fn record(&self, (id, at, n): State) -> String {
        let time = Timestamp::from_millisecond(at).unwrap();
        let mut pad = vec![0; self.pad_bytes / 4 * 3];
        fastrand::Rng::with_seed(id ^ (n << 32)).fill(&mut pad);
        let pad = STANDARD.encode(pad);
        format!("{{\"id\": {id}, \"time\":\"{time}\", \"ms\":{at}, \"n\":{n}, \"pad\":\"{pad}\"}}")
    }
}

fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Reads all of a stream of bytes to its end.
pub fn read_all(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}
