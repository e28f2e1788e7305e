//! JSON: one object a line, or one array of objects. A record is an object, or an element of the arrays in it.

mod tree;
mod values;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;

pub(super) use self::tree::decimal;
use self::tree::{Tree, parse, unescaped};
pub(crate) use self::values::{Value, values};
use super::{Ending, Record, Records};
use crate::convert::WholeText;
use crate::fields::Fields;
use crate::layout::{Json, JsonField};
use crate::rejects::Reason;
use crate::values::NegativeForm;

/// The greatest length of an object in bytes: it is held in memory, and takes up to 16 times as much there.
const LONGEST: usize = 8 << 20;

/// How many bytes of a longer object are kept.
const KEPT: usize = 4096;

/// The records of JSON.
pub(super) struct JsonRecords<'l, R> {
    input: WholeText<R>,
    json: &'l Json,
    buffer: Vec<u8>,
    /// Bytes of the buffer that belong to objects before.
    taken: usize,
    shape: Shape,
    /// Elements of the last object that have not been given out.
    elements: VecDeque<Element>,
    /// The text of that object.
    object: Vec<u8>,
    /// Whether the last object has an end.
    is_ended: bool,
    /// Why the file cannot be read to its end.
    fault: Option<String>,
}

/// How objects follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Unknown,
    Lines,
    Array,
    /// The array has ended.
    Over,
}

/// An element of an object.
struct Element {
    /// Where it stands in the object.
    range: Range<usize>,
    fields: Vec<Option<String>>,
}

/// Where the next object is in the buffer.
enum Found {
    /// It ends there; what follows it begins at the second position.
    Whole(usize, usize),
    /// More must be read.
    Unfinished,
}

impl<'l, R: Read> JsonRecords<'l, R> {
    pub(super) fn new(input: R, json: &'l Json) -> Self {
        Self {
            input: WholeText::new(input),
            json,
            buffer: Vec::new(),
            taken: 0,
            shape: Shape::Unknown,
            elements: VecDeque::new(),
            object: Vec::new(),
            is_ended: true,
            fault: None,
        }
    }

    /// Reads more bytes, and returns whether there were some.
    fn fill(&mut self) -> io::Result<bool> {
        super::fill(&mut self.buffer, &mut self.taken, &mut self.input)
    }

