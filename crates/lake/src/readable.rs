//! Texts for people.

/// ` (it has a, b, c)`, cut off where there are too many; empty when there are none.
pub fn choice(what: &str, names: &[String]) -> String {
    const SHOWN: usize = 12;
    match names {
        [] => String::new(),
        _ if names.len() > SHOWN => {
            format!(" ({what} {}, … {} in all)", names[..SHOWN].join(", "), names.len())
        }
        _ => format!(" ({what} {})", names.join(", ")),
    }
}
