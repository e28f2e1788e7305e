//! Rows and columns: which records are rows, which line is a header, and which kinds of records there are.

use std::collections::BTreeMap;

use gristmill_engine::reading::is_name;

use crate::delimited::{Line, usual_width};
use crate::role::Role;
use crate::words;

/// The lines among which a header is looked for.
const FIRST: u64 = 20;

/// Where a column is, as the settings say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ColumnPosition {
    /// By its number, from 1.
    Column(usize),
    /// By its first character, from 1, and how many there are.
    Characters(usize, usize),
    /// By a path in JSON.
    Path(String),
}

/// A row: the file that it is in, and its cells.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) file: usize,
    pub(crate) cells: Vec<String>,
}

/// A header.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    /// Its line.
    pub(crate) line: u64,
    pub(crate) names: Vec<String>,
    /// Whether each file that has rows has one.
    pub(crate) is_everywhere: bool,
    /// Whether it stands in the same line of each.
    pub(crate) is_steady: bool,
}

/// Records of other kinds than rows.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    /// The kinds of rows.
    pub(crate) rows: Vec<String>,
    /// The records of each other kind, with how many rows stand between it and the one of its kind before.
    pub(crate) others: BTreeMap<String, Vec<Other>>,
}

/// A record of another kind.
#[derive(Clone, Debug)]
pub(crate) struct Other {
    pub(crate) file: usize,
    pub(crate) cells: Vec<String>,
    /// The rows before it, from the last record of this kind on: numbers in the list of rows.
    pub(crate) rows: std::ops::Range<usize>,
}

/// What was made of lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grid {
    pub(crate) rows: Vec<Row>,
    pub(crate) width: usize,
    pub(crate) header: Option<Header>,
    pub(crate) kinds: Option<Kinds>,
    /// Lines that begin with `--` and read as rows.
    pub(crate) dashed: Vec<String>,
    /// Marks with which lines begin that are no rows, and how many of them there are.
    pub(crate) marks: Vec<(char, u64)>,
    /// Lines that are none of these.
    pub(crate) others: u64,
}

/// Makes rows of lines.
pub(crate) fn of_lines(lines: &[Line]) -> Grid {
    let lines: Vec<&Line> = lines.iter().filter(|line| !line.is_blank()).collect();
    match kinds(&lines) {
        Some(grid) => grid,
        None => rows(&lines),
    }
}

/// Makes rows of the rows of tables, which are of one kind.
pub(crate) fn of_table(lines: &[Line]) -> Grid {
    let lines: Vec<&Line> = lines.iter().filter(|line| !line.is_blank()).collect();
    rows(&lines)
}

/// Makes rows of lines of one kind.
fn rows(lines: &[&Line]) -> Grid {
    let mut grid = Grid {
        width: usual_width(lines.iter().copied()),
        ..Grid::default()
    };
    let files = lines.iter().map(|line| line.file + 1).max().unwrap_or(0);
    let first_header = lines
        .iter()
        .find(|line| line.number <= FIRST && is_header(line))
        .or_else(|| unnamed_header(lines, grid.width));
    let names = first_header
        .and_then(|line| line.fields.clone())
        .unwrap_or_default();
    if !names.is_empty() {
        grid.width = names.len();
    }
    let repeats = |line: &Line| {
        let fields = line.fields.as_ref()?;
        let column = |name: &String| fields.iter().position(|field| is_name(field, name));
        let columns: Vec<Option<usize>> = names.iter().map(column).collect();
        let found = columns.iter().flatten().count();
        (found >= 3.min(names.len()) && found > 0).then_some(columns)
    };
    // Some files may lack the last columns of others.
    let width_of = |file: usize| usual_width(lines.iter().copied().filter(|line| line.file == file));
    let widths: Vec<usize> = (0..files).map(width_of).collect();
    let mut headers: Vec<Option<u64>> = vec![None; files];
    let mut has_rows = vec![false; files];
    let mut order: Option<(usize, Vec<Option<usize>>)> = None;
    for line in lines {
        let Some(fields) = &line.fields else {
            grid.others += 1;
            continue;
        };
        if let Some(columns) = repeats(line) {
            if headers[line.file].is_none() {
                headers[line.file] = Some(line.number);
            }
            // Names that occur twice say nothing about columns.
            let is_same = fields.len() == names.len()
                && fields
                    .iter()
                    .zip(&names)
                    .all(|(field, name)| is_name(field, name));
            order = (!is_same).then_some((line.file, columns));
            continue;
        }
        // Titles stand above a header.
        let is_usual = fields.len() == widths[line.file] && fields.len() >= 3;
        let is_title = !is_usual
            && !has_rows[line.file]
            && headers[line.file].is_none()
            && !names.is_empty()
            && fields.len() != grid.width;
        if is_title {
            continue;
        }
        let first = line.text.chars().next().unwrap_or(' ');
        if fields.len() < grid.width && !is_usual {
            if line.text.starts_with("--") {
                continue;
            }
            match matches!(first, '#' | '/' | ';' | '*' | '!' | '%') {
                true => match grid.marks.iter_mut().find(|(mark, _)| *mark == first) {
                    Some((_, count)) => *count += 1,
                    None => grid.marks.push((first, 1)),
                },
                false => grid.others += 1,
            }
            continue;
        }
        if line.text.starts_with("--") {
            grid.dashed.push(line.text.clone());
        }
        has_rows[line.file] = true;
        // Behind another header, the columns stand elsewhere.
        let cells = match order.as_ref().filter(|(file, _)| *file == line.file) {
            Some((_, columns)) => columns
                .iter()
                .map(|at| at.and_then(|at| fields.get(at)).cloned().unwrap_or_default())
                .collect(),
            None => {
                let mut cells = fields[..fields.len().min(grid.width)].to_vec();
                cells.resize(grid.width, String::new());
                cells
            }
        };
        grid.rows.push(Row {
            file: line.file,
            cells,
        });
    }
    let of_rows = || {
        headers
            .iter()
            .zip(&has_rows)
            .filter(|(_, has_rows)| **has_rows)
            .map(|(line, _)| *line)
    };
    grid.header = first_header.map(|line| Header {
        line: line.number,
        names: names.clone(),
        is_everywhere: of_rows().all(|line| line.is_some()),
        is_steady: of_rows().flatten().all(|other| other == line.number),
    });
    grid
}

