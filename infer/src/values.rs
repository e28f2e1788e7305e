//! Writes how values are read: amounts, dates and ids.

use std::collections::BTreeMap;

use gristmill_engine::reading::trimmed;
use gristmill_engine::{NegativeForm, ValuesSpec};

use crate::codes;
use crate::draft::{SettingsTable, list, quoted, records, share};
use crate::role::Role;
use crate::task::Task;

pub(crate) fn write(task: &mut Task<'_>) {
    task.amounts();
    task.dates();
    task.ids();
}

impl Task<'_> {
    fn amounts(&mut self) {
        let Some(guess) = codes::amounts(self.best) else {
            return;
        };
        let spec = &guess.spec;
        let proof = format!("{} amounts", share(guess.read, guess.of));
        let negative: Vec<&str> = spec.negative.iter().flatten().map(|form| form.word()).collect();
        if spec.negative.as_deref() != Some(&[NegativeForm::Before]) {
            self.draft
                .set(SettingsTable::Values, "negative", list(negative), proof.clone());
        }
        if let Some(currency) = &spec.currency {
            self.draft
                .set(SettingsTable::Values, "currency", list(currency), proof.clone());
        }
        let marks = |spec: &ValuesSpec| {
            let words = crate::amounts::describe(spec, &guess.example);
            (
                spec.decimal.clone().unwrap_or_else(|| ".".to_owned()),
                spec.thousands.clone(),
                words,
            )
        };
        if guess.rivals.is_empty() {
            let (decimal, thousands, _) = marks(spec);
            self.set_unless(
                (SettingsTable::Values, "decimal"),
                (&Some(decimal.clone()), quoted(&decimal)),
                &Some(".".to_owned()),
                |feed| {
                    Some(Some(
                        feed.values.decimal.clone().unwrap_or_else(|| ".".to_owned()),
                    ))
                },
                proof.clone(),
            );
            if let Some(thousands) = thousands {
                self.draft
                    .set(SettingsTable::Values, "thousands", quoted(&thousands), proof);
            }
        } else {
            let all = || std::iter::once(spec).chain(&guess.rivals);
            let decimal = all()
                .map(|spec| (quoted(&marks(spec).0), marks(spec).2))
                .collect();
            self.draft.ask(
                SettingsTable::Values,
                "decimal",
                "the same amounts may be read in several ways (take the same choice of each key)",
                decimal,
            );
            let thousands = all().map(|spec| {
                (
                    spec.thousands.as_deref().map(quoted).unwrap_or_default(),
                    marks(spec).2,
                )
            });
            self.draft.ask(
                SettingsTable::Values,
                "thousands",
                "as above",
                thousands.collect(),
            );
        }
        let rounds = std::iter::once(spec)
            .chain(&guess.rivals)
            .any(|spec| spec.round.is_some());
        if rounds {
            let example = quoted(&guess.example);
            let question = format!(
                "{example} has more than two places: half a cent goes to the even neighbour, or away from zero; or the mark stands \
                 between thousands"
            );
            let choices = ["half-even", "half-up", ""].map(|word| {
                (
                    if word.is_empty() {
                        String::new()
                    } else {
                        quoted(word)
                    },
                    String::new(),
                )
            });
            self.draft
                .ask(SettingsTable::Values, "round", question, choices.into());
        }
        if guess.is_implied {
            let rule = |scale: Option<u8>| ValuesSpec {
                scale,
                ..spec.clone()
            };
            let choices = vec![
                (
                    "2".to_owned(),
                    crate::amounts::describe(&rule(Some(2)), &guess.example),
                ),
                (
                    String::new(),
                    crate::amounts::describe(&rule(None), &guess.example),
                ),
            ];
            self.draft.ask(
                SettingsTable::Values,
                "scale",
                "no amount has a decimal mark: are the last two digits cents?",
                choices,
            );
        }
        if !guess.none.is_empty() {
            let texts = std::iter::once("").chain(guess.none.iter().map(String::as_str));
            self.draft.set(
                SettingsTable::Values,
                "no_amount",
                list(texts),
                "these stand where amounts do",
            );
        }
    }

    fn dates(&mut self) {
        let Some(guess) = self
            .best
            .roles
            .column(Role::Date)
            .and_then(|at| self.best.columns[at].date.as_ref())
        else {
            return;
        };
        let proof = format!("{} dates", share(guess.read, guess.of));
        match &guess.readings[..] {
            [reading] => {
                let usual = vec!["%Y-%m-%d".to_owned()];
                self.set_unless(
                    (SettingsTable::Values, "dates"),
                    (&reading.forms, list(&reading.forms)),
                    &usual,
                    |feed| feed.values.dates.clone(),
                    format!("{proof}; {}", reading.span().replace(" then", "")),
                );
            }
            readings => {
                let question = format!(
                    "{} may be several days: {proof} can be read each way",
                    quoted(&guess.example)
                );
                let choices = readings
                    .iter()
                    .map(|reading| (list(&reading.forms), reading.span()));
                self.draft
                    .ask(SettingsTable::Values, "dates", question, choices.collect());
            }
        }
        if guess.early > 0 {
            let question = format!(
                "{} have a time from midnight to six: does your day begin later?",
                records(guess.early)
            );
            let choices = vec![
                (String::new(), "the day begins at midnight".to_owned()),
                (quoted("04:00"), "they belong to the day before".to_owned()),
            ];
            self.draft
                .ask(SettingsTable::Values, "day_begins", question, choices);
        }
    }

    fn ids(&mut self) {
        let columns = [Role::Store, Role::Item]
            .into_iter()
            .filter_map(|role| self.best.roles.column(role));
        let columns: Vec<&[(String, u64)]> =
            columns.map(|at| &self.best.columns[at].values.list[..]).collect();
        let is_marked = |(text, _): &&(String, u64)| {
            let digits = text.strip_prefix('\'');
            let is_number =
                digits.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
            is_number || (text.starts_with("=\"") && text.ends_with('"') && text.len() > 3)
        };
        let marked = columns.iter().copied().flatten().filter(is_marked).count();
        // Two texts of one column that a rule makes the same id.
        let merges = |normal: &dyn Fn(&str) -> String| {
            columns.iter().find_map(|column| {
                let mut known = BTreeMap::new();
                column.iter().find_map(|(text, _)| {
                    let text = without_marks(text);
                    let other = known.insert(normal(text), text)?;
                    (other != text).then(|| (other.to_owned(), text.to_owned()))
                })
            })
        };
        let by_zeros = merges(&|text| {
            let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number {
                text.trim_start_matches('0').to_owned()
            } else {
                text.to_owned()
            }
        });
        let by_case = merges(&|text| text.to_uppercase());
        let excel = if marked > 0 { "excel = true" } else { "" };
        let together = |rules: &[&str]| {
            let rules: Vec<&str> = rules.iter().copied().filter(|rule| !rule.is_empty()).collect();
            if rules.is_empty() {
                String::new()
            } else {
                format!("{{ {} }}", rules.join(", "))
            }
        };
        let zeros = by_zeros.as_ref().map_or("", |_| "zeros = \"strip\"");
        let case = by_case.as_ref().map_or("", |_| "case = \"upper\"");
        match by_zeros.or(by_case) {
            Some((one, other)) => {
                let question = format!("are {} and {} the same?", quoted(&one), quoted(&other));
                let choices = vec![
                    (together(&[excel, zeros, case]), "they are".to_owned()),
                    (together(&[excel]), "they are not".to_owned()),
                ];
                self.draft.ask(SettingsTable::Values, "ids", question, choices);
            }
            None if marked > 0 => {
                self.draft.set(
                    SettingsTable::Values,
                    "ids",
                    together(&[excel]),
                    format!("{marked} ids are marked as text for Excel"),
                );
            }
            None => {}
        }
    }
}

/// Returns an id without marks for Excel, and without what is not seen around it.
fn without_marks(text: &str) -> &str {
    let formula = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    trimmed(formula.or_else(|| text.strip_prefix('\'')).unwrap_or(text))
}
