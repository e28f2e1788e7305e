//! Looks by a clock that the tests set, told to a real server.

use std::sync::Arc;

use gristmill_state::{ServiceLock, StateDb, TestClock};
use gristmill_testkit::http_receiver::HttpReceiver;
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use tempfile::TempDir;

use super::Watch;
use crate::settings::Settings;

const COMMON: &str = r#"
source = { url = "incoming" }
lake = { url = "lake" }
state = { url = "state.db" }
warehouse = { url = "sqlite://warehouse.db" }
[[feed]]
name = "sales"
files = "*-*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }
[[job]]
id = "IL"
feed = "sales"
files = "IL-{store}.tdf"
stores = ["1003"]
time_zone = "America/Chicago"
"#;

/// A watch over an empty state database.
struct Site {
    folder: TempDir,
    clock: Arc<TestClock>,
    watch: Watch,
    settings: Settings,
    receiver: HttpReceiver,
}

impl Site {
    async fn new(now: &str, alerts: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("incoming")).unwrap();
        let receiver = HttpReceiver::start();
        let url = receiver.url("/hook");
        let text =
            format!("{COMMON}\n{alerts}\n[[receiver]]\nname = \"hook\"\nform = \"json\"\nurl = \"{url}\"\n");
        let file = folder.path().join("gristmill.toml");
        std::fs::write(&file, text).unwrap();
        let settings = Settings::read(&file).unwrap();
        let clock = Arc::new(TestClock::new(now.parse().unwrap()));
        let state = Self::state(&settings, &clock).await;
        state.add_jobs(&settings.jobs).await.unwrap();
        settings.check_alerts(&settings.jobs).unwrap();
        let watch = Watch::new(&settings, Arc::new(state), clock.clone(), Box::new(|| true)).unwrap();
        Self {
            folder,
            clock,
            watch,
            settings,
            receiver,
        }
    }

    async fn state(settings: &Settings, clock: &Arc<TestClock>) -> StateDb {
        let _lock = ServiceLock::acquire(settings.state.file().unwrap()).unwrap();
        StateDb::open(&settings.state, clock.clone()).await.unwrap()
    }

    /// The same after the process was started again.
    async fn restarted(self) -> Self {
        self.watch.state.close().await.unwrap();
        let state = Self::state(&self.settings, &self.clock).await;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let alerts: Vec<_> = self
            .settings
            .alerts
            .alerts
            .iter()
            .map(|alert| alert.name.clone())
            .collect();
        assert_eq!(state.begin_alerts(&alerts, &names(&["hook"])).await.unwrap(), []);
        let watch = Watch::new(
            &self.settings,
            Arc::new(state),
            self.clock.clone(),
            Box::new(|| true),
        )
        .unwrap();
        Self { watch, ..self }
    }

    /// Looks, sends what is due, and returns when time alone has something happen next.
    async fn look(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let next = self.watch.look().await;
        (
            next,
            self.watch.send_due(&self.settings.alerts.receivers[0]).await,
        )
    }

    /// What the receiver was told since the last call, as `kind alert: subjects`.
    fn told(&self, since: &mut usize) -> Vec<String> {
        let requests = self.receiver.requests();
        let told = requests[*since..].iter().map(|request| {
            let json = request.json();
            let subjects = json["subjects"].as_array().unwrap().iter();
            let subjects: Vec<_> = subjects.map(|told| told["subject"].as_str().unwrap()).collect();
            format!(
                "{} {}: {}",
                json["kind"].as_str().unwrap(),
                json["alert"].as_str().unwrap(),
                subjects.join(", ")
            )
        });
        let told = told.collect();
        *since = requests.len();
        told
    }

    fn advance(&self, span: jiff::Span) {
        self.clock.advance(SignedDuration::try_from(span).unwrap());
    }

    /// What a disk that is always too full for `full` is called.
    fn disk(&self) -> String {
        format!("disk of {}", self.folder.path().display())
    }
}

const FULL: &str = "[[alert]]\nname = \"full\"\nwhen = \"disk\"\nfree = \"100 %\"\n";

#[tokio::test]
async fn what_goes_on_is_told_once_and_repeated_as_set() {
    let mut site = Site::new("2026-03-02T12:00:00Z", &format!("{FULL}repeat = \"4h\"")).await;
    let mut seen = 0;
    let disk = site.disk();
    let (next, _) = site.look().await;
    assert_eq!(site.told(&mut seen), [format!("firing full: {disk}")]);
    assert_eq!(next, Some("2026-03-02T16:00:00Z".parse().unwrap()));
    for _ in 0..3 {
        site.advance(1.hour());
        site.look().await;
        // A restart tells nothing again.
        site = site.restarted().await;
        site.look().await;
        assert!(site.told(&mut seen).is_empty());
    }
    site.advance(1.hour());
    site.look().await;
    assert_eq!(site.told(&mut seen), [format!("repeated full: {disk}")]);
}

