//! The settings: as a person writes them ([`file`](self::file)), and checked and ready to use ([`Settings`]).
//!
//! Unknown keys are errors, and every error names its key and says what to write. Relative paths are relative to the
//! folder of the settings file, so a service finds its data wherever it is started.

mod after;
mod alerts;
mod cluster;
mod defaults;
mod feeds;
mod file;
mod fragment;
mod http;
mod jobs;
mod lineage;
mod own;
mod passwords;
mod places;
mod quiet;
mod receivers;
mod sources;
mod state;
mod variable;
mod warehouse;
mod words;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytesize::ByteSize;
use gristmill_engine::{FeedLayout, FeedSpec};
use gristmill_loader::{Credentials, LoadMode, Target};
use gristmill_servers::Passwords;
use gristmill_state::JobConfig;

use serde::Deserialize;

use crate::memory::MemoryLimit;
use crate::preconditions::check_reload;
pub use alerts::{Alert, AlertSettings, Day, Free, When};
pub use cluster::ClusterSettings;
pub(crate) use cluster::NO_CLUSTER;
pub use feeds::Feeds;
pub(crate) use fragment::{check_feed, feed_in, read_feed, read_profile};
pub use http::{HttpSettings, Token};
pub use lineage::LineageSettings;
pub use places::{After, BucketPlace, LakeSettings, Place, Retention, Source};
pub use quiet::QuietHours;
pub(crate) use receivers::place;
pub use receivers::{DeadMan, Encryption, Endpoint, Form, Mail, Receiver};
pub use warehouse::WarehouseUrl;
pub(crate) use words::in_plain_words;

/// The name of the settings file unless `-c` names another.
pub const DEFAULT_FILE: &str = "gristmill.toml";

/// Settings that were checked and are ready to use.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The settings file itself.
    pub file: PathBuf,
    /// The same for two processes only if they are of the same version and have the same text of settings.
    pub fingerprint: String,
    /// Where files come from: one source, or several that each have a name.
    pub sources: Vec<Source>,
    /// Where the lake is.
    pub lake: LakeSettings,
    /// How long the lake keeps its objects.
    pub retention: Retention,
    /// Where the state database is, and who answers questions there.
    pub state: gristmill_state::Place,
    /// How files are converted.
    pub convert: ConvertSettings,
    /// The warehouse's URL.
    pub warehouse: WarehouseUrl,
    /// The passwords for servers whose URLs have none.
    pub passwords: Passwords,
    /// The warehouse's table, and how it is loaded.
    pub target: Target,
    /// Whether a warehouse that was lost or set back is filled again from the summaries in the lake.
    pub refill: bool,
    /// The feeds, by name.
    pub feeds: Feeds,
    /// Where the status page listens, and who may act there.
    pub http: HttpSettings,
    /// What is watched for, and who is told.
    pub alerts: AlertSettings,
    /// Who is told of runs, if anybody.
    pub lineage: Option<LineageSettings>,
    /// The cluster that may merge in place of this host, if there is one.
    pub cluster: Option<ClusterSettings>,
    /// The jobs of the settings file. Those in the state database may differ.
    pub jobs: Vec<JobConfig>,
}

/// How files are converted.
#[derive(Clone, Copy, Debug)]
pub struct ConvertSettings {
    /// What the lake keeps of each file.
    pub keep: Keep,
    /// The most memory that sums may take.
    pub memory_limit: MemoryLimit,
}

/// What conversion keeps in the lake, apart from rejects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The typed rows, and their sums.
    #[default]
    Rows,
    /// The sums alone. Rows of the warehouse then cannot be traced to lines.
    Partials,
}

/// A settings file that cannot be used: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct SettingsError {
    path: PathBuf,
    problem: String,
}

