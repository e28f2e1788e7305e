//! See [`gristmill_fuzz::json`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::json(bytes));
