//! The lines of a reference feed, such as an item master: text, validated and kept, not aggregated.

use std::path::Path;

use crate::convert::{FeedLines, Taken};
use crate::error::EngineError;
use crate::fields::Fields;
use crate::rejects::Reason;
use crate::report::Header;
use crate::rows::TextWriter;

pub(crate) struct ReferenceLines<'l> {
    columns: &'l [String],
    converted: Option<TextWriter>,
}

impl<'l> ReferenceLines<'l> {
    pub(crate) fn new(columns: &'l [String], converted: Option<&Path>) -> Result<Self, EngineError> {
        let converted = converted
            .map(|path| TextWriter::create(path, columns))
            .transpose()?;
        Ok(Self { columns, converted })
    }
}

impl FeedLines for ReferenceLines<'_> {
    fn wanted(&self) -> usize {
        self.columns.len()
    }

    fn is_header(&self, fields: &Fields, block: &[u8]) -> bool {
        let texts = fields.iter(block);
        fields.len() >= self.columns.len()
            && self
                .columns
                .iter()
                .zip(texts)
                .all(|(name, text)| is_name(text, name))
    }

    fn learn(&mut self, names: &[&[u8]]) -> Header {
        let is_by_name = names.len() >= self.columns.len()
            && self
                .columns
                .iter()
                .zip(names)
                .all(|(name, text)| is_name(text, name));
        if is_by_name {
            Header::ByName
        } else {
            Header::ByPosition
        }
    }

    fn take(&mut self, line_number: u64, fields: &Fields, block: &[u8]) -> Result<Taken, EngineError> {
        if fields.len() < self.columns.len() {
            return Ok(Taken::Reject(Reason::MissingColumn));
        }
        let mut texts = Vec::with_capacity(self.columns.len());
        for position in 0..self.columns.len() {
            match std::str::from_utf8(fields.get(block, position).unwrap_or_default()) {
                Ok(text) if !text.contains('\0') => texts.push(text),
                _ => return Ok(Taken::Reject(Reason::ReferenceText)),
            }
        }
        if let Some(converted) = &mut self.converted {
            converted.push(line_number, texts.into_iter())?;
        }
        Ok(Taken::Row)
    }

    fn days(&self) -> Option<(i32, i32)> {
        None
    }

    fn finish(self) -> Result<(), EngineError> {
        match self.converted {
            Some(converted) => converted.finish(),
            None => Ok(()),
        }
    }
}

/// Whether a header's field is the name of a column; letter case does not matter.
fn is_name(text: &[u8], name: &str) -> bool {
    text.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
}