impl Settings {
    /// Reads and checks a settings file. Source folders must exist; other folders are created when they are needed.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let fail = |problem: String| SettingsError {
            path: path.to_owned(),
            problem,
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            fail(format!(
                "cannot read the settings file: {error}; `gristmill init` writes one, `-c FILE` names another"
            ))
        })?;
        let settings = Self::from_text(&text, path.parent().unwrap_or(Path::new("."))).map_err(fail)?;
        Ok(Self {
            file: path.to_owned(),
            fingerprint: fingerprint(&text),
            ..settings
        })
    }

    /// Returns how often jobs are judged merely because time has passed: at the shortest `sweep` of the sources, and at
    /// least every half minute.
    pub fn clock_pause(&self) -> Duration {
        let sweeps = self.sources.iter().map(|source| source.sweep);
        sweeps.fold(Duration::from_secs(30), Duration::min)
    }

    /// Returns whether a source or the lake is a bucket.
    pub fn has_bucket(&self) -> bool {
        let mut sources = self.sources.iter();
        sources.any(|source| matches!(source.place, Place::Bucket(_)))
            || matches!(self.lake, LakeSettings::Bucket { .. })
    }

    /// Finds the source that a file belongs to, and its path there.
    pub fn source_of<'n>(&self, file: &'n str) -> Option<(usize, &'n str)> {
        let found = |(number, source): (usize, &Source)| Some((number, source.path_of(file)?));
        self.sources.iter().enumerate().find_map(found)
    }

    /// Checks the text of a settings file in `folder`. Errors do not include the file's name.
    fn from_text(text: &str, folder: &Path) -> Result<Self, String> {
        let file = file::read(text)?;
        let sources = sources::check_sources(&file.source, folder)?;
        let passwords = passwords::from_environment();
        let state = state::check_state(&file.state, folder, &passwords)?;
        let lake = sources::check_lake(&file.lake, folder, &state)?;
        after::check_moved(&sources, &lake)?;
        let feeds = check_feeds(&file.feeds)?;
        let measures = shared_measures(&feeds)?;
        let mode: LoadMode = file.warehouse.load.parse().map_err(|_| {
            let load = &file.warehouse.load;
            format!("warehouse.load: {load:?} is not known: write \"replace-days\", \"upsert\" or \"reload\"")
        })?;
        let cluster = file
            .cluster
            .as_ref()
            .map(|table| cluster::check_cluster(table, &lake));
        let cluster = cluster.transpose()?;
        let jobs = jobs::check_jobs(&file.jobs, &feeds, cluster.is_some())?;
        let feeds = feeds.with_jobs(&jobs)?;
        check_reload(mode, &jobs).map_err(|error| error.to_string())?;
        let target = Target::new(&file.warehouse.table, measures, mode)
            .map_err(|error| format!("warehouse.table: {error}"))?
            .with_audit(file.warehouse.audit);
        let warehouse = match &file.warehouse.url.0 {
            Ok(url) => Ok(check_warehouse(url, folder, &state, &target, &passwords)?),
            Err(problem) => Err(format!("warehouse.url: {problem}")),
        };
        let alerts = AlertSettings::check(
            &file.alerts,
            &file.alert_tables,
            &file.receivers,
            file.dead_man.as_ref(),
            &feeds,
        )?;
        let names = jobs.iter().map(|job| ("[[job]] id", job.id.as_str(), 200));
        let names = names.chain(
            feeds
                .iter()
                .map(|feed| ("[[feed]] name", feed.name.as_str(), 200)),
        );
        let of_alerts = alerts.alerts.iter();
        let names = names.chain(of_alerts.map(|alert| ("[[alert]] name", alert.name.as_str(), 60)));
        let receivers = alerts.receivers.iter();
        let names = names.chain(receivers.map(|receiver| ("[[receiver]] name", receiver.name.as_str(), 200)));
        state::check_names(&state, names)?;
        Ok(Self {
            file: PathBuf::new(),
            fingerprint: String::new(),
            sources,
            lake,
            retention: sources::check_retention(&file.lake.retention)?,
            state,
            convert: ConvertSettings {
                keep: file.convert.keep,
                memory_limit: memory_limit(file.convert.memory_limit.as_deref())?,
            },
            warehouse: WarehouseUrl::new(warehouse),
            passwords,
            target,
            refill: file.warehouse.refill,
            http: HttpSettings::check(&file.http)?,
            alerts,
            lineage: file.lineage.as_ref().map(LineageSettings::check).transpose()?,
            cluster,
            jobs,
            feeds,
        })
    }

    fn refused(&self, problem: impl Into<String>) -> SettingsError {
        SettingsError {
            path: self.file.clone(),
            problem: problem.into(),
        }
    }

    /// Returns the token for a status page at an address; an error if the address needs one.
    pub fn token_at(&self, listen: SocketAddr) -> Result<Option<Token>, SettingsError> {
        let token = self.http.token_at(listen);
        token.map_err(|problem| self.refused(problem))
    }

    /// Checks that the variables are set which receivers of alerts need. Only a service needs them.
    pub fn check_receivers(&self) -> Result<(), SettingsError> {
        let checked = self.alerts.check_secrets();
        checked.map_err(|problem| self.refused(problem))
    }

    /// Checks the jobs that alerts name. `jobs` are those of the state database.
    pub fn check_alerts(&self, jobs: &[JobConfig]) -> Result<(), SettingsError> {
        let checked = self.alerts.check_jobs(jobs, &self.feeds);
        checked.map_err(|problem| self.refused(problem))
    }

    /// Returns an error if a variable that sending lineage events needs is not set.
    pub fn check_lineage(&self) -> Result<(), SettingsError> {
        let key = self.lineage.as_ref().map(LineageSettings::api_key);
        key.transpose().map(drop).map_err(|problem| self.refused(problem))
    }

    /// Returns the warehouse's URL, or an error about the settings if a variable in it is not set.
    pub(crate) fn warehouse_url(&self) -> Result<&str, SettingsError> {
        self.warehouse.get().map_err(|problem| self.refused(problem))
    }
}

