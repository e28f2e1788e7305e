//! Writes which kinds of records there are, what rows take from others, and which of them is a trailer.

use gristmill_engine::reading::{Amount, AmountRule};

use crate::column::Column;
use crate::draft::{SettingsTable, list, quoted};
use crate::grid::{Kinds, Other};
use crate::role::Role;
use crate::task::Task;

pub(crate) fn write(task: &mut Task<'_>) {
    let Some(kinds) = task.best.grid.kinds.clone() else {
        return;
    };
    let mut carried = Vec::new();
    let mut skipped = Vec::new();
    let mut trailers = Vec::new();
    for (kind, records) in &kinds.others {
        let trailer = trailer(task, kind, records);
        let before = carried.len();
        if trailer.is_none() {
            carry(task, kind, records, &mut carried);
        }
        match trailer {
            Some(trailer) => trailers.push(trailer),
            None if carried.len() == before => skipped.push(kind.clone()),
            None => {}
        }
    }
    for role in [Role::Store, Role::Date] {
        let name = role.field();
        if task.best.roles.column(role).is_none()
            && !carried.iter().any(|(known, _): &(String, String)| known == name)
        {
            task.draft
                .lacks
                .push(format!("records.kind: no record has {name}"));
        }
    }
    match &trailers[..] {
        [] => {}
        [Trailer::Proven(_, value, proof)] => {
            task.draft
                .set(SettingsTable::Records, "trailer", value.clone(), proof.clone())
        }
        [Trailer::Doubtful(kind, value, why), ..] => {
            skipped.push(kind.clone());
            let choices = vec![
                (String::new(), "it is none".to_owned()),
                (value.clone(), "the file was cut, and is rejected".to_owned()),
            ];
            task.draft
                .ask(SettingsTable::Records, "trailer", why.clone(), choices);
        }
        [Trailer::Proven(_, value, proof), others @ ..] => {
            task.draft
                .set(SettingsTable::Records, "trailer", value.clone(), proof.clone());
            skipped.extend(others.iter().map(|other| other.kind().to_owned()));
        }
    }
    let mut parts = vec!["column = 1".to_owned(), format!("rows = {}", list(&kinds.rows))];
    if !skipped.is_empty() {
        parts.push(format!("skip = {}", list(&skipped)));
    }
    parts.extend(carried.iter().map(|(name, value)| format!("{name} = {value}")));
    let proof = format!("{} rows; {}", task.best.grid.rows.len(), describe(&kinds));
    task.draft.set(
        SettingsTable::Records,
        "kind",
        format!("{{ {} }}", parts.join(", ")),
        proof,
    );
}

fn describe(kinds: &Kinds) -> String {
    let others = kinds
        .others
        .iter()
        .map(|(kind, records)| format!("{} of the kind {kind}", records.len()));
    others.collect::<Vec<_>>().join(", ")
}

/// Finds the fields that rows lack in records of another kind.
fn carry(task: &mut Task<'_>, kind: &str, records: &[Other], carried: &mut Vec<(String, String)>) {
    let width = records.iter().map(|other| other.cells.len()).min().unwrap_or(0);
    let files = task
        .best
        .grid
        .rows
        .iter()
        .map(|row| row.file + 1)
        .max()
        .unwrap_or(1)
        .max(records.iter().map(|other| other.file + 1).max().unwrap_or(1));
    let column = |at: usize| {
        let cells: Vec<(usize, &str)> = records
            .iter()
            .map(|other| (other.file, other.cells[at].as_str()))
            .collect();
        Column::new(None, &cells, 0, files, false)
    };
    let columns: Vec<Column> = (0..width).map(column).collect();
    let is_known = |carried: &Vec<(String, String)>, role: Role| {
        task.best.roles.column(role).is_some() || carried.iter().any(|(name, _)| name == role.field())
    };
    let value = |at: usize| format!("{{ kind = {}, column = {} }}", quoted(kind), at + 1);
    let date = (1..width).find(|at| columns[*at].date.is_some());
    if let Some(at) = date.filter(|_| !is_known(carried, Role::Date)) {
        carried.push((Role::Date.field().to_owned(), value(at)));
        if let Some(date) = &columns[at].date {
            dates(task, date);
        }
    }
    if is_known(carried, Role::Store) {
        return;
    }
    let others: Vec<usize> = (1..width)
        .filter(|at| Some(*at) != date && columns[*at].values.filled > 0)
        .collect();
    let named = others
        .iter()
        .find(|at| task.names.store_fragment(&columns[**at].constant).is_some());
    if let Some(at) = named.or(others.first()) {
        task.store_fragment = task
            .store_fragment
            .or_else(|| task.names.store_fragment(&columns[*at].constant));
        carried.push((Role::Store.field().to_owned(), value(*at)));
        if named.is_none() && others.len() > 1 {
            let lack = format!(
                "records.kind: store_id is in one of the columns {others:?} (from 0) of the records {kind}; the first is taken"
            );
            task.draft.lacks.push(lack);
        }
    }
}

