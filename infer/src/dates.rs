//! Which forms read the dates of a column, and between which of them its values cannot decide.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use gristmill_engine::ValuesSpec;
use gristmill_engine::reading::{DateRule, from_days, without_blanks};

use crate::distinct::Values;

/// Forms of days, the more usual ones first.
const DAYS: [&str; 36] = [
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%d.%m.%Y",
    "%m.%d.%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%y/%m/%d",
    "%m-%d-%y",
    "%d-%m-%y",
    "%y-%m-%d",
    "%d.%m.%y",
    "%m.%d.%y",
    "%Y%m%d",
    "%d%m%Y",
    "%m%d%Y",
    "%y%m%d",
    "%d%m%y",
    "%m%d%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %b %y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d/%b/%Y",
    "%d%b%Y",
    "%d%b%y",
    "%Y-%b-%d",
    "%Y-%j",
    "%Y%j",
    "%Y%m%d%H%M%S",
];

/// What may stand behind them.
const TIMES: [&str; 12] = [
    "",
    " %H:%M",
    " %H:%M:%S",
    "T%H:%M:%S",
    "T%H:%M",
    "T%H:%M:%S%z",
    "T%H:%M%z",
    " %H:%M:%S%z",
    " %H:%M:%S %z",
    " %I:%M %p",
    " %I:%M:%S %p",
    " %I:%M%p",
];

/// The days on which tills have been in use: 1990-01-01 to 2099-12-31.
pub(crate) const TILL_DAYS: RangeInclusive<i32> = 7_305..=47_481;

/// Sales before this time of day may belong to the day before.
const EARLY: u32 = 6 * 60;

struct Form {
    text: String,
    rule: DateRule,
    /// The mark between the parts and their order, which all dates of a till share.
    order: (char, String),
}

static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let mut forms = Vec::new();
    for day in DAYS {
        for time in TIMES {
            let text = format!("{day}{time}");
            let spec = ValuesSpec {
                dates: Some(vec![text.clone()]),
                ..ValuesSpec::default()
            };
            let Ok(rule) = DateRule::new(&spec, false) else {
                continue;
            };
            let letters = day.chars().filter(char::is_ascii_alphabetic);
            let order = letters.map(|c| if c == 'y' { 'Y' } else { c }).collect();
            let mark = day
                .chars()
                .find(|c| !c.is_ascii_alphanumeric() && *c != '%')
                .unwrap_or(' ');
            forms.push(Form {
                text,
                rule,
                order: (mark, order),
            });
        }
    }
    forms
});

/// A choice of forms that read a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) forms: Vec<String>,
    pub(crate) first: i32,
    pub(crate) last: i32,
}

/// What the dates of a column may be.
#[derive(Clone, Debug)]
pub(crate) struct DateGuess {
    /// The readings, all of which read the same values; more than one if the values cannot decide.
    pub(crate) readings: Vec<Reading>,
    /// How many records have such a date.
    pub(crate) read: u64,
    pub(crate) of: u64,
    /// Whether the values are digits alone, which may be something else.
    pub(crate) is_bare: bool,
    /// Records with a time after midnight and before six.
    pub(crate) early: u64,
    /// The value that is read in several ways.
    pub(crate) example: String,
}

impl Reading {
    /// Says which days these are.
    pub(crate) fn span(&self) -> String {
        match self.first == self.last {
            true => format!("the day is then {}", from_days(self.first)),
            false => format!(
                "the days are then {} to {}",
                from_days(self.first),
                from_days(self.last)
            ),
        }
    }
}

/// The values of one shape, and the forms that read nearly all of them.
struct Shape<'v> {
    values: Vec<(&'v str, u64)>,
    /// Numbers of forms, in groups that read the values as the same days.
    classes: Vec<Vec<usize>>,
}

