//! Which column is the store, the amount, the code, the item and the date: by its name, by its values, and by the names of
//! the files.

use std::collections::BTreeSet;

use crate::column::{Column, bare};
use crate::names::Names;
use crate::role::{ROLES, Role};
use crate::words;

/// A name says more than all values.
const NAMED: f64 = 20.0;
/// A longer text is a note, and no id, in characters.
const LONGEST_ID: usize = 25;
/// Choices that are closer than this are not decided by the samples.
const CLOSE: f64 = 0.9;

/// Which columns have which role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    pub(crate) columns: [Option<usize>; 5],
    /// Columns with sale, tax and discount side by side.
    pub(crate) wide: Option<[Option<usize>; 3]>,
    /// Roles that another column might have as well, or none: the role and the other column.
    pub(crate) rivals: Vec<(Role, Option<usize>)>,
    pub(crate) score: f64,
}

impl Roles {
    pub(crate) fn column(&self, role: Role) -> Option<usize> {
        self.columns[role as usize]
    }
}

/// What may stand elsewhere than in a column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elsewhere {
    pub(crate) store: bool,
    pub(crate) day: bool,
}

/// Returns whether a text is a small whole number, as codes are.
pub(crate) fn is_small_number(text: &str) -> bool {
    text.len() <= 5 && text.parse::<i32>().is_ok()
}

/// Finds the roles of columns. `skipped` is the column that says which kind a record is of.
pub(crate) fn assign(
    columns: &[Column],
    names: &Names,
    elsewhere: Elsewhere,
    skipped: Option<usize>,
) -> Roles {
    let wide = wide(columns);
    let is_measure = |at: usize| wide.is_some_and(|wide| wide.contains(&Some(at)));
    let of_role = |role: Role| {
        let mut found: Vec<(Option<usize>, f64)> = Vec::new();
        if wide.is_none() || !matches!(role, Role::Amount | Role::Code) {
            for (at, column) in columns
                .iter()
                .enumerate()
                .filter(|(at, _)| Some(*at) != skipped && !is_measure(*at))
            {
                found.extend(score(role, column, names).map(|score| (Some(at), score)));
            }
        }
        found.sort_by(|one, other| other.1.total_cmp(&one.1));
        found.truncate(7);
        let without = match role {
            // A column that is the store by its values alone is no surer than a name.
            Role::Store if elsewhere.store => 2.0,
            Role::Date if elsewhere.day => 0.0,
            Role::Amount | Role::Code if wide.is_some() => 8.0,
            Role::Amount => -15.0,
            Role::Item => -8.0,
            Role::Store | Role::Code | Role::Date => -6.0,
        };
        found.push((None, without));
        found
    };
    let options = ROLES.map(of_role);
    let mut best = (f64::MIN, [None; 5]);
    search(&options, &mut [None; 5], 0, 0.0, &mut best);
    let mut roles = Roles {
        columns: best.1,
        wide,
        rivals: Vec::new(),
        score: best.0,
    };
    for role in ROLES {
        let chosen = best.1[role as usize];
        let mut others = options.clone();
        others[role as usize].retain(|(at, _)| *at != chosen);
        let mut other = (f64::MIN, [None; 5]);
        search(&others, &mut [None; 5], 0, 0.0, &mut other);
        // A store in the name, and a column that may be one, are hard to tell apart.
        let close = if role == Role::Store && chosen.is_none() {
            2.0
        } else {
            CLOSE
        };
        if best.0 - other.0 < close {
            roles.rivals.push((role, other.1[role as usize]));
        }
    }
    roles
}

fn search(
    options: &[Vec<(Option<usize>, f64)>; 5],
    chosen: &mut [Option<usize>; 5],
    role: usize,
    sum: f64,
    best: &mut (f64, [Option<usize>; 5]),
) {
    let Some(of_role) = options.get(role) else {
        if sum > best.0 {
            *best = (sum, *chosen);
        }
        return;
    };
    for (column, score) in of_role {
        if column.is_some() && chosen[..role].contains(column) {
            continue;
        }
        chosen[role] = *column;
        search(options, chosen, role + 1, sum + score, best);
    }
    chosen[role] = None;
}

