//! See [`gristmill_fuzz::tables`].
#![no_main]

use std::sync::Once;

/// The crates that read tables give up with a panic now and then, which the engine catches. Without the fuzzer's hook, only
/// a panic that nobody catches stops it.
static UNHOOK: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    UNHOOK.call_once(|| drop(std::panic::take_hook()));
    gristmill_fuzz::tables(bytes);
});
