//! Where files come from and where the lake lies: folders, and buckets with how they are reached.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use gristmill_watcher::{Address, BucketOptions, Provider};

use super::after::{After, check_after};
use super::file::{LakeTable, RetentionTable, S3Table, ServerTable, SourceTable};
use super::{local_path, parse_span};

/// One place that files are sent to.
#[derive(Clone, Debug)]
pub struct Source {
    /// Tells the files of several sources apart; a single source may have none.
    pub name: Option<String>,
    /// Where it is.
    pub place: Place,
    /// The URL of the queue that tells of changes in a bucket.
    pub queue: Option<String>,
    /// How long a file of a folder must stay unchanged to count as whole.
    pub settle: Duration,
    /// The pause between two looks at where new objects of a bucket are to be expected.
    pub poll: Duration,
    /// The pause between two full listings.
    pub sweep: Duration,
    /// What becomes of an object that was taken: read, and recorded for good.
    pub after: After,
}

/// A folder, or a bucket.
#[derive(Clone, Debug)]
pub enum Place {
    /// A local folder.
    Folder(PathBuf),
    /// What lies below a prefix of a bucket.
    Bucket(BucketPlace),
}

/// Where a bucket is, and how it is reached.
#[derive(Clone, Debug)]
pub struct BucketPlace {
    /// What its URL says; the prefix may be absent.
    pub address: Address,
    /// What the store's standard ways do not say.
    pub options: BucketOptions,
}

/// Where the lake is.
#[derive(Clone, Debug)]
pub enum LakeSettings {
    /// A local folder.
    Folder(PathBuf),
    /// A bucket, with a local folder for what is being written and for copies.
    Bucket {
        /// The bucket.
        place: BucketPlace,
        /// The local folder.
        scratch: PathBuf,
        /// The most bytes of copies that are kept there.
        cache_limit: u64,
    },
}

/// How long objects of the lake stay once nothing needs them; none: for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Converted rows, since their version was last submitted.
    pub converted: Option<Duration>,
    /// Partials that are not in force, likewise.
    pub partials: Option<Duration>,
    /// Rejects, likewise.
    pub rejects: Option<Duration>,
    /// Summaries that a newer one has replaced, since their run ended.
    pub summaries: Option<Duration>,
}

impl Source {
    /// The name under which a file of this source is known: its path, below the source's name if that has one.
    pub fn file_name(&self, path: &str) -> String {
        match &self.name {
            Some(name) => format!("{name}/{path}"),
            None => path.to_owned(),
        }
    }

    /// The path in this source of a file that is known under a name; none if it belongs to another source.
    pub fn path_of<'n>(&self, file: &'n str) -> Option<&'n str> {
        match &self.name {
            Some(name) => file.strip_prefix(name.as_str())?.strip_prefix('/'),
            None => Some(file),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket(bucket) => f.write_str(&bucket.address.url()),
        }
    }
}

impl fmt::Display for LakeSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(f),
            Self::Bucket { place, .. } => f.write_str(&place.address.url()),
        }
    }
}

