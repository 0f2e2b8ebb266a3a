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

/// Whether a new arena is made of memory that is there at once (1), as it is used (0), or as the system is
/// set (2). Its place in the list is as fixed as that of the delay.
const ARENA_EAGER_COMMIT: c_int = 4;

/// Takes memory from the system as it is used, not an arena at a time: a merge of few rows then peaks at two
/// thirds, in the same time.
///
/// Called before any thread is started.
pub fn commit_as_used() {
    // SAFETY: as in `keep_freed_memory`.
    unsafe { libmimalloc_sys::mi_option_set(ARENA_EAGER_COMMIT, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The options are those that they are taken for: by default a second, and as the system is set.
    #[test]
    fn the_options_are_known_by_their_defaults() {
        // SAFETY: reads a number of the table, which no other test writes.
        let get = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert_eq!(get(), 1_000);
        keep_freed_memory();
        assert_eq!(get(), -1);

        // SAFETY: as above.
        let get = || unsafe { libmimalloc_sys::mi_option_get(ARENA_EAGER_COMMIT) };
        assert_eq!(get(), 2);
        commit_as_used();
        assert_eq!(get(), 0);
    }
}
