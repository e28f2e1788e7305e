//! Feed layouts: how the files of one feed are written, and what they must contain.
//!
//! [`FeedSpec`] is what a person writes in a `[[feed]]` table; [`FeedLayout`] is the same, checked and ready to use.

mod digest;
mod format;
mod inputs;
mod reference;
mod sales;
mod spec;
mod through;

use std::collections::BTreeMap;
use std::sync::Arc;

use encoding_rs::Encoding;
use jiff::civil::Date;

pub use self::format::Delimited;
pub(crate) use self::format::{Charset, Cut, Fixed, Format, Json, JsonField, MOST_COLUMNS, TableFormat};
pub(crate) use self::inputs::{AMOUNT, CODE, ITEM, Input, MEASURES, STORE, Source, TRANS_DATE};
pub use self::reference::ReferenceLayout;
pub(crate) use self::sales::MAX_MEASURES;
pub use self::sales::{Measure, SalesLayout};
pub use self::spec::{
    Captured, FeedSpec, FieldSpec, FormatWord, HeaderNames, HeaderRule, MeasureSpec, ProfileSpec, SheetSpec,
    Supersede,
};
pub use self::through::Through;
use crate::guards::FeedGuards;
use crate::pattern::{Captures, FilePattern};
use crate::records::{Empty, KindRule, RecordRules, TrailerRule};
use crate::values::ValueRules;

/// A checked feed layout: that of a feed, or of one of its profiles.
#[derive(Clone, Debug)]
pub struct FeedLayout {
    /// The feed's name.
    pub name: String,
    /// Which files belong to the feed, or which of them the profile reads.
    pub files: FilePattern,
    /// The program that its files go through before anything is told of them.
    pub through: Option<Through>,
    /// What its files are.
    pub(crate) format: Format,
    /// Whether the first line names the columns.
    pub header: HeaderRule,
    /// The number of the header's line, from 1, if titles stand above it.
    pub header_line: Option<u32>,
    /// What the names in a header are for.
    pub header_names: HeaderNames,
    /// How files are cut into lines, and which lines count.
    pub records: RecordRules,
    /// How records of several kinds are told apart.
    pub(crate) kind_rule: Option<KindRule>,
    /// The record with totals.
    pub(crate) trailer: Option<TrailerRule>,
    /// The encoding of files without a byte-order mark.
    pub(crate) charset: Charset,
    /// How values are written.
    pub(crate) values: ValueRules,
    /// A file with a greater percentage of rejects among its lines is rejected as a whole.
    pub max_reject_percent: f64,
    /// Which versions are held.
    pub guards: FeedGuards,
    /// What the lines hold.
    pub kind: FeedKind,
    /// How some of the feed's files are written otherwise, in the order in which they are asked. A profile has none.
    profiles: Vec<(String, Arc<FeedLayout>)>,
    /// The patterns of the jobs that sum its files: what the feed's and the profile's do not capture, these may.
    job_patterns: Vec<FilePattern>,
    /// What the name of the file says that this layout was made for.
    captured: Captures,
    digest: String,
    digests_before: Vec<String>,
}

/// What the lines of a feed hold.
#[derive(Clone, Debug)]
pub enum FeedKind {
    /// Point-of-sale lines, to be aggregated.
    Sales(SalesLayout),
    /// Text that is tracked and not aggregated: its columns, in order.
    Reference(ReferenceLayout),
}

/// An invalid `[[feed]]` table: which key is wrong, and what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("feed {feed:?}{}: {key} {problem}", profile.as_ref().map(|name| format!(", profile {name:?}")).unwrap_or_default())]
pub struct LayoutError {
    /// The feed's name.
    pub feed: String,
    /// The name of the profile that is wrong, if one is.
    pub profile: Option<String>,
    /// The key of the `[[feed]]` table.
    pub key: &'static str,
    /// What is wrong with it, and what to write.
    pub problem: String,
}

