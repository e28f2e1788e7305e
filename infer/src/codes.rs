//! Writes which amounts are sales, taxes and discounts: by codes, by words for codes, or by columns side by side.

use std::collections::BTreeMap;

use gristmill_engine::reading::{Amount, AmountRule};
use gristmill_engine::{FeedSpec, MeasureSpec, format_cents};

use crate::amounts::AmountGuess;
use crate::column::Column;
use crate::distinct::Values;
use crate::draft::{SettingsTable, grouped, list, quoted, toml_key};
use crate::grid::ColumnPosition;
use crate::role::Role;
use crate::roles::is_small_number;
use crate::task::Task;
use crate::{Candidate, words};

/// The columns of the warehouse, in the order of sale, tax and discount, and their usual codes.
const USUAL: [(&str, i32); 3] = [("sale_amount", 4), ("tax_amount", 5), ("discount_amount", 6)];

/// Returns how the amounts of the samples are written, in whatever columns they are.
pub(crate) fn amounts(best: &Candidate) -> Option<AmountGuess> {
    let Some(wide) = best.roles.wide else {
        return best
            .roles
            .column(Role::Amount)
            .and_then(|at| best.columns[at].amount.clone());
    };
    let columns: Vec<&Column> = wide.iter().flatten().map(|at| &best.columns[*at]).collect();
    let all = columns.iter().flat_map(|column| &column.values.list);
    let texts = all.flat_map(|(text, count)| std::iter::repeat_n(text.as_str(), *count as usize));
    let typed = columns.iter().map(|column| column.typed).sum();
    crate::amounts::guess(&Values::of(texts), typed, false)
}

pub(crate) fn write(task: &mut Task<'_>) {
    if task.best.roles.wide.is_some() {
        return side_by_side(task);
    }
    let Some(at) = task.best.roles.column(Role::Code) else {
        if task.feed.is_none() {
            task.draft.set(
                SettingsTable::Feed,
                "measures",
                usual_measures(),
                "the usual codes",
            );
        }
        return;
    };
    let values = &task.best.columns[at].values;
    let of_feed = task.feed.map(codes_of);
    if values.are(is_small_number) {
        numbers(task, values, of_feed);
    } else {
        named(task, values, of_feed);
    }
}

fn usual_measures() -> String {
    let all: Vec<String> = USUAL
        .iter()
        .map(|(name, code)| format!("{name} = {code}"))
        .collect();
    format!("{{ {} }}", all.join(", "))
}

/// Returns the codes of a feed's measures: their names in the order of sale, tax and discount, if they are the usual ones.
fn codes_of(feed: &FeedSpec) -> Vec<(String, i32)> {
    let code = |(name, measure): (&String, &MeasureSpec)| match measure {
        MeasureSpec::Code(code) => Some((name.clone(), *code)),
        MeasureSpec::Field { .. } => None,
    };
    feed.measures.iter().filter_map(code).collect()
}

/// Returns how often each code occurs, and what its amounts add up to.
fn counted(task: &Task<'_>) -> BTreeMap<String, (u64, i64)> {
    let mut found: BTreeMap<String, (u64, i64)> = BTreeMap::new();
    let roles = &task.best.roles;
    let (Some(code), Some(amount)) = (roles.column(Role::Code), roles.column(Role::Amount)) else {
        return found;
    };
    let rule = task.best.columns[amount]
        .amount
        .as_ref()
        .and_then(|guess| AmountRule::new(&guess.spec).ok());
    for row in &task.best.grid.rows {
        let (count, sum) = found.entry(row.cells[code].trim().to_owned()).or_default();
        *count += 1;
        if let Some(Amount::Cents { cents, .. }) = rule
            .as_ref()
            .and_then(|rule| rule.read(row.cells[amount].as_bytes()))
        {
            *sum += cents;
        }
    }
    found
}

fn in_words(codes: &BTreeMap<String, (u64, i64)>) -> String {
    let one = |(code, (count, sum)): (&String, &(u64, i64))| {
        let code: String = code.chars().take(20).collect();
        format!("{code} {} times ({})", grouped(*count), format_cents(*sum))
    };
    let all: Vec<String> = codes.iter().take(12).map(one).collect();
    all.join(", ")
}