#[tokio::test]
async fn a_receiver_that_is_down_gets_everything_later_with_growing_pauses() {
    let mut site = Site::new("2026-03-02T12:00:00Z", &format!("{FULL}repeat = \"1 minute\"")).await;
    let mut seen = 0;
    let disk = site.disk();
    site.receiver.answer(503);
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let (_, again) = site.look().await;
        let again = again.unwrap();
        pauses.push(again.duration_since(site.watch.clock.now()).as_millis());
        site.clock.set(again);
    }
    assert!(
        pauses.is_sorted() && pauses[0] >= 500 && pauses[5] == 60_000,
        "{pauses:?}"
    );
    let all = site.told(&mut seen);
    // What it has not got is not repeated to it.
    assert!(
        all.iter().all(|told| *told == format!("firing full: {disk}")),
        "{all:?}"
    );
    let unsent = site.watch.state.unsent_notices().await.unwrap();
    let error = unsent[0].error.as_deref().unwrap();
    assert!(error.contains("503") && !error.contains("/hook"), "{error}");
    site = site.restarted().await;
    site.receiver.answer(200);
    site.look().await;
    assert_eq!(site.told(&mut seen), [format!("firing full: {disk}")]);
    assert!(site.watch.state.unsent_notices().await.unwrap().is_empty());
    site.look().await;
    assert!(
        site.told(&mut seen)
            .iter()
            .all(|told| told.starts_with("repeated"))
    );
}

#[tokio::test]
async fn a_receiver_that_asks_to_be_left_alone_is() {
    let site = Site::new("2026-03-02T12:00:00Z", FULL).await;
    let mut seen = 0;
    for (status, asked, again) in [
        (503, "90", "2026-03-02T12:01:30Z"),
        (429, "Mon, 02 Mar 2026 12:10:00 GMT", "2026-03-02T12:10:00Z"),
        (503, "Tue, 03 Mar 2026 12:00:00 GMT", "2026-03-02T13:10:00Z"),
        (429, "86400", "2026-03-02T14:10:00Z"),
    ] {
        site.receiver.answer(status);
        site.receiver.ask_to_wait(asked);
        let (_, next) = site.look().await;
        assert_eq!(next, Some(again.parse().unwrap()), "{asked}");
        assert_eq!(site.told(&mut seen).len(), 1, "{asked}");
        site.look().await;
        assert!(site.told(&mut seen).is_empty(), "{asked}: it is left alone");
        site.clock.set(again.parse().unwrap());
    }
    // Whoever only says so, and takes the message, has it.
    site.receiver.answer(200);
    site.look().await;
    assert_eq!(site.told(&mut seen).len(), 1);
    assert!(site.watch.state.unsent_notices().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_that_is_refused_holds_up_no_other() {
    let alerts = format!("{FULL}[[alert]]\nname = \"again\"\nwhen = \"disk\"\nfree = \"100 %\"\n");
    let site = Site::new("2026-03-02T12:00:00Z", &alerts).await;
    let mut seen = 0;
    site.receiver.answer(400);
    let (_, again) = site.look().await;
    let disk = site.disk();
    let both = [format!("firing full: {disk}"), format!("firing again: {disk}")];
    assert_eq!(site.told(&mut seen), both);
    site.receiver.answer(200);
    site.look().await;
    assert!(site.told(&mut seen).is_empty(), "the pause is not over");
    site.clock.set(again.unwrap().checked_add(1.minute()).unwrap());
    site.look().await;
    assert_eq!(site.told(&mut seen), both);
}

#[tokio::test]
async fn quiet_hours_hold_back_what_is_found() {
    let quiet = "[alerts]\ntime_zone = \"America/Chicago\"\nquiet = \"22:00-06:00\"\n";
    // 23:00 in Chicago.
    let site = Site::new("2026-03-02T05:00:00Z", &format!("{quiet}{FULL}")).await;
    let mut seen = 0;
    let (next, _) = site.look().await;
    assert!(site.told(&mut seen).is_empty());
    assert_eq!(next, Some("2026-03-02T12:00:00Z".parse().unwrap()));
    // It is found all the same.
    assert_eq!(site.watch.state.firing().await.unwrap().len(), 1);
    site.clock.set(next.unwrap());
    site.look().await;
    assert_eq!(site.told(&mut seen), [format!("firing full: {}", site.disk())]);
}

#[tokio::test]
async fn a_province_and_a_store_are_late_at_a_time_in_the_zone_of_the_job() {
    let late = "[[alert]]\nname = \"late\"\nwhen = \"job-incomplete\"\nat = \"18:00\"\n\
                [[alert]]\nname = \"silent\"\nwhen = \"store-silent\"\nat = \"10:00\"\n";
    // 12:00 in Chicago: the job was not there at 10:00, nor at 18:00 of the day before.
    let site = Site::new("2026-03-02T18:00:00Z", late).await;
    let mut seen = 0;
    let (next, _) = site.look().await;
    assert!(site.told(&mut seen).is_empty());
    assert_eq!(next, Some("2026-03-03T00:00:00Z".parse().unwrap()));
    site.clock.set(next.unwrap());
    let (next, _) = site.look().await;
    assert_eq!(site.told(&mut seen), ["firing late: job IL"]);
    assert_eq!(next, Some("2026-03-03T16:00:00Z".parse().unwrap()));
    site.clock.set(next.unwrap());
    site.look().await;
    assert_eq!(site.told(&mut seen), ["firing silent: store 1003 of job IL"]);
}
