//! How only what is new is read (I5).

use jiff::SignedDuration;

use super::fault::{Checked, Within, fault};
use super::values::path;
use crate::cursor::duration;
use crate::source::document as doc;
use crate::source::plan::Incremental;
use crate::source::template::Placeholder;

pub(super) fn incremental_of(
    incremental: &doc::Incremental,
    used: &[Placeholder],
) -> Checked<Incremental> {
    let format = incremental.format.clone();
    let span = |text: &Option<String>, name: &str| -> Checked<Option<SignedDuration>> {
        text.as_deref().map(|text| duration(text).map_err(fault)).transpose().within(name)
    };
    let window = span(&incremental.window, "window")?;
    let lookback = span(&incremental.lookback, "lookback")?;
    let lag = span(&incremental.lag, "lag")?;
    if !format.is_time() {
        for (name, is_there) in
            [("window", window.is_some()), ("lookback", lookback.is_some()), ("lag", lag.is_some())]
        {
            if is_there {
                return Err(fault("a duration needs a cursor that is a time: see `format`"))
                    .within(name);
            }
        }
    }
    let initial = incremental
        .initial
        .as_ref()
        .map(|initial| format.parse(&initial.to_string()).map_err(fault))
        .transpose()
        .within("initial")?;
    if window.is_some_and(|window| window.is_zero()) {
        return Err(fault("a window has a length")).within("window");
    }
    if window.is_some() && initial.is_none() {
        return Err(fault("windows need `initial`: where the first of them begins"));
    }
    let uses_window =
        used.iter().any(|p| matches!(p, Placeholder::WindowStart | Placeholder::WindowEnd));
    if window.is_some() && !uses_window {
        return Err(fault(
            "nothing uses `{window.start}` and `{window.end}`, so that every window would give the same records",
        ))
        .within("window");
    }
    let is_bounded_by_server = uses_window || used.contains(&Placeholder::CursorStart);
    let lag = match (lag, window) {
        (None, Some(_)) => Some(SignedDuration::from_mins(1)),
        (lag, _) => lag,
    };
    Ok(Incremental {
        cursor: path(&incremental.cursor).within("cursor")?,
        format,
        initial,
        lookback: lookback.unwrap_or(SignedDuration::ZERO),
        lag,
        window,
        order: incremental.order,
        is_bounded_by_server,
    })
}
