//! Stages at which tests kill a run (R20, M8, I13): in builds with debug assertions, a run that finds
//! `SOLDER_PAUSE_AT=<stage>` says so on stderr and waits there for its end.

/// Waits here when a test asked for it; nothing in release builds.
pub fn pause_at(stage: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os("SOLDER_PAUSE_AT").is_some_and(|wanted| wanted == stage) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "paused at {stage}");
        loop {
            std::thread::park();
        }
    }
    let _ = stage;
}
