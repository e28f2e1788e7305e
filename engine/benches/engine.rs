//! The speed of the engine's parts, in bytes or rows per second: `cargo bench --bench engine`.
//!
//! Everything goes through the public functions, with lines that stress one part each. Conversions run on one thread,
//! which shows a change of the inner loop best; `convert/threads` uses all threads.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gristmill_engine::{
    Budget, Conversion, FeedLayout, FeedSpec, Outputs, Partial, RunPartial, SalesLayout, Scratch, Selection,
    SummaryOutputs, convert, summarize,
};
use gristmill_fixtures::generate::{Dirt, FeedSpec as Feed};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tempfile::TempDir;

const LINES: u32 = 100_000;

fn feed() -> Feed {
    Feed {
        files: 1,
        lines_per_file: LINES,
        stores: 10,
        items: 200,
        days: 7,
        ..Feed::default()
    }
}

fn bytes(feed: &Feed) -> Vec<u8> {
    feed.file_bytes(0).expect("the feed is possible")
}

fn layout(change: impl FnOnce(&mut FeedSpec)) -> FeedLayout {
    let mut spec = FeedSpec {
        max_reject_percent: 100.0,
        ..FeedSpec::default()
    };
    change(&mut spec);
    FeedLayout::new(&spec).expect("the layout is right")
}

/// A folder for outputs, with memory for everything.
struct Workspace(TempDir);

impl Workspace {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder can be made"))
    }

    fn scratch(&self) -> Scratch<'_> {
        Scratch {
            folder: self.0.path(),
            memory: Box::leak(Box::new(Budget::new(usize::MAX))),
        }
    }

    fn convert(&self, bytes: &[u8], layout: &FeedLayout, converted: Option<&Path>) -> Conversion {
        let outputs = Outputs {
            converted,
            rejects: None,
        };
        convert(bytes, layout, outputs, self.scratch(), |_| ()).expect("the bytes can be converted")
    }
}

fn pool(threads: usize) -> ThreadPool {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads can be made")
}

/// Converts different kinds of lines, on one thread.
fn conversion(criterion: &mut Criterion) {
    let workspace = Workspace::new();
    let path = workspace.0.path().join("converted");
    let plain = bytes(&feed());
    let wide = bytes(&Feed {
        extra_columns: 40,
        lines_per_file: LINES / 5,
        ..feed()
    });
    let quoted = bytes(&Feed {
        quoted: true,
        ..feed()
    });
    let dirty = bytes(&Feed {
        dirt: Dirt {
            crlf_files: 1000,
            bom_files: 0,
            utf16le_files: 0,
            utf16be_files: 0,
            header_files: 0,
            shuffled_files: 0,
            ..Dirt::every_kind()
        },
        ..feed()
    });
    let keys = bytes(&Feed {
        stores: 100,
        items: 5000,
        days: 30,
        ..feed()
    });
    let sales = layout(|_| ());
    // Text is split and kept, but not parsed.
    let reference = layout(|spec| {
        spec.reference = true;
        spec.measures.clear();
        spec.columns.truncate(1);
    });
    let one = pool(1);
    let mut group = criterion.benchmark_group("convert");
    group.sample_size(20);
    for (name, bytes, layout, converted) in [
        ("plain", &plain, &sales, None),
        // Little more than the scan: most fields are not read.
        ("scan", &wide, &sales, None),
        ("quoted", &quoted, &sales, None),
        ("dirty", &dirty, &sales, None),
        ("many keys", &keys, &sales, None),
        ("rows", &plain, &sales, Some(path.as_path())),
        ("reference", &plain, &reference, None),
    ] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            one.install(|| bencher.iter(|| black_box(workspace.convert(bytes, layout, converted))));
        });
    }
    group.finish();
}

/// Converts one file, on one thread and on all.
fn threads(criterion: &mut Criterion) {
    let workspace = Workspace::new();
    let (bytes, sales) = (bytes(&feed()).repeat(5), layout(|_| ()));
    let mut group = criterion.benchmark_group("convert/threads");
    group
        .sample_size(10)
        .throughput(Throughput::Bytes(bytes.len() as u64));
    for threads in [1, num_threads()] {
        let pool = pool(threads);
        group.bench_function(threads.to_string(), |bencher| {
            pool.install(|| bencher.iter(|| black_box(workspace.convert(&bytes, &sales, None))));
        });
    }
    group.finish();
}

fn num_threads() -> usize {
    std::thread::available_parallelism().map_or(2, Into::into)
}

/// Merges stored partials: of stores with one file each, of stores that share files, and streamed from files.
fn merges(criterion: &mut Criterion) {
    let workspace = Workspace::new();
    let sales = layout(|_| ());
    let measures = sales.sales().expect("it is a sales feed");
    let stored = |name: &str, feed: &Feed| -> Vec<PathBuf> {
        let partials = (0..feed.files).map(|number| {
            let bytes = feed.file_bytes(number).expect("the feed is possible");
            let path = workspace.0.path().join(format!("{name}-{number}"));
            let partial = workspace
                .convert(&bytes, &sales, None)
                .partial
                .expect("it is a sales feed");
            partial
                .write(&path, &Budget::new(1 << 30))
                .expect("the partial can be written");
            path
        });
        partials.collect()
    };
    let many = Feed {
        files: 8,
        lines_per_file: LINES / 4,
        stores: 8,
        items: 1000,
        days: 30,
        ..Feed::default()
    };
    let alone = stored("alone", &many);
    let shared = stored(
        "shared",
        &Feed {
            shared_stores: true,
            ..many
        },
    );
    let mut group = criterion.benchmark_group("summarize");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(u64::from(8 * LINES / 4)));
    for (name, partials, memory) in [
        ("alone", &alone, usize::MAX),
        ("shared", &shared, usize::MAX),
        ("streamed", &shared, 0),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| merge(&workspace, partials, measures, memory))
        });
    }
    group.finish();
}

/// Writes a partial: encodes and writes its columns, and nothing else.
fn encoding(criterion: &mut Criterion) {
    let workspace = Workspace::new();
    let bytes = bytes(&Feed {
        stores: 100,
        items: 5000,
        days: 30,
        ..feed()
    });
    let partial = workspace
        .convert(&bytes, &layout(|_| ()), None)
        .partial
        .expect("it is a sales feed");
    let mut group = criterion.benchmark_group("encode");
    group
        .sample_size(20)
        .throughput(Throughput::Elements(partial_rows(&partial)));
    group.bench_function("partial", |bencher| {
        bencher.iter(|| {
            partial
                .write(&workspace.0.path().join("partial"), &Budget::new(1 << 30))
                .expect("it can be written")
        });
    });
    group.finish();
}

/// Returns the number of rows: in a partial of three measures, each takes 32 bytes of memory.
fn partial_rows(partial: &Partial) -> u64 {
    partial.memory() as u64 / 32
}

fn merge(workspace: &Workspace, partials: &[PathBuf], measures: &SalesLayout, memory: usize) {
    let path = |name| workspace.0.path().join(name);
    let inputs = partials.iter().zip(1..).map(|(path, order)| RunPartial {
        partial: Partial::stored(path.clone(), measures),
        order,
        selection: Selection::all(),
    });
    let outputs = SummaryOutputs {
        summary: &path("summary"),
        coverage: &path("coverage"),
    };
    let scratch = Scratch {
        memory: &Budget::new(memory),
        ..workspace.scratch()
    };
    let report = summarize(inputs.collect(), &[], measures, outputs, scratch);
    black_box(report.expect("the partials can be merged"));
}

criterion_group!(benches, conversion, threads, merges, encoding);
criterion_main!(benches);
