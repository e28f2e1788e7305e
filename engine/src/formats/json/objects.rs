//! What is in an object: its records, and their fields.

use std::collections::VecDeque;
use std::ops::Range;

use super::template::{Cell, CellKind, Template};
use super::tree::{Tree, decimal, parse, unescaped};
use super::{KEPT, LONGEST};
use crate::fields::Fields;
use crate::formats::Record;
use crate::layout::{Json, JsonField};
use crate::rejects::Reason;
use crate::text::without_marks;
use crate::values::NegativeForm;

/// The most kinds of objects that are remembered, and how often a new one is learned: in a file in which all objects
/// differ, that would be done for nothing.
const MOST_TEMPLATES: usize = 8;
const MOST_LEARNED: usize = 1000;

/// Reads the objects of a file.
pub(crate) struct Objects<'l> {
    json: &'l Json,
    templates: Vec<Template>,
    /// The one that the last object was like.
    recent: usize,
    learned: usize,
    values: Vec<Cell>,
    cells: Vec<Cell>,
    /// Elements of the last object that have not been given out.
    elements: VecDeque<Element>,
}

/// An element of an object.
struct Element {
    /// Where it stands in the object.
    range: Range<usize>,
    fields: Vec<Option<String>>,
}

impl<'l> Objects<'l> {
    pub(crate) fn new(json: &'l Json) -> Self {
        Self {
            json,
            templates: Vec::new(),
            recent: 0,
            learned: 0,
            values: Vec::new(),
            cells: Vec::new(),
            elements: VecDeque::new(),
        }
    }

    /// Finds the fields of an object where they stand, if it is like one that was parsed. The text must be UTF-8; without
    /// some bytes behind the object, nothing is found.
    #[inline]
    pub(crate) fn cells(&mut self, text: &[u8], object: &Range<usize>) -> Option<&[Cell]> {
        let Self {
            templates,
            recent,
            values,
            cells,
            ..
        } = self;
        if object.len() > LONGEST {
            return None;
        }
        for step in 0..templates.len() {
            let at = (*recent + step) % templates.len();
            if templates[at].find(text, object, values, cells) {
                *recent = at;
                return Some(cells);
            }
        }
        None
    }

    /// Makes a record of what [`Objects::cells`] has found in a text.
    pub(crate) fn record(&self, text: &[u8], object: &Range<usize>, record: &mut Record) {
        record.clear();
        let kept = object.end.min(object.start + KEPT);
        record.text.extend_from_slice(&text[object.start..kept]);
        for (field, cell) in self.json.fields.iter().zip(&self.cells) {
            let raw = std::str::from_utf8(&text[cell.range()]).unwrap_or_default();
            match cell.kind {
                CellKind::Whole | CellKind::Decimal => {
                    record.fields.extend(number_text(raw, field).as_bytes());
                }
                CellKind::Empty | CellKind::Text | CellKind::Word => record.fields.extend(raw.as_bytes()),
            }
            record.fields.end_field();
        }
    }

    /// Reads any object, and then gives its first record: [`Objects::give`] gives the others.
    pub(crate) fn first(&mut self, object: &[u8], record: &mut Record) -> Range<usize> {
        record.clear();
        self.elements.clear();
        let whole = 0..object.len().min(KEPT);
        let is_too_long = object.len() > LONGEST;
        if is_too_long || object.trim_ascii().is_empty() {
            record.fault = is_too_long.then_some(Reason::LongObject);
        } else {
            let unmarked = without_marks(object);
            match parse(unmarked) {
                Some(tree) if self.explode(unmarked, &tree) => {
                    self.learn(unmarked, &tree);
                    let before = object.len() - unmarked.len();
                    for element in &mut self.elements {
                        element.range = element.range.start + before..element.range.end + before;
                    }
                    // An object whose arrays are empty is no record, and counts as a blank one.
                    return self.give(object, record).unwrap_or(0..0);
                }
                _ => record.fault = Some(Reason::Json),
            }
        }
        record.text.extend_from_slice(&object[whole.clone()]);
        whole
    }

