//! What was found in a file as a whole, beyond counts: headers that cannot be used, and rejects in a known other form.
//!
//! Threads note what they see in their units; the notes are gathered in the order of the file, with the numbers of
//! lines in it.

use crate::header::HeaderFault;
use crate::other_forms::{Form, Need, settings_for};
use crate::rejects::Reason;

/// A line without header that names columns among this many first ones stands in a file with titles.
const FIRST_LINES: u64 = 20;

/// What a line shows about its file.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// It is the header, usable or not.
    Header(Option<HeaderFault>),
    /// It is the first line, and taken for a header only because its amount and its code are no numbers. `text` is the
    /// line, `fault` what it would lack as a header.
    Doubtful {
        text: Vec<u8>,
        fault: Option<HeaderFault>,
    },
    /// It stands further down, and names columns.
    Names(Option<HeaderFault>),
    /// It is a reject in a known other form.
    Other(Kind, Form, Vec<u8>),
}

/// What of a line is written in another form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Amount,
    Date,
    Id,
}

/// Everything that was found in a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Findings {
    has_header: bool,
    /// Why the header that was found first cannot be used.
    header_fault: Option<String>,
    /// What is wrong with its trailer.
    control_fault: Option<String>,
    /// The line that looks like the header below titles.
    header_like: Option<u64>,
    doubtful: Option<Doubtful>,
    /// For each [`Kind`]: how many rejects have a text there, and how many of those are in a known form.
    rejected: [(u64, u64); 3],
    /// The first of each kind and form: its kind, form, text and line.
    examples: Vec<(Kind, Form, String, u64)>,
}

/// The first line, if it is not clear whether it is a header.
#[derive(Clone, Debug, PartialEq)]
struct Doubtful {
    line: u64,
    text: Vec<u8>,
    fault: Option<String>,
}

impl Findings {
    /// Counts a reject that has a text where its reason is.
    pub(crate) fn count(&mut self, kind: Kind, is_known: bool) {
        let (all, known) = &mut self.rejected[kind as usize];
        *all += 1;
        *known += u64::from(is_known);
    }

    /// Adds the counts of other lines of the same file.
    pub(crate) fn add_counts(&mut self, other: &Self) {
        for (sum, other) in self.rejected.iter_mut().zip(other.rejected) {
            sum.0 += other.0;
            sum.1 += other.1;
        }
    }

    /// Adds what a line shows. Lines must come in their order.
    pub(crate) fn add(&mut self, line: u64, note: &Note) {
        let text = |fault: &Option<HeaderFault>| fault.as_ref().map(|fault| fault.text(line));
        match note {
            Note::Header(fault) => {
                self.has_header = fault.is_none();
                self.fault(text(fault));
            }
            Note::Doubtful { text: bytes, fault } => {
                self.doubtful = Some(Doubtful {
                    line,
                    text: bytes.clone(),
                    fault: text(fault),
                });
            }
            // That one has the file rejected, whatever follows.
            Note::Names(_) if self.header_like.is_some() => {}
            Note::Names(_) if !self.has_header && line <= FIRST_LINES => self.header_like = Some(line),
            Note::Names(fault) => {
                self.has_header |= fault.is_none();
                self.fault(text(fault));
            }
            Note::Other(kind, form, bytes) => {
                let is_known = |(k, f, ..): &(Kind, Form, String, u64)| k == kind && f == form;
                if !self.examples.iter().any(is_known) {
                    let text = String::from_utf8_lossy(bytes).trim().to_owned();
                    self.examples.push((*kind, form.clone(), text, line));
                }
            }
        }
    }

    /// Notes why the file is rejected for the records of other kinds in it.
    pub(crate) fn control(&mut self, fault: Option<String>) {
        self.control_fault = self.control_fault.take().or(fault);
    }

    fn fault(&mut self, fault: Option<String>) {
        if self.header_fault.is_none() {
            self.header_fault = fault;
        }
    }

    /// Notes that the file ended before the line in which its header should stand.
    pub(crate) fn lacks_header_line(&mut self, wanted: u32) {
        self.fault(Some(format!(
            "it has no line {wanted}, where header_line says that its header stands"
        )));
    }

    /// Decides what the doubtful first line is. If it is a reject, returns its line and text.
    pub(crate) fn settle_doubt(&mut self, is_data: bool) -> Option<(u64, Vec<u8>)> {
        let Doubtful { line, text, fault } = self.doubtful.take()?;
        if is_data {
            return Some((line, text));
        }
        self.fault(fault);
        None
    }

    /// Returns why the file is rejected as a whole for what was found, if it is.
    pub(crate) fn rejected_because(&self) -> Option<String> {
        let like = |line| format!("line {line} looks like a header: header_line = {line}");
        match (&self.header_fault, self.header_like) {
            (Some(fault), Some(line)) => return Some(format!("{fault}; {}", like(line))),
            (Some(fault), None) => return Some(fault.clone()),
            (None, Some(line)) => {
                return Some(format!("{}, if the lines above it are titles", like(line)));
            }
            (None, None) => {}
        }
        if self.control_fault.is_some() {
            return self.control_fault.clone();
        }
        [Kind::Amount, Kind::Date, Kind::Id]
            .into_iter()
            .find_map(|kind| self.other_form(kind))
    }

    fn other_form(&self, kind: Kind) -> Option<String> {
        const MOST: usize = 3;
        let (all, known) = self.rejected[kind as usize];
        if known == 0 || known < all {
            return None;
        }
        let of_kind = || self.examples.iter().filter(|(of, ..)| *of == kind);
        let keys = |form: &Form| {
            let mut keys: Vec<_> = form.iter().map(Need::setting).collect();
            keys.dedup();
            keys.join(" and ")
        };
        let examples = of_kind().take(MOST).map(|(_, form, text, line)| {
            let text: String = text.chars().take(40).collect();
            format!("{text} in line {line} ({})", keys(form))
        });
        let examples: Vec<_> = examples.collect();
        let needed: Form = of_kind().flat_map(|(_, form, ..)| form.iter().cloned()).collect();
        Some(format!(
            "{} written in another form than the settings say, so its sums would be wrong without them: {}; to read it, \
             set {} for the feed, or for a profile of such files",
            kind.subject(all),
            examples.join(", "),
            settings_for(&needed)
        ))
    }
}

impl Kind {
    /// Returns what the reason of a reject is about, where that may be written in another form.
    pub(crate) fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::Amount => Some(Self::Amount),
            Reason::Date => Some(Self::Date),
            Reason::StoreText | Reason::ItemText => Some(Self::Id),
            _ => None,
        }
    }

    fn subject(self, count: u64) -> String {
        let (one, many) = match self {
            Self::Amount => ("amount", "amounts"),
            Self::Date => ("date", "dates"),
            Self::Id => ("id", "ids"),
        };
        match count {
            1 => format!("its rejected {one} is"),
            _ => format!("all {count} rejected {many} are"),
        }
    }
}
