//! Secrets: where they are, how they are read once, and how they stay out of every log (I2).
//!
//! ```text
//!   "${secret:aws-sm://name#json.key}"
//!              │ reference (json_key)
//!              ▼
//!           [vault] ── environment · file · Secrets Manager · Parameter Store ──▶ one fetch per name
//!              │                ▲
//!              │                └── put: a rotated value, stored before it is used (I3)
//!              ├──▶ Secret ──▶ auth ──▶ request
//!              └──▶ redact (forms) ──▶ every log, error and manifest shows `***`
//! ```
//!
//! Values never show: [`Secret`] prints `***`, errors name references and keys, and the [`Redactor`] knows
//! each value that the [`Vault`] gave out.

mod aws;
mod error;
mod file;
mod forms;
mod json_key;
mod redact;
mod reference;
mod secret;
mod vault;

#[cfg(test)]
mod aws_tests;
#[cfg(test)]
mod redact_tests;
#[cfg(test)]
pub(crate) mod test_aws;
#[cfg(test)]
mod vault_tests;

pub use error::{AwsFailure, FaultKind, SecretError};
pub use json_key::{JsonKey, JsonKeyError};
pub use redact::Redactor;
pub use reference::{ReferenceError, SecretRef};
pub use secret::Secret;
pub use vault::Vault;
