//! Writes where the fields are: by the header's names, by positions, or in the file's name.

use gristmill_engine::reading::is_name;

use crate::Way;
use crate::draft::{SettingsTable, grouped, list, quoted, share};
use crate::grid::{ColumnPosition, Header};
use crate::role::{ROLES, Role};
use crate::task::Task;

/// Writes `header_line`, `columns` and the fields.
pub(crate) fn write(task: &mut Task<'_>) {
    if let Some(header) = task.best.grid.header.clone() {
        with_header(task, &header);
    } else {
        without_header(task);
    }
    missing(task);
}

/// Returns what speaks for the roles of the columns.
fn proof(task: &Task<'_>, role: Role, at: usize) -> String {
    let column = &task.best.columns[at];
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
        Role::Store if task.store_fragment.is_some() => format!(
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
fn choices(task: &Task<'_>, role: Role) -> Vec<usize> {
    let Some(chosen) = task.best.roles.column(role) else {
        return Vec::new();
    };
    let rivals = task
        .best
        .roles
        .rivals
        .iter()
        .filter(|(of, _)| *of == role)
        .filter_map(|(_, at)| *at);
    std::iter::once(chosen).chain(rivals).collect()
}

fn with_header(task: &mut Task<'_>, header: &Header) {
    let names = header.names.clone();
    let times = |name: &str| names.iter().filter(|other| is_name(other, name)).count();
    let wide: Vec<usize> = task.best.roles.wide.iter().flatten().flatten().copied().collect();
    if header.line > 1 && header.is_steady {
        task.draft.set(
            SettingsTable::Feed,
            "header_line",
            header.line.to_string(),
            format!("it says {}", names.join(" ")),
        );
    } else if !header.is_steady {
        task.draft.lacks.push(
            "the header stands in another line in each file, under titles: header_line cannot say where"
                .to_owned(),
        );
    }
    let mut is_own = true;
    for role in ROLES {
        match choices(task, role)[..] {
            [] => {}
            [at] if times(&names[at]) == 1 => is_own &= is_name(&names[at], role.field()),
            _ => is_own = false,
        }
    }
    // Columns of tables are found by their names; a list of them would say where they are.
    let is_table = matches!(task.best.way, Way::Table { .. });
    let can_list = !is_table && names.iter().all(|name| !name.trim().is_empty());
    if (is_own && wide.is_empty() || !header.is_everywhere) && can_list {
        let trimmed = names.iter().map(|name| name.trim());
        let proof = match header.is_everywhere {
            true => "as the header names them".to_owned(),
            false => "as a header names them; some files have none".to_owned(),
        };
        task.draft
            .set(SettingsTable::Feed, "columns", list(trimmed), proof);
    }
    if is_own && can_list {
        return;
    }
    for role in ROLES {
        let found = choices(task, role);
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
                .map(|at| (format!("{{ column = {} }}", at + 1), proof(task, role, *at)))
                .collect();
            task.draft
                .ask(SettingsTable::Fields, role.field(), question, choices);
            continue;
        }
        let value = |at: &usize| list([names[*at].trim()]);
        if found.len() > 1 {
            let question = "several columns may be this";
            let choices = found
                .iter()
                .map(|at| (value(at), proof(task, role, *at)))
                .collect();
            task.draft
                .ask(SettingsTable::Fields, role.field(), question, choices);
        } else if !is_name(&names[at], role.field())
            || !(is_table || task.draft.has(SettingsTable::Feed, "columns"))
        {
            task.draft.set(
                SettingsTable::Fields,
                role.field(),
                value(&at),
                proof(task, role, at),
            );
        }
    }
}

fn without_header(task: &mut Task<'_>) {
    let is_delimited = matches!(task.best.way, Way::Delimited { .. });
    let is_wide = task.best.roles.wide.is_some();
    let mut columns: Vec<String> = (1..=task.best.grid.width)
        .map(|number| format!("other_{number}"))
        .collect();
    if task.best.grid.kinds.is_some() {
        "kind".clone_into(&mut columns[0]);
    }
    let mut proofs = Vec::new();
    for role in ROLES {
        let found = choices(task, role);
        let value = |at: &usize| position(task, *at);
        match found[..] {
            [] => {}
            [at] if is_delimited => {
                role.field().clone_into(&mut columns[at]);
                proofs.push(format!("{}: {}", role.field(), proof(task, role, at)));
            }
            [at] => {
                let (value, proof) = (value(&at), proof(task, role, at));
                task.draft.set(SettingsTable::Fields, role.field(), value, proof);
            }
            _ => {
                let choices = found
                    .iter()
                    .map(|at| (value(at), proof(task, role, *at)))
                    .collect();
                task.draft.ask(
                    SettingsTable::Fields,
                    role.field(),
                    "several columns may be this",
                    choices,
                );
            }
        }
    }
    if is_delimited && !is_wide {
        task.draft
            .set(SettingsTable::Feed, "columns", list(columns), proofs.join("; "));
    }
}

/// Writes the position of a column.
fn position(task: &Task<'_>, at: usize) -> String {
    match &task.best.positions[at] {
        ColumnPosition::Column(number) => format!("{{ column = {number} }}"),
        ColumnPosition::Characters(start, length) => format!("{{ start = {start}, length = {length} }}"),
        ColumnPosition::Path(path) => quoted(path),
    }
}

/// Writes where the fields come from that no column has.
fn missing(task: &mut Task<'_>) {
    let has_kinds = task.best.grid.kinds.is_some();
    if task.best.roles.column(Role::Store).is_none() && !has_kinds {
        let fragments = task.names.maybe_stores();
        let in_name = |fragment: &usize| format!("{} in the name", quoted(task.names.text(*fragment)));
        match fragments[..] {
            [] => task.draft.lacks.push(
                "fields.store_id: no column is the store, and the names have no part that is one".to_owned(),
            ),
            [fragment] => {
                task.store_fragment = Some(fragment);
                let captured = "{ capture = \"store\" }".to_owned();
                let rival = task
                    .best
                    .roles
                    .rivals
                    .iter()
                    .find(|(role, _)| *role == Role::Store)
                    .and_then(|(_, at)| *at);
                match rival {
                    None => {
                        let proof = format!("no column is the store, and {} is", in_name(&fragment));
                        task.draft.set(SettingsTable::Fields, "store_id", captured, proof);
                    }
                    Some(at) => {
                        let question = format!("the store may be {}, or a column", in_name(&fragment));
                        let choices = vec![
                            (captured, String::new()),
                            (position(task, at), proof(task, Role::Store, at)),
                        ];
                        task.draft
                            .ask(SettingsTable::Fields, "store_id", question, choices);
                    }
                }
            }
            _ => {
                task.store_fragment = Some(fragments[0]);
                let all: Vec<String> = fragments.iter().map(in_name).collect();
                let question = format!(
                    "no column is the store; it may be {}: write {{store}} there in files",
                    all.join(" or ")
                );
                task.draft.ask(
                    SettingsTable::Fields,
                    "store_id",
                    question,
                    vec![("{ capture = \"store\" }".to_owned(), String::new())],
                );
            }
        }
    }
    if task.best.roles.column(Role::Date).is_none() && !has_kinds {
        if task.names.has_day() {
            task.takes_day = true;
            task.draft.set(
                SettingsTable::Fields,
                "trans_date",
                "{ capture = \"date\" }",
                "no column is a date, and the name has one",
            );
        } else {
            task.draft
                .lacks
                .push("fields.trans_date: no column is a date, and the names have none".to_owned());
        }
    }
    if task.best.roles.column(Role::Item).is_none() {
        task.draft
            .lacks
            .push("fields.item_id: no column looks like items".to_owned());
    }
    if task.best.roles.wide.is_some() {
        return;
    }
    let amounts = task
        .best
        .columns
        .iter()
        .filter(|column| column.amount.as_ref().is_some_and(|amount| amount.places > 0))
        .count();
    match (
        task.best.roles.column(Role::Amount),
        task.best.roles.column(Role::Code),
    ) {
        (None, _) => task
            .draft
            .lacks
            .push("fields.amount: no column looks like amounts".to_owned()),
        (Some(_), None) if amounts > 1 => {
            let lack = format!(
                "measures: {amounts} columns are amounts, no column is a code, and no header says which are sales, taxes and discounts"
            );
            task.draft.lacks.push(lack);
        }
        (Some(_), None) => {
            let choices = vec![(
                "{ value = \"4\" }".to_owned(),
                "every record is a sale".to_owned(),
            )];
            task.draft.ask(
                SettingsTable::Fields,
                "code",
                "no column tells sales from taxes and discounts",
                choices,
            );
        }
        (Some(_), Some(_)) => {}
    }
}
