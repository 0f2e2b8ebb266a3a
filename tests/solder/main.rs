//! The programs from end to end.

mod round_trip;
