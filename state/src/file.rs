//! Files, their submissions and their versions.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::day::VersionDay;
use crate::guard::Guards;
use crate::text::words;

words! {
    /// The outcome of a file's newest submission.
    FileStatus {
        /// Recorded, with no outcome yet.
        Submitted = "SUBMITTED",
        /// In force.
        Validated = "VALIDATED",
        /// Valid, but not in force until a person accepts it; an earlier version stays in force.
        Held = "HELD",
        /// Rejected as a whole; an earlier version stays in force.
        Rejected = "REJECTED",
        /// Could not be read or converted; an earlier version stays in force.
        Failed = "FAILED",
        /// Taken out by a person, until it is submitted again.
        Withdrawn = "WITHDRAWN",
    }
}

/// What a file looks like from outside. Equal stamps mean that the file has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub bytes: u64,
    /// Time of the last change, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// The file's inode number; 0 where there is none.
    pub inode: u64,
    /// Time of the last change of anything about the file (ctime), in nanoseconds since 1970; `None` for an object, and
    /// where an earlier version of gristmill has read the file.
    pub changed_ns: Option<i64>,
}

/// A file as it was last read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownStamp {
    /// What it looked like.
    pub stamp: Stamp,
    /// When its bytes were last read: submitted, or compared with what was submitted before.
    pub read_at: Timestamp,
}

/// A file in a source that no feed matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnmatchedFile {
    /// Path relative to the source.
    pub file_url: String,
    /// Size in bytes.
    pub bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
    /// When a listing first found it.
    pub noticed: Timestamp,
}

/// The name of the feed under which archives themselves are recorded. No feed of the settings can have it.
pub const ARCHIVES: &str = "(archive)";

/// What a file is to others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Role {
    /// A file by itself.
    #[default]
    Alone,
    /// A file in an archive.
    Member {
        /// Path of the archive.
        archive: String,
    },
    /// An archive. Its members have been recorded before it.
    Archive {
        /// How many members it has, without those whose names are never looked at.
        members: u64,
        /// How many of them a feed matches.
        read: u64,
        /// What became of them, for people.
        note: String,
    },
}

impl Role {
    /// Returns what is to be noted of the file for people.
    pub(crate) fn note(&self) -> Option<String> {
        match self {
            Self::Archive { note, .. } => Some(note.clone()),
            _ => None,
        }
    }
}

/// A file in an archive, as it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMember {
    /// The stamp that its archive had; `None` if the member is to be read again.
    pub stamp: Option<Stamp>,
    /// The layout of its newest conversion; `None` if it could not be read.
    pub layout_digest: Option<String>,
}

/// Where a member of an archive is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberPlace {
    /// Path of the archive.
    pub archive: String,
    /// Whether the archive had it when it was last read.
    pub is_there: bool,
}

/// One arrival of a file, and its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmissionRecord {
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed that the file belongs to.
    pub feed: String,
    /// The store in the file's name.
    pub store_id: Option<String>,
    /// The business day in the file's name.
    pub business_date: Option<Date>,
    /// The file as it was read.
    pub stamp: Stamp,
    /// What decides whether a version comes into force.
    pub guards: Guards,
    /// What it is to others.
    pub role: Role,
    /// The outcome.
    pub outcome: SubmissionOutcome,
}

/// What came of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its number.
    pub submission_id: i64,
    /// The file's status after it.
    pub status: FileStatus,
    /// Why it did not come into force.
    pub reason: Option<String>,
    /// What else was noticed about it.
    pub note: Option<String>,
    /// Why single days of it are held.
    pub held_days: Vec<String>,
}

/// The outcome of a submission.
#[derive(Debug, Clone, PartialEq)]
pub enum SubmissionOutcome {
    /// The bytes were converted. An accepted version comes into force; otherwise the earlier one stays in force.
    Converted(VersionRecord),
    /// The bytes match a known version of this file. If that version was accepted, it is now in force (again).
    Unchanged {
        /// Hash of the file's bytes.
        content_hash: String,
        /// Digest of the feed's layout.
        layout_digest: String,
    },
    /// The file could not be read or converted; the version in force stays.
    Failed {
        /// The reason, for people.
        error: String,
    },
}

