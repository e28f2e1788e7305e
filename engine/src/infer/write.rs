//! Writes what was found as settings.

use std::collections::BTreeMap;

use super::draft::{Draft, SettingsTable, grouped, list, quoted, records, share};
use super::names::Names;
use super::role::{ROLES, Role};
use super::sample::{Found, Sample};
use super::task::Task;
use super::{Candidate, Inferred, Wanted, Way, codes, fields, kinds};
use crate::layout::{FeedSpec, FormatWord};
use crate::values::{NegativeForm, ValuesSpec, trimmed};

pub(super) fn write(
    best: &Candidate,
    names: &Names,
    encoding: &Found,
    samples: &[Sample],
    wanted: &Wanted,
) -> Inferred {
    let store = best.roles.column(Role::Store);
    let mut task = Task {
        best,
        names,
        draft: Draft::default(),
        feed: wanted.profile.as_ref().map(|(_, feed)| feed),
        store_fragment: store.and_then(|at| names.store_fragment(&best.columns[at].constant)),
        takes_day: false,
    };
    task.format(encoding);
    fields::write(&mut task);
    kinds::write(&mut task);
    codes::write(&mut task);
    task.amounts();
    task.dates();
    task.ids();
    task.lines(samples);
    task.note_samples(samples);
    let (mut pattern, proof) = names.pattern(task.store_fragment, task.takes_day);
    if samples.iter().any(|sample| sample.is_member) {
        pattern.insert_str(0, "**/");
        let note = "members are called ARCHIVE/MEMBER: \"**/\" stands for the archive";
        task.draft.notes.push(note.to_owned());
    }
    let name = wanted
        .profile
        .as_ref()
        .map_or(&wanted.feed, |(profile, _)| profile);
    let mut head = Draft::default();
    head.set(SettingsTable::Feed, "name", quoted(name), "");
    head.set(SettingsTable::Feed, "files", quoted(&pattern), proof);
    let (table, below) = match wanted.profile {
        Some(_) => ("[[feed.profile]]", "feed.profile"),
        None => ("[[feed]]", "feed"),
    };
    let head = head.toml(table, below, false);
    let head = head.trim_end();
    let record_length = match best.way {
        Way::Fixed { record_length, .. } => record_length,
        _ => None,
    };
    Inferred {
        settings: task.draft.toml(head, below, false),
        trial: task.draft.toml(head, below, true),
        questions: task.draft.questions(),
        notes: task.draft.notes,
        record_length,
    }
}