/// Returns whether a line has names of columns that are known.
fn is_header(line: &&&Line) -> bool {
    let Some(fields) = &line.fields else { return false };
    let mut found: Vec<Role> = fields.iter().filter_map(|field| words::role(field)).collect();
    found.dedup();
    let measures = fields
        .iter()
        .filter(|field| words::measure(field).is_some() && words::role(field).is_none())
        .count();
    let has_number = fields.iter().any(|field| field.trim().parse::<f64>().is_ok());
    !has_number && found.len() + measures >= 3
}

/// Returns the first line if it has texts where nearly all others have numbers.
fn unnamed_header<'r, 'l>(lines: &'r [&'l Line], width: usize) -> Option<&'r &'l Line> {
    let first = lines.first()?;
    let of_file: Vec<&Line> = lines
        .iter()
        .copied()
        .filter(|line| line.file == first.file && line.width() == width)
        .collect();
    let fields = first
        .fields
        .as_ref()
        .filter(|fields| fields.len() == width && of_file.len() > 2)?;
    let has_digit = |text: &str| text.bytes().any(|byte| byte.is_ascii_digit());
    let columns = (0..width).filter(|at| {
        let filled = of_file[1..]
            .iter()
            .filter_map(|line| line.fields.as_ref())
            .filter(|fields| has_digit(&fields[*at]));
        filled.count() * 10 >= (of_file.len() - 1) * 9
    });
    let columns: Vec<usize> = columns.collect();
    let is_named = fields
        .iter()
        .all(|field| !field.trim().is_empty() && !field.contains(['.', ',']));
    (columns.len() >= 2 && is_named && fields.iter().all(|field| !has_digit(field))).then_some(first)
}

/// Tells records of several kinds apart: their first fields are few short texts, each with its own number of fields.
fn kinds(lines: &[&Line]) -> Option<Grid> {
    let mut widths: BTreeMap<&str, BTreeMap<usize, u64>> = BTreeMap::new();
    for line in lines {
        let Some(first) = line.fields.as_ref().and_then(|fields| fields.first()) else {
            continue;
        };
        let first = first.trim();
        if first.is_empty() || first.chars().count() > 4 || !first.chars().all(char::is_alphanumeric) {
            continue;
        }
        *widths.entry(first).or_default().entry(line.width()).or_default() += 1;
        if widths.len() > 8 {
            return None;
        }
    }
    let known: u64 = widths.values().flat_map(BTreeMap::values).sum();
    if widths.len() < 2 || known * 20 < lines.len() as u64 * 19 {
        return None;
    }
    let mut usual: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for (kind, of_kind) in &widths {
        let all: u64 = of_kind.values().sum();
        let (width, most) = of_kind.iter().max_by_key(|(_, count)| **count)?;
        if most * 20 < all * 19 {
            return None;
        }
        usual.insert(kind, (*width, all));
    }
    let (_, (width, _)) = usual.iter().max_by_key(|(_, (width, count))| (*count, *width))?;
    let is_row = |kind: &str| usual.get(kind).is_some_and(|(of_kind, _)| of_kind == width);
    if usual.values().all(|(of_kind, _)| of_kind == width) || *width < 3 {
        return None;
    }
    let mut grid = Grid {
        width: *width,
        ..Grid::default()
    };
    let mut others: BTreeMap<String, Vec<Other>> = BTreeMap::new();
    let mut since: BTreeMap<String, usize> = BTreeMap::new();
    let mut file = None;
    for line in lines {
        if file != Some(line.file) {
            file = Some(line.file);
            since.clear();
            for kind in usual.keys() {
                since.insert((*kind).to_owned(), grid.rows.len());
            }
        }
        let Some(fields) = &line.fields else {
            grid.others += 1;
            continue;
        };
        let kind = fields
            .first()
            .map(|first| first.trim().to_owned())
            .unwrap_or_default();
        if is_row(&kind) {
            if fields.len() < grid.width {
                grid.others += 1;
                continue;
            }
            grid.rows.push(Row {
                file: line.file,
                cells: fields[..grid.width].to_vec(),
            });
        } else if usual.contains_key(kind.as_str()) {
            let from = since.insert(kind.clone(), grid.rows.len()).unwrap_or(0);
            others.entry(kind).or_default().push(Other {
                file: line.file,
                cells: fields.clone(),
                rows: from..grid.rows.len(),
            });
        } else {
            grid.others += 1;
        }
    }
    grid.kinds = Some(Kinds {
        rows: usual
            .keys()
            .filter(|kind| is_row(kind))
            .map(|kind| (*kind).to_owned())
            .collect(),
        others,
    });
    Some(grid)
}

impl ColumnPosition {
    /// Returns how many characters it has, if it is made of some.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Characters(_, length) => *length,
            Self::Column(_) | Self::Path(_) => 0,
        }
    }
}
