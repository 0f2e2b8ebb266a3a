//! The `auth` of a document → the settings of an authenticator (I3).

use std::collections::BTreeMap;

use super::compile::{Checked, WRITTEN_OUT, Within, fault};
use super::document::{self as doc, ClientAuth, TokenPlace};
use super::ordered::Ordered;
use super::template::{Params, Part, Template};
use crate::auth::{
    ApiKeySettings, AuthSettings, AwsSigv4Settings, BasicSettings, BearerSettings,
    ClientCredentialsSettings, CredentialsIn, LoginBody, LoginRequest, Place, RefreshTokenSettings,
    SessionSettings, Text, TokenFrom, TokenPlacement,
};
use crate::cursor::duration;
use url::Url;

/// The settings that a document's `auth` says.
pub(crate) fn settings(auth: &doc::Auth, base_url: &Url, params: &Params) -> Checked<AuthSettings> {
    let text = |value: &str, name: &str| self::text(value, params).within(name);
    Ok(match auth {
        doc::Auth::None {} => AuthSettings::None,
        doc::Auth::ApiKey { place, name, value } => AuthSettings::ApiKey(ApiKeySettings {
            place: place_of(*place),
            name: name.clone(),
            value: credential(value, "value", params)?,
        }),
        doc::Auth::Bearer { token } => {
            AuthSettings::Bearer(BearerSettings { token: credential(token, "token", params)? })
        }
        doc::Auth::Basic { username, password } => {
            let username = text(username, "username")?;
            let has_reference = username.references().next().is_some();
            // Many APIs take their key as the user, and no password.
            let password = match password.as_str() {
                "" if has_reference => Text::default(),
                password => credential(password, "password", params)?,
            };
            AuthSettings::Basic(BasicSettings { username, password })
        }
        doc::Auth::Oauth2ClientCredentials {
            token_url,
            client_id,
            client_secret,
            scopes,
            params: more,
            client_auth,
        } => AuthSettings::Oauth2ClientCredentials(ClientCredentialsSettings {
            token_url: url(token_url, base_url, params).within("token_url")?.to_string(),
            client_id: text(client_id, "client_id")?,
            client_secret: credential(client_secret, "client_secret", params)?,
            scopes: scopes.clone(),
            audience: None,
            params: texts(more, params).within("params")?,
            credentials_in: credentials_in(*client_auth),
            scheme: "Bearer".to_owned(),
        }),
        doc::Auth::Oauth2RefreshToken {
            token_url,
            client_id,
            client_secret,
            refresh_token,
            scopes,
            params: more,
            client_auth,
        } => AuthSettings::Oauth2RefreshToken(RefreshTokenSettings {
            token_url: url(token_url, base_url, params).within("token_url")?.to_string(),
            client_id: text(client_id, "client_id")?,
            client_secret: client_secret
                .as_deref()
                .map(|secret| credential(secret, "client_secret", params))
                .transpose()?,
            refresh_token: credential(refresh_token, "refresh_token", params)?,
            scopes: scopes.clone(),
            params: texts(more, params).within("params")?,
            credentials_in: credentials_in(*client_auth),
            scheme: "Bearer".to_owned(),
        }),
        doc::Auth::Session { login, token, place, name, prefix, ttl } => {
            AuthSettings::Session(SessionSettings {
                login: login_request(login, base_url, params).within("login")?,
                token: match token.strip_prefix("header.") {
                    Some(header) => TokenFrom::Header(header.to_owned()),
                    None => TokenFrom::Json(token.clone()),
                },
                put: TokenPlacement {
                    place: place_of(*place),
                    name: name.clone().unwrap_or_else(|| "Authorization".to_owned()),
                    prefix: prefix.clone(),
                },
                ttl: match ttl {
                    None => None,
                    Some(ttl) => {
                        let ttl = duration(ttl).map_err(fault).within("ttl")?;
                        Some(ttl.try_into().map_err(fault).within("ttl")?)
                    }
                },
            })
        }
        doc::Auth::AwsSigv4 { service, region } => AuthSettings::AwsSigv4(AwsSigv4Settings {
            service: service.clone(),
            region: region.clone(),
        }),
    })
}

fn login_request(login: &doc::Login, base_url: &Url, params: &Params) -> Checked<LoginRequest> {
    let method = match login.method.unwrap_or(doc::Method::Post) {
        doc::Method::Get => "GET",
        doc::Method::Post => "POST",
        doc::Method::Put => "PUT",
    };
    let body = match (&login.body, &login.form) {
        (Some(_), Some(_)) => return Err(fault("a login has a `body` or a `form`, not both")),
        (Some(body), None) => Some(LoginBody::Json(body.clone())),
        (None, Some(form)) => Some(LoginBody::Form(texts(form, params).within("form")?)),
        (None, None) => None,
    };
    Ok(LoginRequest {
        method: method.to_owned(),
        url: url(&login.path, base_url, params).within("path")?.to_string(),
        headers: texts(&login.headers, params).within("headers")?,
        body,
    })
}

/// A whole URL, or a path below the base URL.
fn url(text: &str, base_url: &Url, params: &Params) -> Checked<Url> {
    let text = plain(text, params)?;
    if text.contains("://") {
        return Url::parse(&text).map_err(|error| fault(format!("`{text}` is no URL: {error}")));
    }
    let base = base_url.as_str().trim_end_matches('/');
    let path = text.trim_start_matches('/');
    Url::parse(&format!("{base}/{path}")).map_err(fault)
}

fn plain(text: &str, params: &Params) -> Checked<String> {
    let template = Template::parse(text, params).map_err(fault)?;
    match template.parts.as_slice() {
        [] => Ok(String::new()),
        [Part::Literal(text)] => Ok(text.clone()),
        _ => Err(fault("only `{param.NAME}` can stand here")),
    }
}

/// A text with secrets, and the parameters put in. Other braces are text: credentials may have them.
fn text(value: &str, params: &Params) -> Checked<Text> {
    let mut value = value.to_owned();
    for (name, given) in params {
        let placeholder = format!("{{param.{name}}}");
        if let (true, Some(given)) = (value.contains(&placeholder), given) {
            value = value.replace(&placeholder, given);
        }
    }
    value.parse().map_err(|error: crate::auth::TextError| fault(error))
}

/// A text that must name a secret: what is written here in the open would be in every copy of the file, and
/// nothing would know to blank it (I2).
fn credential(value: &str, name: &str, params: &Params) -> Checked<Text> {
    let text = text(value, params).within(name)?;
    if text.references().next().is_some() {
        return Ok(text);
    }
    Err(fault(WRITTEN_OUT)).within(name)
}

fn texts(values: &Ordered<String>, params: &Params) -> Checked<BTreeMap<String, Text>> {
    values
        .iter()
        .map(|(name, value)| Ok((name.to_owned(), text(value, params).within(name)?)))
        .collect()
}

fn place_of(place: TokenPlace) -> Place {
    match place {
        TokenPlace::Header => Place::Header,
        TokenPlace::Query => Place::Query,
        TokenPlace::Cookie => Place::Cookie,
    }
}

fn credentials_in(client_auth: ClientAuth) -> CredentialsIn {
    match client_auth {
        ClientAuth::Body => CredentialsIn::Body,
        ClientAuth::Basic => CredentialsIn::Basic,
    }
}
