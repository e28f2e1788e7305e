//! Reads that stand still: a network folder whose server is gone answers no call, and no call can be taken back.
//!
//! A thread in such a call is lost until the call returns. So a file is read on a thread of its own, watched from
//! outside ([`Watch`]); when one call takes too long, the file is given up and tried again later, and the thread is
//! left behind. [`StuckReads`] knows those threads, so that no file gets two of them, and a source only a few.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long one call may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How many files of a source may be stuck before none of it is tried any more.
const STUCK_IN_A_SOURCE: usize = 4;

/// What is read ahead at a time, and how many of these may wait.
const CHUNK: usize = 1 << 20;
const CHUNKS: usize = 2;

/// What a file's reading thread is doing, for others to see.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch(Arc<Doing>);

#[derive(Debug)]
struct Doing {
    start: Instant,
    /// When the call in progress began, in milliseconds after `start`, plus 1; 0 while there is none.
    since: AtomicU64,
    is_given_up: AtomicBool,
}

impl Default for Doing {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            since: AtomicU64::new(0),
            is_given_up: AtomicBool::new(false),
        }
    }
}

impl Watch {
    /// Makes a call that may never return.
    pub(super) fn call<T>(&self, call: impl FnOnce() -> T) -> T {
        let since = self.0.start.elapsed().as_millis() as u64 + 1;
        self.0.since.store(since, Ordering::SeqCst);
        let result = call();
        self.0.since.store(0, Ordering::SeqCst);
        result
    }

    /// Whether a call is in progress that takes longer than `patience`.
    pub(super) fn is_stuck(&self, patience: Duration) -> bool {
        let elapsed = self.0.start.elapsed().as_millis() as u64;
        match self.0.since.load(Ordering::SeqCst) {
            0 => false,
            since => elapsed.saturating_sub(since) >= patience.as_millis() as u64,
        }
    }

    /// Gives the file up: if its call ever returns, nothing more is read.
    pub(super) fn give_up(&self) {
        self.0.is_given_up.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.0.is_given_up.load(Ordering::SeqCst)
    }

    fn has_returned(&self) -> bool {
        self.0.since.load(Ordering::SeqCst) == 0
    }
}

/// An input, each of whose reads is watched.
pub(super) struct Watched<R> {
    pub(super) input: R,
    pub(super) watch: Watch,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.watch.is_given_up() {
            return Err(given_up());
        }
        self.watch.call(|| self.input.read(buffer))
    }
}

fn given_up() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer to a read for too long")
}

/// The files whose threads are left behind in a call.
#[derive(Debug, Default)]
pub(super) struct StuckReads(Mutex<HashMap<String, (usize, Watch)>>);

impl StuckReads {
    /// Adds a file of a source, and logs it.
    pub(super) fn add(&self, file: &str, source: usize, watch: Watch) {
        tracing::warn!(
            path = file,
            "the file system has not answered for {} seconds: this file is tried again at each listing, and others go \
             on",
            PATIENCE.as_secs()
        );
        self.now().insert(file.to_owned(), (source, watch));
    }

    /// Whether it is of no use to read a file of a source now: its thread is stuck, or many of that source are.
    pub(super) fn is_hopeless(&self, file: &str, source: usize) -> bool {
        let stuck = self.now();
        let of_source = stuck.values().filter(|(of, _)| *of == source).count();
        stuck.contains_key(file) || of_source >= STUCK_IN_A_SOURCE
    }

    fn now(&self) -> std::sync::MutexGuard<'_, HashMap<String, (usize, Watch)>> {
        let mut stuck = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.retain(|_, (_, watch)| !watch.has_returned());
        stuck
    }
}

/// Reads a file on a thread of its own, some way ahead. A large file is converted by many threads, which take turns at
/// reading it: none of them may be lost in a call.
pub(super) struct ReadAhead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    read: usize,
    watch: Watch,
    patience: Duration,
}

