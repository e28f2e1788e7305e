//! What was lost beneath a job: loads that the warehouse no longer has, runs that the state database no longer knows,
//! partials that are gone from the lake.

use gristmill_state::{FileFact, LedgerNews};
use jiff::civil::Date;

use crate::ledger::{lost_load, unknown_run};
use crate::preconditions::Check;
use crate::preconditions::check::some_of;

/// Appears only if it blocks the wave: while the warehouse's ledger and the state database disagree, a load could
/// replace newer rows by older ones.
pub(super) fn ledger(news: &LedgerNews, wave: Option<Date>) -> Option<Check> {
    let unknown = news.unknown.last().map(unknown_run);
    let mut lost = news.lost.iter().filter(|run| run.wave == wave);
    let facts = unknown.or_else(|| lost.next().map(lost_load))?;
    Some(Check::new("warehouse", false, facts))
}

/// Appears only if it blocks the wave: a partial that the lake lost is made anew when its file is read again.
pub(super) fn partials<'f>(files: impl Iterator<Item = &'f FileFact>) -> Option<Check> {
    let is_lost = |file: &&FileFact| {
        file.in_force
            .as_ref()
            .is_some_and(|version| version.is_partial_lost)
    };
    let lost: Vec<_> = files.filter(is_lost).map(|file| file.file_url.as_str()).collect();
    let facts = format!(
        "the lake lost the partials of {}; each file is read again; of one that is gone from its source, the next start \
         takes the converted rows, or else it must be sent again",
        some_of(&lost)
    );
    (!lost.is_empty()).then(|| Check::new("lake", false, facts))
}
