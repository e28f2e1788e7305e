//! The objects of a text as values of their own, for a look at what is in them.

use std::ops::Range;

use super::tree::{Tree, decimal, parse, unescaped};
use super::{Json, JsonRecords};

/// A value of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Null, true or false.
    Empty,
    /// A text, without its escapes.
    Text(String),
    /// A number, without an exponent.
    Number(String),
    /// The elements of an array.
    List(Vec<Value>),
    /// The members of an object, in their order.
    Object(Vec<(String, Value)>),
}

/// Returns the first objects of a text, and how many of its records are none.
pub fn json_objects(text: &[u8], most: usize) -> (Vec<Value>, u64) {
    let json = Json {
        explode: Vec::new(),
        fields: Vec::new(),
    };
    let mut records = JsonRecords::new(text, &json);
    let (mut found, mut others) = (Vec::new(), 0);
    // Reading from memory does not fail.
    while found.len() < most
        && let Ok(Some((object, is_too_long))) = records.object()
    {
        if object.trim_ascii().is_empty() {
            continue;
        }
        match parse(&object).filter(|tree| !is_too_long && matches!(tree, Tree::Object(_))) {
            Some(tree) => found.push(value(&object, &tree)),
            None => others += 1,
        }
    }
    (found, others)
}

fn value(text: &[u8], tree: &Tree) -> Value {
    let raw = |range: &Range<usize>| std::str::from_utf8(&text[range.clone()]).unwrap_or_default();
    match tree {
        Tree::Null(_) | Tree::Word(_) => Value::Empty,
        Tree::Number(range) => Value::Number(decimal(raw(range))),
        Tree::Text(range) => Value::Text(unescaped(raw(range))),
        Tree::Array(elements) => Value::List(elements.iter().map(|(_, tree)| value(text, tree)).collect()),
        Tree::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, tree)| (unescaped(raw(name)), value(text, tree)))
                .collect(),
        ),
    }
}
