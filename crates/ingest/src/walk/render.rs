//! Placeholders → request (I1). Values that are put in can change neither the path's shape nor headers.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use url::Url;

use super::Partition;
use crate::http::Request;
use crate::secrets::{SecretError, Vault};
use crate::shown;
use crate::source::plan::{Body, Connection, Node, RequestPlan};
use crate::source::template::{Part, Placeholder, Template};

/// What is escaped in a part of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':')
    .remove(b'@')
    .remove(b',');

/// The run that requests belong to.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) started: Timestamp,
}

/// Where a walk stands: what placeholders take their values from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) cursor_start: Option<String>,
    pub(crate) window: Option<(String, String)>,
    pub(crate) job_id: Option<String>,
}

/// Why no request could be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenderError {
    /// A part of the path has no value.
    #[error("`{placeholder}` in the path has no value")]
    NoValue { placeholder: String },
    /// A value would change the path's shape.
    #[error("`{placeholder}` has the value `{value}`, which cannot be part of a path")]
    Unsafe { placeholder: String, value: String },
    /// A value that no header can hold.
    #[error(
        "the header `{name}` would hold a line break or another character that headers cannot have"
    )]
    Header { name: String },
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What requests of a stream are made with.
pub(crate) struct Rendering<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) vault: &'a Vault,
    pub(crate) run: &'a Run,
    pub(crate) partition: &'a Partition,
}

/// A template's text: `None` when a placeholder has no value.
struct Rendered {
    text: String,
    has_secret: bool,
}

impl Rendering<'_> {
    /// The request of a plan, where the walk stands.
    pub(crate) async fn request(
        &self,
        plan: &RequestPlan,
        scope: &Scope,
    ) -> Result<Request, RenderError> {
        let mut url = self.connection.base_url.clone();
        let path = self.path(&plan.path, scope)?;
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&match path.strip_prefix('/') {
            Some(_) => format!("{base}{path}"),
            None if path.is_empty() => base,
            None => format!("{base}/{path}"),
        });
        for (name, template) in &plan.params {
            if let Some(value) = self.text(template, scope).await? {
                url.query_pairs_mut().append_pair(name, &value.text);
            }
        }
        let mut headers = HeaderMap::new();
        let mut body = None;
        match &plan.body {
            None => {}
            Some(Body::Json(node)) => {
                let value = Box::pin(self.node(node, scope)).await?.unwrap_or(Value::Null);
                body = Some(Bytes::from(value.to_string()));
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            Some(Body::Form(pairs)) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for (name, template) in pairs {
                    if let Some(value) = self.text(template, scope).await? {
                        form.append_pair(name, &value.text);
                    }
                }
                body = Some(Bytes::from(form.finish()));
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(header::CONTENT_TYPE, kind);
            }
        }
        for (name, template) in &plan.headers {
            if let Some(value) = self.text(template, scope).await? {
                let mut held = HeaderValue::from_str(&value.text)
                    .map_err(|_| RenderError::Header { name: name.to_string() })?;
                held.set_sensitive(value.has_secret);
                headers.insert(name, held);
            }
        }
        Ok(Request { method: plan.method.clone(), url, headers, body })
    }

    /// The text of a template that holds no secrets, `None` when a placeholder has no value.
    pub(crate) fn plain_text(&self, template: &Template, scope: &Scope) -> Option<String> {
        let mut text = String::new();
        for part in &template.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Placeholder(placeholder) => text.push_str(&self.value(placeholder, scope)?),
                Part::Secret(_) => return None,
            }
        }
        Some(text)
    }

    fn path(&self, template: &Template, scope: &Scope) -> Result<String, RenderError> {
        let mut path = String::new();
        for part in &template.parts {
            let placeholder = match part {
                Part::Literal(literal) => {
                    path.push_str(literal);
                    continue;
                }
                Part::Placeholder(placeholder) => placeholder,
                Part::Secret(_) => continue,
            };
            let value = self
                .value(placeholder, scope)
                .ok_or_else(|| RenderError::NoValue { placeholder: placeholder.to_string() })?;
            // What the source's author wrote may have slashes; what an API gave may not.
            let is_authors = matches!(placeholder, Placeholder::Partition(_));
            let segments: Vec<&str> =
                if is_authors { value.split('/').collect() } else { vec![value.as_ref()] };
            if segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
                return Err(RenderError::Unsafe {
                    placeholder: placeholder.to_string(),
                    value: shown(&value),
                });
            }
            let escaped: Vec<String> = segments
                .iter()
                .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
                .collect();
            path.push_str(&escaped.join("/"));
        }
        Ok(path)
    }

    async fn text(
        &self,
        template: &Template,
        scope: &Scope,
    ) -> Result<Option<Rendered>, RenderError> {
        let mut rendered = Rendered { text: String::new(), has_secret: false };
        for part in &template.parts {
            match part {
                Part::Literal(literal) => rendered.text.push_str(literal),
                Part::Placeholder(placeholder) => match self.value(placeholder, scope) {
                    Some(value) => rendered.text.push_str(&value),
                    None => return Ok(None),
                },
                Part::Secret(reference) => {
                    rendered.text.push_str(self.vault.get(reference).await?.expose());
                    rendered.has_secret = true;
                }
            }
        }
        Ok(Some(rendered))
    }

    async fn node(&self, node: &Node, scope: &Scope) -> Result<Option<Value>, RenderError> {
        Ok(match node {
            Node::Value(value) => Some(value.clone()),
            Node::Text(template) => {
                self.text(template, scope).await?.map(|rendered| Value::String(rendered.text))
            }
            Node::List(nodes) => {
                let mut values = Vec::with_capacity(nodes.len());
                for node in nodes {
                    values.extend(Box::pin(self.node(node, scope)).await?);
                }
                Some(Value::Array(values))
            }
            Node::Map(pairs) => {
                let mut map = serde_json::Map::new();
                for (name, node) in pairs {
                    if let Some(value) = Box::pin(self.node(node, scope)).await? {
                        map.insert(name.clone(), value);
                    }
                }
                Some(Value::Object(map))
            }
        })
    }

    fn value<'a>(&'a self, placeholder: &Placeholder, scope: &'a Scope) -> Option<Cow<'a, str>> {
        match placeholder {
            Placeholder::Partition(name) => {
                let values = &self.partition.values;
                values.iter().find(|(other, _)| other == name).map(|(_, value)| value.into())
            }
            Placeholder::Parent(path) => {
                let fields = &self.partition.parent;
                let field = fields.iter().find(|(other, _)| other == path);
                field.and_then(|(_, value)| value.as_deref().map(Cow::from))
            }
            Placeholder::CursorStart => scope.cursor_start.as_deref().map(Cow::from),
            Placeholder::WindowStart => scope.window.as_ref().map(|(start, _)| start.into()),
            Placeholder::WindowEnd => scope.window.as_ref().map(|(_, end)| end.into()),
            Placeholder::JobId => scope.job_id.as_deref().map(Cow::from),
            Placeholder::RunId => Some((&self.run.id).into()),
            Placeholder::RunStarted => Some(self.run.started.to_string().into()),
            Placeholder::RunDate => Some(self.run.started.to_string()[..10].to_owned().into()),
        }
    }
}

/// Puts a parameter into the query of a URL, in the place of one of the same name.
pub(crate) fn set_query(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(other, _)| other != name)
        .map(|(n, v)| (n.into(), v.into()))
        .collect();
    let mut pairs = url.query_pairs_mut();
    pairs.clear().extend_pairs(others).append_pair(name, value);
}
