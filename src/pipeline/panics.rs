//! Contains panics: a fault of gristmill that one file or run brings out must not end the work on all others.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;

/// A panic, which only a person can do something about.
#[derive(Clone, Debug, thiserror::Error)]
#[error("gristmill failed ({0}): this is a bug; please report it with the log")]
pub(super) struct Panicked(String);

/// Runs a step, and returns its panic instead of passing it on. What the step had in hand is dropped.
pub(super) async fn contained<T>(step: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(step)
        .catch_unwind()
        .await
        .map_err(|panic| panicked(&*panic))
}

/// The same for a step on a thread that may block.
pub(super) fn contained_here<T>(step: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(step)).map_err(|panic| panicked(&*panic))
}

fn panicked(panic: &(dyn Any + Send)) -> Panicked {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Panicked(text.unwrap_or("without a message").to_owned())
}

/// A point where tests have a step panic for some subjects.
#[cfg_attr(not(feature = "failpoints"), allow(unused_variables))]
pub(super) fn panic_point(name: &'static str, subject: &str) {
    fail::fail_point!(name, subject.contains("panic"), |_| ());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step_of(number: u32) -> u32 {
        number
    }

    #[tokio::test]
    async fn a_panic_is_returned_with_its_message() {
        let step = async |number: u32| {
            assert!(number > 1, "no {number}");
            number
        };
        let error = contained(step(1)).await.unwrap_err();
        assert!(error.to_string().contains("no 1"), "{error}");
        let error = contained_here(|| assert!(step_of(1) > 1, "plain")).unwrap_err();
        assert!(error.to_string().contains("plain"), "{error}");
        assert_eq!(contained(step(2)).await.unwrap(), 2);
    }
}