    /// Steps over blanks and, in an array, over what stands between objects. Returns the next byte.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        loop {
            match self.buffer.get(self.taken).copied() {
                Some(b' ' | b'\t' | b'\r' | b'\n') if self.shape != Shape::Lines => self.taken += 1,
                Some(b',') if self.shape == Shape::Array => self.taken += 1,
                Some(byte) => return Ok(Some(byte)),
                None if self.fill()? => {}
                None => return Ok(None),
            }
        }
    }

    /// Reads the text of the next object. Of one that is too long, returns the beginning, and `true`. `None` at the end.
    fn object(&mut self) -> io::Result<Option<(Vec<u8>, bool)>> {
        if self.shape == Shape::Unknown {
            match self.next_byte()? {
                Some(b'[') => {
                    self.taken += 1;
                    self.shape = Shape::Array;
                }
                _ => self.shape = Shape::Lines,
            }
        }
        let Some(first) = self.next_byte()? else {
            if self.shape == Shape::Array {
                self.fault = Some("its array of records does not end, so the file was cut".to_owned());
                self.shape = Shape::Over;
            }
            return Ok(None);
        };
        match self.shape {
            Shape::Array if first == b']' => {
                self.taken += 1;
                self.shape = Shape::Over;
                if self.next_byte()?.is_some() {
                    self.fault = Some("text follows the array of its records".to_owned());
                    // It is not looked at.
                    while self.fill()? {
                        self.taken = self.buffer.len();
                    }
                    self.taken = self.buffer.len();
                }
                return Ok(None);
            }
            Shape::Over => return Ok(None),
            _ => {}
        }
        let mut scan = Scan::default();
        let mut scanned = 0;
        let mut kept: Option<Vec<u8>> = None;
        loop {
            let rest = &self.buffer[self.taken..];
            let found = match self.shape {
                Shape::Array => scan.element(rest, &mut scanned),
                _ => line(rest, &mut scanned),
            };
            if let Found::Whole(end, behind) = found {
                let text = if kept.is_some() {
                    Vec::new()
                } else {
                    rest[..end].to_vec()
                };
                self.taken += behind;
                return Ok(Some(kept.map_or((text, false), |kept| (kept, true))));
            }
            if rest.len() > LONGEST || kept.is_some() {
                kept.get_or_insert_with(|| rest[..KEPT].to_vec());
                self.taken = self.buffer.len();
                scanned = 0;
            }
            if !self.fill()? {
                let rest = self.buffer.split_off(self.taken);
                self.is_ended = self.shape != Shape::Lines || rest.trim_ascii().is_empty();
                self.taken = self.buffer.len();
                return Ok(Some(kept.map_or((rest, false), |kept| (kept, true))));
            }
        }
    }

    /// Finds the elements of an object. Returns `false` if it is none, or if it lacks their array.
    fn explode(&mut self, tree: &Tree) -> bool {
        let array = self.json.explode.first();
        let has_array =
            array.is_none_or(|array| matches!(member(&self.object, tree, array), Some(Tree::Array(_))));
        if !has_array || !matches!(tree, Tree::Object(_)) {
            return false;
        }
        let mut parents = Vec::new();
        self.explode_below(tree, 0, &mut parents, 0..self.object.len());
        true
    }

    fn explode_below<'t>(
        &mut self,
        tree: &'t Tree,
        depth: usize,
        parents: &mut Vec<&'t Tree>,
        range: Range<usize>,
    ) {
        let json = self.json;
        parents.push(tree);
        match json.explode.get(depth) {
            None => {
                let field = |field: &JsonField| self.field(field, &*parents);
                let fields = json.fields.iter().map(field).collect();
                self.elements.push_back(Element { range, fields });
            }
            Some(array) => {
                if let Some(Tree::Array(elements)) = member(&self.object, tree, array) {
                    for (range, element) in elements {
                        self.explode_below(element, depth + 1, parents, range.clone());
                    }
                }
            }
        }
        parents.pop();
    }

    /// Returns the text of a field: the first of its paths that the record has.
    fn field(&self, field: &JsonField, parents: &[&Tree]) -> Option<String> {
        let found = field.paths.iter().find_map(|path| {
            let mut rest = &path[..];
            let mut level = 0;
            // As far as the path goes through the arrays, it goes to the element of this record.
            for (depth, array) in self.json.explode.iter().enumerate() {
                match rest.strip_prefix(&array[..]) {
                    Some(behind) if !behind.is_empty() && depth + 1 < parents.len() => {
                        rest = behind;
                        level = depth + 1;
                    }
                    _ => break,
                }
            }
            member(&self.object, parents[level], rest)
        });
        let text =
            |range: &Range<usize>| std::str::from_utf8(&self.object[range.clone()]).unwrap_or_default();
        match found {
            // What is left out is as empty as what is null.
            None | Some(Tree::Null) => Some(String::new()),
            Some(Tree::Text(range)) => Some(unescaped(text(range))),
            Some(Tree::Word(range)) => Some(text(range).to_owned()),
            Some(Tree::Number(range)) => Some(match field.amount_form {
                None => decimal(text(range)),
                // A number needs no form, whatever the settings say of texts.
                Some(form) => in_form(&decimal(text(range)), form),
            }),
            Some(Tree::Array(_) | Tree::Object(_)) => None,
        }
    }

    /// Gives out the next element of the last object.
    fn give(&mut self, record: &mut Record) -> bool {
        let Some(element) = self.elements.pop_front() else {
            return false;
        };
        let whole = &self.object[element.range];
        record.text.extend_from_slice(&whole[..whole.len().min(KEPT)]);
        set(&mut record.fields, &element.fields);
        true
    }
}