impl ReadAhead {
    pub(super) fn new(
        input: impl Read + Send + 'static,
        watch: Watch,
        patience: Duration,
    ) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS);
        let theirs = watch.clone();
        thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || read_ahead(input, &sender, &theirs))?;
        Ok(Self {
            chunks,
            current: Vec::new(),
            read: 0,
            watch,
            patience,
        })
    }
}

fn read_ahead(mut input: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>, watch: &Watch) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = watch.call(|| input.read(&mut chunk));
        let is_last = !matches!(read, Ok(1..));
        let read = read.map(|length| {
            chunk.truncate(length);
            chunk
        });
        // The reader is gone if the conversion has failed, or if it gave up.
        if sender.send(read).is_err() || is_last {
            return;
        }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.current.len() {
            self.read = 0;
            self.current = match self.chunks.recv_timeout(self.patience) {
                Ok(chunk) => chunk?,
                // The thread has sent the end of the file, and ended.
                Err(RecvTimeoutError::Disconnected) => Vec::new(),
                Err(RecvTimeoutError::Timeout) => {
                    self.watch.give_up();
                    return Err(given_up());
                }
            };
        }
        let length = buffer.len().min(self.current.len() - self.read);
        buffer[..length].copy_from_slice(&self.current[self.read..self.read + length]);
        self.read += length;
        Ok(length)
    }
}

/// Returns whether a file is on a file system whose answers come from elsewhere: over a network, or from another
/// process.
pub(super) fn is_remote(file: &File) -> bool {
    /// NFS, SMB (three numbers), FUSE, 9P, Ceph, AFS (two), Coda, Lustre, GPFS, OCFS2, the shared folders of virtual
    /// machines.
    const REMOTE: [u64; 14] = [
        0x6969,
        0x517b,
        0xff53_4d42,
        0xfe53_4d42,
        0x6573_5546,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x6b41_4653,
        0x7375_7245,
        0x0bd0_0bd0,
        0x4750_4653,
        0x7461_636f,
        0x786f_4256,
    ];
    let kind = rustix::fs::fstatfs(file).map(|found| found.f_type as u64);
    kind.is_ok_and(|kind| REMOTE.contains(&(kind & 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_is_read_ahead_is_what_the_file_holds() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 17).map(|n| (n % 251) as u8).collect();
        let input = io::Cursor::new(bytes.clone());
        let mut ahead = ReadAhead::new(input, Watch::default(), PATIENCE).unwrap();
        let mut read = Vec::new();
        ahead.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        assert_eq!(ahead.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
    }

    #[test]
    fn a_read_that_stands_still_is_given_up_and_known_until_it_returns() {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        writer.write_all(b"half").unwrap();
        let watch = Watch::default();
        let patience = Duration::from_millis(100);
        let mut ahead = ReadAhead::new(reader, watch.clone(), patience).unwrap();
        let mut read = Vec::new();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert_eq!(
            (error.kind(), read.as_slice()),
            (io::ErrorKind::TimedOut, &b"half"[..])
        );
        assert!(watch.is_stuck(patience / 2) && watch.is_given_up());

        let stuck = StuckReads::default();
        stuck.add("IL-1.tdf", 0, watch.clone());
        assert!(stuck.is_hopeless("IL-1.tdf", 0));
        assert!(!stuck.is_hopeless("IL-2.tdf", 0), "one file holds no other");
        drop(writer);
        while !watch.has_returned() {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!stuck.is_hopeless("IL-1.tdf", 0));
    }

    #[test]
    fn a_source_that_answers_nothing_gets_few_threads() {
        let (stuck, watch) = (StuckReads::default(), Watch::default());
        watch.0.since.store(1, Ordering::SeqCst);
        for n in 0..STUCK_IN_A_SOURCE {
            assert!(!stuck.is_hopeless("other.tdf", 1));
            stuck.add(&format!("{n}.tdf"), 1, watch.clone());
        }
        assert!(stuck.is_hopeless("other.tdf", 1));
        assert!(!stuck.is_hopeless("other.tdf", 0), "other sources go on");
    }
}