/// A key that is wrong, and what to write instead.
type Problem = (&'static str, String);

impl FeedLayout {
    /// Checks a `[[feed]]` table.
    pub fn new(spec: &FeedSpec) -> Result<Self, LayoutError> {
        let fail = |profile: Option<&str>, (key, problem): Problem| LayoutError {
            feed: spec.name.clone(),
            profile: profile.map(ToOwned::to_owned),
            key,
            problem,
        };
        let mut feed = Self::of_one(spec).map_err(|problem| fail(None, problem))?;
        for profile in &spec.profiles {
            let in_profile = |problem| fail(Some(&profile.name), problem);
            if feed.profiles.iter().any(|(name, _)| *name == profile.name) {
                return Err(in_profile((
                    "name",
                    "is that of an earlier profile: give each its own".into(),
                )));
            }
            check_name(&profile.name).map_err(in_profile)?;
            let mut layout = Self::of_one(&profile.over(spec)).map_err(in_profile)?;
            if let Some(of_feed) = feed.sales() {
                layout.order_as(of_feed).map_err(in_profile)?;
            }
            feed.profiles.push((profile.name.clone(), Arc::new(layout)));
        }
        Ok(feed)
    }

    /// Checks a table without its profiles.
    fn of_one(spec: &FeedSpec) -> Result<Self, Problem> {
        check_name(&spec.name)?;
        let files = FilePattern::parse(&spec.files).map_err(|e| ("files", e.to_string()))?;
        for (key, percent) in [
            ("max_reject_percent", spec.max_reject_percent),
            ("shrink_percent", spec.shrink_percent),
        ] {
            if !(0.0..=100.0).contains(&percent) {
                let off = if key == "shrink_percent" {
                    "; 0 turns it off"
                } else {
                    ""
                };
                return Err((key, format!("must be a number from 0 to 100{off}")));
            }
        }
        if spec.id_chars == 0 {
            return Err(("id_chars", "must be at least 1".into()));
        }
        match (spec.header_line, spec.header) {
            (Some(0), _) => return Err(("header_line", "counts from 1: 0 is no line".into())),
            (Some(_), HeaderRule::Never) => {
                let problem = "says where the header is, but header = \"never\" says that there is none";
                return Err(("header_line", problem.into()));
            }
            _ => {}
        }
        let records = RecordRules::new(&spec.records).map_err(|problem| ("records.skip", problem))?;
        let values = ValueRules::new(&spec.values, spec.id_chars, spec.format.is_table())?;
        let charset = Charset::of(&spec.encoding)?;
        if matches!(charset, Charset::Ebcdic(_)) && spec.format.is_table() {
            return Err((
                "encoding",
                "has no meaning with this format: EBCDIC is a code page of text".into(),
            ));
        }
        let mut positions = format::Positions::new(spec, &values)?;
        let (kind, header) = match spec.reference {
            true => (FeedKind::Reference(ReferenceLayout::new(spec)?), spec.header),
            false => {
                let sales = SalesLayout::new(spec, &values, &mut positions)?;
                let header = sales.header(spec)?;
                (FeedKind::Sales(sales), header)
            }
        };
        let (kind_rule, trailer) = match &kind {
            FeedKind::Sales(sales) => (
                positions.kind(spec, &sales.inputs)?,
                positions.trailer(spec, &sales.inputs)?,
            ),
            FeedKind::Reference(_) => (None, None),
        };
        Ok(Self {
            name: spec.name.clone(),
            files,
            through: Through::of(spec)?,
            format: positions.into_format(),
            header,
            header_line: spec.header_line,
            header_names: spec.header_names,
            records,
            kind_rule,
            trailer,
            charset,
            values,
            max_reject_percent: spec.max_reject_percent,
            guards: FeedGuards {
                late: spec.late,
                shrink_percent: spec.shrink_percent,
                same_day: spec.same_day,
                check_store: spec.check_store,
            },
            kind,
            profiles: Vec::new(),
            job_patterns: Vec::new(),
            captured: Captures::default(),
            digest: digest::digest(spec),
            digests_before: digest::digests_before(spec),
        })
    }

    /// Returns a layout under which archives are recorded; `None` without feeds. It reads nothing: its digest stands for
    /// all that decides which members of an archive are read, and how.
    pub fn of_archives<'f>(name: &str, feeds: impl IntoIterator<Item = &'f Self>) -> Option<Self> {
        let mut feeds = feeds.into_iter().peekable();
        let mut archives = Self::clone(feeds.peek()?);
        let reading = feeds.flat_map(|feed| {
            let profiles = feed.profiles.iter().map(|(_, profile)| &**profile);
            let readers = std::iter::once(feed).chain(profiles);
            readers.map(|layout| (layout.name.as_str(), layout.files.as_str(), layout.digest()))
        });
        archives.digest = digest::of_archives(reading);
        archives.name = name.to_owned();
        archives.profiles = Vec::new();
        Some(archives)
    }

    /// Puts the measures into the order of another layout's.
    fn order_as(&mut self, other: &SalesLayout) -> Result<(), Problem> {
        let FeedKind::Sales(sales) = &mut self.kind else {
            return Ok(());
        };
        if sales.order_as(other)? {
            self.digest = digest::with_order(&self.digest, &sales.measures);
        }
        Ok(())
    }

    /// Puts measures that have fields of their own, and so no order by codes, into the order of a feed that fills the
    /// same table. Leaves them as they are if their names are others.
    #[must_use]
    pub fn ordered_as(mut self, other: &Self) -> Self {
        let order = other
            .sales()
            .filter(|_| self.sales().is_some_and(SalesLayout::is_wide));
        if let Some(order) = order
            && self.order_as(order).is_ok()
        {
            for (_, profile) in &mut self.profiles {
                // The names of a profile are those of its feed.
                let _ = Arc::make_mut(profile).order_as(order);
            }
        }
        self
    }

    /// Returns whether the amounts of a record are told apart by its code.
    pub fn has_codes(&self) -> bool {
        self.sales().is_some_and(|sales| !sales.is_wide())
    }

    /// Returns a digest of the settings that conversion depends on. Files converted under another digest are converted
    /// again.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Returns whether what was read under a digest may be summed with what is read now: its amounts and ids mean the
    /// same, however they were written; or it is a digest that gristmill gave the same settings before it read lines
    /// as it does now.
    pub fn sums_with(&self, digest: &str) -> bool {
        let meaning = digest
            .get(..digest::HALF)
            .filter(|_| digest.len() == 2 * digest::HALF);
        meaning == self.digest.get(..digest::HALF)
            || self.digests_before.iter().any(|before| before == digest)
    }

    /// Returns the layout of the profile that reads a file of this feed, or the feed's own.
    pub fn of_file(&self, path: &str) -> &Self {
        let mut profiles = self.profiles.iter();
        profiles
            .find(|(_, profile)| profile.files.matches(path))
            .map_or(self, |(_, profile)| profile)
    }

    /// Returns the name of the profile that reads a file of this feed, if one does.
    pub fn profile_of(&self, path: &str) -> Option<&str> {
        let mut profiles = self.profiles.iter();
        let found = profiles.find(|(_, profile)| profile.files.matches(path));
        found.map(|(name, _)| name.as_str())
    }

    /// Returns the layout that reads a file of this feed, and what the file's name says. `None` if the file is not of
    /// this feed.
    pub fn reader(self: &Arc<Self>, path: &str) -> Option<(Arc<Self>, Captures)> {
        let of_feed = self.files.captures(path)?;
        let found = self
            .profiles
            .iter()
            .find_map(|(_, profile)| Some((profile, profile.files.captures(path)?)));
        let (layout, captures) = match found {
            None => (self, of_feed),
            Some((profile, own)) => (
                profile,
                Captures {
                    store: own.store.or(of_feed.store),
                    date: own.date.or(of_feed.date),
                },
            ),
        };
        if !layout.reads_names() {
            return Some((layout.clone(), captures));
        }
        let mut known = captures.clone();
        for of_job in self
            .job_patterns
            .iter()
            .filter_map(|pattern| pattern.captures(path))
        {
            known.store = known.store.or(of_job.store);
            known.date = known.date.or(of_job.date);
        }
        Some((Arc::new(layout.with_name(&known)), captures))
    }

    /// Adds the patterns of the jobs that sum its files. Fails if a field comes from a capture that no pattern has.
    pub fn with_jobs(mut self, patterns: Vec<FilePattern>) -> Result<Self, LayoutError> {
        let own = std::iter::once((None, &self));
        let profiles = self
            .profiles
            .iter()
            .map(|(name, profile)| (Some(name.clone()), &**profile));
        for (profile, layout) in own.chain(profiles) {
            let Some(sales) = layout.sales() else { continue };
            let has = |is_in: fn(&FilePattern) -> bool| {
                is_in(&layout.files) || is_in(&self.files) || patterns.iter().any(is_in)
            };
            for (capture, is_there) in [
                (Captured::Store, has(FilePattern::has_store)),
                (Captured::Date, has(FilePattern::is_dated)),
            ] {
                if sales.captures(capture) && !is_there {
                    let name = if capture == Captured::Store {
                        "store"
                    } else {
                        "date"
                    };
                    return Err(LayoutError {
                        feed: self.name.clone(),
                        profile,
                        key: "fields",
                        problem: format!(
                            "has {{ capture = \"{name}\" }}, but no pattern has {{{name}}}: write it into files, here or of the job"
                        ),
                    });
                }
            }
        }
        self.job_patterns = patterns;
        Ok(self)
    }

    /// Returns whether the name of a file is part of what it says.
    fn reads_names(&self) -> bool {
        self.records.empty == Empty::NoSales || self.sales().is_some_and(SalesLayout::reads_names)
    }

    /// Returns the layout for a file whose name says this.
    #[must_use]
    pub fn with_name(&self, captures: &Captures) -> Self {
        let mut layout = self.clone();
        if let FeedKind::Sales(sales) = &mut layout.kind {
            sales.take(captures);
        }
        layout.digest = digest::of_name(&self.digest, captures);
        layout.captured = captures.clone();
        layout
    }

    /// Returns the store and the day for which a file without records says that nothing was sold.
    pub fn day_without_sales(&self) -> Option<(String, Date)> {
        let Captures { store, date } = &self.captured;
        let store = store.as_ref().filter(|_| self.records.empty == Empty::NoSales)?;
        let store = self.values.ids.read(store.as_bytes(), false).ok()?;
        Some((store.into_owned(), (*date)?))
    }

    /// Returns the groups of ids, out of some that are all different, that the rules for ids make one.
    pub fn merged_stores(&self, stores: &[String]) -> Vec<Vec<String>> {
        let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for store in stores {
            if let Ok(id) = self.values.ids.read(store.as_bytes(), false) {
                alike.entry(id.into_owned()).or_default().push(store.clone());
            }
        }
        alike.into_values().filter(|stores| stores.len() > 1).collect()
    }

    /// Returns the layout of point-of-sale lines, or `None` for a reference feed.
    pub fn sales(&self) -> Option<&SalesLayout> {
        match &self.kind {
            FeedKind::Sales(sales) => Some(sales),
            FeedKind::Reference(_) => None,
        }
    }

    /// Returns whether files are plain text: cut into lines at line ends, and lines into fields at one byte.
    pub(crate) fn plain_delimiter(&self) -> Option<u8> {
        let Format::Delimited(delimited) = &self.format else {
            return None;
        };
        let has_plain_fields = self.sales().is_none_or(SalesLayout::has_plain_fields);
        let has_kinds = self.kind_rule.is_some() || self.trailer.is_some();
        delimited
            .plain_delimiter()
            .filter(|_| has_plain_fields && !has_kinds && !matches!(self.charset, Charset::Ebcdic(_)))
    }

    /// Returns whether the objects of JSON files can be read in any order.
    pub(crate) fn has_plain_objects(&self) -> bool {
        matches!(self.format, Format::Json(_)) && self.kind_rule.is_none() && self.trailer.is_none()
    }
}

fn check_name(name: &str) -> Result<(), Problem> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().all(is_word) {
        true => Ok(()),
        false => Err(("name", "must be a word of letters, digits, '-' and '_'".into())),
    }
}

impl Charset {
    /// Finds the encoding of a label.
    fn of(label: &str) -> Result<Self, Problem> {
        if let Some(ebcdic) = crate::text::Ebcdic::of(label) {
            return Ok(Self::Ebcdic(ebcdic));
        }
        if let Some(dos) = crate::text::Dos::of(label) {
            return Ok(Self::Dos(dos));
        }
        Encoding::for_label(label.as_bytes()).map(Self::Text).ok_or_else(|| {
            let problem = format!(
                "{label:?} is not a known encoding: write \"utf-8\", \"windows-1252\", …, \"cp437\" or another code page of DOS, or \"cp037\" or \"cp1047\" for EBCDIC"
            );
            ("encoding", problem)
        })
    }
}

#[cfg(test)]
mod tests;
