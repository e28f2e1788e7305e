//! See [`gristmill_fuzz::infer`].
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gristmill_fuzz::infer(bytes));
