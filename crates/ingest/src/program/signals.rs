//! SIGTERM and SIGINT: the run commits what it can, and the program ends in time whatever it does.

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use solder_ingest::StopSignal;
use tokio::sync::watch;

use super::console::Console;

/// A run that has not stopped by itself after this long is ended. What it leaves behind no manifest names.
const DEADLINE: Duration = Duration::from_secs(15);

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
                process::exit(console.stopped(signal));
            });
        }
    })?;
    Ok(stop)
}
