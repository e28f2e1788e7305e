//! Writes where the fields are: by the header's names, by positions, or in the file's name.

use super::Way;
use super::draft::{SettingsTable, grouped, list, quoted, share};
use super::grid::{ColumnPosition, Header};
use super::job::Job;
use super::role::{ROLES, Role};
use crate::header::is_name;

/// Writes `header_line`, `columns` and the fields.
pub(super) fn write(job: &mut Job<'_>) {
    if let Some(header) = job.best.grid.header.clone() {
        with_header(job, &header);
    } else {
        without_header(job);
    }
    missing(job);
}

/// Returns what speaks for the roles of the columns.
fn proof(job: &Job<'_>, role: Role, at: usize) -> String {
    let column = &job.best.columns[at];
    match role {
        Role::Date => column
            .date
            .as_ref()
            .map_or_else(String::new, |date| format!("{} dates", share(date.read, date.of))),
        Role::Amount => column.amount.as_ref().map_or_else(String::new, |amount| {
            format!("{} amounts", share(amount.read, amount.of))
        }),
        Role::Code => {
            let codes = column.values.list.len();
            format!(
                "{codes} {} in {} records",
                if codes == 1 { "code" } else { "codes" },
                grouped(column.values.filled)
            )
        }
        Role::Store if job.store_part.is_some() => format!(
            "the store in the name, in {} records",
            grouped(column.values.filled)
        ),
        Role::Store | Role::Item => {
            let examples = column
                .values
                .list
                .iter()
                .take(2)
                .map(|(text, _)| text.chars().take(20).collect::<String>());
            let examples: Vec<String> = examples.collect();
            let ids = column.values.list.len();
            format!(
                "{ids} {}, such as {}",
                if ids == 1 { "id" } else { "ids" },
                examples.join(", ")
            )
        }
    }
}

/// Returns the columns that may have a role, the likeliest first.
fn choices(job: &Job<'_>, role: Role) -> Vec<usize> {
    let Some(chosen) = job.best.roles.column(role) else {
        return Vec::new();
    };
    let rivals = job
        .best
        .roles
        .rivals
        .iter()
        .filter(|(of, _)| *of == role)
        .filter_map(|(_, at)| *at);
    std::iter::once(chosen).chain(rivals).collect()
}

fn with_header(job: &mut Job<'_>, header: &Header) {
    let names = header.names.clone();
    let times = |name: &str| names.iter().filter(|other| is_name(other, name)).count();
    let wide: Vec<usize> = job.best.roles.wide.iter().flatten().flatten().copied().collect();
    if header.line > 1 && header.is_steady {
        job.draft.set(
            SettingsTable::Feed,
            "header_line",
            header.line.to_string(),
            format!("it says {}", names.join(" ")),
        );
    } else if !header.is_steady {
        job.draft.lacks.push(
            "the header stands in another line in each file, under titles: header_line cannot say where"
                .to_owned(),
        );
    }
    let mut is_own = true;
    for role in ROLES {
        match choices(job, role)[..] {
            [] => {}
            [at] if times(&names[at]) == 1 => is_own &= is_name(&names[at], role.field()),
            _ => is_own = false,
        }
    }
    // Columns of tables are found by their names; a list of them would say where they are.
    let is_table = matches!(job.best.way, Way::Table { .. });
    let can_list = !is_table && names.iter().all(|name| !name.trim().is_empty());
    if (is_own && wide.is_empty() || !header.is_everywhere) && can_list {
        let trimmed = names.iter().map(|name| name.trim());
        let proof = match header.is_everywhere {
            true => "as the header names them".to_owned(),
            false => "as a header names them; some files have none".to_owned(),
        };
        job.draft
            .set(SettingsTable::Feed, "columns", list(trimmed), proof);
    }
    if is_own && can_list {
        return;
    }
    for role in ROLES {
        let found = choices(job, role);
        let Some(&at) = found.first() else { continue };
        let twice: Vec<usize> = (0..names.len())
            .filter(|other| is_name(&names[*other], &names[at]))
            .collect();
        if twice.len() > 1 {
            let question = format!(
                "{} columns are named {}: which one counts?",
                twice.len(),
                quoted(&names[at])
            );
            let choices = twice
                .iter()
                .map(|at| (format!("{{ column = {} }}", at + 1), proof(job, role, *at)))
                .collect();
            job.draft
                .ask(SettingsTable::Fields, role.field(), question, choices);
            continue;
        }
        let value = |at: &usize| list([names[*at].trim()]);
        if found.len() > 1 {
            let question = "several columns may be this";
            let choices = found
                .iter()
                .map(|at| (value(at), proof(job, role, *at)))
                .collect();
            job.draft
                .ask(SettingsTable::Fields, role.field(), question, choices);
        } else if !is_name(&names[at], role.field())
            || !(is_table || job.draft.has(SettingsTable::Feed, "columns"))
        {
            job.draft.set(
                SettingsTable::Fields,
                role.field(),
                value(&at),
                proof(job, role, at),
            );
        }
    }
}

