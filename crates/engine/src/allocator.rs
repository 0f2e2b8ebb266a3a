//! The memory allocator, and the one place with `unsafe` code.
#![expect(unsafe_code, reason = "the allocator takes options only through its C interface")]

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Milliseconds after which freed memory goes back to the system; -1 is never. Its place in the list of
/// options is part of mimalloc's interface, which only adds to the end.
const PURGE_DELAY: c_int = 15;

/// Keeps freed memory for the next block instead of giving it back to the system: taking it again costs a
/// tenth of a run, most of it spent by the kernel on clearing pages. The peak grows by about as much.
///
/// Called before any thread is started.
pub fn keep_freed_memory() {
    let never: c_long = -1;
    // SAFETY: the function stores a number in a table of the allocator, and does nothing for an option that
    // the table does not have. It asks not to be called from two threads at once, and there is only one yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, never) }
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