impl<R: Read> Records for JsonRecords<'_, R> {
    fn next(&mut self, record: &mut Record) -> io::Result<bool> {
        record.clear();
        if self.give(record) {
            return Ok(true);
        }
        let Some((text, is_too_long)) = self.object()? else {
            return Ok(false);
        };
        if is_too_long || text.trim_ascii().is_empty() {
            record.fault = is_too_long.then_some(Reason::LongObject);
            record.text = text;
            return Ok(true);
        }
        self.object = text;
        if parse(&self.object).is_some_and(|tree| self.explode(&tree)) {
            // An object whose arrays are empty is no record, and counts as a blank one.
            self.give(record);
            return Ok(true);
        }
        record.fault = Some(Reason::Json);
        let kept = self.object.len().min(KEPT);
        record.text.extend_from_slice(&self.object[..kept]);
        Ok(true)
    }

    fn ending(self: Box<Self>) -> Ending {
        let behind = self.input.behind();
        Ending {
            // The padding, or the mark, stands in a line of its own.
            lines: behind.lines,
            with_text: behind.with_text,
            is_ended: self.fault.is_none() && (self.is_ended || behind.is_marked),
            fault: self.fault,
        }
    }
}

/// Writes a number as the settings say that amounts are written.
fn in_form(number: &str, (mark, negative): (char, NegativeForm)) -> String {
    let mut digits = number.strip_prefix('-').unwrap_or(number).to_owned();
    if !digits.contains(['.', 'e', 'E']) {
        digits.push('.');
    }
    let digits = digits.replace('.', mark.encode_utf8(&mut [0; 4]));
    if !number.starts_with('-') {
        return digits;
    }
    match negative {
        NegativeForm::Trailing => format!("{digits}-"),
        NegativeForm::Parentheses => format!("({digits})"),
        NegativeForm::Credit => format!("{digits}CR"),
        // A sign in the last digit is of fixed positions.
        NegativeForm::Before | NegativeForm::Overpunch => format!("-{digits}"),
    }
}

fn set(fields: &mut Fields, texts: &[Option<String>]) {
    for text in texts {
        match text {
            Some(text) => {
                fields.extend(text.as_bytes());
                fields.end_field();
            }
            None => fields.lack_field(),
        }
    }
}

/// Returns what a path leads to. Of members with the same name, the last one counts, as nearly everywhere.
fn member<'t>(text: &[u8], tree: &'t Tree, path: &[String]) -> Option<&'t Tree> {
    path.iter().try_fold(tree, |tree, name| {
        let Tree::Object(members) = tree else { return None };
        let is_named = |range: &Range<usize>| {
            let raw = &text[range.clone()];
            raw == name.as_bytes()
                || (raw.contains(&b'\\') && std::str::from_utf8(raw).is_ok_and(|raw| unescaped(raw) == *name))
        };
        members
            .iter()
            .rev()
            .find(|(range, _)| is_named(range))
            .map(|(_, tree)| tree)
    })
}

/// Looks for the end of a line. `scanned` says how much was looked at before.
fn line(text: &[u8], scanned: &mut usize) -> Found {
    match memchr::memchr(b'\n', &text[*scanned..]) {
        Some(end) => Found::Whole(*scanned + end, *scanned + end + 1),
        None => {
            *scanned = text.len();
            Found::Unfinished
        }
    }
}

/// Looks for the end of an element of an array.
#[derive(Default)]
struct Scan {
    depth: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Scan {
    fn element(&mut self, text: &[u8], scanned: &mut usize) -> Found {
        while let Some(byte) = text.get(*scanned) {
            let at = *scanned;
            *scanned += 1;
            if self.is_in_text {
                match byte {
                    _ if std::mem::take(&mut self.is_escaped) => {}
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_text = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_text = true,
                b'{' | b'[' => self.depth += 1,
                // The end of the array itself.
                b']' if self.depth == 0 => return Found::Whole(at, at),
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth == 0 => return Found::Whole(at, at + 1),
                _ => {}
            }
        }
        Found::Unfinished
    }
}

#[cfg(test)]
#[path = "json/tests.rs"]
mod tests;
