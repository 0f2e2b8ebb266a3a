//! SIGTERM and SIGINT: the run is asked to stop, and the program ends in time whatever the run does.

use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use solder_relationalize::Stop;

use crate::console::Console;

/// A run that has not stopped by itself after this long, for instance since a store does not answer, is
/// ended. What it leaves behind no manifest names, and the next run removes it.
const DEADLINE: Duration = Duration::from_secs(15);

/// How long the last words may take: a log or an observer that takes nothing keeps nobody waiting.
const LAST_WORDS: Duration = Duration::from_millis(2500);

/// Sets the flags of `stop` when a signal comes; a second signal ends the program at once.
pub(crate) fn listen(stop: &Arc<Stop>, console: &Arc<Console>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let (stop, console) = (stop.clone(), console.clone());
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked = false;
        for signal in signals.forever() {
            if std::mem::replace(&mut asked, true) {
                process::exit(128 + signal);
            }
            let flag = if signal == SIGINT { &stop.interrupt } else { &stop.terminate };
            flag.store(true, Ordering::Relaxed);
            console.stopping();
            let console = console.clone();
            let deadline = thread::Builder::new().name("deadline".to_owned());
            let _ = deadline.spawn(move || {
                thread::sleep(DEADLINE);
                end(&console, signal);
            });
        }
    })?;
    Ok(())
}

/// Ends the program when a signal comes: for commands that leave nothing half done wherever they end.
pub(crate) fn end_at_once(console: &Arc<Console>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let console = console.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            console.stopping();
            end(&console, signal);
        }
    })?;
    Ok(())
}

/// Tells that a signal ends the program, and ends it.
fn end(console: &Arc<Console>, signal: i32) -> ! {
    let (tell, told) = channel();
    let console = console.clone();
    let telling = thread::Builder::new().name("last-words".to_owned());
    let _ = telling.spawn(move || tell.send(console.stopped(signal)));
    process::exit(told.recv_timeout(LAST_WORDS).unwrap_or(128 + signal))
}
