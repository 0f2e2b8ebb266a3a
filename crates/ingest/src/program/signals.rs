//! SIGTERM and SIGINT: the run commits what it can, and the program ends in time whatever it does.

use std::process;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::StopSignal;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::sync::watch;

use super::console::Console;

/// A run that has not stopped by itself after this long is ended. What it leaves behind no manifest names.
const DEADLINE: Duration = Duration::from_secs(15);

/// How long the last words may take: a log or an observer that takes nothing keeps nobody waiting.
const LAST_WORDS: Duration = Duration::from_millis(2500);

/// Tells when a signal comes; a second signal ends the program at once.
pub(crate) fn listen(console: &Arc<Console>) -> std::io::Result<StopSignal> {
    let (tell, stop) = watch::channel(0);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let console = console.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if std::mem::replace(&mut asked, true) {
                process::exit(128 + signal);
            }
            let _ = tell.send(signal);
            console.stopping();
            let console = console.clone();
            let deadline = thread::Builder::new().name("deadline".to_owned());
            let _ = deadline.spawn(move || {
                thread::sleep(DEADLINE);
                end(&console, signal);
            });
        }
    })?;
    Ok(stop)
}

/// Tells that a signal ends the program, and ends it.
fn end(console: &Arc<Console>, signal: i32) -> ! {
    let (tell, told) = channel();
    let console = console.clone();
    let telling = thread::Builder::new().name("last-words".to_owned());
    let _ = telling.spawn(move || tell.send(console.stopped(signal)));
    process::exit(told.recv_timeout(LAST_WORDS).unwrap_or(128 + signal))
}
