//! The partial: the aggregate of one file, with one row per key. Runs merge partials.
//!
//! Its Parquet has `store_id`, `item_id`, `trans_date` and one decimal(18,2) per measure, which is NULL if the key has
//! no line with the measure's code. It is sorted by the first three columns. The file covers the stores and dates of its
//! rows.

use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::budget::{Budget, Share};
use crate::error::EngineError;
use crate::key::{MOST_ITEMS, MOST_STORES};
use crate::layout::{Measure, SalesLayout};
use crate::merge::merge_files;
use crate::sums::{self, PartialReader, Rows, Sums};

/// The partial of one file version, in memory or in files.
#[derive(Debug)]
pub struct Partial {
    measures: Vec<Measure>,
    location: Location,
    /// The memory that rows in memory hold.
    share: Option<Share>,
}

/// While rows are merged, they are there about twice: as they were read, and in the batch that is written.
const COPIES: usize = 2;

/// Where the sums of a partial are.
#[derive(Debug)]
enum Location {
    Memory(Rows),
    /// Rows that were read from a file, which still exists.
    Loaded(Rows, PathBuf),
    /// Files in the format of a partial, which may share keys. They are deleted with this value.
    Spilled(Vec<TempPath>),
    /// A file that [`Partial::write`] has written.
    Stored(PathBuf),
}

impl Partial {
    /// Combines the sums of several threads. Sums that cannot be combined in memory are spilled to `folder`.
    pub(crate) fn of(parts: Vec<Sums>, measures: &[Measure], folder: &Path) -> Result<Self, EngineError> {
        let stores: usize = parts.iter().map(|part| part.stores.len()).sum();
        let items: usize = parts.iter().map(|part| part.items.len()).sum();
        if parts.len() == 1 || (stores <= MOST_STORES && items <= MOST_ITEMS) {
            return Ok(Self::in_memory(Rows::of(parts, measures)?, measures));
        }
        let mut whole: Option<Self> = None;
        for part in parts {
            let part = Self::in_memory(Rows::of(vec![part], measures)?, measures).spill(folder)?;
            whole = Some(match whole {
                Some(whole) => whole.with(part, folder)?,
                None => part,
            });
        }
        Ok(whole.unwrap_or_else(|| Self::in_memory(Rows::default(), measures)))
    }

    /// Creates a partial whose rows are in memory.
    pub(crate) fn in_memory(rows: Rows, measures: &[Measure]) -> Self {
        Self {
            measures: measures.to_vec(),
            location: Location::Memory(rows),
            share: None,
        }
    }

    /// Keeps of the shares of those who made the sums what these need now that they are combined.
    pub(crate) fn keeping(mut self, shares: Vec<Share>) -> Self {
        self.share = shares.into_iter().next().and_then(|mut share| {
            // The others are given back before.
            share.try_resize(self.memory()).then_some(share)
        });
        self
    }

    /// Hands over the memory that the rows hold, for whoever takes the rows.
    pub(crate) fn take_share(&mut self) -> Option<Share> {
        self.share.take()
    }

    /// Keeps the sums in memory as a part of `budget`, or moves them to files if it has no room for them.
    pub fn kept_in(mut self, budget: &Budget, folder: &Path) -> Result<Self, EngineError> {
        let mut share = budget.share();
        if !share.try_resize(self.memory()) {
            return self.spill(folder);
        }
        self.share = Some(share);
        Ok(self)
    }

    /// Creates a partial from a file that was written for a feed with this layout.
    pub fn stored(path: PathBuf, layout: &SalesLayout) -> Self {
        Self {
            measures: layout.measures.clone(),
            location: Location::Stored(path),
            share: None,
        }
    }

    /// Moves the sums from memory to files in a folder.
    pub fn spill(self, folder: &Path) -> Result<Self, EngineError> {
        let location = match self.location {
            Location::Memory(ref rows) => Location::Spilled(vec![self.spilled(rows, folder)?]),
            Location::Loaded(_, path) => Location::Stored(path),
            Location::Spilled(_) | Location::Stored(_) => return Ok(self),
        };
        Ok(Self {
            location,
            measures: self.measures,
            share: None,
        })
    }

    fn spilled(&self, rows: &Rows, folder: &Path) -> Result<TempPath, EngineError> {
        let file = tempfile::Builder::new().prefix("sums-").tempfile_in(folder);
        let path = file.map_err(EngineError::write(folder))?.into_temp_path();
        sums::write(rows, &self.measures, &path)?;
        Ok(path)
    }

    /// Adds the sums of other lines of the same file. Both are spilled to files.
    pub(crate) fn with(self, other: Self, folder: &Path) -> Result<Self, EngineError> {
        let mut partial = self.spill(folder)?;
        if let (Location::Spilled(files), Location::Spilled(others)) =
            (&mut partial.location, other.spill(folder)?.location)
        {
            files.extend(others);
        }
        Ok(partial)
    }

    /// Writes the Parquet, one row per key. Rows that are not in memory already are held there some at a time.
    pub fn write(&self, path: &Path, memory: &Budget) -> Result<(), EngineError> {
        match &self.location {
            Location::Memory(rows) | Location::Loaded(rows, _) => sums::write(rows, &self.measures, path),
            Location::Spilled(_) | Location::Stored(_) => {
                merge_files(&self.files(), &self.measures, memory, path)
            }
        }
    }

    /// Returns the bytes of memory in use.
    pub fn memory(&self) -> usize {
        self.rows().map_or(0, Rows::memory)
    }

    /// Loads the rows into memory, if `budget` has room for them and for what they are merged into. Otherwise the partial
    /// stays as it is; so it does if the sums were spilled (a key may then occur twice), or if the file has more stores or
    /// items than keys can distinguish.
    pub(crate) fn load(self, budget: &Budget) -> Result<Self, EngineError> {
        let Location::Stored(path) = self.location else {
            return Ok(self);
        };
        let file = PartialReader::open(&path)?;
        let needed = file.rows().saturating_mul(Rows::row_memory(self.measures.len()));
        let mut share = budget.share();
        let rows = match share.try_resize(needed.saturating_mul(COPIES)) {
            true => file.read(&self.measures, 0..file.rows())?,
            false => None,
        };
        let (location, share) = match rows {
            Some(rows) => (Location::Loaded(rows, path), Some(share)),
            None => (Location::Stored(path), None),
        };
        Ok(Self {
            location,
            measures: self.measures,
            share,
        })
    }

    /// Returns the rows, if they are in memory.
    pub(crate) fn rows(&self) -> Option<&Rows> {
        match &self.location {
            Location::Memory(rows) | Location::Loaded(rows, _) => Some(rows),
            Location::Spilled(_) | Location::Stored(_) => None,
        }
    }

    /// Returns the rows, if they are in memory.
    pub(crate) fn into_rows(self) -> Option<Rows> {
        match self.location {
            Location::Memory(rows) | Location::Loaded(rows, _) => Some(rows),
            Location::Spilled(_) | Location::Stored(_) => None,
        }
    }

    /// Returns the files that hold the sums; none if the sums are in memory.
    pub(crate) fn files(&self) -> Vec<&Path> {
        match &self.location {
            Location::Memory(_) | Location::Loaded(..) => Vec::new(),
            Location::Spilled(files) => files.iter().map(AsRef::as_ref).collect(),
            Location::Stored(path) => vec![path],
        }
    }

    pub(crate) fn is_spilled(&self) -> bool {
        matches!(self.location, Location::Spilled(_))
    }
}