/// The bytes of a submission, and the result of converting them. `lines = rows + ignored + skipped + rejects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// Hash of the file's bytes.
    pub content_hash: String,
    /// Digest of the layout that the bytes were read with: of every setting that the result depends on.
    pub layout_digest: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Lines read.
    pub lines: u64,
    /// Lines that became rows.
    pub rows: u64,
    /// Well-formed lines with a code that no measure uses.
    pub ignored: u64,
    /// Blank lines, comments and the header.
    pub skipped: u64,
    /// Lines that failed validation.
    pub rejects: u64,
    /// Lines that had more columns than are read.
    pub drift_lines: u64,
    /// Whether the last line had an end: if not, the file may have been cut. `None` for versions of before this was
    /// recorded.
    pub last_line_ended: Option<bool>,
    /// The earliest date among the rows.
    pub first_date: Option<Date>,
    /// The latest date among the rows.
    pub last_date: Option<Date>,
    /// Why the file is rejected as a whole; `None` when it is accepted.
    pub rejected_because: Option<String>,
    /// What it reports of each store and day. Only for recording: what is read from the database has none here.
    #[serde(skip)]
    pub days: Vec<VersionDay>,
    /// Lake path of the converted file.
    pub converted: Option<String>,
    /// Lake path of the partial.
    pub partial: Option<String>,
    /// Lake path of the rejected lines.
    pub reject_lines: Option<String>,
}

/// A version in force whose days were not counted when it was converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UncountedVersion {
    /// Id of the version.
    pub version_id: i64,
    /// Path of its file, relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// Lake path of its partial.
    pub partial: String,
}

/// A version as stored in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VersionRow {
    /// Id of the version.
    pub version_id: i64,
    /// When it was first recorded.
    pub created: Timestamp,
    /// The version itself.
    #[serde(flatten)]
    pub version: VersionRecord,
}

/// A file, and its version in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileRow {
    /// Id of the file.
    pub file_id: i64,
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// The store in the file's name.
    pub store_id: Option<String>,
    /// The business day in the file's name.
    pub business_date: Option<Date>,
    /// The outcome of its newest submission.
    pub status: FileStatus,
    /// When the status was last written.
    pub updated: Timestamp,
    /// When the file was last submitted.
    pub submitted: Timestamp,
    /// When one of its submissions was last found valid.
    pub last_validated: Option<Timestamp>,
    /// Why the newest submission was held, was rejected or failed.
    pub last_error: Option<String>,
    /// What else was noticed about the newest submission.
    pub last_note: Option<String>,
    /// Path of the archive that it was read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<String>,
    /// How many members it has, if it is an archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<u64>,
    /// The version in force.
    pub in_force: Option<VersionRow>,
    /// The version of the newest submission, if that is not in force: the one that was rejected.
    pub refused: Option<VersionRow>,
}

impl FileRow {
    /// Returns the version of the newest submission, which the status is about; none if it could not be read.
    pub fn newest_version(&self) -> Option<&VersionRow> {
        match self.status {
            FileStatus::Validated => self.in_force.as_ref(),
            _ => self.refused.as_ref(),
        }
    }
}

/// A file that was read and has yet to be put away in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileToPutAway {
    /// Path relative to the source.
    pub file_url: String,
    /// What the file looked like when it was read.
    pub stamp: Stamp,
    /// Whether it was found valid; if not, it was rejected or could not be read.
    pub is_valid: bool,
}

/// Which files to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct FileFilter {
    /// Only files of this feed.
    pub feed: Option<String>,
    /// Only files with this status; with `Held`, also those with single days that are held.
    pub status: Option<FileStatus>,
}

/// A file's newest valid submission within a span of time, which is what a replay of that span reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidSubmission {
    /// Id of the submission.
    pub submission_id: i64,
    /// Id of the file.
    pub file_id: i64,
    /// Id of the version that was submitted.
    pub version_id: i64,
    /// Path relative to the source.
    pub file_url: String,
    /// Name of the feed.
    pub feed: String,
    /// The store in the file's name.
    pub store_id: Option<String>,
    /// The business day in the file's name.
    pub business_date: Option<Date>,
    /// When it was submitted.
    pub submitted: Timestamp,
}
