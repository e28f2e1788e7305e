//! The partial: the aggregate of one file, one row a key, from which jobs merge.
//!
//! Its Parquet has `store_id`, `item_id`, `trans_date` and one decimal(18,2) a measure, NULL where no line of its code
//! is, sorted by the three keys. A store and date with an ignored line still counts as covered by the file: it has a
//! row with a NULL `item_id` and no amounts.

mod file;
mod key;
mod order;
mod read;
mod rows;
mod table;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempPath;

pub(crate) use self::file::PartialFile;
pub(crate) use self::key::{Key, MOST_ITEMS, MOST_STORES, StoreDay};
pub use self::read::covers_day;
pub(crate) use self::read::{PartialReader, StoreRows};
pub(crate) use self::rows::Rows;
pub(crate) use self::table::{Sums, Table};
use crate::error::EngineError;
use crate::layout::{Measure, SalesLayout};
use crate::summarize::merge_files;

/// The partial of one file version, wherever it is.
#[derive(Debug)]
pub struct Partial {
    measures: Vec<Measure>,
    sums: Held,
    /// The first and last business day, as day numbers; not known of a stored one.
    days: Option<(i32, i32)>,
}

/// Where a partial is.
#[derive(Debug)]
enum Held {
    Memory(Rows),
    /// Rows that were read from a file, which is still there.
    Loaded(Rows, PathBuf),
    /// Files in the form of a partial, which may have a key in common. They go away with this value.
    Spilled(Vec<TempPath>),
    /// A file that [`Partial::write`] has written.
    Stored(PathBuf),
}

impl Partial {
    /// Brings together what several threads have summed. Takes a folder for sums that cannot be held together.
    pub(crate) fn of(parts: Vec<Sums>, measures: &[Measure], folder: &Path) -> Result<Self, EngineError> {
        let stores: usize = parts.iter().map(|part| part.stores.len()).sum();
        let items: usize = parts.iter().map(|part| part.items.len()).sum();
        if parts.len() == 1 || (stores <= MOST_STORES && items <= MOST_ITEMS) {
            return Ok(Self::held(Rows::of(&parts, measures)?, measures));
        }
        let mut whole: Option<Self> = None;
        for part in parts {
            let part = Self::held(Rows::of(&[part], measures)?, measures).spill(folder)?;
            whole = Some(match whole {
                Some(whole) => whole.with(part, folder)?,
                None => part,
            });
        }
        Ok(whole.unwrap_or_else(|| Self::held(Rows::default(), measures)))
    }

    /// A partial whose rows are in memory.
    pub(crate) fn held(rows: Rows, measures: &[Measure]) -> Self {
        Self {
            measures: measures.to_vec(),
            days: rows.first_and_last_day(),
            sums: Held::Memory(rows),
        }
    }

    /// A partial that was written to a file, of a feed with this layout.
    pub fn stored(path: PathBuf, layout: &SalesLayout) -> Self {
        Self {
            measures: layout.measures.clone(),
            sums: Held::Stored(path),
            days: None,
        }
    }

    /// The same, held in files of a folder and not in memory.
    pub fn spill(self, folder: &Path) -> Result<Self, EngineError> {
        let sums = match self.sums {
            Held::Memory(ref rows) => Held::Spilled(vec![self.spilled(rows, folder)?]),
            Held::Loaded(_, path) => Held::Stored(path),
            Held::Spilled(_) | Held::Stored(_) => return Ok(self),
        };
        Ok(Self { sums, ..self })
    }

    fn spilled(&self, rows: &Rows, folder: &Path) -> Result<TempPath, EngineError> {
        let file = tempfile::Builder::new().prefix("sums-").tempfile_in(folder);
        let path = file.map_err(EngineError::write(folder))?.into_temp_path();
        file::write(rows, &self.measures, &path)?;
        Ok(path)
    }

    /// Adds the sums of other lines of the same file. Both go out to files.
    pub(crate) fn with(self, other: Self, folder: &Path) -> Result<Self, EngineError> {
        let mut partial = self.spill(folder)?;
        partial.days = match (partial.days, other.days) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
        if let (Held::Spilled(files), Held::Spilled(others)) = (&mut partial.sums, other.spill(folder)?.sums)
        {
            files.extend(others);
        }
        Ok(partial)
    }

    /// Writes the Parquet: one row a key. Holds up to `memory` bytes of rows at a time, where they are not held already.
    pub fn write(&self, path: &Path, memory: usize) -> Result<(), EngineError> {
        match &self.sums {
            Held::Memory(rows) | Held::Loaded(rows, _) => file::write(rows, &self.measures, path),
            Held::Spilled(_) | Held::Stored(_) => merge_files(&self.files(), &self.measures, memory, path),
        }
    }

    /// The first and last business day, as day numbers.
    pub(crate) fn days(&self) -> Option<(i32, i32)> {
        self.days
    }

    /// The bytes of memory held.
    pub fn memory(&self) -> usize {
        self.rows().map_or(0, Rows::memory)
    }

    /// The same with its rows in memory, where that can be: there must be room for them, which is taken from the bytes
    /// left; sums that were spilled may hold a key twice; and a file may have more stores or items than keys can tell
    /// apart.
    pub(crate) fn load(self, left: &AtomicUsize) -> Result<Self, EngineError> {
        let Held::Stored(path) = self.sums else {
            return Ok(self);
        };
        let file = PartialReader::open(&path)?;
        let needed = file.rows().saturating_mul(Rows::row_memory(self.measures.len()));
        let room = |left: usize| left.checked_sub(needed);
        let has_room = left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .is_ok();
        let rows = if has_room {
            file.read(&self.measures, 0..file.rows())?
        } else {
            None
        };
        let sums = match rows {
            Some(rows) => Held::Loaded(rows, path),
            None => Held::Stored(path),
        };
        Ok(Self { sums, ..self })
    }

    /// The rows, if they are in memory.
    pub(crate) fn rows(&self) -> Option<&Rows> {
        match &self.sums {
            Held::Memory(rows) | Held::Loaded(rows, _) => Some(rows),
            Held::Spilled(_) | Held::Stored(_) => None,
        }
    }

    /// The rows, if they are in memory.
    pub(crate) fn into_rows(self) -> Option<Rows> {
        match self.sums {
            Held::Memory(rows) | Held::Loaded(rows, _) => Some(rows),
            Held::Spilled(_) | Held::Stored(_) => None,
        }
    }

    /// The files that hold the sums; none where these are in memory.
    pub(crate) fn files(&self) -> Vec<&Path> {
        match &self.sums {
            Held::Memory(_) | Held::Loaded(..) => Vec::new(),
            Held::Spilled(files) => files.iter().map(AsRef::as_ref).collect(),
            Held::Stored(path) => vec![path],
        }
    }

    pub(crate) fn is_spilled(&self) -> bool {
        matches!(self.sums, Held::Spilled(_))
    }
}