impl Task<'_> {
    /// Sets a key unless it has its usual value. A profile must say so where its feed says something else.
    fn set_unless<T: PartialEq>(
        &mut self,
        (table, name): (SettingsTable, &'static str),
        value: (&T, String),
        usual: &T,
        of_feed: impl Fn(&FeedSpec) -> Option<T>,
        proof: String,
    ) {
        let (value, text) = value;
        let inherited = self.feed.and_then(of_feed);
        if value != inherited.as_ref().unwrap_or(usual) {
            self.draft.set(table, name, text, proof);
        }
    }

    /// Writes the keys that say how records and fields are found.
    fn format(&mut self, encoding: &Found) {
        let format = |format: FormatWord| quoted(format.word());
        let usual = FeedSpec::default();
        match &self.best.way {
            Way::Delimited { dialect, quotes } => {
                if self.feed.is_some_and(|feed| feed.format != usual.format) {
                    self.draft
                        .set(SettingsTable::Feed, "format", format(FormatWord::Delimited), "");
                }
                let rows = self.best.grid.rows.len() as u64;
                let of = rows + self.best.grid.others;
                let proof = format!("{} records have {} fields", share(rows, of), self.best.grid.width);
                self.set_unless(
                    (SettingsTable::Feed, "delimiter"),
                    (&dialect.delimiter, quoted(&dialect.delimiter)),
                    &usual.delimiter,
                    |feed| Some(feed.delimiter.clone()),
                    proof,
                );
                let quote = dialect
                    .quote
                    .map_or_else(|| "none".to_owned(), |quote| char::from(quote).to_string());
                self.set_unless(
                    (SettingsTable::Feed, "quote"),
                    (&quote, quoted(&quote)),
                    &usual.quote,
                    |feed| Some(feed.quote.clone()),
                    quotes.clone(),
                );
                if let Some(escape) = dialect.escape {
                    self.draft.set(
                        SettingsTable::Feed,
                        "escape",
                        quoted(&char::from(escape).to_string()),
                        quotes.clone(),
                    );
                }
                self.set_unless(
                    (SettingsTable::Feed, "quoted_newlines"),
                    (&dialect.joins_lines, dialect.joins_lines.to_string()),
                    &false,
                    |feed| Some(feed.quoted_newlines),
                    quotes.clone(),
                );
            }
            Way::Fixed { record_length, proof } => {
                self.draft.set(
                    SettingsTable::Feed,
                    "format",
                    format(FormatWord::Fixed),
                    proof.clone(),
                );
                if let Some(length) = record_length {
                    self.draft.set(
                        SettingsTable::Feed,
                        "record_length",
                        length.to_string(),
                        "nothing ends a record; at this length they are most alike",
                    );
                }
            }
            Way::Json { explode } => {
                let records = self.best.grid.rows.len() as u64;
                let proof = format!("{} records", grouped(records));
                self.draft.set(
                    SettingsTable::Feed,
                    "format",
                    format(FormatWord::Json),
                    if explode.is_some() {
                        String::new()
                    } else {
                        proof.clone()
                    },
                );
                if let Some(explode) = explode {
                    self.draft
                        .set(SettingsTable::Feed, "explode", quoted(explode), proof);
                }
            }
            Way::Table { format: word, sheet } => {
                let records = self.best.grid.rows.len() as u64;
                let proof = format!("{} rows", grouped(records));
                self.draft
                    .set(SettingsTable::Feed, "format", format(*word), proof);
                if *sheet > 1 {
                    let proof = "its columns fit best of all sheets";
                    self.draft
                        .set(SettingsTable::Feed, "sheet", sheet.to_string(), proof);
                }
            }
        }
        let label = encoding.label.unwrap_or("utf-8").to_owned();
        match &encoding.doubt {
            None => self.set_unless(
                (SettingsTable::Feed, "encoding"),
                (&label, quoted(&label)),
                &usual.encoding,
                |feed| Some(feed.encoding.clone()),
                encoding.proof.clone(),
            ),
            Some(doubt) => {
                let mut choices = vec![(quoted(&label), encoding.proof.clone())];
                if label == "cp037" {
                    choices.push((quoted("cp1047"), String::new()));
                }
                self.draft
                    .ask(SettingsTable::Feed, "encoding", doubt.clone(), choices);
            }
        }
    }

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
            let words = super::amounts::describe(spec, &guess.example);
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
                    super::amounts::describe(&rule(Some(2)), &guess.example),
                ),
                (
                    String::new(),
                    super::amounts::describe(&rule(None), &guess.example),
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

    /// Writes which lines are skipped, and what a file without rows means.
    fn lines(&mut self, samples: &[Sample]) {
        let grid = &self.best.grid;
        if !grid.marks.is_empty() {
            let marks =
                std::iter::once("--".to_owned()).chain(grid.marks.iter().map(|(mark, _)| mark.to_string()));
            let count: u64 = grid.marks.iter().map(|(_, count)| count).sum();
            self.draft.set(
                SettingsTable::Records,
                "skip",
                list(marks),
                format!("{count} lines begin so, and are no rows"),
            );
        } else if let Some(line) = grid.dashed.first() {
            let shown: String = line.chars().take(40).collect();
            let question = format!(
                "lines that begin with \"--\" read as rows ({}), such as {}",
                grouped(grid.dashed.len() as u64),
                quoted(&shown)
            );
            let choices = vec![
                ("[]".to_owned(), "they are rows".to_owned()),
                (String::new(), "they are comments".to_owned()),
            ];
            self.draft.ask(SettingsTable::Records, "skip", question, choices);
        }
        let without: Vec<&str> = (0..samples.len())
            .filter(|file| !grid.rows.iter().any(|row| row.file == *file) && !samples[*file].is_cut)
            .map(|file| samples[file].name.as_str())
            .collect();
        if !without.is_empty() && !grid.rows.is_empty() {
            let question = format!(
                "{} has no rows: did its store sell nothing, or was it cut?",
                without.join(", ")
            );
            let choices = vec![
                (quoted("no-sales"), "it sold nothing".to_owned()),
                (String::new(), "it was cut: such files are rejected".to_owned()),
            ];
            self.draft.ask(SettingsTable::Records, "empty", question, choices);
        }
    }

    fn note_samples(&mut self, samples: &[Sample]) {
        let packed: Vec<&str> = samples.iter().filter_map(|sample| sample.packed).collect();
        if let Some(first) = packed.first() {
            self.draft
                .notes
                .push(format!("packed with {first}, which needs no setting"));
        }
        let cut = samples.iter().filter(|sample| sample.is_cut).count();
        if cut > 0 {
            self.draft.notes.push(format!(
                "only the beginning of {cut} of {} files was read",
                samples.len()
            ));
        }
        let unsure = ROLES
            .iter()
            .filter(|role| self.best.roles.column(**role).is_none())
            .count();
        if unsure == ROLES.len() {
            self.draft.lacks.push("no column is recognized".to_owned());
        }
    }
}

/// Returns an id without marks for Excel, and without what is not seen around it.
fn without_marks(text: &str) -> &str {
    let formula = text.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"'));
    trimmed(formula.or_else(|| text.strip_prefix('\'')).unwrap_or(text))
}
