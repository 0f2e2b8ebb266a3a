//! Credentials that stand in a file in the open (I2): what names itself one must name where it is kept.

use serde_json::Value;

use super::fault::{Checked, Within, fault};
use crate::source::document as doc;
use crate::source::ordered::Ordered;
use crate::source::template::{Params, Part, Template};

/// What is said of a credential that is written out, in `auth` and elsewhere.
pub(crate) const WRITTEN_OUT: &str = "a credential does not stand in a file: name where it is kept, such as `${secret:env:NAME}`, \
     `${secret:file:PATH}`, `${secret:aws-sm://NAME#KEY}` or `${secret:ssm://NAME}`";

/// Refuses credentials that are written out in headers, parameters, bodies and forms, of logins too.
pub(super) fn check(document: &doc::Document, params: &Params) -> Checked<()> {
    let check = Check { params };
    let connection = &document.connection;
    check.auth(&connection.auth).within("auth").within("connection")?;
    check.texts(&connection.headers, "headers").within("connection")?;
    check.query(&connection.params).within("connection")?;
    for (name, stream) in document.streams.iter() {
        check.stream(stream).within(name).within("streams")?;
    }
    Ok(())
}

struct Check<'a> {
    params: &'a Params,
}

impl Check<'_> {
    fn auth(&self, auth: &doc::Auth) -> Checked<()> {
        match auth {
            doc::Auth::Oauth2ClientCredentials { params, .. }
            | doc::Auth::Oauth2RefreshToken { params, .. } => self.texts(params, "params"),
            doc::Auth::Session { login, .. } => self
                .texts(&login.headers, "headers")
                .and_then(|()| self.body(&login.body, &login.form))
                .within("login"),
            _ => Ok(()),
        }
    }

    fn stream(&self, stream: &doc::Stream) -> Checked<()> {
        self.texts(&stream.headers, "headers")?;
        self.query(&stream.params)?;
        self.body(&stream.body, &stream.form)?;
        let Some(job) = &stream.job else { return Ok(()) };
        self.query(&job.create.params)
            .and_then(|()| self.body(&job.create.body, &None))
            .within("create")
            .within("job")
    }

    fn texts(&self, texts: &Ordered<String>, what: &str) -> Checked<()> {
        texts.iter().try_for_each(|(name, text)| self.text(name, text).within(name)).within(what)
    }

    fn query(&self, params: &Ordered<doc::Param>) -> Checked<()> {
        params
            .iter()
            .try_for_each(|(name, value)| {
                let values = match value {
                    doc::Param::One(value) => std::slice::from_ref(value),
                    doc::Param::Many(values) => values,
                };
                values.iter().try_for_each(|value| self.text(name, &value.to_string())).within(name)
            })
            .within("params")
    }

    fn body(&self, body: &Option<Value>, form: &Option<Ordered<String>>) -> Checked<()> {
        if let Some(form) = form {
            self.texts(form, "form")?;
        }
        body.as_ref().map_or(Ok(()), |body| self.value("", body).within("body"))
    }

    fn value(&self, name: &str, value: &Value) -> Checked<()> {
        match value {
            Value::String(text) => self.text(name, text),
            Value::Number(number) => self.text(name, &number.to_string()),
            Value::Array(values) => values.iter().try_for_each(|value| self.value(name, value)),
            Value::Object(map) => {
                map.iter().try_for_each(|(name, value)| self.value(name, value).within(name))
            }
            Value::Null | Value::Bool(_) => Ok(()),
        }
    }

    fn text(&self, name: &str, text: &str) -> Checked<()> {
        match names_a_credential(name) && self.is_written_out(text) {
            true => Err(fault(WRITTEN_OUT)),
            false => Ok(()),
        }
    }

    /// Whether a text is only what stands in the file: neither a secret, nor what a run puts in.
    fn is_written_out(&self, text: &str) -> bool {
        match Template::parse(text, self.params) {
            Ok(template) => {
                !template.parts.is_empty()
                    && template.parts.iter().all(|part| matches!(part, Part::Literal(_)))
            }
            // Texts of logins have other braces.
            Err(_) => !text.contains("${secret:"),
        }
    }
}

/// Whether what is called so is a credential: by its last word, as `X-Auth-Token`, or last two, as `apiKey`.
fn names_a_credential(name: &str) -> bool {
    let words = words(name);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        // Tokens that say where to go on, and those that SAP's services are asked for.
        [.., "page" | "next" | "continuation" | "sync" | "delta" | "csrf" | "xsrf", "token"] => {
            false
        }
        [
            ..,
            "token" | "secret" | "password" | "passwd" | "pwd" | "passphrase" | "authorization"
            | "cookie" | "apikey" | "accesskey" | "secretkey" | "authkey",
        ] => true,
        [
            ..,
            "api" | "access" | "auth" | "secret" | "private" | "subscription" | "functions",
            "key",
        ] => true,
        _ => false,
    }
}

/// The words of a name, whichever way they are put together: `api_key`, `X-Api-Key`, `apiKey`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        let begins = letter.is_uppercase() && was_lower;
        was_lower = letter.is_lowercase();
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::names_a_credential;

    #[rstest]
    fn i2_names_of_credentials(
        #[values(
            "Authorization",
            "Proxy-Authorization",
            "X-Api-Key",
            "x-auth-token",
            "X-Shopify-Access-Token",
            "Ocp-Apim-Subscription-Key",
            "client_secret",
            "clientSecret",
            "password",
            "userPassword",
            "PASSWORD",
            "apiKey",
            "apikey",
            "Cookie"
        )]
        name: &str,
    ) {
        assert!(names_a_credential(name));
    }

    #[rstest]
    fn i2_names_of_other_things(
        #[values(
            "",
            "Accept",
            "page_token",
            "nextToken",
            "pageToken",
            "X-CSRF-Token",
            "token_type",
            "grant_type",
            "Idempotency-Key",
            "sort_key",
            "max_tokens",
            "key"
        )]
        name: &str,
    ) {
        assert!(!names_a_credential(name));
    }
}
