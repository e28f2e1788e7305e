//! `gristmill check`: a dry run of the conversion.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use gristmill_engine::{
    Budget, ConversionReport, EngineError, FeedLayout, Header, Outputs, Previewed, Reject, SalesLayout,
    Scratch, Survey, preview, read_rejects, survey,
};
use gristmill_state::{ARCHIVES, StateDb, SystemClock};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::context::Context;
use super::difference::{self, InForce};
use super::failure::FAILED;
use super::inputs::{self, Input};
use super::{JsonArg, SettingsArg, output, rejects};
use crate::lake::Lake;
use crate::overview::{self, Difference};
use crate::settings::Settings;
use crate::through::ThroughError;
use crate::usage::Usage;

/// Check files without loading them
///
/// Converts each file as `run` would, and reports which feed it belongs to, its line counts, whether it would be
/// accepted, its first records beside the rows that they become, its first rejects, the codes that occur, what each column
/// holds, and what looks wrong about the settings, such as ids of stores that `values.ids` would merge.
/// --diff shows what it would change. Nothing is recorded, kept or loaded. The exit status is 1 if a file would be
/// rejected.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files, or objects as s3://, gs:// or az://BUCKET/KEY; outside the sources, only the file name is matched to a
    /// feed. Of archives, each member is checked
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Show how rows and sums differ by day from the version in force
    #[arg(long)]
    diff: bool,
    #[command(flatten)]
    settings: SettingsArg,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Serialize)]
struct Checked {
    file: String,
    feed: String,
    /// The profile of the feed that reads it.
    profile: Option<String>,
    lines: u64,
    rows: u64,
    ignored: u64,
    skipped: u64,
    /// Skipped lines that would be rows if they began otherwise, or stood below the header.
    skipped_rows: u64,
    /// Lines with text behind a Ctrl-Z.
    lines_behind_end: u64,
    last_line_ended: bool,
    rejects: u64,
    /// Rows whose amount was rounded.
    rounded: u64,
    drift_lines: u64,
    header: &'static str,
    rejected_because: Option<String>,
    reasons: BTreeMap<&'static str, u64>,
    first_rejects: Vec<Reject>,
    /// The first records, and what becomes of them.
    first_records: Vec<Previewed>,
    /// Ids of stores that were kept apart before, and that the settings make one.
    merged_stores: Vec<Vec<String>>,
    /// The fields as they are written.
    survey: Survey,
    /// What it would change, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Difference>,
}

/// What a file is compared with.
struct Comparison(Option<InForce>);

pub(super) async fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(&args.settings.config)?;
    let known = match args.diff {
        true => Some((
            Context::open_to_read(&args.settings).await?,
            Lake::open(&settings.lake).await?,
        )),
        false => None,
    };
    let own = Arc::new(settings.own_files());
    let memory = settings.convert.memory_limit.memory().conversions;
    let stores = Arc::new(known_stores(&settings).await);
    let (mut all, mut others) = (Vec::new(), Vec::new());
    for file in &args.files {
        let (name, input) = match inputs::url(file) {
            Some(url) => inputs::object_in_source(url, &settings.sources).await?,
            None => (
                inputs::name_in_source(file, &settings.sources)?,
                Input::File {
                    path: file.clone(),
                    own: own.clone(),
                },
            ),
        };
        let checking = Checking {
            settings: &settings,
            known: &known,
            memory: &memory,
            stores: &stores,
        };
        if settings.feeds.has_file(&name) {
            if let Some(checked) = checking.file(&name, &input).await? {
                all.push(checked);
                continue;
            }
        } else if settings.feeds.of_archive(&name).is_none() {
            return Err(checking.of_no_feed(&name).into());
        }
        checking.archive(&name, input, &mut all, &mut others).await?;
    }
    if args.json.json {
        output::json(&all)?;
    } else {
        for checked in &all {
            print(
                checked,
                settings.feeds.get(&checked.feed).and_then(|feed| feed.sales()),
            )?;
        }
        for name in &others {
            output::line(format!("{}: no feed matches it", output::path(name)))?;
        }
    }
    let is_fine = all.iter().all(|checked| checked.rejected_because.is_none());
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

/// Returns the stores that the state database knows. Without one, there are none; one that cannot be read is told.
async fn known_stores(settings: &Settings) -> Vec<String> {
    if matches!(StateDb::exists(&settings.state).await, Ok(false)) {
        return Vec::new();
    }
    let read = async {
        let state = StateDb::open_to_read(&settings.state, Arc::new(SystemClock)).await?;
        state.known_stores().await
    };
    read.await.unwrap_or_else(|error| {
        let error = crate::causes::joined(&error.into(), ": ");
        tracing::warn!(
            "cannot tell whether values.ids would merge stores that were kept apart before: {error}"
        );
        Vec::new()
    })
}