/// Codes are numbers.
fn numbers(task: &mut Task<'_>, values: &Values, of_feed: Option<Vec<(String, i32)>>) {
    let counted = counted(task);
    let counts = in_words(&counted);
    let is_in = |code: i32| values.count(|text| text.parse() == Ok(code)) > 0;
    if let Some(codes) = of_feed {
        if !codes.iter().any(|(_, code)| is_in(*code)) {
            let lack = format!("measures: no record has a code of the feed; the codes are {counts}");
            task.draft.lacks.push(lack);
        }
        return;
    }
    if USUAL.iter().any(|(_, code)| is_in(*code)) {
        let proof = format!("the usual codes; no file says what they mean: {counts}");
        task.draft
            .set(SettingsTable::Feed, "measures", usual_measures(), proof);
        return;
    }
    // Sales are most of the money, and discounts are negative or the least of it.
    let mut sums: Vec<(i32, i64)> = counted
        .iter()
        .filter_map(|(code, (_, sum))| Some((code.parse().ok()?, *sum)))
        .collect();
    sums.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    sums.truncate(3);
    let all: Vec<String> = USUAL
        .iter()
        .zip(&sums)
        .map(|((name, _), (code, _))| format!("{name} = {code}"))
        .collect();
    let question = format!("which code is sale, tax or discount? {counts}");
    task.draft.ask(
        SettingsTable::Feed,
        "measures",
        question,
        vec![(format!("{{ {} }}", all.join(", ")), "by their sums".to_owned())],
    );
}

/// Codes are words.
fn named(task: &mut Task<'_>, values: &Values, of_feed: Option<Vec<(String, i32)>>) {
    let counts = in_words(&counted(task));
    let code_of = |measure: usize| {
        let (name, code) = USUAL[measure];
        let known = of_feed.as_ref().map(|codes| {
            codes
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, code)| *code)
        });
        known.unwrap_or(Some(code))
    };
    let mut known = Vec::new();
    let mut has_others = false;
    for (text, _) in &values.list {
        match words::measure(text).and_then(code_of) {
            Some(code) => known.push(format!("{} = {code}", toml_key(text))),
            None => has_others |= text.parse::<i32>().is_err(),
        }
    }
    if of_feed.is_none() {
        task.draft.set(
            SettingsTable::Feed,
            "measures",
            usual_measures(),
            "the usual codes, which the words below stand for",
        );
    }
    if known.is_empty() {
        let first: Vec<String> = values
            .list
            .iter()
            .take(3)
            .zip(USUAL)
            .map(|((text, _), (_, code))| format!("{} = {code}", toml_key(text)))
            .collect();
        let question = format!("which word is sale, tax or discount? {counts}");
        task.draft.ask(
            SettingsTable::Values,
            "codes",
            question,
            vec![(format!("{{ {} }}", first.join(", ")), String::new())],
        );
    } else {
        task.draft.set(
            SettingsTable::Values,
            "codes",
            format!("{{ {} }}", known.join(", ")),
            counts,
        );
    }
    if has_others {
        task.draft.set(
            SettingsTable::Values,
            "other_codes",
            quoted("ignore"),
            "the other words are nothing that is summed",
        );
    }
}

/// Each measure has a column of its own.
fn side_by_side(task: &mut Task<'_>) {
    let wide = task.best.roles.wide.unwrap_or_default();
    let mut measures = Vec::new();
    let mut proofs = Vec::new();
    for ((name, _), at) in USUAL.iter().zip(wide) {
        let Some(at) = at else { continue };
        let column = &task.best.columns[at];
        let field = match &task.best.positions[at] {
            ColumnPosition::Path(path) => path.clone(),
            ColumnPosition::Column(_) | ColumnPosition::Characters(..) => {
                column.name.clone().unwrap_or_default()
            }
        };
        measures.push(format!("{name} = {{ field = {} }}", quoted(&field)));
        proofs.push(format!("{} in {}", grouped(column.values.filled), field));
    }
    let feed = task
        .feed
        .map(|feed| feed.measures.keys().cloned().collect::<Vec<_>>());
    let lacking: Vec<String> = feed
        .into_iter()
        .flatten()
        .filter(|name| {
            !measures
                .iter()
                .any(|measure| measure.starts_with(&format!("{name} =")))
        })
        .collect();
    if !lacking.is_empty() {
        task.draft
            .lacks
            .push(format!("measures: no column is {}", list(&lacking)));
    }
    let proof = format!("amounts: {}", proofs.join(", "));
    task.draft.set(
        SettingsTable::Feed,
        "measures",
        format!("{{ {} }}", measures.join(", ")),
        proof,
    );
}
