//! Finds the settings that read samples of a store: the dialect, where the fields are, and how their values are written.
//!
//! Several ways of reading the samples are tried; the one in which columns fit their roles best is written as settings.
//! What the samples cannot decide is left open: nothing is guessed in silence. Whether the settings read the samples, only
//! a conversion tells; the caller makes one.

mod amounts;
mod codes;
mod column;
mod dates;
mod delimited;
mod distinct;
mod draft;
mod fields;
mod fixed;
mod grid;
mod json;
mod kinds;
mod names;
mod role;
mod roles;
mod sample;
mod tables;
mod task;
mod values;
mod words;
mod write;

use gristmill_engine::{FeedSpec, FormatWord};

pub use sample::Sample;

use crate::column::Column;
use crate::delimited::Dialect;
use crate::grid::{ColumnPosition, Grid};
use crate::names::Names;
use crate::roles::{Elsewhere, Roles};

/// What settings are wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The feed's name.
    pub feed: String,
    /// The name of a profile, and the feed that it is to be part of.
    pub profile: Option<(String, FeedSpec)>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Inferred {
    /// The `[[feed]]` or `[[feed.profile]]` table. Keys that the samples cannot decide are comments, with the alternatives.
    pub settings: String,
    /// The same with the first of the alternatives, to see what it makes of the samples.
    pub trial: String,
    /// What the samples cannot decide, and what is missing.
    pub questions: Vec<String>,
    /// What is worth knowing.
    pub notes: Vec<String>,
    /// The length of a record in bytes, where nothing ends it.
    pub record_length: Option<usize>,
}

/// The records of each sample among which ways of reading are tried.
const FEW: usize = 400;

/// One way of reading the samples.
struct Candidate {
    way: Way,
    grid: Grid,
    positions: Vec<ColumnPosition>,
    columns: Vec<Column>,
    roles: Roles,
    /// How well the columns fit their roles, and how many records are rows.
    weight: f64,
}

/// A format, with what speaks for it.
enum Way {
    Delimited {
        dialect: Dialect,
        quotes: String,
    },
    Fixed {
        record_length: Option<usize>,
        proof: String,
    },
    Json {
        explode: Option<String>,
    },
    Table {
        format: FormatWord,
        /// Of a workbook, from 1.
        sheet: usize,
    },
}

/// Finds the settings that read samples.
pub fn infer(samples: &[Sample], wanted: &Wanted) -> Inferred {
    let unreadable = samples
        .iter()
        .filter_map(|sample| Some(format!("{}: {}", sample.name, sample.unreadable.as_ref()?)));
    let mut unreadable: Vec<String> = unreadable.collect();
    let readable = samples.iter().filter(|sample| sample.unreadable.is_none());
    // Settings say one format.
    let format = readable.clone().next().and_then(|sample| sample.table);
    let (readable, others): (Vec<&Sample>, Vec<&Sample>) =
        readable.partition(|sample| sample.table == format);
    let is_another = |sample: &&Sample| {
        let (name, kind) = (&sample.name, sample.table.map_or("text", FormatWord::word));
        format!(
            "{name}: it is {kind}, but {} is not: look at them apart",
            readable[0].name
        )
    };
    unreadable.extend(others.iter().map(is_another));
    let readable: Vec<Sample> = readable.into_iter().cloned().collect();
    let names = Names::new(readable.iter().map(|sample| sample.name.clone()).collect());
    let encoding = match format {
        None => sample::decode(&readable),
        Some(_) => sample::Found::default(),
    };
    let all = |most| match format {
        None => candidates(&encoding.texts, &names, most),
        Some(format) => of_tables(&readable, format, &names, most),
    };
    let best = all(FEW)
        .into_iter()
        .max_by(|one, other| one.weight.total_cmp(&other.weight));
    // All records have their say about the way that was chosen.
    let best = best.and_then(|best| match &best.way {
        Way::Table { sheet, .. } => all(usize::MAX)
            .into_iter()
            .find(|other| matches!(&other.way, Way::Table { sheet: of_other, .. } if of_other == sheet)),
        _ => again(&best, &encoding.texts, &names),
    });
    let Some(best) = best else {
        let mut questions = unreadable;
        questions
            .push("no records: nothing in the samples looks like lines, positions or objects".to_owned());
        return Inferred {
            questions,
            ..Inferred::default()
        };
    };
    let mut inferred = write::write(&best, &names, &encoding, &readable, wanted);
    inferred.questions.extend(unreadable);
    inferred
}