/// What all files are checked with.
struct Checking<'c> {
    settings: &'c Settings,
    known: &'c Option<(Context, Lake)>,
    memory: &'c Budget,
    /// The stores that the state database knows.
    stores: &'c Arc<Vec<String>>,
}

impl Checking<'_> {
    /// Checks a file that a feed matches. `None` if it is an archive.
    async fn file(&self, name: &str, input: &Input) -> anyhow::Result<Option<Checked>> {
        let feeds = &self.settings.feeds;
        let Some((feed, captures)) = feeds.of_file(name) else {
            return Err(self.of_no_feed(name).into());
        };
        let comparison = match self.known {
            Some((context, lake)) => Some(Comparison(difference::in_force(context, lake, name).await?)),
            None => None,
        };
        let (input, memory, runtime) = (input.clone(), self.memory.clone(), Handle::current());
        let profile = feeds.get(&feed.name).and_then(|of_feed| of_feed.profile_of(name));
        let (names, profile) = ((name.to_owned(), captures.store), profile.map(ToOwned::to_owned));
        let stores = self.stores.clone();
        let checked = spawn_blocking(move || {
            let merged_stores = feed.merged_stores(&stores);
            let reader = (&*feed, profile);
            let checked = check(&input, names, reader, &memory, comparison.as_ref(), &runtime)?;
            anyhow::Ok(Checked {
                merged_stores,
                ..checked
            })
        });
        match checked.await? {
            Err(error) if inputs::is_archive(&error) => Ok(None),
            checked => checked.map(Some),
        }
    }

    /// Checks the members of an archive, each as a file of its own. `others` are those that no feed matches.
    async fn archive(
        &self,
        name: &str,
        input: Input,
        all: &mut Vec<Checked>,
        others: &mut Vec<String>,
    ) -> anyhow::Result<()> {
        let runtime = Handle::current();
        let feed = self.settings.feeds.of_file(name).map(|(feed, _)| feed);
        let shown = input.to_string();
        let members = spawn_blocking(move || input.members(&runtime, feed.as_deref())).await?;
        let members = match members.with_context(|| format!("cannot check {shown}"))? {
            Ok(members) => members,
            Err(reason) => {
                all.push(Checked::refused(name.to_owned(), reason));
                return Ok(());
            }
        };
        let mut checked = 0;
        for (member, input) in &members.members {
            let name = format!("{name}/{member}");
            if !self.settings.feeds.has_file(&name) {
                others.push(name);
                continue;
            }
            checked += 1;
            all.push(match self.file(&name, input).await? {
                Some(checked) => checked,
                None => Checked::refused(name, "archives in archives are not read".to_owned()),
            });
        }
        if checked == 0 {
            let reason = match members.members.first() {
                Some((first, _)) => format!("no feed matches any of its members, such as {name}/{first}"),
                None => "the archive holds no file".to_owned(),
            };
            all.push(Checked::refused(name.to_owned(), reason));
        }
        Ok(())
    }

    fn of_no_feed(&self, name: &str) -> Usage {
        let patterns: Vec<_> = self
            .settings
            .feeds
            .iter()
            .map(|feed| feed.files.as_str())
            .collect();
        let patterns = patterns.join(", ");
        Usage::new(format!(
            "{name}: no feed matches it; the feeds' patterns are {patterns}"
        ))
    }
}

impl Checked {
    /// Says why an archive would be rejected.
    fn refused(file: String, reason: String) -> Self {
        Self {
            file,
            feed: ARCHIVES.to_owned(),
            profile: None,
            lines: 0,
            rows: 0,
            ignored: 0,
            skipped: 0,
            skipped_rows: 0,
            lines_behind_end: 0,
            last_line_ended: true,
            rejects: 0,
            rounded: 0,
            drift_lines: 0,
            header: "none",
            rejected_because: Some(reason),
            reasons: BTreeMap::new(),
            first_rejects: Vec::new(),
            survey: Survey::default(),
            difference: None,
            first_records: Vec::new(),
            merged_stores: Vec::new(),
        }
    }
}