fn without_header(job: &mut Job<'_>) {
    let is_delimited = matches!(job.best.way, Way::Delimited { .. });
    let is_wide = job.best.roles.wide.is_some();
    let mut columns: Vec<String> = (1..=job.best.grid.width)
        .map(|number| format!("other_{number}"))
        .collect();
    if job.best.grid.kinds.is_some() {
        "kind".clone_into(&mut columns[0]);
    }
    let mut proofs = Vec::new();
    for role in ROLES {
        let found = choices(job, role);
        let value = |at: &usize| position(job, *at);
        match found[..] {
            [] => {}
            [at] if is_delimited => {
                role.field().clone_into(&mut columns[at]);
                proofs.push(format!("{}: {}", role.field(), proof(job, role, at)));
            }
            [at] => {
                let (value, proof) = (value(&at), proof(job, role, at));
                job.draft.set(SettingsTable::Fields, role.field(), value, proof);
            }
            _ => {
                let choices = found
                    .iter()
                    .map(|at| (value(at), proof(job, role, *at)))
                    .collect();
                job.draft.ask(
                    SettingsTable::Fields,
                    role.field(),
                    "several columns may be this",
                    choices,
                );
            }
        }
    }
    if is_delimited && !is_wide {
        job.draft
            .set(SettingsTable::Feed, "columns", list(columns), proofs.join("; "));
    }
}

/// Writes the position of a column.
fn position(job: &Job<'_>, at: usize) -> String {
    match &job.best.positions[at] {
        ColumnPosition::Column(number) => format!("{{ column = {number} }}"),
        ColumnPosition::Characters(start, length) => format!("{{ start = {start}, length = {length} }}"),
        ColumnPosition::Path(path) => quoted(path),
    }
}

/// Writes where the fields come from that no column has.
fn missing(job: &mut Job<'_>) {
    let has_kinds = job.best.grid.kinds.is_some();
    if job.best.roles.column(Role::Store).is_none() && !has_kinds {
        let parts = job.names.maybe_stores();
        let in_name = |part: &usize| format!("{} in the name", quoted(job.names.text(*part)));
        match parts[..] {
            [] => job.draft.lacks.push(
                "fields.store_id: no column is the store, and the names have no part that is one".to_owned(),
            ),
            [part] => {
                job.store_part = Some(part);
                let captured = "{ capture = \"store\" }".to_owned();
                let rival = job
                    .best
                    .roles
                    .rivals
                    .iter()
                    .find(|(role, _)| *role == Role::Store)
                    .and_then(|(_, at)| *at);
                match rival {
                    None => {
                        let proof = format!("no column is the store, and {} is", in_name(&part));
                        job.draft.set(SettingsTable::Fields, "store_id", captured, proof);
                    }
                    Some(at) => {
                        let question = format!("the store may be {}, or a column", in_name(&part));
                        let choices = vec![
                            (captured, String::new()),
                            (position(job, at), proof(job, Role::Store, at)),
                        ];
                        job.draft
                            .ask(SettingsTable::Fields, "store_id", question, choices);
                    }
                }
            }
            _ => {
                job.store_part = Some(parts[0]);
                let all: Vec<String> = parts.iter().map(in_name).collect();
                let question = format!(
                    "no column is the store; it may be {}: write {{store}} there in files",
                    all.join(" or ")
                );
                job.draft.ask(
                    SettingsTable::Fields,
                    "store_id",
                    question,
                    vec![("{ capture = \"store\" }".to_owned(), String::new())],
                );
            }
        }
    }
    if job.best.roles.column(Role::Date).is_none() && !has_kinds {
        if job.names.has_day() {
            job.takes_day = true;
            job.draft.set(
                SettingsTable::Fields,
                "trans_date",
                "{ capture = \"date\" }",
                "no column is a date, and the name has one",
            );
        } else {
            job.draft
                .lacks
                .push("fields.trans_date: no column is a date, and the names have none".to_owned());
        }
    }
    if job.best.roles.column(Role::Item).is_none() {
        job.draft
            .lacks
            .push("fields.item_id: no column looks like items".to_owned());
    }
    if job.best.roles.wide.is_some() {
        return;
    }
    let amounts = job
        .best
        .columns
        .iter()
        .filter(|column| column.amount.as_ref().is_some_and(|amount| amount.places > 0))
        .count();
    match (
        job.best.roles.column(Role::Amount),
        job.best.roles.column(Role::Code),
    ) {
        (None, _) => job
            .draft
            .lacks
            .push("fields.amount: no column looks like amounts".to_owned()),
        (Some(_), None) if amounts > 1 => {
            let lack = format!(
                "measures: {amounts} columns are amounts, no column is a code, and no header says which are sales, taxes and discounts"
            );
            job.draft.lacks.push(lack);
        }
        (Some(_), None) => {
            let choices = vec![(
                "{ value = \"4\" }".to_owned(),
                "every record is a sale".to_owned(),
            )];
            job.draft.ask(
                SettingsTable::Fields,
                "code",
                "no column tells sales from taxes and discounts",
                choices,
            );
        }
        (Some(_), Some(_)) => {}
    }
}
