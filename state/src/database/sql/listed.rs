//! All statements by name, for the tests that look at each.

use std::collections::BTreeSet;

use crate::dialect::Dialect;
use crate::dialect::notation::expand;

macro_rules! statements {
    ($($module:ident: $($name:ident)+;)+) => {
        [$($((concat!(stringify!($module), "::", stringify!($name)), super::$module::$name)),+),+]
    };
}

/// All statements that are one text.
const STATEMENTS: &[(&str, &str)] = &statements! {
    alerts: FIRING KEEP FORGET QUEUE TRIM FORGET_ALERTS UNKNOWN_RECEIVERS FORGET_RECEIVERS TRY_NOW PENDING SENT NOT_SENT
        UNSENT FAILED_WAVES HELD_FILES MANY_REJECTS UNLOADED IS_COMPLETE LAST_WAVES LAST_SUBMISSIONS RECENT_WAVES RECENT_RUNS
        JOB_ADDED;
    days: CLEAR_VERSION_DAYS ADD_VERSION_DAYS VERSION_DAYS HOLDINGS HOLDINGS_OF_FILE CLEAR_FILE_DAYS
        ADD_FILE_DAYS BRING_BACK HELD UNCOUNTED COUNTED LET_STAND KNOWN_STORES;
    edits: HISTORY ARE_UNTOLD UNTOLD NOTE_TOLD NEWEST SIGN;
    facts: FILES STRAYS REQUIRED_OF_DAYS REQUIRED SPECIAL_DAYS NEWEST_RUNS COMPLETIONS_OF_WAVES COMPLETIONS ACTIVE;
    files: SEE_FILES KEEP_VERSIONS FIND_VERSIONS ADD_SUBMISSIONS WITHOUT_JOB URLS STARTS WRITTEN_AHEAD PUT_IN_FORCE
        HOLD REFUSE STAMPS TO_LOOK_AT LOOK_AGAIN TO_PUT_AWAY NOTE_PUT_AWAY RESTAMP RESTAMP_MEMBERS MEMBERS
        SETTLE_MEMBERS PLACES NEWEST_VERSIONS IN_FORCE KNOWN_VERSIONS VERSIONS_OF FILES FILE REFUSED SUBMITTED_BETWEEN NEWEST_SUBMISSION;
    interventions: FILE TAKE_OUT HELD_FOR HELD_STILL ADD IN_FORCE VALID_BEFORE HOLD_IN_FORCE NOTE_HELD;
    jobs: ADD APPLY ALL NAMES ONE THESE WITHOUT_FILES SET_ENABLED NOTE_BEGIN NOTE_END;
    lake: OBJECTS_OF_VERSIONS OBJECTS_OF_RUNS FIND_CONVERTED FORGET_CONVERTED FIND_REJECTS FORGET_REJECTS
        FIND_PARTIALS EXPIRE_PARTIALS FIND_SUMMARIES FORGET_SUMMARIES FIND_COVERAGES FORGET_COVERAGES
        FORGET_PARTIALS NAME_PARTIALS WITHOUT_PARTIALS PARTIALS_IN_FORCE LOOK_AGAIN_FOR AWAITED;
    ledger: NOTE_UNKNOWN FORGET_UNKNOWN NOTE_LOST NOTE_FOUND FOUND ALL_LOST UNKNOWN LOST AGREES IS_OTHERS ACCEPT
        FORGET_FILES CANCEL_RUNS NOTE_CANCELLED;
    matching: IS_ANYTHING_TO_MATCH EDITION JOBS_TO_MATCH ADD_REQUIRES ADD_FOLLOWS NEW_PATTERNS FORGET_PATTERNS
        FILES_FROM FILES_TO_MATCH ADD_JOB_FILES ADD_REQUIRED_FILES ADD_WITHOUT_JOB FORGET_WITHOUT_JOB
        JOBS_ARE_MATCHED FILES_ARE_MATCHED;
    others: DAYS_OF_OTHERS KEPT_FOR KEEP_LATER NOT_KEPT ALL_KEPT KEEP_LOADED FORGET_EMPTIED LEAVE_OUT
        SET_DIGEST;
    lineage: SWITCH FORGET NEXT REMOVE NOTE_DROPPED PENDING DROPPED;
    measures: FILES CONVERTED SUBMISSIONS RUNS CHANGES DURATIONS JOBS WAITING HELD;
    overview: STATUS_COUNTS FAILED_FILES WITH_REJECTS WITHOUT_END HAS_ENDS FAILED_RUNS LOADS_OF_DAY;
    pages: REFUSED SUBMISSIONS_OF INTERVENTIONS_OF RUNS_OF_FILE LAST_SEEN STORES_OF_JOB REPORTS
        LAST_COMPLETE;
    runs: ACTIVE LAST_FINISHED COMPLETED_LATER LOADED_BEFORE LAST_LOADS NEXT_SEQUENCE ADD ADD_INPUTS ADD_INPUT
        REMOVE_INPUT REMOVE_INPUT_DAYS SET_INPUTS_DIGEST ADD_INPUT_DAYS INPUT_DAYS COMPLETE_UNCHANGED NEXT CLAIM
        STORES HEARTBEAT SUMMARIZED SET_CLUSTER_OPERATION CLUSTER_OPERATIONS COMPLETE FAIL FAIL_QUEUED REQUEUE RUNNING ONE
        THESE LIST LIST_OF_STATE LIST_OF_JOB
        INPUT_FILES INPUTS_WITH_DAYS AGES INPUTS;
    stores: FILES STATUS_COUNTS HELD JOBS DAYS DAYS_OF_JOB MINUTES_OF_JOB FIRST_REPORT;
    unmatched: REMOVE_GONE NOT_TO_TELL NEW KEEP TRIM FORGET ALL COUNT;
    waiting: NOTE END ALL TRY_NOW FORGET_SERVICE RUN_FAILURES NEXT_RUN DEFER BEGIN_ATTEMPTS END_ATTEMPTS
        FORGET_ATTEMPTS ATTEMPTS;
    waves: NEXT_REVISION TOUCH_FILES TOUCH_REQUIRING OPEN_WAVES OPEN_WAVES_OF_FILES TOUCHED REVISIONS CLOSE OPEN ALL_WAVES
        NEWEST_WAVES FIRST_WAVES;
};

