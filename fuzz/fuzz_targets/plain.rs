//! See [`gristmill_fuzz::plain`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::plain(bytes));
