//! Metrics for Prometheus. What is counted comes from the state database, where triggers count it: it survives restarts, and
//! equals what anybody counts there. What only the process knows begins anew with each start.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gristmill_state::{BOUNDS, Histogram, Measures, RunState, WaitKind, WorkerRole, WorkerRow};
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::desk::{Desk, places};
use super::problem::Problem;
use crate::disks::Room;

/// How long a scrape is kept: however many ask, everything is read once in so long.
const KEPT: Duration = Duration::from_secs(5);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers a scrape.
pub(super) async fn scrape(State(desk): State<Arc<Desk>>) -> Response {
    match scraped(&desk).await {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(problem) => problem.json(),
    }
}

async fn scraped(desk: &Desk) -> Result<String, Problem> {
    // Held while counting: whoever asks meanwhile gets the same.
    let mut kept = desk.scraped.lock().await;
    if let Some((at, text)) = &*kept
        && at.elapsed() < KEPT
    {
        return Ok(text.clone());
    }
    let vitals = &desk.vitals;
    let scraped = Scraped {
        measures: desk.state().await?.measures().await?,
        now: desk.now(),
        firing: crate::overview::firing(desk.state().await?).await?.len() as u64,
        workers: desk.state().await?.workers().await?,
        in_progress: vitals.in_progress() as u64,
        is_listed: vitals.has_listed(),
        retries: vitals.retries(),
        conversions: vitals.conversions(),
        queues: vitals.queues(),
        missing_stores: vitals.missing_stores(),
        disks: rooms(desk).await,
        resident: resident(),
    };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scraped));
    let mut text = String::new();
    text::encode(&mut text, &registry)
        .map_err(|_| Problem::Failed(anyhow::anyhow!("the metrics cannot be written")))?;
    *kept = Some((Instant::now(), text.clone()));
    Ok(text)
}

/// Returns the room of those places whose file systems answer.
async fn rooms(desk: &Desk) -> Vec<(&'static str, Room)> {
    let rooms = desk.disks.rooms().await.unwrap_or_default();
    let places = places(&desk.settings).into_iter().map(|(place, _)| place);
    places
        .zip(rooms)
        .filter_map(|(place, room)| Some((place, room?)))
        .collect()
}

/// Returns how much memory the process occupies, in bytes, if the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// Everything that is told at one moment.
#[derive(Debug)]
struct Scraped {
    measures: Measures,
    now: Timestamp,
    firing: u64,
    workers: Vec<WorkerRow>,
    in_progress: u64,
    is_listed: bool,
    retries: u64,
    conversions: Histogram,
    queues: Vec<(&'static str, u64)>,
    missing_stores: BTreeMap<String, u64>,
    /// The room of each place that could be asked.
    disks: Vec<(&'static str, Room)>,
    resident: Option<u64>,
}

type Labels<'l> = Vec<(&'static str, &'l str)>;

impl Collector for Scraped {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut writer = Writer(encoder);
        self.files(&mut writer)?;
        self.runs(&mut writer)?;
        self.jobs(&mut writer)?;
        self.waiting(&mut writer)?;
        self.process(&mut writer)
    }
}

impl Scraped {
    fn files(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let measures = &self.measures;
        let files = measures.files.iter();
        writer.gauges(
            "gristmill_files",
            "Files by feed and by the status of their newest submission",
            files.map(|(feed, status, files)| {
                (vec![("feed", feed.as_str()), ("status", status.as_str())], *files)
            }),
        )?;
        let submissions = measures.submissions.iter();
        writer.counters(
            "gristmill_submissions",
            "Submissions, and decisions of people about them, by outcome",
            submissions.map(|(outcome, count)| (vec![("outcome", outcome.as_str())], *count)),
        )?;
        let converted = &measures.converted;
        let of = |value: fn(&gristmill_state::Converted) -> u64| {
            converted
                .iter()
                .map(move |feed| (vec![("feed", feed.feed.as_str())], value(feed)))
        };
        writer.counters(
            "gristmill_versions",
            "Versions of files that were converted",
            of(|feed| feed.versions),
        )?;
        writer.counters(
            "gristmill_read_bytes",
            "Bytes of these versions",
            of(|feed| feed.bytes),
        )?;
        let fates = converted.iter().flat_map(|feed| {
            let fates = [
                ("row", feed.rows),
                ("ignored", feed.ignored),
                ("skipped", feed.skipped),
                ("reject", feed.rejects),
            ];
            let name = feed.feed.as_str();
            fates.map(|(fate, lines)| (vec![("feed", name), ("fate", fate)], lines))
        });
        writer.counters(
            "gristmill_lines",
            "Lines of these versions by what became of each",
            fates,
        )?;
        writer.gauge(
            "gristmill_held",
            "Versions of files, and days of files, that wait until a person decides",
            measures.held,
        )?;
        writer.gauge(
            "gristmill_alerts_firing",
            "What alerts have found and is not over",
            self.firing,
        )?;
        writer.gauge(
            "gristmill_unmatched_files",
            "Files in the sources that no feed matches",
            measures.unmatched,
        )?;
        writer.histogram(
            "gristmill_conversion_duration_seconds",
            "How long files took to be read and converted since the start",
            &self.conversions,
        )
    }

