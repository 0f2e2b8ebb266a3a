//! Requests with their placeholders (I1).

use http::HeaderName;

use super::fault::{Checked, Within, fault};
use super::stream::Context;
use super::values::{header_name, method_of};
use crate::source::document as doc;
use crate::source::ordered::Ordered;
use crate::source::plan::{Body, Node, RequestPlan};
use crate::source::template::{Placeholder, Template, TemplateError};

impl Context<'_> {
    pub(super) fn page_request(&self, stream: &doc::Stream) -> Checked<RequestPlan> {
        let method = stream.method.unwrap_or(doc::Method::Get);
        let mut request = RequestPlan {
            method: method_of(method),
            path: self.path(&stream.path).within("path")?,
            params: self.params(&self.connection.params)?,
            headers: self.headers(&self.connection.headers)?,
            body: self.body(&stream.body, &stream.form)?,
            is_retryable: stream.safe_to_retry.unwrap_or(method == doc::Method::Get),
        };
        let own = self.params(&stream.params).within("params")?;
        request.params.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        request.params.extend(own);
        let own = self.headers(&stream.headers).within("headers")?;
        request.headers.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        request.headers.extend(own);
        Ok(request)
    }

    pub(super) fn path(&self, text: &str) -> Checked<Template> {
        if text.contains("://") {
            return Err(fault("a path stands below the base URL; it is no URL of its own"));
        }
        if text.contains('?') || text.contains('#') {
            return Err(fault("query parameters belong in `params`"));
        }
        Template::parse(text, self.params).and_then(Template::without_secrets).map_err(fault)
    }

    pub(super) fn template(&self, text: &str) -> Checked<Template> {
        Template::parse(text, self.params).map_err(fault)
    }

    pub(super) fn templates(
        &self,
        texts: &Ordered<String>,
        what: &str,
        check: fn(Template) -> Result<Template, TemplateError>,
    ) -> Checked<Vec<(String, Template)>> {
        texts
            .iter()
            .map(|(name, text)| {
                let template = Template::parse(text, self.params).and_then(check).map_err(fault);
                Ok((name.to_owned(), template.within(name)?))
            })
            .collect::<Checked<_>>()
            .within(what)
    }

    pub(super) fn params(&self, params: &Ordered<doc::Param>) -> Checked<Vec<(String, Template)>> {
        let mut pairs = Vec::new();
        for (name, value) in params.iter() {
            let values = match value {
                doc::Param::One(value) => std::slice::from_ref(value),
                doc::Param::Many(values) => values,
            };
            for value in values {
                let template = self.template(&value.to_string()).within(name)?;
                pairs.push((name.to_owned(), template));
            }
        }
        Ok(pairs)
    }

    pub(super) fn headers(
        &self,
        headers: &Ordered<String>,
    ) -> Checked<Vec<(HeaderName, Template)>> {
        headers
            .iter()
            .map(|(name, text)| {
                let template = self.template(text).within(name)?;
                Ok((header_name(name).within(name)?, template))
            })
            .collect()
    }

    pub(super) fn body(
        &self,
        body: &Option<serde_json::Value>,
        form: &Option<Ordered<String>>,
    ) -> Checked<Option<Body>> {
        match (body, form) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(fault("a request has a `body` or a `form`, not both")),
            (Some(value), None) => Ok(Some(Body::Json(self.node(value).within("body")?))),
            (None, Some(form)) => Ok(Some(Body::Form(self.templates(form, "form", Ok)?))),
        }
    }

    pub(super) fn node(&self, value: &serde_json::Value) -> Checked<Node> {
        use serde_json::Value;
        Ok(match value {
            Value::String(text) => Node::Text(self.template(text)?),
            Value::Array(values) => {
                Node::List(values.iter().map(|value| self.node(value)).collect::<Checked<_>>()?)
            }
            Value::Object(map) => Node::Map(
                map.iter()
                    .map(|(name, value)| Ok((name.clone(), self.node(value).within(name)?)))
                    .collect::<Checked<_>>()?,
            ),
            other => Node::Value(other.clone()),
        })
    }
}

impl RequestPlan {
    /// The placeholders of all its parts.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        let mut templates: Vec<&Template> = vec![&self.path];
        templates.extend(self.params.iter().map(|(_, template)| template));
        templates.extend(self.headers.iter().map(|(_, template)| template));
        match &self.body {
            None => {}
            Some(Body::Form(form)) => templates.extend(form.iter().map(|(_, template)| template)),
            Some(Body::Json(node)) => node.templates(&mut templates),
        }
        templates.into_iter().flat_map(Template::placeholders)
    }
}

impl Node {
    fn templates<'a>(&'a self, into: &mut Vec<&'a Template>) {
        match self {
            Node::Text(template) => into.push(template),
            Node::List(nodes) => nodes.iter().for_each(|node| node.templates(into)),
            Node::Map(pairs) => pairs.iter().for_each(|(_, node)| node.templates(into)),
            Node::Value(_) => {}
        }
    }
}
