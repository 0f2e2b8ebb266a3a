//! A small API to read from: customers by the time of their change, regions as they are now.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use url::Url;

/// The connection breaks in place of an answer.
#[derive(Debug)]
struct Dead;

impl std::fmt::Display for Dead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server is dead")
    }
}

impl std::error::Error for Dead {}

/// What the API has.
#[derive(Debug, Default)]
pub struct Api {
    /// In the order of their changes.
    customers: Vec<Value>,
    pub regions: Vec<Value>,
    /// From this page of the regions on, nothing is answered any more.
    pub dies_at_page: Option<usize>,
}

/// A server on this machine, for as long as it is kept.
pub struct Server {
    address: SocketAddr,
    api: Arc<Mutex<Api>>,
}

impl Server {
    pub fn start(runtime: &Runtime) -> Server {
        let api = Arc::new(Mutex::new(Api::default()));
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let server = Server { address: listener.local_addr().unwrap(), api };
        let api = server.api.clone();
        runtime.spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let api = api.clone();
                tokio::spawn(async move {
                    let answer = service_fn(|request| {
                        let answer =
                            api.lock().unwrap_or_else(PoisonError::into_inner).answer(&request);
                        async move { answer }
                    });
                    // A connection that breaks is what some tests are about.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                });
            }
        });
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Changes what the API has.
    pub fn change<T>(&self, change: impl FnOnce(&mut Api) -> T) -> T {
        change(&mut self.api.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Api {
    /// Puts a customer in, in place of the one of that id: the newest change of all.
    pub fn put(&mut self, customer: Value) {
        let newest = self.customers.last().map(|last| last["updated_at"].as_str().unwrap());
        assert!(newest < customer["updated_at"].as_str(), "changes come one after the other");
        self.customers.retain(|other| other["id"] != customer["id"]);
        self.customers.push(customer);
    }

    /// The customers that there are: of those that were deleted, the API only says so.
    pub fn living(&self) -> Vec<Value> {
        self.customers.iter().filter(|customer| customer["deleted"] == false).cloned().collect()
    }

    fn answer(&mut self, request: &Request<Incoming>) -> Result<Response<String>, Dead> {
        let url = Url::parse(&format!("http://api{}", request.uri())).unwrap();
        let param = |name: &str| {
            url.query_pairs().find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
        };
        let number = |name: &str| param(name).map_or(0, |text| text.parse::<usize>().unwrap());
        let (status, body) = match url.path() {
            "/v1/customers" => {
                let since = param("since").unwrap_or_default();
                let after = number("after");
                let all: Vec<&Value> = self
                    .customers
                    .iter()
                    .filter(|customer| customer["updated_at"].as_str().unwrap() >= since.as_str())
                    .collect();
                let page: Vec<&Value> = all.iter().skip(after).take(3).copied().collect();
                let end = after + page.len();
                let next = (end < all.len()).then(|| end.to_string());
                (StatusCode::OK, json!({"data": page, "next": next}))
            }
            "/v1/regions" => {
                let page = number("page");
                if self.dies_at_page.is_some_and(|at| page >= at) {
                    return Err(Dead);
                }
                let rows: Vec<&Value> = self.regions.iter().skip(2 * (page - 1)).take(2).collect();
                (StatusCode::OK, json!(rows))
            }
            _ => (StatusCode::NOT_FOUND, json!({"error": "there is no such path"})),
        };
        let response =
            Response::builder().status(status).header("content-type", "application/json");
        Ok(response.body(body.to_string()).unwrap())
    }
}
