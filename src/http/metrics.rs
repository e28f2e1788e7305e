//! Metrics for Prometheus. All counts are read from the state database when they are asked for, so they survive restarts and
//! equal what anybody counts there.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use gristmill_state::{BOUNDS, Histogram, Measures};
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::desk::Desk;
use super::problem::Problem;

/// How long a scrape is kept: however many ask, everything is counted once in so long.
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
    let scraped = Scraped {
        measures: desk.state().await?.measures().await?,
        now: desk.now(),
        firing: crate::overview::firing(desk.state().await?).await?.len() as u64,
        in_progress: desk.vitals.in_progress() as u64,
        is_listed: desk.vitals.has_listed(),
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
    in_progress: u64,
    is_listed: bool,
    resident: Option<u64>,
}

type Labels<'l> = Vec<(&'static str, &'l str)>;

impl Collector for Scraped {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let measures = &self.measures;
        let mut writer = Writer(encoder);
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
        self.converted(&mut writer)?;
        self.runs(&mut writer)?;
        writer.gauges(
            "gristmill_held",
            "Versions of files, and days of files, that wait until a person decides",
            [(Vec::new(), measures.held)],
        )?;
        writer.gauges(
            "gristmill_alerts_firing",
            "What alerts have found and is not over",
            [(Vec::new(), self.firing)],
        )?;
        let waiting = measures.waiting.iter();
        writer.gauges(
            "gristmill_waiting",
            "Files, runs and services that wait for an outage to end",
            waiting.map(|(kind, count)| (vec![("kind", kind.as_str())], *count)),
        )?;
        writer.gauges(
            "gristmill_waiting_failures",
            "How often what waits was tried in vain",
            [(Vec::new(), measures.failures)],
        )?;
        writer.gauges(
            "gristmill_in_progress",
            "Pieces of work in progress, from the arrival of a file to the end of a run",
            [(Vec::new(), self.in_progress)],
        )?;
        writer.gauges(
            "gristmill_sources_listed",
            "1 once every source was listed",
            [(Vec::new(), u64::from(self.is_listed))],
        )?;
        if let Some(resident) = self.resident {
            writer.gauges(
                "process_resident_memory_bytes",
                "Memory that the process occupies",
                [(Vec::new(), resident)],
            )?;
        }
        Ok(())
    }
}

impl Scraped {
    fn converted(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let converted = &self.measures.converted;
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
        )
    }

    fn runs(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let measures = &self.measures;
        let runs = measures.runs.iter().map(|(state, cause, outcome, count)| {
            let outcome = outcome.map_or("", |outcome| outcome.as_str());
            let labels = vec![
                ("state", state.as_str()),
                ("cause", cause.as_str()),
                ("outcome", outcome),
            ];
            (labels, *count)
        });
        writer.gauges("gristmill_runs", "Runs by state, cause and outcome", runs)?;
        let changes = measures.changes.iter().flat_map(|changes| {
            let changes = [
                ("inserted", changes.inserted),
                ("updated", changes.updated),
                ("deleted", changes.deleted),
                ("unchanged", changes.unchanged),
            ];
            changes.map(|(change, rows)| (vec![("change", change)], rows))
        });
        writer.counters(
            "gristmill_loaded_rows",
            "Rows by what loads changed of them",
            changes,
        )?;
        let since = measures.last_complete.iter().map(|(job, at)| {
            let since = self.now.duration_since(*at).as_secs().max(0).unsigned_abs();
            (vec![("job", job.as_str())], since)
        });
        writer.gauges(
            "gristmill_since_complete_seconds",
            "Seconds since the last complete run of each job whose result is in the warehouse ended",
            since,
        )?;
        for (name, help, histogram) in [
            (
                "gristmill_run_seconds",
                "How long completed runs took",
                &measures.run_seconds,
            ),
            (
                "gristmill_merge_seconds",
                "How long loaded runs merged",
                &measures.merge_seconds,
            ),
            (
                "gristmill_load_seconds",
                "How long loaded runs loaded",
                &measures.load_seconds,
            ),
            (
                "gristmill_lag_seconds",
                "From the newest submission that a loaded run knew of to the end of its load",
                &measures.lag_seconds,
            ),
        ] {
            writer.histogram(name, help, histogram)?;
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
            ConstCounter::new(value).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn gauges<'l>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            match labels.is_empty() {
                true => metric.encode_gauge(&value)?,
                false => ConstGauge::new(value).encode(metric.encode_family(&labels)?)?,
            }
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        let bounds = BOUNDS.iter().copied().chain([f64::MAX]);
        let buckets: Vec<_> = bounds.zip(histogram.counts).collect();
        let count = histogram.counts.iter().sum();
        metric.encode_histogram::<NoLabelSet>(histogram.sum, count, &buckets, None)
    }
}