/// Returns what only processes of this version have that read the same text of settings.
fn fingerprint(text: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(b"\0");
    hasher.update(text.as_bytes()).finalize().to_hex().to_string()
}

/// Reads the memory limit of the settings, or returns the default for this machine.
fn memory_limit(text: Option<&str>) -> Result<MemoryLimit, String> {
    let Some(text) = text else {
        return Ok(MemoryLimit::of_machine());
    };
    let help = || format!("convert.memory_limit: {text:?} is not a size: write \"512 MB\", \"4 GiB\", …");
    let size: ByteSize = text.parse().map_err(|_| help())?;
    if size < LEAST_MEMORY {
        return Err(format!(
            "convert.memory_limit: {text:?} is too little: write \"{LEAST_MEMORY}\" or more"
        ));
    }
    Ok(MemoryLimit::new(size.as_u64()))
}

/// With less, conversion would constantly write tiny files of sums.
const LEAST_MEMORY: ByteSize = ByteSize::mib(16);

/// Returns the path that a URL of `scheme` names, or a plain path unchanged.
fn local_path<'u>(key: &str, url: &'u str, scheme: &str) -> Result<&'u str, String> {
    match url.split_once("://") {
        None if !url.is_empty() => Ok(url),
        Some((found, path)) if found == scheme && !path.is_empty() => Ok(path),
        _ => {
            let shown = gristmill_servers::url::redacted(url);
            Err(format!(
                "{key}: {shown:?} cannot be used: write a path, or {scheme}://PATH"
            ))
        }
    }
}

/// Checks the warehouse's URL, and returns it with the path resolved if it is a SQLite file.
fn check_warehouse(
    url: &str,
    folder: &Path,
    state: &gristmill_state::Place,
    target: &Target,
    passwords: &Passwords,
) -> Result<String, String> {
    let warehouse = anchored_warehouse(url, folder)?;
    // A load locks the warehouse's file while it waits for a write to the state database: in one file, that would be a
    // deadlock.
    if state
        .file()
        .is_some_and(|state| sqlite_path(&warehouse) == Some(state))
    {
        return Err(format!(
            "warehouse.url: {state} is the state database; name another file"
        ));
    }
    let credentials = Credentials {
        passwords: passwords.clone(),
        aws: None,
    };
    gristmill_loader::open(&warehouse, target.clone(), &credentials)
        .map_err(|error| format!("warehouse.url: {error}"))?;
    Ok(warehouse)
}

/// Returns the path of a SQLite warehouse.
fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite://")?;
    Some(Path::new(path.split('?').next().unwrap_or(path)))
}

/// Resolves a SQLite warehouse's path against the settings file's folder; other URLs stay as they are.
fn anchored_warehouse(url: &str, folder: &Path) -> Result<String, String> {
    match url.strip_prefix("sqlite://") {
        Some(path) => match folder.join(path).to_str() {
            Some(path) => Ok(format!("sqlite://{path}")),
            None => Err(format!(
                "warehouse.url: the folder {} has a name that is not UTF-8",
                folder.display()
            )),
        },
        None => Ok(url.to_owned()),
    }
}

fn check_feeds(specs: &[FeedSpec]) -> Result<Feeds, String> {
    if specs.is_empty() {
        return Err("there is no [[feed]]: `gristmill init` writes a settings file with an example".into());
    }
    let mut layouts = Vec::new();
    for spec in specs {
        if layouts.iter().any(|layout: &FeedLayout| layout.name == spec.name) {
            return Err(format!(
                "feed {:?} is defined twice: give each feed its own name",
                spec.name
            ));
        }
        layouts.push(FeedLayout::new(spec).map_err(|error| error.to_string())?);
    }
    // The columns of the table are in the order of codes, where there are some.
    if let Some(order) = layouts.iter().find(|layout| layout.has_codes()).cloned() {
        layouts = layouts
            .into_iter()
            .map(|layout| layout.ordered_as(&order))
            .collect();
    }
    Ok(Feeds::new(layouts))
}

/// Returns the amount columns of the warehouse's table, which all sales feeds share.
fn shared_measures(feeds: &Feeds) -> Result<Vec<String>, String> {
    let mut shared: Option<(&str, Vec<String>)> = None;
    for feed in feeds.iter() {
        let Some(sales) = feed.sales() else { continue };
        let names: Vec<_> = sales
            .measures
            .iter()
            .map(|measure| measure.name.clone())
            .collect();
        match &shared {
            Some((first, others)) if *others != names => {
                return Err(format!(
                    "feed {:?}: measures are {names:?}, but those of feed {first:?} are {others:?}: feeds that share a \
                     table need the same measures",
                    feed.name
                ));
            }
            Some(_) => {}
            None => shared = Some((&feed.name, names)),
        }
    }
    shared
        .map(|(_, names)| names)
        .ok_or_else(|| "every [[feed]] has reference = true: at least one must be aggregated".into())
}

#[cfg(test)]
mod tests;
