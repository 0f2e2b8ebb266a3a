//! Rules on answers (I7).

use super::fault::{Checked, Within, fault};
use super::values::{header_name, path, unsigned};
use crate::source::document::{self as doc, Scalar};
use crate::source::plan::Rule;

pub(super) fn rules(rules: &[doc::Rule]) -> Checked<Vec<Rule>> {
    rules.iter().enumerate().map(|(n, one)| rule(one).within(&n.to_string())).collect()
}

fn rule(rule: &doc::Rule) -> Checked<Rule> {
    let when = &rule.when;
    if when.status.is_none() && when.header.is_empty() && when.body.is_empty() {
        return Err(fault("a rule says which answers it is for: status, header or body"))
            .within("when");
    }
    let any_or = |value: &Scalar| match value.to_string() {
        any if any == "*" => None,
        text => Some(text),
    };
    let statuses = match &when.status {
        None => Vec::new(),
        Some(doc::OneOrMany::One(one)) => vec![status(one).within("status").within("when")?],
        Some(doc::OneOrMany::Many(many)) => {
            many.iter().map(status).collect::<Checked<_>>().within("status").within("when")?
        }
    };
    Ok(Rule {
        statuses,
        headers: when
            .header
            .iter()
            .map(|(name, value)| Ok((header_name(name)?, any_or(value))))
            .collect::<Checked<_>>()
            .within("header")
            .within("when")?,
        body: when
            .body
            .iter()
            .map(|(text, value)| Ok((path(text)?, any_or(value))))
            .collect::<Checked<_>>()
            .within("body")
            .within("when")?,
        action: rule.action,
        wait: rule.wait.as_deref().map(unsigned).transpose().within("wait")?,
        message: rule.message.clone(),
    })
}

/// A status, or a class such as `5xx`.
fn status(value: &Scalar) -> Checked<(u16, u16)> {
    let text = value.to_string();
    let wrong = || fault(format!("`{text}` is no status such as 404, and no class such as 5xx"));
    let range = match text.strip_suffix("xx") {
        Some(class) => {
            let first = class.parse::<u16>().map_err(|_| wrong())?.saturating_mul(100);
            (first, first.saturating_add(99))
        }
        None => {
            let status = text.parse().map_err(|_| wrong())?;
            (status, status)
        }
    };
    if (100..=599).contains(&range.0) { Ok(range) } else { Err(wrong()) }
}