fn candidates(texts: &[String], names: &Names, most: usize) -> Vec<Candidate> {
    let files = texts.len();
    if let Some(objects) = json::objects(texts, most) {
        let exploded = objects.explode().into_iter().map(|exploded| {
            let way = Way::Json {
                explode: exploded.explode,
            };
            candidate(
                way,
                exploded.grid,
                exploded.positions,
                &exploded.typed,
                names,
                files,
            )
        });
        return exploded.collect();
    }
    let lines = delimited::lines(texts, most);
    let mut found = Vec::new();
    for delimiter in delimited::delimiters(&lines) {
        let (dialect, quotes) = delimited::quoting(&delimiter, texts, most);
        found.push(of_dialect(dialect, quotes, texts, names, most));
    }
    if let Some(fixed) = fixed::read(texts, &lines) {
        let way = Way::Fixed {
            record_length: fixed.record_length,
            proof: format!(
                "{} records have {} characters",
                draft::share(fixed.whole, fixed.all),
                fixed.positions.iter().map(ColumnPosition::length).sum::<usize>()
            ),
        };
        found.push(candidate(way, fixed.grid, fixed.positions, &[], names, files));
    }
    found
}

/// Reads the tables that samples are: each sheet is a candidate.
fn of_tables(samples: &[Sample], format: FormatWord, names: &Names, most: usize) -> Vec<Candidate> {
    let found = tables::read(samples, format, most).into_iter();
    found
        .map(|found| {
            candidate(
                found.way,
                found.grid,
                found.positions,
                &found.typed,
                names,
                samples.len(),
            )
        })
        .collect()
}

fn of_dialect(dialect: Dialect, quotes: String, texts: &[String], names: &Names, most: usize) -> Candidate {
    let grid = grid::of_lines(&dialect.read(texts, most));
    let positions = (1..=grid.width).map(ColumnPosition::Column).collect();
    candidate(
        Way::Delimited { dialect, quotes },
        grid,
        positions,
        &[],
        names,
        texts.len(),
    )
}

/// Reads all records in the way of a candidate.
fn again(best: &Candidate, texts: &[String], names: &Names) -> Option<Candidate> {
    match &best.way {
        Way::Delimited { dialect, .. } => {
            let (dialect, quotes) = delimited::quoting(&dialect.delimiter, texts, usize::MAX);
            Some(of_dialect(dialect, quotes, texts, names, usize::MAX))
        }
        Way::Json { explode } => {
            let all = candidates(texts, names, usize::MAX).into_iter();
            all.into_iter()
                .find(|other| matches!(&other.way, Way::Json { explode: of_other } if of_other == explode))
        }
        Way::Fixed { .. } => {
            let all = candidates(texts, names, usize::MAX).into_iter();
            all.into_iter()
                .find(|other| matches!(other.way, Way::Fixed { .. }))
        }
        Way::Table { .. } => None,
    }
}

fn candidate(
    way: Way,
    grid: Grid,
    positions: Vec<ColumnPosition>,
    typed: &[u64],
    names: &Names,
    files: usize,
) -> Candidate {
    let may_overpunch = matches!(way, Way::Fixed { .. });
    let columns = (0..grid.width).map(|at| {
        let name = match (&grid.header, &positions[at]) {
            (_, ColumnPosition::Path(path)) => Some(path.clone()),
            (Some(header), _) => header.names.get(at).map(|name| name.trim().to_owned()),
            (None, _) => None,
        };
        let cells: Vec<(usize, &str)> = grid
            .rows
            .iter()
            .map(|row| (row.file, row.cells[at].as_str()))
            .collect();
        Column::new(
            name,
            &cells,
            typed.get(at).copied().unwrap_or(0),
            files,
            may_overpunch,
        )
    });
    let columns: Vec<Column> = columns.collect();
    let has_others = grid.kinds.as_ref().is_some_and(|kinds| !kinds.others.is_empty());
    let elsewhere = Elsewhere {
        store: has_others || !names.maybe_stores().is_empty(),
        day: has_others || names.has_day(),
    };
    let roles = roles::assign(&columns, names, elsewhere, grid.kinds.as_ref().map(|_| 0));
    let rows = grid.rows.len() as f64;
    let share = rows / (rows + grid.others as f64).max(1.0);
    // Columns that hold nothing but marks are parts of a longer delimiter.
    let is_mark = |column: &&Column| column.values.are(|text| !text.contains(char::is_alphanumeric));
    let marks = columns.iter().filter(is_mark).count();
    Candidate {
        weight: roles.score * share - marks as f64,
        way,
        positions,
        columns,
        roles,
        grid,
    }
}