/// Finds columns with amounts side by side, by their names.
fn wide(columns: &[Column]) -> Option<[Option<usize>; 3]> {
    let mut found = [None; 3];
    for (at, column) in columns.iter().enumerate() {
        let Some(name) = &column.name else { continue };
        let holds_amounts = column.values.filled == 0 || column.amount.is_some();
        if let Some(measure) = words::measure(last_name(name)).filter(|_| holds_amounts)
            && found[measure].is_none()
        {
            found[measure] = Some(at);
        }
    }
    let has_code = columns.iter().any(|column| {
        column
            .name
            .as_deref()
            .is_some_and(|name| words::role(last_name(name)) == Some(Role::Code))
    });
    (found.iter().flatten().count() >= 2 && !has_code).then_some(found)
}

/// Returns the last name of a path.
pub(crate) fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Returns how well a column fits a role; `None` if it cannot have it.
fn score(role: Role, column: &Column, names: &Names) -> Option<f64> {
    let values = &column.values;
    let named = match column.name.as_deref() {
        None => 0.0,
        Some(name) => match (words::role(last_name(name)), words::measure(last_name(name))) {
            (Some(of_name), _) if of_name == role => NAMED,
            (Some(_), _) => -NAMED / 2.0,
            (None, Some(_)) if role != Role::Amount => -NAMED / 2.0,
            // The names that lead there tell apart what has the same last name.
            (None, _) => match name.rsplit('.').nth(1).and_then(words::role) {
                Some(of_parent) if of_parent == role => NAMED / 2.0,
                _ => 0.0,
            },
        },
    };
    if values.filled == 0 {
        return None;
    }
    let distinct = values.list.len();
    let constants: BTreeSet<&str> = column.constant.iter().flatten().map(String::as_str).collect();
    let is_constant = !constants.is_empty() && column.constant.iter().all(Option::is_some);
    let has_amounts = column
        .amount
        .as_ref()
        .is_some_and(|amount| amount.places * 2 > amount.of);
    let is_note = |text: &str| text.contains('\n') || text.chars().count() > LONGEST_ID;
    let unlike_an_id = match (&column.date, has_amounts) {
        (Some(date), _) if !date.is_bare => -8.0,
        _ if values.count(is_note) * 10 > values.filled => -8.0,
        (_, true) => -8.0,
        _ => 0.0,
    };
    let of_values = match role {
        Role::Date => {
            let date = column.date.as_ref()?;
            (if date.is_bare { 5.0 } else { 8.0 }) + date.read as f64 / date.of as f64
        }
        Role::Amount => {
            let amount = column.amount.as_ref()?;
            let marked = amount.marked * 10 >= amount.of;
            let of_date = column.date.as_ref().map_or(0.0, |_| -4.0);
            (if marked { 6.0 } else { 1.0 }) + amount.read as f64 / amount.of.max(1) as f64 + of_date
        }
        Role::Code => {
            if distinct > 40 || column.date.as_ref().is_some_and(|date| !date.is_bare) {
                return None;
            }
            if values.are(is_small_number) && !has_amounts {
                let usual = values.count(|text| text.parse::<i32>().is_ok_and(|code| matches!(code, 4..=6)));
                let is_few = distinct <= 2 || distinct as u64 * 4 <= values.filled;
                match (usual * 10 > values.filled, is_few) {
                    (true, true) => 4.5,
                    (true, false) => 3.0,
                    (false, true) => 2.0,
                    (false, false) => 0.5,
                }
            } else {
                let known = values.count(|text| words::measure(text).is_some());
                match known > 0 {
                    true => 6.0,
                    false if distinct <= 8 && distinct as u64 * 4 <= values.filled => 0.5,
                    false if named > 0.0 => 0.0,
                    false => return None,
                }
            }
        }
        Role::Store => {
            let of_name = match names.store_fragment(&column.constant) {
                Some(_) => 8.0,
                None if is_constant && constants.len() > 1 => 5.0,
                None if is_constant => 3.0,
                None if distinct as u64 * 4 <= values.filled => 1.0,
                None => 0.5,
            };
            of_name + unlike_an_id
        }
        Role::Item => {
            let of_kind = match is_constant {
                true => 1.5,
                false => 3.0,
            };
            let of_numbers = if values.are(|text| bare(text).bytes().all(|byte| byte.is_ascii_digit())) {
                -0.5
            } else {
                0.5
            };
            of_kind + of_numbers + unlike_an_id
        }
    };
    Some(named + of_values)
}
