//! What can go wrong, other than bad lines: those are data, not errors.

use std::io;
use std::path::{Path, PathBuf};

use crate::key::MOST_ITEMS;

/// A failure of the engine. There are few kinds, and each calls for a different response from the operator.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The input could not be read. Worth retrying.
    #[error("cannot read the input")]
    Read(#[source] io::Error),
    /// An output could not be written: the disk is full, or a folder is gone. Worth retrying.
    #[error("cannot write {}", path.display())]
    Write {
        /// The output file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A Parquet file could not be written or read.
    #[error("cannot {action} {}", path.display())]
    Parquet {
        /// What was being done.
        action: &'static str,
        /// The Parquet file.
        path: PathBuf,
        /// The cause.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A sum does not fit decimal(18,2).
    #[error(
        "the sum of {measure} for store {store_id}, item {item_id}, date {trans_date} does not fit decimal(18,2)"
    )]
    Overflow {
        /// The amount column.
        measure: String,
        /// The key's store.
        store_id: String,
        /// The key's item.
        item_id: String,
        /// The key's date.
        trans_date: jiff::civil::Date,
    },
    /// One store has more items than keys can tell apart.
    #[error("one store has more than {MOST_ITEMS} different items, which is more than gristmill can sum")]
    TooManyItems,
    /// A header in mid-file moves the columns, but other threads read lines behind it. No fault of the file: see
    /// [`convert`](crate::convert).
    #[error("a header in mid-file moves the columns: the file must be read in order")]
    ColumnsMoved,
    /// The file is an archive, whose members are to be converted instead.
    #[error("it is an archive")]
    Archive,
    /// The counts of a file do not add up: a bug in gristmill, never a fault of the file.
    #[error("lines were lost ({0}): this is a bug in gristmill; please report it with the file")]
    Conservation(String),
    /// What another engine has merged is not what was asked of it.
    #[error("{}, which another engine has written, cannot be used: {problem}", path.display())]
    Part {
        /// Its Parquet file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Polars could not merge the partials.
    #[error("cannot merge the partials")]
    Merge(#[from] polars::error::PolarsError),
}

impl EngineError {
    /// Returns whether a retry may succeed without anyone's help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Read(_) | Self::Write { .. } | Self::Parquet { .. } => true,
            Self::Merge(error) => matches!(error, polars::error::PolarsError::IO { .. }),
            Self::Overflow { .. }
            | Self::TooManyItems
            | Self::Part { .. }
            | Self::Conservation(_)
            | Self::ColumnsMoved
            | Self::Archive => false,
        }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn parquet<E>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Parquet {
            action,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