    /// Gives the next record of the last object, and returns where it stands in it.
    pub(crate) fn give(&mut self, object: &[u8], record: &mut Record) -> Option<Range<usize>> {
        let Element { range, fields } = self.elements.pop_front()?;
        record.clear();
        let kept = range.start..range.end.min(range.start + KEPT);
        record.text.extend_from_slice(&object[kept.clone()]);
        set(&mut record.fields, &fields);
        Some(kept)
    }

    /// Remembers what an object is like.
    fn learn(&mut self, object: &[u8], tree: &Tree) {
        if !self.json.explode.is_empty() || self.learned == MOST_LEARNED {
            return;
        }
        self.learned += 1;
        let field = |field: &JsonField| self.found(object, field, &[tree]);
        let fields: Vec<_> = self.json.fields.iter().map(field).collect();
        let Some(template) = Template::of(object, tree, &fields) else {
            return;
        };
        match self.templates.len() < MOST_TEMPLATES {
            true => {
                self.recent = self.templates.len();
                self.templates.push(template);
            }
            false => {
                self.recent = self.learned % MOST_TEMPLATES;
                self.templates[self.recent] = template;
            }
        }
    }

    /// Finds the elements of an object. Returns `false` if it is none, or if it lacks their array.
    fn explode(&mut self, object: &[u8], tree: &Tree) -> bool {
        let array = self.json.explode.first();
        let has_array = array.is_none_or(|array| matches!(member(object, tree, array), Some(Tree::Array(_))));
        if !has_array || !matches!(tree, Tree::Object(_)) {
            return false;
        }
        let mut parents = Vec::new();
        self.explode_below(object, tree, &mut parents, 0..object.len());
        true
    }

    fn explode_below<'t>(
        &mut self,
        object: &[u8],
        tree: &'t Tree,
        parents: &mut Vec<&'t Tree>,
        range: Range<usize>,
    ) {
        let json = self.json;
        let depth = parents.len();
        parents.push(tree);
        match json.explode.get(depth) {
            None => {
                let field = |field: &JsonField| text_of(object, self.found(object, field, parents), field);
                let fields = json.fields.iter().map(field).collect();
                self.elements.push_back(Element { range, fields });
            }
            Some(array) => {
                if let Some(Tree::Array(elements)) = member(object, tree, array) {
                    for (range, element) in elements {
                        self.explode_below(object, element, parents, range.clone());
                    }
                }
            }
        }
        parents.pop();
    }

    /// Returns the value of a field: that of the first of its paths that the record has.
    fn found<'t>(&self, object: &[u8], field: &JsonField, parents: &[&'t Tree]) -> Option<&'t Tree> {
        field.paths.iter().find_map(|path| {
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
            member(object, parents[level], rest)
        })
    }
}

/// Returns the text of a field's value. `None` if it is no single value.
fn text_of(object: &[u8], value: Option<&Tree>, field: &JsonField) -> Option<String> {
    let text = |range: &Range<usize>| std::str::from_utf8(&object[range.clone()]).unwrap_or_default();
    match value {
        // What is left out is as empty as what is null.
        None | Some(Tree::Null(_)) => Some(String::new()),
        Some(Tree::Text(range)) => Some(unescaped(text(range))),
        Some(Tree::Word(range)) => Some(text(range).to_owned()),
        Some(Tree::Number(range)) => Some(number_text(text(range), field)),
        Some(Tree::Array(_) | Tree::Object(_)) => None,
    }
}

/// Writes a number as the settings say that the field's texts are written: it needs no form, whatever they say.
fn number_text(number: &str, field: &JsonField) -> String {
    match field.amount_form {
        None => decimal(number),
        Some(form) => in_form(&decimal(number), form),
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
