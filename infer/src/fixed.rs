//! Fixed positions: how long a record is, and where its fields begin, by what stands at each position in all records.

use gristmill_engine::ValuesSpec;
use gristmill_engine::reading::DateRule;

use crate::dates::TILL_DAYS;
use crate::delimited::Line;
use crate::grid::{ColumnPosition, Grid, Row};

/// The shortest and the longest record without line ends that is looked for.
const LENGTHS: std::ops::RangeInclusive<usize> = 12..=1024;
/// The most records that decide where fields are.
const MOST: usize = 2_000;

/// Records of fixed positions.
pub(crate) struct Fixed {
    /// Their length, if nothing ends them.
    pub(crate) record_length: Option<usize>,
    pub(crate) grid: Grid,
    pub(crate) positions: Vec<ColumnPosition>,
    /// How many records have the usual length.
    pub(crate) whole: u64,
    pub(crate) all: u64,
}

/// What stands at a position in all records: shares of them.
#[derive(Clone, Copy, Default)]
struct Position {
    blank: f64,
    digit: f64,
    zero: f64,
}

/// Reads texts as records of fixed positions.
pub(crate) fn read(texts: &[String], lines: &[Line]) -> Option<Fixed> {
    let filled = lines.iter().filter(|line| !line.is_blank());
    let filled: Vec<(usize, Vec<char>)> = filled
        .map(|line| (line.file, line.text.chars().collect()))
        .collect();
    let longest = filled.iter().map(|(_, line)| line.len()).max()?;
    let per_file =
        filled.len() as f64 / texts.iter().filter(|text| !text.trim().is_empty()).count().max(1) as f64;
    if per_file < 2.0 && longest >= 2 * LENGTHS.start() {
        return blocks(texts);
    }
    let usual = usual_length(filled.iter().map(|(_, line)| line.len()))?;
    let whole = filled.iter().filter(|(_, line)| line.len() == usual).count();
    if whole * 10 < filled.len() * 7 || usual < 10 {
        return None;
    }
    Some(cut(filled, usual, None))
}

/// Reads texts without line ends, as records of the length at which they are most alike.
fn blocks(texts: &[String]) -> Option<Fixed> {
    let texts: Vec<Vec<char>> = texts
        .iter()
        .map(|text| {
            text.trim_end_matches(['\r', '\n', '\0', '\u{1a}'])
                .chars()
                .collect()
        })
        .collect();
    let filled: Vec<&Vec<char>> = texts.iter().filter(|text| !text.is_empty()).collect();
    let fits = |length: &usize| filled.iter().all(|text| text.len().is_multiple_of(*length));
    let mut best: Option<(f64, usize)> = None;
    for length in LENGTHS.filter(fits) {
        let records = filled.iter().flat_map(|text| text.chunks(length)).take(MOST);
        let records: Vec<&[char]> = records.collect();
        if records.len() < 3 && filled.len() < 3 {
            continue;
        }
        let alike = (0..length).map(|at| alike(&records, at)).sum::<f64>() / length as f64;
        // A multiple of the length is as good.
        if best.is_none_or(|(most, _)| alike > most + 0.02) {
            best = Some((alike, length));
        }
    }
    let (alike, length) = best?;
    if alike < 0.8 {
        return None;
    }
    let mut lines = Vec::new();
    for (file, text) in texts.iter().enumerate() {
        lines.extend(text.chunks(length).map(|record| (file, record.to_vec())));
    }
    Some(cut(lines, length, Some(length)))
}

/// Returns the greatest share of records that have the same class of character at a position.
fn alike(records: &[&[char]], at: usize) -> f64 {
    let mut counts = [0_usize; 4];
    for record in records {
        let class = match record.get(at) {
            Some(c) if c.is_ascii_digit() => 0,
            None | Some(' ') => 1,
            Some(c) if c.is_alphabetic() => 2,
            Some(_) => 3,
        };
        counts[class] += 1;
    }
    counts.into_iter().max().unwrap_or(0) as f64 / records.len().max(1) as f64
}

fn usual_length(lengths: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts = std::collections::BTreeMap::new();
    for length in lengths {
        *counts.entry(length).or_insert(0_u64) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(length, count)| (*count, *length))
        .map(|(length, _)| length)
}

