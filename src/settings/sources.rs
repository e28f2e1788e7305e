//! Checks what a settings file says of sources and the lake: folders, or buckets and how to reach them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use gristmill_engine::parse_span;
use gristmill_watcher::{Address, BucketOptions, Provider};

use super::after::check_after;
use super::file::{LakeTable, RetentionTable, S3Table, ServerTable, SourceTable};
use super::local_path;
use super::places::{BucketPlace, LakeSettings, Place, Retention, Source};

/// Checks the sources of a settings file in `folder`. Source folders must exist.
pub(super) fn check_sources(tables: &[SourceTable], folder: &Path) -> Result<Vec<Source>, String> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for table in tables {
        match &table.name {
            Some(name) if !is_word(name) => {
                return Err(format!(
                    "source.name: {name:?} cannot be used: write a word of letters, digits, \"-\" and \"_\" that \
                     does not begin with \"_\""
                ));
            }
            None if tables.len() > 1 => {
                return Err(
                    "source.name: with several [[source]] tables, each needs a name of its own".into(),
                );
            }
            _ => {}
        }
        if !names.insert(&table.name) {
            return Err(format!(
                "source.name: {:?} is used twice: give each source its own name",
                table.name.as_deref().unwrap_or_default()
            ));
        }
        sources.push(check_source(table, folder)?);
    }
    if sources.is_empty() {
        return Err(
            "source: none is defined: write a [source] table with the url that files are sent to".into(),
        );
    }
    Ok(sources)
}

fn check_source(table: &SourceTable, folder: &Path) -> Result<Source, String> {
    let servers = Servers {
        s3: table.s3.as_ref(),
        google: table.google.as_ref(),
        azure: table.azure.as_ref(),
    };
    let place = place("source", &table.url.0, servers, folder)?;
    let queue = table.events.as_ref().map(|events| events.queue.0.clone());
    if queue.as_deref().is_some_and(|url| url.contains('@')) {
        return Err(no_credentials("source.events.queue"));
    }
    if let Place::Bucket(bucket) = &place
        && bucket.address.provider() != Provider::S3
        && queue.is_some()
    {
        return Err(
            "source.events: only S3 buckets can have a queue; leave it out: this bucket is listed every \
             `source.poll`"
                .into(),
        );
    }
    let (usual_poll, usual_sweep) = match (&place, &queue) {
        (Place::Folder(_), None) if table.poll.is_none() => ("30s", "30s"),
        (Place::Folder(_), _) => {
            return Err(
                "source.events, source.poll: a folder needs neither, because gristmill watches it; leave them out"
                    .into(),
            );
        }
        (Place::Bucket(_), None) => ("1 minute", "1 hour"),
        (Place::Bucket(_), Some(_)) => ("15 minutes", "1 hour"),
    };
    if let Place::Bucket(_) = &place
        && (table.sweep_hash.is_some() || table.follow_links.is_some())
    {
        return Err(
            "source.sweep_hash, source.follow_links: only for folders: an object has an ETag that shows every change, \
             and no links; leave them out"
                .into(),
        );
    }
    if let Place::Folder(source) = &place
        && !source.is_dir()
    {
        let problem = if source.exists() {
            "is not a folder"
        } else {
            "does not exist"
        };
        return Err(format!(
            "source.url: {} {problem}: create it, or name the folder that files are sent to",
            source.display()
        ));
    }
    let after = check_after(table, &place)?;
    let poll = table.poll.as_deref().unwrap_or(usual_poll);
    let sweep = table.sweep.as_deref().unwrap_or(usual_sweep);
    Ok(Source {
        name: table.name.clone(),
        place,
        queue,
        settle: parse_span(&table.settle).map_err(|e| format!("source.settle: {e}"))?,
        poll: pause(poll).map_err(|e| format!("source.poll: {e}"))?,
        sweep: pause(sweep).map_err(|e| format!("source.sweep: {e}"))?,
        sweep_hash: table
            .sweep_hash
            .as_deref()
            .map(pause)
            .transpose()
            .map_err(|e| format!("source.sweep_hash: {e}; without it, nothing is read again"))?,
        follow_links: table.follow_links.unwrap_or_default(),
        after,
    })
}

