//! The program: what is typed, what is printed.

pub(crate) mod cli;
pub(crate) mod console;
pub(crate) mod event;
pub(crate) mod expected;
pub(crate) mod lambda;
pub(crate) mod output;
pub(crate) mod signals;
