//! Preconditions: what must hold before a job runs, and how `gristmill explain` says what is missing.
//!
//! [`JobPlan`] is a job's row in the state database, parsed. [`judge`] compares it with the facts of one moment and
//! reads neither clock nor database, so a test can show every rule without them. [`assess`] fetches the facts. [`JobIndex`]
//! has all jobs, and says which of them take a file.

mod assess;
mod by_start;
mod check;
mod index;
mod inputs;
mod judge;
mod members;
mod params;
mod plan;
mod reload;
mod verdict;
mod waiting;

pub use assess::{assess, assess_each};
pub use check::Check;
pub(crate) use check::some_of;
pub use index::{IndexedJob, JobIndex};
pub use judge::judge;
pub use members::Match;
pub(crate) use params::list_of_requirements;
pub use params::{JobParams, MergeEngine, Requirement};
pub use plan::{JobPlan, PlanError};
pub use reload::{ReloadConflict, check_reload};
pub use verdict::{Done, Progress, Verdict, WaveState, percent};
