//! How much memory the sums of lines may take.

use gristmill_engine::Budget;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The most bytes that sums may take, in all conversions and merges together. Anything beyond that goes to files. All work
/// of a process shares one [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit(usize);

/// The default limit is the available memory divided by this: the machine's memory, or what the control group of the
/// process may use if that is less.
const SHARE: u64 = 4;

impl MemoryLimit {
    /// Makes a limit of `bytes`.
    pub fn new(bytes: u64) -> Self {
        Self(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Returns the default limit: a quarter of the memory that the process may use, or 1 GiB if the system does not
    /// report its memory.
    pub fn of_machine() -> Self {
        let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
        let Ok(system) = System::new_with_specifics(memory) else {
            return Self::new(1 << 30);
        };
        let allowed = system
            .cgroup_limits()
            .map_or(u64::MAX, |limits| limits.total_memory);
        Self::new(system.total_memory().min(allowed) / SHARE)
    }

    /// Returns the memory itself, to be shared by everything that this process does.
    pub fn memory(self) -> Memory {
        Memory {
            conversions: Budget::new(self.0 / 2),
            merges: Budget::new(self.0 / 2),
        }
    }
}

/// What sums may take, in two halves: without the first one, the merge of a large run would have conversions write file
/// after tiny file, and the other way round. Cheap to clone; all clones share the same bytes.
#[derive(Clone, Debug)]
pub struct Memory {
    /// For the sums of files while they are converted.
    pub conversions: Budget,
    /// For the sums of files while runs merge them.
    pub merges: Budget,
}
