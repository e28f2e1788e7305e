//! See [`gristmill_fuzz::fixed`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::fixed(bytes));
