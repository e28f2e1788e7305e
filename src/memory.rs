//! How much memory the sums of lines may take.

use std::num::NonZero;
use std::sync::LazyLock;

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The most bytes that sums may take, all conversions and merges together. What goes beyond is held in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit(usize);

/// Of the machine's memory, or of what the control group of the process may use, this part is the limit where the
/// settings name none.
const SHARE: u64 = 4;

impl MemoryLimit {
    /// A limit of so many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// The limit where the settings name none: a quarter of the memory that the process may use. 1 GiB where the system
    /// does not tell.
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

    /// What one of the threads that convert files may hold: together they take half of the limit.
    pub fn for_a_thread(self) -> usize {
        // Asking the system opens files; this is asked for each file that is converted.
        static THREADS: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        self.0 / 2 / *THREADS
    }

    /// What the partials of files that were converted may hold until they are merged: the other half.
    pub fn for_partials(self) -> usize {
        self.0 / 2
    }
}
