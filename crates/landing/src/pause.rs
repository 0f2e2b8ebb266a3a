//! Stages at which tests end a run (R20, M8, I13, O7): in builds with debug assertions, a run that finds
//! `SOLDER_PAUSE_AT=<stage>` says so on stderr and waits there for its end, or until there is a file
//! `SOLDER_PAUSE_UNTIL=<path>`.

/// Waits here when a test asked for it; nothing in release builds.
pub fn pause_at(stage: &str) {
    #[cfg(debug_assertions)]
    if std::env::var_os("SOLDER_PAUSE_AT").is_some_and(|wanted| wanted == stage) {
        use std::io::Write;
        use std::path::PathBuf;
        use std::time::Duration;
        let until = std::env::var_os("SOLDER_PAUSE_UNTIL").map(PathBuf::from);
        let _ = writeln!(std::io::stderr(), "paused at {stage}");
        while !until.as_ref().is_some_and(|file| file.exists()) {
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
    let _ = stage;
}