fn check(
    input: &Input,
    (file, store): (String, Option<String>),
    (feed, profile): (&FeedLayout, Option<String>),
    memory: &Budget,
    comparison: Option<&Comparison>,
    runtime: &Handle,
) -> anyhow::Result<Checked> {
    const SHOWN: usize = 10;
    let failed = || format!("cannot check {input}");
    let folder = tempfile::TempDir::new().context("cannot make a temporary folder")?;
    let spool = folder.path().join("rejects");
    let outputs = Outputs {
        converted: None,
        rejects: Some(&spool),
    };
    let scratch = Scratch {
        folder: folder.path(),
        memory,
    };
    let converted = input.convert(input.open(runtime), runtime, feed, (outputs, scratch), |_| ());
    let (report, partial) = match converted {
        // What the file itself causes, or the program that it goes through, is an answer about it, like a reject: other
        // files are checked all the same.
        Err(error) if is_of_file(&error) => (Ok(ConversionReport::rejected(error.to_string())), None),
        Err(error) => (Err(error), None),
        Ok(conversion) => (Ok(conversion.report), conversion.partial),
    };
    let compared = match (comparison, &report, &partial, feed.sales()) {
        (Some(Comparison(before)), Ok(report), Some(partial), Some(sales)) => {
            let spool = folder.path().join("sums");
            let after = (partial, report.days.as_slice());
            let compared = difference::compare(before.as_ref(), after, sales, (&spool, memory));
            Some(compared.with_context(failed)?)
        }
        _ => None,
    };
    let first_rejects = match &report {
        Ok(report) if report.rejects > 0 => read_rejects(&spool, SHOWN),
        _ => Ok(Vec::new()),
    };
    let ConversionReport {
        lines,
        rows,
        ignored,
        skipped,
        skipped_rows,
        lines_behind_end,
        last_line_ended,
        rejects,
        rounded,
        drift_lines,
        header,
        reasons,
        rejected_because,
        ..
    } = report.with_context(failed)?;
    let shown = input.read(input.open(runtime), feed, |text| {
        preview(text, feed, scratch, SHOWN)
    });
    let first_records = match shown {
        Err(error) if is_of_file(&error) => Vec::new(),
        shown => shown.and_then(|shown| Ok(shown?)).with_context(failed)?,
    };
    let seen = input.read(input.open(runtime), feed, |text| {
        survey(text, feed, store.as_deref(), folder.path())
    });
    let seen = match seen {
        Err(error) if is_of_file(&error) => Survey::default(),
        seen => seen.and_then(|seen| Ok(seen?)).with_context(failed)?,
    };
    Ok(Checked {
        file,
        feed: feed.name.clone(),
        profile,
        lines,
        rows,
        ignored,
        skipped,
        skipped_rows,
        lines_behind_end,
        last_line_ended,
        rejects,
        rounded,
        drift_lines,
        header: match header {
            Header::None => "none",
            Header::ByName => "columns by name",
            Header::ByPosition => "columns by position",
        },
        rejected_because,
        reasons: reasons
            .into_iter()
            .map(|(reason, count)| (reason.text(), count))
            .collect(),
        first_rejects: first_rejects.with_context(failed)?,
        first_records,
        merged_stores: Vec::new(),
        survey: seen,
        difference: compared,
    })
}

fn print(checked: &Checked, sales: Option<&SalesLayout>) -> std::io::Result<()> {
    let Checked {
        file,
        feed,
        profile,
        lines,
        rows,
        ignored,
        skipped,
        skipped_rows,
        lines_behind_end,
        last_line_ended,
        rejects,
        rounded,
        drift_lines,
        header,
        ..
    } = checked;
    let verdict = match &checked.rejected_because {
        None => "would be validated".to_owned(),
        Some(reason) => format!("would be rejected: {reason}"),
    };
    let profile = profile
        .as_ref()
        .map_or_else(String::new, |name| format!(", profile {name}"));
    output::line(format!("{}: feed {feed}{profile}; {verdict}", output::path(file)))?;
    output::line(format!(
        "  {lines} lines = {rows} rows + {ignored} ignored + {skipped} skipped + {rejects} rejects; \
         {drift_lines} with extra columns; header: {header}"
    ))?;
    if *rounded > 0 {
        output::line(format!(
            "  {rounded} rows have amounts that were rounded to cents (values.round)"
        ))?;
    }
    for note in overview::of_lines(*skipped_rows, *lines_behind_end) {
        output::line(format!("  {note}"))?;
    }
    if !last_line_ended {
        output::line(format!("  {}", overview::OPEN))?;
    }
    for (reason, count) in &checked.reasons {
        output::line(format!("  {count} × {reason}"))?;
    }
    for stores in &checked.merged_stores {
        output::line(format!(
            "  Note: {} were kept apart before; values.ids would make one store of them",
            stores.join(" and ")
        ))?;
    }
    super::preview::print(&checked.first_records, sales)?;
    if !checked.first_rejects.is_empty() {
        rejects::print(file, &checked.first_rejects)?;
    }
    if let Some(difference) = &checked.difference {
        difference::print(difference)?;
    }
    super::survey::print(&checked.survey, sales)
}

/// Returns whether the file itself, by its contents, is why it cannot be converted.
fn is_of_file(error: &anyhow::Error) -> bool {
    error.is::<ThroughError>()
        || matches!(
            error.downcast_ref(),
            Some(EngineError::Overflow { .. } | EngineError::TooManyItems)
        )
}
