//! See [`gristmill_fuzz::packed`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::packed(bytes));