    fn runs(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let measures = &self.measures;
        let active = [RunState::Queued, RunState::Running].map(|state| {
            let runs = measures.runs.iter().filter(|runs| runs.state == state.as_str());
            (vec![("state", state.as_str())], runs.map(|runs| runs.runs).sum())
        });
        writer.gauges("gristmill_runs", "Runs that have not ended, by state", active)?;
        let ended = measures.runs.iter().filter(|runs| {
            let is_ended = |state: RunState| runs.state == state.as_str();
            is_ended(RunState::Completed) || is_ended(RunState::Failed)
        });
        let ended = ended.map(|runs| {
            let labels = vec![
                ("state", runs.state.as_str()),
                ("cause", runs.cause.as_str()),
                ("outcome", runs.outcome.as_str()),
            ];
            (labels, runs.runs)
        });
        writer.counters(
            "gristmill_runs_ended",
            "Runs that have ended, by state, cause and outcome",
            ended,
        )?;
        let changes = measures.changes;
        let changes = [
            ("inserted", changes.inserted),
            ("updated", changes.updated),
            ("deleted", changes.deleted),
            ("unchanged", changes.unchanged),
        ];
        writer.counters(
            "gristmill_loaded_rows",
            "Rows by what loads changed of them",
            changes.map(|(change, rows)| (vec![("change", change)], rows)),
        )?;
        for (name, help, histogram) in [
            (
                "gristmill_run_duration_seconds",
                "How long runs took that did not find everything unchanged, from their last start to their end",
                &measures.run_seconds,
            ),
            (
                "gristmill_merge_duration_seconds",
                "How long loaded runs merged",
                &measures.merge_seconds,
            ),
            (
                "gristmill_load_duration_seconds",
                "How long loaded runs loaded",
                &measures.load_seconds,
            ),
            (
                "gristmill_lag_seconds",
                "From the newest submission that a loaded run read to the end of its load",
                &measures.lag_seconds,
            ),
        ] {
            writer.histogram(name, help, histogram)?;
        }
        Ok(())
    }

    fn jobs(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let jobs = &self.measures.jobs;
        let since = jobs.iter().filter_map(|job| {
            let since = self.now.duration_since(job.last_complete?).as_secs();
            Some((
                vec![("province", job.job_id.as_str())],
                since.max(0).unsigned_abs(),
            ))
        });
        writer.gauges(
            "gristmill_province_since_complete_seconds",
            "Seconds since the last complete run of each job whose result is in the warehouse ended",
            since,
        )?;
        let of = |value: &dyn Fn(&gristmill_state::MeasuredJob) -> u64| {
            let values = jobs
                .iter()
                .map(|job| (vec![("province", job.job_id.as_str())], value(job)));
            values.collect::<Vec<_>>()
        };
        writer.gauges(
            "gristmill_province_failed",
            "1 if the last run of the job failed",
            of(&|job| u64::from(job.is_failed)),
        )?;
        writer.gauges(
            "gristmill_province_missing_stores",
            "Stores that have not sent their files for the job's newest wave, since the first store has",
            of(&|job| self.missing_stores.get(&job.job_id).copied().unwrap_or(0)),
        )
    }

