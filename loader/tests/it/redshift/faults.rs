//! Loads that are interrupted at every step: after the retry, the table is right and the bucket is empty.

use aws_credential_types::Credentials as AwsCredentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use gristmill_loader::{Credentials, Load, LoadMode, LoadOutcome, Warehouse};
use gristmill_redshift_standin::Fault;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::tamper::{Tampering, tampering};
use super::with_causes;
use crate::support::{MEASURES, Place, Summary, contents, counts, server};

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const B: [Option<i64>; 3] = [None, None, Some(-500)];
const DAY: &str = "2025-03-01";

/// Two summaries of the same days, between which rows appear, change and disappear.
fn states() -> [Summary; 2] {
    [
        Summary::of(&[
            ("s", "changes", DAY, A),
            ("s", "goes", DAY, A),
            ("s", "stays", DAY, A),
        ]),
        Summary::of(&[
            ("s", "changes", DAY, B),
            ("s", "comes", DAY, A),
            ("s", "stays", DAY, A),
        ]),
    ]
}

/// Whether a load succeeded, now or before.
async fn is_done(warehouse: &dyn Warehouse, load: &Load) -> bool {
    match warehouse.load(load, &|_| ()).await {
        Ok(LoadOutcome::Loaded(_) | LoadOutcome::AlreadyLoaded(_)) => true,
        Ok(LoadOutcome::Superseded { by }) => panic!("superseded by {by:?}"),
        Err(error) => {
            assert!(error.is_transient(), "{error}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_falls_silent_is_given_up_and_its_lock_is_free() {
    use gristmill_testkit::proxy::{Cut, Manner, Protocol, Proxy, Side};

    let place = Place::redshift();
    let safe = place.ready(LoadMode::ReplaceDays).await;
    let port = place.redshift.as_ref().unwrap().standin.port();
    let proxy = Proxy::start(port, Protocol::Postgres);
    let direct = place.url.clone();
    let hasty =
        format!("{direct}&tcp_user_timeout=1").replace(&format!(":{port}/"), &format!(":{}/", proxy.port));
    let measures = MEASURES.map(String::from).to_vec();
    let target = gristmill_loader::Target::new("sales_summary", measures, LoadMode::ReplaceDays).unwrap();
    let hasty = gristmill_loader::open(&hasty, target, &place.credentials).unwrap();
    let load = place.load(1, &states()[0]);
    proxy.cut(Some((Cut::Message(Side::Server, 60), Manner::Stall)));
    let silent = tokio::time::timeout(std::time::Duration::from_secs(60), hasty.load(&load, &|_| ())).await;
    let error = silent.expect("it does not wait for ever").unwrap_err();
    assert!(error.is_outage() && proxy.fallen().is_some(), "{error:?}");
    assert!(is_done(&*safe, &load).await);
}

/// Cuts the connection at each statement of a load, one load after the other.
async fn survives_cuts(with_base: bool, faults: &[Fault]) {
    let place = Place::redshift();
    let standin = &place.redshift.as_ref().unwrap().standin;
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let states = states();
    let mut last = place.load(0, &states[0]);
    assert!(is_done(&*warehouse, &last).await);
    let mut sequence = 0;
    for fault in faults {
        let mut at = 0;
        loop {
            sequence += 1;
            let state = &states[sequence % 2];
            let load = match with_base {
                true => place.load_on(&last, sequence as i64, state),
                false => place.load(sequence as i64, state),
            };
            standin.plan("", at, fault.clone());
            let sent = standin.statements().len();
            let done = is_done(&*warehouse, &load).await;
            if standin.pending() > 0 {
                // The load ended before the cut: every statement has been cut once.
                assert!(done && at > 15, "{at} statements");
                // The fault hits another connection.
                while standin.pending() > 0 {
                    drop(warehouse.row_count().await);
                }
                last = load;
                break;
            }
            assert!(!done, "{:?}", standin.statements()[sent..].last());
            assert!(is_done(&*warehouse, &load).await);
            assert_eq!(contents(&*warehouse).await, state.rows, "{fault:?} at {at}");
            assert!(warehouse.ledger_entry(&load.run_id).await.unwrap().is_some());
            assert_eq!(place.redshift.as_ref().unwrap().staged().await, [""; 0]);
            last = load;
            at += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_load_survives_a_cut_at_every_statement() {
    survives_cuts(false, &[Fault::CutAfter]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_of_what_differs_survives_a_cut_at_every_statement() {
    survives_cuts(true, &[Fault::CutBefore, Fault::CutAfter]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_the_commit_is_found_in_the_ledger() {
    let place = Place::redshift();
    let standin = &place.redshift.as_ref().unwrap().standin;
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let [state, _] = states();
    let load = place.load(1, &state);
    // The first COMMIT ends the staging.
    standin.plan("COMMIT", 1, Fault::CutAfter);
    assert!(!is_done(&*warehouse, &load).await);
    let outcome = warehouse.load(&load, &|_| ()).await.unwrap();
    assert!(matches!(outcome, LoadOutcome::AlreadyLoaded(_)), "{outcome:?}");
    assert_eq!(contents(&*warehouse).await, state.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_with_other_transactions_are_worth_a_retry() {
    let place = Place::redshift();
    let standin = &place.redshift.as_ref().unwrap().standin;
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let [state, _] = states();
    let faults = [Fault::isolation_violation(), Fault::relation_gone()];
    let statements = [
        "LOCK",
        "DELETE FROM \"public\".\"sales_summary\"",
        "INSERT INTO",
        "COMMIT",
    ];
    for fault in faults {
        for statement in statements {
            standin.plan(statement, 0, fault.clone());
            let error = warehouse.load(&place.load(1, &state), &|_| ()).await.unwrap_err();
            assert!(
                error.is_transient() && with_causes(&error).contains("another transaction"),
                "{error}"
            );
            assert_eq!(warehouse.row_count().await.unwrap(), 0);
        }
    }
    assert_eq!(place.loaded(&*warehouse, 1, &state).await, counts(3, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_arrive_as_it_was_written_is_not_loaded() {
    let place = Place::redshift();
    let redshift = place.redshift.as_ref().unwrap();
    let [state, _] = states();
    place.ready(LoadMode::ReplaceDays).await;
    for (how, expected) in [
        (Tampering::Missing, "does not exist"),
        (Tampering::OtherLength, "the manifest says"),
        (Tampering::FewerColumns, "Unmatched number of columns"),
        (Tampering::OtherType, "column sale_amount"),
        (Tampering::FewerRows, "2 rows arrived of the 3"),
    ] {
        let endpoint = tampering(redshift.bucket(), how).await;
        let url = redshift.url_through(&endpoint);
        let warehouse = Place {
            url,
            ..Place::at(String::new())
        };
        let warehouse = Place {
            credentials: place.credentials.clone(),
            ..warehouse
        };
        let warehouse = warehouse.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
        let error = warehouse.load(&place.load(1, &state), &|_| ()).await.unwrap_err();
        let message = with_causes(&error);
        assert!(
            !error.is_transient() && message.contains(expected),
            "{how:?}: {message}"
        );
        assert_eq!(warehouse.row_count().await.unwrap(), 0);
        assert_eq!(redshift.staged().await, [""; 0]);
    }
    let warehouse = place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    assert_eq!(place.loaded(&*warehouse, 1, &state).await, counts(3, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_has_left_in_the_bucket_is_swept() {
    let place = Place::redshift();
    let redshift = place.redshift.as_ref().unwrap();
    let bucket = redshift.bucket();
    let root = format!(
        "in/transit/127.0.0.1-{}/mart/public.sales_summary",
        redshift.standin.port()
    );
    for run in ["run-1", "run-2"] {
        let left = Path::from(format!("{root}/{run}/7/rows-0.parquet"));
        bucket.put(&left, "left".into()).await.unwrap();
    }
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    assert_eq!(redshift.staged().await.len(), 2, "both may still be under way");
    let [state, _] = states();
    place.loaded(&*warehouse, 1, &state).await;
    assert_eq!(
        redshift.staged().await,
        [format!("{root}/run-2/7/rows-0.parquet")]
    );
    // A day and an hour later.
    place
        .edit(
            "CREATE OR REPLACE FUNCTION standin.getdate() RETURNS timestamp LANGUAGE sql AS
                   $$SELECT (now() + interval '25 hours')::timestamp(0)$$",
        )
        .await;
    warehouse.prepare().await.unwrap();
    assert_eq!(redshift.staged().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_denies_access_is_reported_and_nothing_is_loaded() {
    let place = Place::redshift();
    let redshift = place.redshift.as_ref().unwrap();
    place.ready(LoadMode::ReplaceDays).await;
    let strangers = AwsCredentials::new("somebody", "else", None, None, "test");
    let strangers = server::aws()
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(strangers));
    let strangers = Place {
        credentials: Credentials {
            aws: Some(strangers.build()),
            ..Credentials::default()
        },
        ..Place::at(redshift.url())
    };
    let warehouse = strangers.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    let [state, _] = states();
    let error = warehouse.load(&place.load(1, &state), &|_| ()).await.unwrap_err();
    let message = with_causes(&error);
    assert!(
        !error.is_transient() && message.starts_with("cannot write s3://staging/in/transit/"),
        "{message}"
    );
    assert!(
        message.contains("AWS credentials") && !message.contains("else"),
        "{message}"
    );
    assert_eq!(warehouse.row_count().await.unwrap(), 0);
}
