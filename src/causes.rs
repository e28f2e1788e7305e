//! The causes of an error, each told once: many errors quote their cause in their own message.

/// An error with its causes, with `between` between them. What was said already is not said again.
pub(crate) fn told(error: &anyhow::Error, between: &str) -> String {
    let mut message = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !message.contains(&cause) {
            message.push_str(between);
            message.push_str(&cause);
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_that_the_message_quotes_is_not_told_again() {
        let error = anyhow!("disk full")
            .context("cannot write: disk full")
            .context("cannot load");
        assert_eq!(told(&error, ": "), "cannot load: cannot write: disk full");
    }
}
