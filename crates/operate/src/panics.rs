//! What a program does when one of its threads panics.

use std::panic::{set_hook, take_hook};
use std::process::exit;

/// From now on, a panic in any thread ends the program: it says where it was, then `end` tells whoever observes
/// and gives the exit code. So no thread waits for one that is gone, and builds that unwind end as those that
/// abort.
pub fn exit_on_panic(end: impl Fn() -> u8 + Send + Sync + 'static) {
    let say = take_hook();
    set_hook(Box::new(move |panic| {
        say(panic);
        exit(end().into());
    }));
}

#[cfg(test)]
mod tests {
    use std::env::current_exe;
    use std::process::Command;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    #[ignore = "ends its process: `o8_a_panic_ends_the_program` runs it in one of its own"]
    fn panics_in_a_thread() {
        exit_on_panic(|| 70);
        thread::spawn(|| panic!("one plus one is three"));
        thread::sleep(Duration::from_mins(1));
    }

    #[test]
    fn o8_a_panic_ends_the_program() {
        let ended = Command::new(current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "panics::tests::panics_in_a_thread"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(70), "{said}");
        assert!(said.contains("one plus one is three"), "{said}");
        assert!(said.contains("panics.rs"), "{said}");
    }
}