/// Cuts records into fields.
fn cut(lines: Vec<(usize, Vec<char>)>, length: usize, record_length: Option<usize>) -> Fixed {
    let all = lines.len() as u64;
    let rows: Vec<_> = lines
        .into_iter()
        .filter(|(_, line)| line.len() == length)
        .collect();
    let looked: Vec<&[char]> = rows.iter().take(MOST).map(|(_, line)| &line[..]).collect();
    let positions: Vec<Position> = (0..length).map(|at| position(&looked, at)).collect();
    let dates = dates(&looked, length);
    let mut starts: Vec<usize> = Vec::new();
    let mut from = 0;
    for (start, end) in dates.into_iter().chain([(length, length)]) {
        starts.extend(fields(&positions, from, start));
        if start < length {
            starts.push(start);
        }
        from = end;
    }
    starts.sort_unstable();
    starts.dedup();
    let ends = starts.iter().skip(1).copied().chain([length]);
    let spans: Vec<(usize, usize)> = starts.iter().copied().zip(ends).collect();
    let whole = rows.len() as u64;
    let rows = rows.into_iter().map(|(file, line)| Row {
        file,
        cells: spans
            .iter()
            .map(|(start, end)| line[*start..*end].iter().collect())
            .collect(),
    });
    Fixed {
        record_length,
        grid: Grid {
            rows: rows.collect(),
            width: spans.len(),
            others: all - whole,
            ..Grid::default()
        },
        positions: spans
            .iter()
            .map(|(start, end)| ColumnPosition::Characters(start + 1, end - start))
            .collect(),
        whole,
        all,
    }
}

fn position(records: &[&[char]], at: usize) -> Position {
    let share = |is: &dyn Fn(char) -> bool| {
        records.iter().filter(|record| is(record[at])).count() as f64 / records.len().max(1) as f64
    };
    Position {
        blank: share(&|c| c == ' '),
        digit: share(&|c| c.is_ascii_digit()),
        zero: share(&|c| c == '0' || c == ' '),
    }
}

/// Finds where dates stand: from and to.
fn dates(records: &[&[char]], length: usize) -> Vec<(usize, usize)> {
    const FORMS: [(&str, usize); 7] = [
        ("%Y-%m-%d", 10),
        ("%m/%d/%Y", 10),
        ("%d/%m/%Y", 10),
        ("%d.%m.%Y", 10),
        ("%Y%m%d", 8),
        ("%d%m%Y", 8),
        ("%m%d%Y", 8),
    ];
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (form, width) in FORMS {
        let spec = ValuesSpec {
            dates: Some(vec![form.to_owned()]),
            ..ValuesSpec::default()
        };
        let Ok(rule) = DateRule::new(&spec, false) else {
            continue;
        };
        for start in 0..(length + 1).saturating_sub(width) {
            let is_free = found
                .iter()
                .all(|(from, to)| start + width <= *from || start >= *to);
            let is_date = |record: &&&[char]| {
                let text: String = record[start..start + width].iter().collect();
                rule.read(text.as_bytes())
                    .is_some_and(|day| TILL_DAYS.contains(&day))
                    && !text.contains(' ')
            };
            // A few are enough to tell most places that are none.
            if is_free && records.iter().take(5).any(|record| is_date(&record)) {
                let read = records.iter().filter(is_date).count();
                if read * 10 >= records.len() * 9 {
                    found.push((start, start + width));
                }
            }
        }
    }
    found.sort_unstable();
    found
}

/// Finds where fields begin between two positions: texts are filled up with blanks at their right, numbers with blanks or
/// zeros at their left.
fn fields(positions: &[Position], from: usize, to: usize) -> Vec<usize> {
    let mut starts = Vec::new();
    if from >= to {
        return starts;
    }
    starts.push(from);
    let mut has_risen = false;
    let mut low = positions[from].blank;
    for at in from + 1..to {
        let (before, here) = (positions[at - 1], positions[at]);
        if here.blank > low + 0.05 {
            has_risen = true;
        }
        low = low.min(here.blank);
        let ends_text = has_risen && before.blank - here.blank > 0.25 && before.blank > 0.3;
        // Nonzero digits, and behind them the zeros that a number is filled up with.
        // Blanks behind them show that they are filled up at their right.
        let is_number = |position: &Position| position.digit > 0.9;
        let behind = positions[at..to].iter().find(|position| !is_number(position));
        let begins_number = is_number(&before)
            && is_number(&here)
            && before.zero < 0.3
            && here.zero > 0.7
            && behind.is_none_or(|behind| behind.blank < 0.5);
        if ends_text || begins_number {
            starts.push(at);
            has_risen = false;
            low = here.blank;
        }
    }
    starts
}
