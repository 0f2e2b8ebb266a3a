//! Requests over the network.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::guard::{OnlyPrivate, PublicOnly};
use super::{Body, Guard, Request, Response, Transport, TransportError};
use crate::error::find_cause;
use crate::source::plan::Connection;

/// The network.
pub(crate) struct Live {
    client: reqwest::Client,
    guard: Guard,
    idle_timeout: Duration,
}

impl Live {
    /// A client for a connection. It follows no redirect and unpacks nothing: that is done where the rules
    /// for it are.
    pub(crate) fn new(connection: &Connection, guard: &Guard) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("solder-ingest/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connection.connect_timeout)
            .read_timeout(connection.idle_timeout)
            .tcp_keepalive(Duration::from_secs(60))
            .pool_idle_timeout(Duration::from_secs(30));
        if !guard.allows_private_networks() {
            builder = builder.dns_resolver(PublicOnly);
        }
        let idle_timeout = connection.idle_timeout;
        Ok(Self { client: builder.build()?, guard: guard.clone(), idle_timeout })
    }

    fn failed(&self, host: &str, error: reqwest::Error) -> TransportError {
        let host = host.to_owned();
        if let Some(private) = find_cause::<OnlyPrivate>(&error) {
            return TransportError::PrivateAddress { host, address: private.address };
        }
        let (is_connect, is_timeout) = (error.is_connect(), error.is_timeout());
        let source = error.without_url().into();
        match (is_connect, is_timeout) {
            (true, _) => TransportError::Connect { host, source },
            (false, true) => TransportError::Timeout {
                host,
                what: "timeouts.idle",
                seconds: self.idle_timeout.as_secs(),
            },
            (false, false) => TransportError::Broken { host, source },
        }
    }
}

#[async_trait]
impl Transport for Live {
    async fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        if let Some(address) = self.guard.forbidden_literal(&request.url) {
            return Err(TransportError::PrivateAddress { host, address });
        }
        let mut builder = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        let response = builder.send().await.map_err(|error| self.failed(&host, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let idle_timeout = self.idle_timeout;
        Ok(Response { status, headers, body: Box::new(LiveBody { response, host, idle_timeout }) })
    }
}

struct LiveBody {
    response: reqwest::Response,
    host: String,
    idle_timeout: Duration,
}

#[async_trait]
impl Body for LiveBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        self.response.chunk().await.map_err(|error| {
            let host = self.host.clone();
            match error.is_timeout() {
                true => TransportError::Timeout {
                    host,
                    what: "timeouts.idle",
                    seconds: self.idle_timeout.as_secs(),
                },
                false => TransportError::Broken { host, source: error.without_url().into() },
            }
        })
    }
}
