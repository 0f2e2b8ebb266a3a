//! Places in object stores, and what may be found there.
//!
//! Solder's programs share nothing but places: a folder on disk or a prefix in S3, GCS or Azure that
//! holds immutable data files and, written last, one small manifest that makes them count.
//!
//! ```text
//!   text ──▶ Place ──▶ list · read · write · create · rename · delete · upload   keys below the place
//!   text ──▶ Input ──▶ Listing: objects in key order                             file, folder, glob, URL
//!                │        └──▶ entity_of(key): the root table that an object belongs to
//!                └──▶ Landed: parts of a landing zone, by stream, in the order of commits
//!   Place ──▶ raw/ ──▶ commits of streams: what `ingest` lands and `engine` reads
//! ```
//!
//! - [`Place`] is one folder or prefix; keys are relative to it and separated by `/`.
//! - [`Input`] is what a user names on the command line (R1); it resolves to a [`Listing`] whose order
//!   never depends on the store (R4).
//! - [`entity_of`] gives the root table that a key names (R3).
//! - [`PlaceError`] says what was being done and where, whose fault it was and whether a retry can help.
//!
//! # Example
//!
//! ```
//! use solder_landing::{Creation, Input, Place, entity_of};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let raw = Place::parse("memory://example/raw")?;
//! raw.write("orders/2.json", r#"{"id": 2}"#.into()).await?;
//! raw.write("orders/1.json", r#"{"id": 1}"#.into()).await?;
//!
//! // A commit is a file that only one writer can create.
//! assert_eq!(raw.create("_manifest.json", "{}".into()).await?, Creation::Created);
//! assert_eq!(raw.create("_manifest.json", "{}".into()).await?, Creation::AlreadyExists);
//!
//! let listing = Input::parse("memory://example/raw/*/*.json")?.objects().await?;
//! let keys: Vec<_> = listing.objects.iter().map(|object| object.key.as_str()).collect();
//! assert_eq!(keys, ["orders/1.json", "orders/2.json"]);
//! assert_eq!(entity_of(keys[0]), Some("orders"));
//! assert_eq!(listing.base.read(keys[0]).await?, r#"{"id": 1}"#);
//! # Ok::<(), solder_landing::PlaceError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aws;
mod error;
mod input;
mod layout;
mod object;
mod pause;
mod place;
pub mod raw;

pub use aws::{AwsCredentials, aws_max_attempts};
pub use error::{Action, FaultKind, PlaceError, StoreFault, causes, store_fault};
pub use input::{Input, Landed, LandedStream, Listing};
pub use layout::entity_of;
pub use object::Object;
pub use pause::pause_at;
pub use place::{Answer, Creation, Mount, ObjectStream, Place, Requests, Upload, asks_profile};
