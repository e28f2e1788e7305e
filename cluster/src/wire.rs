//! The form of protocol buffers: fields with numbers, one after the other.
//!
//! Only what Spark Connect's messages need here: integers, texts and messages in messages. A field that is not known is
//! passed over, as the form wants it.

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

/// How the value of a field is written.
const INTEGER: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const COUNTED: u8 = 2;
const FOUR_BYTES: u8 = 5;

impl Message {
    /// Makes an empty message.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Appends an integer, a truth value or the number of a word.
    pub(crate) fn int(mut self, field: u32, value: i64) -> Self {
        self.key(field, INTEGER);
        self.varint(value.cast_unsigned());
        self
    }

    /// Appends a text.
    pub(crate) fn text(mut self, field: u32, text: &str) -> Self {
        self.counted(field, text.as_bytes());
        self
    }

    /// Appends a message.
    pub(crate) fn message(mut self, field: u32, message: &Self) -> Self {
        self.counted(field, &message.0);
        self
    }

    /// Appends several messages under one number.
    pub(crate) fn messages(self, field: u32, messages: &[Self]) -> Self {
        messages
            .iter()
            .fold(self, |all, message| all.message(field, message))
    }

    /// Returns what was written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn counted(&mut self, field: u32, bytes: &[u8]) {
        self.key(field, COUNTED);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn key(&mut self, field: u32, form: u8) {
        self.varint(u64::from(field) << 3 | u64::from(form));
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// Returns the counted fields of a message, which are its texts and messages, with their numbers. `None` if it is none.
pub(crate) fn fields(mut bytes: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = read_varint(&mut bytes)?;
        let length = match (key & 7) as u8 {
            INTEGER => {
                read_varint(&mut bytes)?;
                continue;
            }
            EIGHT_BYTES => 8,
            FOUR_BYTES => 4,
            COUNTED => usize::try_from(read_varint(&mut bytes)?).ok()?,
            _ => return None,
        };
        let (value, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        if (key & 7) as u8 == COUNTED {
            fields.push((u32::try_from(key >> 3).ok()?, value));
        }
    }
    Some(fields)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_the_form_says() {
        // The examples of the form's own description, and a negative number, which takes ten bytes.
        assert_eq!(Message::new().int(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::new().text(2, "testing");
        assert_eq!(text.clone().into_bytes(), b"\x12\x07testing");
        let nested = Message::new().message(3, &Message::new().int(1, 150));
        assert_eq!(nested.into_bytes(), [0x1A, 0x03, 0x08, 0x96, 0x01]);
        assert_eq!(Message::new().int(1, -1).into_bytes().len(), 11);
        assert_eq!(
            Message::new().int(16, 1).into_bytes(),
            [0x80, 0x01, 0x01],
            "a number of two bytes"
        );
    }

    #[test]
    fn what_is_read_back_is_what_was_written_and_garbage_is_refused() {
        let message = Message::new()
            .int(7, 300)
            .text(12, "an id")
            .message(14, &Message::new())
            .into_bytes();
        assert_eq!(fields(&message).unwrap(), [(12, b"an id".as_slice()), (14, b"")]);
        for end in 1..message.len() {
            // Cut anywhere, it is either refused or has fewer fields.
            if let Some(found) = fields(&message[..end]) {
                assert!(found.len() < 2, "{end}");
            }
        }
        assert!(fields(&[0xFF; 11]).is_none() && fields(&[0x0B]).is_none());
        assert_eq!(fields(&[]).unwrap(), []);
    }
}
