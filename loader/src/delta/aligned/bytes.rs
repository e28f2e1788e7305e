//! Compares stored bytes of two summaries.

use std::os::unix::fs::FileExt;

use crate::LoadError;
use crate::delta::Fault;
use crate::input::{Stored, unusable};

/// How many bytes are compared at a time.
const CHUNK: usize = 256 * 1024;

/// An offset in a file, and a length.
pub(super) type Extent = (u64, u64);

/// The bytes of two summaries; the buffers are reused.
pub(super) struct StoredBytes<'s> {
    new: &'s Stored,
    old: &'s Stored,
    of_new: Vec<u8>,
    of_old: Vec<u8>,
}

impl<'s> StoredBytes<'s> {
    pub(super) fn of(new: &'s Stored, old: &'s Stored) -> Self {
        Self {
            new,
            old,
            of_new: Vec::new(),
            of_old: Vec::new(),
        }
    }

    /// Returns whether these extents of the new and of the old file have the same bytes.
    pub(super) fn are_same(&mut self, new: Extent, old: Extent) -> Result<bool, Fault> {
        let ((new_start, length), (old_start, old_length)) = (new, old);
        if length != old_length {
            return Ok(false);
        }
        let mut compared = 0;
        while compared < length {
            let size = CHUNK.min((length - compared) as usize);
            read(self.new, new_start + compared, &mut self.of_new, size).map_err(Fault::Load)?;
            read(self.old, old_start + compared, &mut self.of_old, size).map_err(Fault::Base)?;
            if self.of_new != self.of_old {
                return Ok(false);
            }
            compared += size as u64;
        }
        Ok(true)
    }
}

fn read(stored: &Stored, start: u64, into: &mut Vec<u8>, size: usize) -> Result<(), LoadError> {
    into.resize(size, 0);
    let read = stored.file().read_exact_at(into, start);
    read.map_err(|error| unusable(stored.path(), error))
}