/// Checks the lake of a settings file in `folder`. By default, a bucket's local folder is beside the state database's file,
/// or beside the settings file if the state database is on a server.
pub(super) fn check_lake(
    table: &LakeTable,
    folder: &Path,
    state: &gristmill_state::Place,
) -> Result<LakeSettings, String> {
    let servers = Servers {
        s3: table.s3.as_ref(),
        google: table.google.as_ref(),
        azure: table.azure.as_ref(),
    };
    let place = match place("lake", &table.url.0, servers, folder)? {
        Place::Bucket(place) => place,
        Place::Folder(_) if table.scratch.is_some() || table.cache_limit.is_some() => {
            return Err(
                "lake.scratch, lake.cache_limit: a lake in a folder needs neither; leave them out".into(),
            );
        }
        Place::Folder(folder) => return Ok(LakeSettings::Folder(folder)),
    };
    let scratch = match (&table.scratch, state.file()) {
        (Some(path), _) => folder.join(path),
        (None, None) => folder.join("gristmill-lake"),
        (None, Some(state)) => {
            let mut beside = state.as_os_str().to_owned();
            beside.push("-lake");
            PathBuf::from(beside)
        }
    };
    let cache_limit = match &table.cache_limit {
        None => USUAL_CACHE,
        Some(text) => text.parse().map_err(|_| {
            format!("lake.cache_limit: {text:?} is not a size: write \"512 MB\", \"20 GB\", …")
        })?,
    };
    Ok(LakeSettings::Bucket {
        place,
        scratch,
        cache_limit: cache_limit.as_u64(),
    })
}

/// Reads how long the lake keeps its objects.
pub(super) fn check_retention(table: &RetentionTable) -> Result<Retention, String> {
    let span = |key: &str, text: &Option<String>| {
        let span = text.as_deref().map(parse_span).transpose();
        span.map_err(|error| format!("lake.retention.{key}: {error}"))
    };
    Ok(Retention {
        converted: span("converted", &table.converted)?,
        partials: span("partials", &table.partials)?,
        rejects: span("rejects", &table.rejects)?,
        summaries: span("summaries", &table.summaries)?,
    })
}

/// The default of `lake.cache_limit`.
const USUAL_CACHE: ByteSize = ByteSize::gb(10);

/// The tables that say how a bucket is reached, one for each provider.
struct Servers<'t> {
    s3: Option<&'t S3Table>,
    google: Option<&'t ServerTable>,
    azure: Option<&'t ServerTable>,
}

impl Servers<'_> {
    /// Returns the options for a bucket of `provider`. A table for another provider is an error, as any is for a
    /// folder.
    fn options(&self, table: &str, provider: Option<Provider>) -> Result<BucketOptions, String> {
        let tables = [
            (Provider::S3, "s3", self.s3.map(S3Table::options)),
            (Provider::Google, "google", self.google.map(ServerTable::options)),
            (Provider::Azure, "azure", self.azure.map(ServerTable::options)),
        ];
        let mut options = BucketOptions::default();
        for (of, name, given) in tables {
            let Some(given) = given else { continue };
            if provider != Some(of) {
                return Err(format!(
                    "{table}.{name}: not for this url: [{table}.s3] is for s3://, [{table}.google] for gs://, \
                     [{table}.azure] for az:// and abfss://; write the one that fits, or none"
                ));
            }
            let endpoint = given.endpoint.as_deref().unwrap_or_default();
            if endpoint.contains('@') {
                return Err(no_credentials(&format!("{table}.{name}.endpoint")));
            }
            if endpoint.starts_with("http://") && !given.allow_http {
                return Err(format!(
                    "{table}.{name}.endpoint: plain http needs allow_http = true; use it only for servers in a trusted \
                     network"
                ));
            }
            options = given;
        }
        Ok(options)
    }
}

/// Returns the place that a URL names, with the options of the tables beside it.
fn place(table: &str, url: &str, servers: Servers<'_>, folder: &Path) -> Result<Place, String> {
    let provider = Provider::of_url(url);
    let options = servers.options(table, provider)?;
    if provider.is_none() {
        let path = local_path(&format!("{table}.url"), url, "file")
            .map_err(|error| format!("{error}, or s3://, gs:// or az://BUCKET/PREFIX"))?;
        return Ok(Place::Folder(folder.join(path)));
    }
    let address = Address::parse(url).map_err(|error| format!("{table}.url: {error}"))?;
    Ok(Place::Bucket(BucketPlace { address, options }))
}

/// Makes the error for a URL with credentials, without quoting it.
fn no_credentials(key: &str) -> String {
    format!("{key}: remove the credentials from the url, and supply them in the provider's standard way")
}

/// Returns whether a source can have this name, which becomes the first folder of its files' names. The watcher skips
/// names that begin with `_`.
fn is_word(name: &str) -> bool {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && !name.starts_with('_') && name.chars().all(is_of_word)
}

/// Reads the pause between two repetitions, which cannot be zero.
fn pause(text: &str) -> Result<Duration, String> {
    match parse_span(text)? {
        Duration::ZERO => Err(format!(
            "{text:?} is not a pause: write \"30s\", \"5 minutes\", …"
        )),
        pause => Ok(pause),
    }
}
