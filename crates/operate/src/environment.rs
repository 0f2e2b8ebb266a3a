//! The variables that ask for observers, and those that steps of a job are given.

use url::Url;

/// What the environment says; a function, so that tests say it themselves.
#[derive(Clone, Copy)]
pub(crate) struct Environment {
    variable: fn(&str) -> Option<String>,
}

impl Environment {
    /// That of this process. A variable that is set to nothing is not set.
    pub(crate) fn process() -> Environment {
        Environment { variable: |name| std::env::var(name).ok() }
    }

    #[cfg(test)]
    pub(crate) fn of(variable: fn(&str) -> Option<String>) -> Environment {
        Environment { variable }
    }

    /// A variable, without space around it.
    pub(crate) fn get(self, name: &str) -> Option<String> {
        let text = (self.variable)(name)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Whether a variable says yes.
    pub(crate) fn is_true(self, name: &str) -> bool {
        self.get(name).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }
}

/// An address without the credentials that it may hold; nothing of what is no address.
pub(crate) fn shown(address: &str) -> String {
    let parsed = Url::parse(address).ok();
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    let Some(mut address) = parsed.filter(is_http) else { return "(no address)".to_owned() };
    // They fail for addresses without a host, and these two always have one.
    let _ = address.set_username("");
    let _ = address.set_password(None);
    address.set_query(None);
    address.to_string().trim_end_matches('/').to_owned()
}

/// The name of a command's job, where whoever starts it knows a better one than the command itself.
pub(crate) const JOB_NAME: &str = "SOLDER_JOB_NAME";

/// What a step of a job finds in its environment, beside what the job itself found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct StepEnvironment {
    /// Variables that are set.
    pub set: Vec<(&'static str, String)>,
    /// Variables that are taken away: what answers for the job is no step's.
    pub remove: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1:4318", "http://127.0.0.1:4318")]
    #[case("https://me:hidden@collector/v1/traces?key=hidden", "https://collector/v1/traces")]
    #[case("me:hidden@collector", "(no address)")]
    #[case("hidden", "(no address)")]
    fn o5_addresses_are_shown_without_credentials(#[case] address: &str, #[case] expected: &str) {
        assert_eq!(shown(address), expected);
    }
}