/// Returns what the dates of a column may be. `None` if they are no dates.
pub(crate) fn guess(values: &Values) -> Option<DateGuess> {
    let mut shapes: BTreeMap<String, Shape<'_>> = BTreeMap::new();
    for (text, count) in &values.list {
        let shape = shapes.entry(shape(text)).or_insert_with(|| Shape {
            values: Vec::new(),
            classes: Vec::new(),
        });
        shape.values.push((text, *count));
    }
    // What has many shapes is no date.
    if shapes.len() > 40 {
        return None;
    }
    for shape in shapes.values_mut() {
        shape.classes = classes(&shape.values);
    }
    let known = shapes.values().filter(|shape| !shape.classes.is_empty());
    let read: u64 = known
        .clone()
        .flat_map(|shape| &shape.values)
        .map(|(_, count)| count)
        .sum();
    if read == 0 || read * 10 < values.filled * 9 {
        return None;
    }
    let shapes: Vec<&Shape<'_>> = known.collect();
    let mut orders: Vec<(char, Vec<String>)> = Vec::new();
    for shape in &shapes {
        let (mark, _) = FORMS[shape.classes[0][0]].order;
        let own: Vec<String> = shape
            .classes
            .iter()
            .map(|class| FORMS[class[0]].order.1.clone())
            .collect();
        match orders.iter_mut().find(|(known, _)| *known == mark) {
            None => orders.push((mark, own)),
            Some((_, known)) => {
                let both: Vec<_> = known
                    .iter()
                    .filter(|order| own.contains(order))
                    .cloned()
                    .collect();
                // Where they have nothing in common, their texts differ in more than the order.
                if !both.is_empty() {
                    *known = both;
                }
            }
        }
    }
    let open = orders.iter().position(|(_, orders)| orders.len() > 1);
    let chosen = open.map_or(vec![None], |at| {
        orders[at]
            .1
            .iter()
            .map(|order| Some((orders[at].0, order)))
            .collect()
    });
    let mut readings: Vec<Reading> = chosen
        .into_iter()
        .map(|chosen| reading(&shapes, &orders, chosen))
        .collect();
    // The days of a file lie close to each other.
    readings.sort_by_key(|reading| reading.last - reading.first);
    let open_mark = open.map(|at| orders[at].0);
    let example = shapes
        .iter()
        .find(|shape| Some(FORMS[shape.classes[0][0]].order.0) == open_mark);
    let early = |form: &Form, text: &str| {
        form.rule
            .day_and_minute(text)
            .and_then(|(_, minute)| minute)
            .is_some_and(|minute| minute < EARLY)
    };
    let early = shapes.iter().flat_map(|shape| {
        let form = &FORMS[shape.classes[0][0]];
        shape
            .values
            .iter()
            .filter(move |(text, _)| early(form, text))
            .map(|(_, count)| count)
    });
    Some(DateGuess {
        read,
        of: values.filled,
        is_bare: shapes
            .iter()
            .all(|shape| shape.values[0].0.bytes().all(|byte| byte.is_ascii_digit())),
        early: early.sum(),
        example: example.map_or_else(String::new, |shape| shape.values[0].0.to_owned()),
        readings,
    })
}

/// Returns the shape of a text: the lengths of its numbers, where they matter, and its marks.
fn shape(text: &str) -> String {
    let mut shape = String::new();
    let mut digits = 0;
    let mut is_word = false;
    for c in text.chars().chain(std::iter::once('\0')).take(60) {
        if c.is_ascii_digit() {
            digits += 1;
            is_word = false;
            continue;
        }
        match std::mem::take(&mut digits) {
            0 => {}
            1 | 2 => shape.push('9'),
            length => shape.push_str(&format!("<{length}>")),
        }
        match c.is_ascii_alphabetic() {
            true if is_word => {}
            true => shape.push('a'),
            false if c == '\0' => {}
            false => shape.push(c),
        }
        is_word = c.is_ascii_alphabetic();
    }
    shape
}

/// Returns the forms that read nearly all values of a shape, in groups that read them as the same days.
fn classes(values: &[(&str, u64)]) -> Vec<Vec<usize>> {
    // Some of the values decide which forms are worth a look at all.
    let few: Vec<&str> = values.iter().take(20).map(|(text, _)| *text).collect();
    let (mut best, mut found): (u64, Vec<usize>) = (0, Vec::new());
    for (number, form) in FORMS.iter().enumerate() {
        if !few.iter().any(|text| day(form, text).is_some()) {
            continue;
        }
        let read: u64 = values
            .iter()
            .filter(|(text, _)| day(form, text).is_some())
            .map(|(_, count)| count)
            .sum();
        match read.cmp(&best) {
            std::cmp::Ordering::Greater => (best, found) = (read, vec![number]),
            std::cmp::Ordering::Equal if read > 0 => found.push(number),
            _ => {}
        }
    }
    let all: u64 = values.iter().map(|(_, count)| count).sum();
    if best * 10 < all * 9 {
        return Vec::new();
    }
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for number in found {
        let reads = |other: usize| {
            values
                .iter()
                .all(|(text, _)| day(&FORMS[number], text) == day(&FORMS[other], text))
        };
        match classes.iter_mut().find(|class| reads(class[0])) {
            Some(class) => class.push(number),
            None => classes.push(vec![number]),
        }
    }
    classes
}

/// Returns the day of a text, if tills have been in use then.
fn day(form: &Form, text: &str) -> Option<i32> {
    let (day, _) = form.rule.day_and_minute(without_blanks(text))?;
    TILL_DAYS.contains(&day).then_some(day)
}

/// Returns the forms that read all shapes if the open mark has the chosen order.
fn reading(
    shapes: &[&Shape<'_>],
    orders: &[(char, Vec<String>)],
    chosen: Option<(char, &String)>,
) -> Reading {
    let mut reading = Reading {
        forms: Vec::new(),
        first: i32::MAX,
        last: i32::MIN,
    };
    for shape in shapes {
        let fits = |class: &&Vec<usize>| {
            let (mark, order) = &FORMS[class[0]].order;
            match chosen {
                Some((of, chosen)) if of == *mark => order == chosen,
                _ => orders
                    .iter()
                    .any(|(known, orders)| known == mark && orders.first() == Some(order)),
            }
        };
        let class = shape.classes.iter().find(fits).unwrap_or(&shape.classes[0]);
        let form = &FORMS[class[0]];
        if !reading.forms.contains(&form.text) {
            reading.forms.push(form.text.clone());
        }
        for day in shape.values.iter().filter_map(|(text, _)| day(form, text)) {
            reading.first = reading.first.min(day);
            reading.last = reading.last.max(day);
        }
    }
    reading
}
