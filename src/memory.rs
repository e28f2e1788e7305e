//! How much memory the sums of lines may take.

use std::num::NonZero;
use std::sync::LazyLock;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The most bytes that sums may take, in all conversions and merges together. Anything beyond that goes to files.
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

    /// Returns what one of the threads that convert files may use. Together they use half of the limit.
    pub fn for_a_thread(self) -> usize {
        // Asking the system opens files, and this is called for each file that is converted.
        static THREADS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        self.0 / 2 / *THREADS
    }

    /// Returns what the partials of converted files may use until they are merged: the other half.
    pub fn for_partials(self) -> usize {
        self.0 / 2
    }
}
