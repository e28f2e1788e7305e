//! See [`gristmill_fuzz::delimited`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::delimited(bytes));
