//! Writes what was found as settings.

use gristmill_engine::{FeedSpec, FormatWord};

use crate::draft::{Draft, SettingsTable, grouped, list, quoted, share};
use crate::names::Names;
use crate::role::{ROLES, Role};
use crate::sample::{Found, Sample};
use crate::task::Task;
use crate::{Candidate, Inferred, Wanted, Way, codes, fields, kinds, values};

pub(crate) fn write(
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
    values::write(&mut task);
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
