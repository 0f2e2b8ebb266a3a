//! The body of a login call, with secrets in their places.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::secrets::{Secret, SecretError, SecretRef, Vault};

use super::error::AuthError;
use super::settings::LoginBody;
use super::text::Text;

/// A body whose texts are understood.
pub(super) enum Body {
    Json(JsonText),
    Form(BTreeMap<String, Text>),
}

/// JSON whose texts may hold references.
pub(super) enum JsonText {
    Plain(Value),
    Text(Text),
    Array(Vec<JsonText>),
    Object(Vec<(String, JsonText)>),
}

impl Body {
    /// Understands the texts.
    ///
    /// # Errors
    ///
    /// A text holds something that is no reference.
    pub(super) fn new(settings: &LoginBody) -> Result<Self, AuthError> {
        Ok(match settings {
            LoginBody::Json(value) => {
                Self::Json(JsonText::new(value.clone(), "login.body.json".to_owned())?)
            }
            LoginBody::Form(pairs) => Self::Form(pairs.clone()),
        })
    }

    pub(super) fn content_type(&self) -> &'static str {
        match self {
            Self::Json(_) => "application/json",
            Self::Form(_) => "application/x-www-form-urlencoded",
        }
    }

    pub(super) fn references(&self) -> Vec<&SecretRef> {
        match self {
            Self::Json(json) => {
                let mut references = Vec::new();
                json.add_references(&mut references);
                references
            }
            Self::Form(pairs) => pairs.values().flat_map(Text::references).collect(),
        }
    }

    /// The body as it is sent.
    ///
    /// # Errors
    ///
    /// A secret cannot be read.
    pub(super) async fn resolve(&self, vault: &Vault) -> Result<Secret, SecretError> {
        match self {
            Self::Json(json) => Ok(Secret::new(json.resolve(vault).await?.to_string())),
            Self::Form(pairs) => {
                let mut resolved = Vec::with_capacity(pairs.len());
                for (name, text) in pairs {
                    resolved.push((name, text.resolve(vault).await?));
                }
                // The serializer cannot be held over an await.
                let mut form = form_urlencoded::Serializer::new(String::new());
                for (name, value) in &resolved {
                    form.append_pair(name, value.expose());
                }
                Ok(Secret::new(form.finish()))
            }
        }
    }
}

impl JsonText {
    fn new(value: Value, setting: String) -> Result<Self, AuthError> {
        Ok(match value {
            Value::String(text) => {
                Self::Text(text.parse().map_err(|source| AuthError::Text { setting, source })?)
            }
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                let items =
                    items.map(|(index, item)| Self::new(item, format!("{setting}.{index}")));
                Self::Array(items.collect::<Result<_, _>>()?)
            }
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| {
                    let value = Self::new(value, format!("{setting}.{name}"))?;
                    Ok::<_, AuthError>((name, value))
                });
                Self::Object(members.collect::<Result<_, _>>()?)
            }
            plain => Self::Plain(plain),
        })
    }

    fn add_references<'s>(&'s self, references: &mut Vec<&'s SecretRef>) {
        match self {
            Self::Plain(_) => {}
            Self::Text(text) => references.extend(text.references()),
            Self::Array(items) => items.iter().for_each(|item| item.add_references(references)),
            Self::Object(members) => {
                members.iter().for_each(|(_, value)| value.add_references(references));
            }
        }
    }

    /// Boxed, as an async function cannot hold itself; settings are not deep.
    fn resolve<'s>(
        &'s self,
        vault: &'s Vault,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Value, SecretError>> + Send + 's>> {
        Box::pin(async move {
            Ok(match self {
                Self::Plain(value) => value.clone(),
                Self::Text(text) => Value::from(text.resolve(vault).await?.expose()),
                Self::Array(items) => {
                    let mut resolved = Vec::with_capacity(items.len());
                    for item in items {
                        resolved.push(item.resolve(vault).await?);
                    }
                    Value::Array(resolved)
                }
                Self::Object(members) => {
                    let mut resolved = Map::new();
                    for (name, value) in members {
                        resolved.insert(name.clone(), value.resolve(vault).await?);
                    }
                    Value::Object(resolved)
                }
            })
        })
    }
}
