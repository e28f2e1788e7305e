//! Progress bars on standard error, if that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The progress bars of a command: one for files and their bytes, and one for each load.
#[derive(Clone, Debug)]
pub struct Progress {
    bars: MultiProgress,
    files: ProgressBar,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    arrived: AtomicU64,
    done: AtomicU64,
}

impl Progress {
    /// Makes bars on standard error if that is a terminal, and hidden ones otherwise.
    pub fn new() -> Self {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr_with_hz(10),
            false => ProgressDrawTarget::hidden(),
        };
        // A bar that starts without a length never gets one, and stays empty.
        let files = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        Self {
            bars: MultiProgress::with_draw_target(target),
            files,
            counts: Arc::default(),
        }
    }

    /// Adds a file of `bytes` to what is to be read.
    pub fn file_arrived(&self, bytes: u64) {
        if self.counts.arrived.fetch_add(1, Ordering::Relaxed) == 0 {
            self.files.set_style(style(
                "files {msg:>12} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
            ));
            self.bars.add(self.files.clone());
            self.files.enable_steady_tick(Duration::from_millis(200));
            self.files.reset();
        }
        self.files.inc_length(bytes);
        self.count();
    }

    /// Counts `bytes` more as read.
    pub fn bytes_read(&self, bytes: u64) {
        self.files.inc(bytes);
    }

    /// Counts a file as done, whether it was read to its end or given up.
    pub fn file_done(&self) {
        self.counts.done.fetch_add(1, Ordering::Relaxed);
        self.count();
    }

    /// Makes a bar for a load of `rows` rows.
    pub fn load(&self, run_id: &str, rows: u64) -> ProgressBar {
        let bar = self.bars.add(ProgressBar::new(rows));
        bar.set_style(style("load {msg} {wide_bar} {human_pos}/{human_len} rows"));
        bar.set_message(run_id.to_owned());
        bar
    }

    /// Makes a bar for tables that are copied.
    pub fn copying(&self) -> Copying {
        let bar = self.bars.add(ProgressBar::no_length());
        bar.set_style(style("copy {msg} {human_pos} rows"));
        Copying(bar)
    }

    /// Removes the bar for files.
    pub fn finish(&self) {
        self.files.finish_and_clear();
    }

    /// Returns a writer of log lines to standard error that keeps clear of the bars.
    pub fn log_writer(&self) -> impl Fn() -> LogWriter + Send + Sync + 'static {
        let bars = self.bars.clone();
        move || LogWriter(bars.clone())
    }

    fn count(&self) {
        let Counts { arrived, done } = &*self.counts;
        self.files.set_message(format!(
            "{}/{}",
            done.load(Ordering::Relaxed),
            arrived.load(Ordering::Relaxed)
        ));
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates of this file are well-formed")
}

/// The bar for tables that are copied one after another.
#[derive(Debug)]
pub struct Copying(ProgressBar);

impl Copying {
    /// Shows how many rows of a table were copied so far.
    pub fn at(&self, table: &str, rows: u64) {
        if rows == 0 {
            self.0.set_message(table.to_owned());
        }
        self.0.set_position(rows);
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Writes log lines to standard error above the bars.
#[derive(Debug)]
pub struct LogWriter(MultiProgress);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_of_files_grows_with_what_arrives() {
        let progress = Progress::new();
        progress.file_arrived(30);
        progress.file_arrived(10);
        progress.bytes_read(25);
        progress.file_done();
        assert_eq!(progress.files.length(), Some(40));
        assert_eq!(progress.files.position(), 25);
        assert_eq!(progress.files.message(), "1/2");
    }
}