/// Statements of which several do one thing.
fn groups() -> impl Iterator<Item = (&'static str, &'static str)> {
    let jobs = super::matching::FORGET_JOBS.map(|statement| ("matching::FORGET_JOBS", statement));
    let files = super::matching::FORGET_FILES.map(|statement| ("matching::FORGET_FILES", statement));
    let pages = [
        ("pages::FILES", super::pages::FILES),
        ("pages::FILES_OF_STORE", super::pages::FILES_OF_STORE),
        ("pages::FILES_OF_STATUS", super::pages::FILES_OF_STATUS),
        ("pages::FILES_OF_JOB", super::pages::FILES_OF_JOB),
    ];
    let pages = pages
        .into_iter()
        .flat_map(|(name, both)| both.map(|statement| (name, statement)));
    jobs.into_iter().chain(files).chain(pages)
}

/// All statements as a database reads them.
pub(in crate::database) fn expanded(dialect: Dialect) -> impl Iterator<Item = (&'static str, String)> {
    let all = STATEMENTS.iter().copied().chain(groups());
    all.map(move |(name, statement)| (name, expand(statement, dialect)))
}

/// A statement that is left out of the list above would not be tested.
#[test]
fn every_statement_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/database/sql");
    let listed: BTreeSet<&str> = STATEMENTS
        .iter()
        .copied()
        .chain(groups())
        .map(|(name, _)| name)
        .collect();
    let mut missing = Vec::new();
    for file in folder.read_dir().unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let module = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let names = text.lines().filter_map(|line| {
            let (name, _) = line
                .trim()
                .strip_prefix("pub(in crate::database) const ")?
                .split_once(':')?;
            Some(format!("{module}::{name}"))
        });
        missing.extend(names.filter(|name| !listed.contains(name.as_str())));
    }
    assert_eq!(missing, [""; 0]);
}
