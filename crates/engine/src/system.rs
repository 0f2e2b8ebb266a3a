//! What only C offers: the options of the allocator, the kernel's pages, signals. The one place with `unsafe` code.
#![expect(unsafe_code, reason = "the allocator and the kernel take options only through C")]

use std::ffi::{c_int, c_long};

/// Milliseconds after which freed memory goes back to the system; -1 is never. Its place in the list of
/// options is part of mimalloc's interface, which only adds to the end.
const PURGE_DELAY: c_int = 15;

/// Keeps freed memory for the next block instead of giving it back to the system: taking it again costs a
/// tenth of a run, most of it spent by the kernel on clearing pages. The peak grows by about as much.
///
/// Called before any thread is started.
pub fn keep_freed_memory() {
    set_purge_delay(-1);
}

/// Gives freed memory back to the system at once: the peak of a run over huge records is half as high.
///
/// Called before any thread is started.
pub fn return_freed_memory() {
    set_purge_delay(0);
}

fn set_purge_delay(milliseconds: c_long) {
    // SAFETY: the function stores a number in a table of the allocator, and does nothing for an option that
    // the table does not have. It asks not to be called from two threads at once, and there is only one yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) }
}

/// Asks the kernel for small pages from now on. A page of 2 MiB counts as a whole when a byte of it is used:
/// where much is allocated and freed, as in a merge, that is a third of the peak, and the run is no slower.
///
/// Called before any thread is started. Where there is no such option, nothing changes.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    // SAFETY: the call takes numbers, sets a flag of this process, and touches no memory of it.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Sends a signal to a child process that was not waited for yet, so that its id is no other's.
pub fn send_signal(child: u32, signal: i32) {
    let Ok(pid) = libc::pid_t::try_from(child) else { return };
    // SAFETY: `kill` reads its two numbers and no memory. One that has ended needs no signal, so that the
    // answer tells nothing.
    unsafe { libc::kill(pid, signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option is the one that it is taken for: its default is a second.
    #[test]
    fn the_option_is_the_delay() {
        // SAFETY: reads a number of the table, which no other test writes.
        let get = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 1_000);
        keep_freed_memory();
        assert_eq!(get(), -1);
    }
}