/// The sources of a settings file that lies in `folder`. Source folders must be there.
pub(super) fn check_sources(tables: &[SourceTable], folder: &Path) -> Result<Vec<Source>, String> {
    let mut names = BTreeSet::new();
    let mut sources = Vec::new();
    for table in tables {
        match &table.name {
            Some(name) if !is_word(name) => {
                return Err(format!(
                    "source.name: {name:?} cannot be used: write a word of letters, digits, \"-\" and \"_\", which \
                     does not begin with \"_\""
                ));
            }
            None if tables.len() > 1 => {
                return Err("source.name: of several [[source]] tables, each needs a name of its own".into());
            }
            _ => {}
        }
        if !names.insert(&table.name) {
            return Err(format!(
                "source.name: {:?} stands there twice: give each source a name of its own",
                table.name.as_deref().unwrap_or_default()
            ));
        }
        sources.push(check_source(table, folder)?);
    }
    if sources.is_empty() {
        return Err(
            "source: there is none: write a [source] table with the url that files are sent to".into(),
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
            "source.events: a queue tells of an S3 bucket's events only; leave it out: this bucket is listed \
             every `source.poll`"
                .into(),
        );
    }
    let (usual_poll, usual_sweep) = match (&place, &queue) {
        (Place::Folder(_), None) if table.poll.is_none() => ("30s", "30s"),
        (Place::Folder(_), _) => {
            return Err(
                "source.events, source.poll: a folder needs neither: gristmill watches it; leave them out"
                    .into(),
            );
        }
        (Place::Bucket(_), None) => ("1 minute", "1 hour"),
        (Place::Bucket(_), Some(_)) => ("15 minutes", "1 hour"),
    };
    if let Place::Folder(source) = &place
        && !source.is_dir()
    {
        let problem = if source.exists() {
            "is not a folder"
        } else {
            "is not there"
        };
        return Err(format!(
            "source.url: the folder {} {problem}: make it, or name the one that files are sent to",
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
        after,
    })
}

/// The lake of a settings file that lies in `folder`; a bucket's local folder lies beside the state database.
pub(super) fn check_lake(table: &LakeTable, folder: &Path, state: &Path) -> Result<LakeSettings, String> {
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
    let scratch = match &table.scratch {
        Some(path) => folder.join(path),
        None => {
            let mut beside = state.as_os_str().to_owned();
            beside.push("-lake");
            PathBuf::from(beside)
        }
    };
    let cache_limit = match &table.cache_limit {
        None => USUAL_CACHE,
        Some(text) => text
            .parse()
            .map_err(|_| format!("lake.cache_limit: {text:?} is no size: write \"512 MB\", \"20 GB\", …"))?,
    };
    Ok(LakeSettings::Bucket {
        place,
        scratch,
        cache_limit: cache_limit.as_u64(),
    })
}

/// How long objects of the lake stay.
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

/// What a bucket's copies may take where the settings name no limit.
const USUAL_CACHE: ByteSize = ByteSize::gb(10);

/// The tables that say how a bucket is reached, one for each store.
struct Servers<'t> {
    s3: Option<&'t S3Table>,
    google: Option<&'t ServerTable>,
    azure: Option<&'t ServerTable>,
}

impl Servers<'_> {
    /// What they say of a bucket in this store; those of others are refused, as all are for a folder.
    fn options(&self, table: &str, provider: Option<Provider>) -> Result<BucketOptions, String> {
        let said = [
            (Provider::S3, "s3", self.s3.map(S3Table::options)),
            (Provider::Google, "google", self.google.map(ServerTable::options)),
            (Provider::Azure, "azure", self.azure.map(ServerTable::options)),
        ];
        let mut options = BucketOptions::default();
        for (of, name, said) in said {
            let Some(said) = said else { continue };
            if provider != Some(of) {
                return Err(format!(
                    "{table}.{name}: not for this url: [{table}.s3] is for s3://, [{table}.google] for gs://, \
                     [{table}.azure] for az:// and abfss://; write the one that fits, or none"
                ));
            }
            let endpoint = said.endpoint.as_deref().unwrap_or_default();
            if endpoint.contains('@') {
                return Err(no_credentials(&format!("{table}.{name}.endpoint")));
            }
            if endpoint.starts_with("http://") && !said.allow_http {
                return Err(format!(
                    "{table}.{name}.endpoint: it is not https: only with allow_http = true, for servers in a safe \
                     network"
                ));
            }
            options = said;
        }
        Ok(options)
    }
}

/// The place that a URL names, with what the tables beside it say.
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

/// What is told of a URL that may hold a secret, without quoting it.
fn no_credentials(key: &str) -> String {
    format!("{key}: write no credentials into the url: they come by the store's standard ways")
}

/// The name of a source is the first folder of its files: one that the watcher would look at.
fn is_word(name: &str) -> bool {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !name.is_empty() && !name.starts_with('_') && name.chars().all(is_of_word)
}

/// A span that something is repeated after, which cannot be none.
fn pause(text: &str) -> Result<Duration, String> {
    match parse_span(text)? {
        Duration::ZERO => Err(format!("{text:?} is no pause: write \"30s\", \"5 minutes\", …")),
        pause => Ok(pause),
    }
}
