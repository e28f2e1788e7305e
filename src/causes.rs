//! An error message with its causes, each named once: many errors already quote their cause.

/// Joins an error and its causes with `between`. A cause that the message already contains is left out.
pub(crate) fn joined(error: &anyhow::Error, between: &str) -> String {
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
        assert_eq!(joined(&error, ": "), "cannot load: cannot write: disk full");
    }
}
