//! See [`gristmill_fuzz::kinds`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::kinds(bytes));
