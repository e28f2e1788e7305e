//! See [`gristmill_fuzz::archives`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::archives(bytes));
