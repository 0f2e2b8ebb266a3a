//! A client for services of AWS that need no more than a signed POST.
//!
//! ```text
//!   Service + operation + body ──▶ sign ──▶ POST ──▶ JSON, or the text of a query's answer
//!      client.rs, you are here       │        │
//!                                    │        └──▶ retry: throttled, 5xx, connection lost
//!                                    └── AWS's default chain gives credentials and region
//! ```
//!
//! The services' own SDK crates would be as large as the rest of a program. What they share is small: one
//! protocol of JSON ([`Client::call`]), one of forms ([`Client::query`]), one signature.
//!
//! # Example
//!
//! ```no_run
//! use serde_json::json;
//! use solder_operate::aws::{Client, Service};
//!
//! # async fn example() -> Result<(), solder_operate::aws::Error> {
//! let client = Client::default();
//! let table = client.call(&Service::GLUE, "GetTable", &json!({"DatabaseName": "crm", "Name": "donors"})).await?;
//! println!("{}", table["Table"]["StorageDescriptor"]["Location"]);
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod refusal;
mod service;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;

pub use client::{Client, Retries};
pub use error::{Error, Fault};
pub use refusal::{Refusal, xml_text};
pub use service::{Protocol, Service};
