//! What a store can do about lines that could not be read, in words for whoever looks after the till.

use gristmill_engine::Reason;

/// What to do where nothing better is known.
const GENERAL: &str =
    "Look at the line in the export, correct it, and send the file again under the same name.";

/// Returns what to change at the till so that lines are no longer rejected for a reason, which is told in the words of
/// [`Reason::text`].
pub(crate) fn advice(reason: &str) -> &'static str {
    let Some(reason) = Reason::of_text(reason) else {
        return GENERAL;
    };
    match reason {
        Reason::MissingColumn => {
            "The line has fewer fields than the others. Check that the export was not cut off, and that no field is left out."
        }
        Reason::Amount => {
            "Write amounts as plain numbers with two places, such as 12.50 or -12.50: no letters, no empty field, and the \
             same decimal mark in every line."
        }
        Reason::Code => {
            "The kind of the line must be a whole number, such as 4 for a sale. Check what the till writes there."
        }
        Reason::Date => {
            "Write each date in full, in the form that your other files use, such as 2016-06-01. Check the till's clock: the \
             day must exist."
        }
        Reason::StoreEmpty => "The number of the store is empty. Set it in the till's configuration.",
        Reason::StoreTooLong => {
            "The number of the store is longer than agreed. Check it in the till's configuration."
        }
        Reason::StoreText => {
            "The number of the store contains characters that cannot be read. Enter it anew in the till."
        }
        Reason::ItemEmpty => "The number of the item is empty. Have the till refuse sales without an item.",
        Reason::ItemTooLong => {
            "The number of the item is longer than agreed. Correct it in the list of items."
        }
        Reason::ItemText => {
            "The number of the item contains characters that cannot be read. Correct it in the list of items."
        }
        Reason::ReferenceText => {
            "A field contains characters that cannot be read. Export the list with the usual encoding."
        }
        Reason::UnclosedQuote => {
            "A quotation mark is opened and not closed. Check the texts in this line and those before it."
        }
        Reason::TextAfterQuote => {
            "A field has text after its closing quotation mark. Check the texts in this line."
        }
        Reason::LongLine | Reason::LongObject => {
            "The line is far too long: line ends are probably missing. Check how the file is exported and transferred."
        }
        Reason::Kind => "The line is of a kind that was not agreed. Tell us what it stands for.",
        Reason::Json => "The line cannot be read as JSON. Check that the export was not cut off.",
        Reason::ErrorCell => {
            "A cell shows an error, such as #N/A. Correct the formula, and save the file again."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_known_by_its_words() {
        assert_ne!(advice(Reason::Amount.text()), GENERAL);
        assert_eq!(advice("an earlier version said so"), GENERAL);
    }
}