    fn waiting(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let measures = &self.measures;
        let waiting = [WaitKind::File, WaitKind::Run, WaitKind::Service].map(|kind| {
            let found = measures.waiting.iter().find(|(found, _)| *found == kind);
            (
                vec![("kind", kind.as_str())],
                found.map_or(0, |(_, count)| *count),
            )
        });
        writer.gauges(
            "gristmill_waiting",
            "Files, runs and services that wait for an outage to end",
            waiting,
        )?;
        writer.gauge(
            "gristmill_waiting_failures",
            "How often what waits was tried in vain",
            measures.failures,
        )?;
        writer.counters(
            "gristmill_retries",
            "Failures since the start that led to another try",
            [(Vec::new(), self.retries)],
        )?;
        let queued = measures
            .runs
            .iter()
            .filter(|runs| runs.state == RunState::Queued.as_str());
        let of_state = [
            ("runs", queued.map(|runs| runs.runs).sum()),
            ("lineage", measures.lineage_pending),
        ];
        let queues = self.queues.iter().copied().chain(of_state);
        writer.gauges(
            "gristmill_queue_depth",
            "What waits for its turn, by queue",
            queues.map(|(queue, depth)| (vec![("queue", queue)], depth)),
        )?;
        writer.counters(
            "gristmill_lineage_dropped",
            "Lineage events that were dropped because nobody took them",
            [(Vec::new(), measures.lineage_dropped)],
        )
    }

    fn process(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.gauge(
            "gristmill_in_progress",
            "Pieces of work in progress, from the arrival of a file to the end of a run",
            self.in_progress,
        )?;
        let of_role = |count: fn(&WorkerRow) -> u64| {
            [WorkerRole::Convert, WorkerRole::Load].map(|role| {
                let workers = self.workers.iter();
                let workers = workers.filter(|worker| worker.role == role.as_str());
                (vec![("role", role.as_str())], workers.map(count).sum())
            })
        };
        writer.gauges(
            "gristmill_workers",
            "Workers that help the service, by role",
            of_role(|_| 1),
        )?;
        writer.gauges(
            "gristmill_worker_tasks",
            "Tasks that workers have, by role",
            of_role(|worker| worker.tasks),
        )?;
        writer.gauge(
            "gristmill_sources_listed",
            "1 once every source was listed",
            u64::from(self.is_listed),
        )?;
        let of = |value: fn(&Room) -> u64| {
            let disks = self.disks.iter();
            disks.map(move |(place, room)| (vec![("place", *place)], value(room)))
        };
        writer.gauges(
            "gristmill_disk_free_bytes",
            "What gristmill may still write on the disk of each place",
            of(|room| room.free),
        )?;
        writer.gauges(
            "gristmill_disk_size_bytes",
            "The size of the disk of each place",
            of(|room| room.whole),
        )?;
        writer.gauges(
            "gristmill_build_info",
            "1; the label says which gristmill it is",
            [(vec![("version", env!("CARGO_PKG_VERSION"))], 1)],
        )?;
        if let Some(resident) = self.resident {
            writer.gauge(
                "process_resident_memory_bytes",
                "Memory that the process occupies",
                resident,
            )?;
        }
        Ok(())
    }
}

/// Writes metrics one after another.
struct Writer<'w>(DescriptorEncoder<'w>);

impl Writer<'_> {
    fn counters<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            match labels.is_empty() {
                true => metric.encode_counter::<NoLabelSet, u64, f64>(&value, None)?,
                false => ConstCounter::new(value).encode(metric.encode_family(&labels)?)?,
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        metric.encode_gauge(&to_signed(value))
    }

    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(to_signed(value)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        let bounds = BOUNDS.iter().copied().chain([f64::MAX]);
        let ranges: Vec<_> = bounds.zip(histogram.counts).collect();
        let count = histogram.counts.iter().sum();
        metric.encode_histogram::<NoLabelSet>(histogram.sum, count, &ranges, None)
    }
}

/// The format's gauges are signed.
fn to_signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
