//! The binary. Everything is in the library, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _scenario = {
        // A panic at a crash point ends the process at once, as a kill does, unless a test is about panics.
        if std::env::var_os("FAILPOINTS_UNWIND").is_none() {
            std::panic::set_hook(Box::new(|_| std::process::abort()));
        }
        fail::FailScenario::setup()
    };
    gristmill::cli::main()
}