/// Writes the form of dates that stand in records of another kind.
fn dates(task: &mut Task<'_>, date: &crate::dates::DateGuess) {
    match &date.readings[..] {
        [reading] if reading.forms != ["%Y-%m-%d"] => {
            task.draft.set(
                SettingsTable::Values,
                "dates",
                list(&reading.forms),
                reading.span().replace(" then", ""),
            );
        }
        [_] => {}
        readings => {
            let choices = readings
                .iter()
                .map(|reading| (list(&reading.forms), reading.span()))
                .collect();
            task.draft.ask(
                SettingsTable::Values,
                "dates",
                format!("{} may be several days", quoted(&date.example)),
                choices,
            );
        }
    }
}

/// A record that may say how many rows there are.
enum Trailer {
    /// The kind, the value of the key, and what speaks for it.
    Proven(String, String, String),
    /// The kind, the value, and what speaks against it.
    Doubtful(String, String, String),
}

impl Trailer {
    fn kind(&self) -> &str {
        match self {
            Self::Proven(kind, ..) | Self::Doubtful(kind, ..) => kind,
        }
    }
}

/// Compares the numbers in records with the rows before them.
fn trailer(task: &Task<'_>, kind: &str, records: &[Other]) -> Option<Trailer> {
    let width = records.iter().map(|other| other.cells.len()).min()?;
    let rows = &task.best.grid.rows;
    // A trailer has rows before it, and none of them belong to another file.
    if records.iter().any(|other| other.rows.is_empty()) {
        return None;
    }
    let amount = task.best.roles.column(Role::Amount)?;
    let rule = task.best.columns[amount]
        .amount
        .as_ref()
        .and_then(|guess| AmountRule::new(&guess.spec).ok())?;
    let cents = |text: &str| match rule.read(text.as_bytes()) {
        Some(Amount::Cents { cents, .. }) => Some(cents),
        _ => None,
    };
    let sum = |other: &Other| {
        rows[other.rows.clone()]
            .iter()
            .filter_map(|row| cents(&row.cells[amount]))
            .sum::<i64>()
    };
    let number = |other: &Other, at: usize| other.cells[at].trim().parse::<usize>().ok();
    let counts = (1..width).find(|at| {
        records
            .iter()
            .all(|other| number(other, *at) == Some(other.rows.len()))
    });
    let sums = (1..width).filter(|at| Some(*at) != counts).find(|at| {
        records
            .iter()
            .all(|other| cents(&other.cells[*at]) == Some(sum(other)))
    });
    let value = |lines: Option<usize>, sum: Option<usize>| {
        let mut parts = vec![format!("begins = {}", quoted(kind))];
        parts.extend(lines.map(|at| format!("lines = {}", at + 1)));
        parts.extend(sum.map(|at| format!("sum = {}", at + 1)));
        format!("{{ {} }}", parts.join(", "))
    };
    if counts.is_some() || sums.is_some() {
        let proof = format!(
            "{} say rightly how many rows come before them, or what they add up to",
            crate::draft::share(records.len() as u64, records.len() as u64)
        );
        return Some(Trailer::Proven(kind.to_owned(), value(counts, sums), proof));
    }
    let maybe = (1..width).find(|at| records.iter().all(|other| number(other, *at).is_some()))?;
    let last = records.last()?;
    let why = format!(
        "a record {kind} says {}, and {} rows come before it: is it a trailer, and was the file cut?",
        last.cells[maybe],
        last.rows.len()
    );
    Some(Trailer::Doubtful(kind.to_owned(), value(Some(maybe), None), why))
}
