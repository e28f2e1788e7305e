//! Settings and command lines that cannot be used: exit status 2, and a message that names the key and what to write.

use gristmill_testkit::gristmill::{Finished, Site};
use gristmill_testkit::postgres;

use crate::support::{SQLITE, settings, site};

/// A password that must not be seen in any message.
const SECRET: &str = "hunter2";

const JOB: &str = r#"
[[job]]
id = "IL"
feed = "sales"
files = "IL-{store}.tdf"
"#;

fn good() -> String {
    settings(SQLITE, JOB)
}

/// Runs with the settings; they must be refused with all of these words, and nothing must have been made.
fn refused(settings: &str, words: &[&str]) {
    let site = site(settings);
    let finished = site.run(["run", "--until-idle"]);
    is_refused(&finished, words);
    assert!(
        !site.folder().join("state.db").exists() && !site.folder().join("lake").exists(),
        "something was made: {finished}"
    );
}

fn is_refused(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.status.code(), Some(2), "{words:?}: {finished}");
    assert_eq!(finished.stdout, "");
    assert!(!finished.stderr.contains(SECRET), "{finished}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not in {finished}");
    }
}

/// The good settings with one text replaced.
fn with(good_text: &str, bad_text: &str) -> String {
    let good = good();
    assert!(good.contains(good_text), "{good_text}");
    good.replacen(good_text, bad_text, 1)
}

#[test]
fn an_unknown_key_is_named_with_its_table_and_the_keys_there_are() {
    for (table, key, known) in [
        ("[source]", "setle", "`settle`"),
        ("[lake]", "uri", "`url`"),
        ("[state]", "uri", "`url`"),
        ("[warehouse]", "tabel", "`table`"),
        ("[[feed]]", "colums", "`columns`"),
        ("[[job]]", "min_file", "`min_files`"),
    ] {
        let bad = with(table, &format!("{table}\n{key} = \"x\""));
        refused(&bad, &["gristmill.toml", table, key, known]);
    }
    let bad = with("[lake]", "[like]\nurl = \"x\"\n[lake]");
    refused(&bad, &["like", "`lake`"]);
    let bad = format!("{}requires = [{{ file = \"Item*\" }}]\n", good());
    refused(&bad, &["requires", "`file`", "`files`"]);
}

#[test]
fn an_unknown_scheme_is_named_with_the_key_and_those_that_can_be_used() {
    for (good_url, key, known) in [
        ("\"incoming\"", "source.url", "file://PATH"),
        ("\"lake\"", "lake.url", "file://PATH"),
        ("\"sqlite://state.db\"", "state.url", "sqlite://PATH"),
        ("\"sqlite://warehouse.db\"", "warehouse.url", "postgres://"),
    ] {
        let bad = with(good_url, &format!("\"oracle://scott:{SECRET}@host/mart\""));
        refused(&bad, &[key, "oracle://scott:***@host/mart", known]);
    }
}

#[test]
fn a_missing_variable_is_named_and_the_rest_of_the_url_is_not_shown() {
    let bad = with(SQLITE, &format!("postgres://u:{SECRET}@h/${{GRISTMILL_NOWHERE}}"));
    refused(
        &bad,
        &[
            "warehouse.url",
            "GRISTMILL_NOWHERE is not set",
            "set it, or write",
        ],
    );
}

#[test]
fn a_variable_keeps_the_password_out_of_every_message() {
    let mut site = site(&with(
        SQLITE,
        "postgres://u:${GRISTMILL_TEST_PASSWORD}@host:x/mart",
    ));
    site.set_variable("GRISTMILL_TEST_PASSWORD", SECRET);
    is_refused(
        &site.run(["run", "--until-idle"]),
        &["warehouse.url", "u:***@host"],
    );
}

#[test]
fn a_warehouse_that_does_not_answer_is_work_that_failed_and_its_password_stays_hidden() {
    // Nothing listens on port 1.
    let url = format!("postgres://u:{SECRET}@127.0.0.1:1/mart");
    let finished = site(&settings(&url, JOB)).run(["run", "--until-idle", "--log", "debug"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert!(!finished.stderr.contains(SECRET), "{finished}");
    for word in ["no run can start now", "u:***@127.0.0.1:1", "refused"] {
        assert!(finished.stderr.contains(word), "{word:?} is not in {finished}");
    }
}

#[test]
fn a_source_that_is_no_folder_is_named() {
    let bad = with("\"incoming\"", "\"nowhere\"");
    refused(&bad, &["source.url", "nowhere does not exist: create it"]);
    let bad = with("\"incoming\"", "\"gristmill.toml\"");
    refused(&bad, &["source.url", "is not a folder"]);
}

#[test]
fn a_table_of_other_columns_is_told_with_the_sql_that_mends_it_in_sqlite() {
    let site = site(&good());
    crate::support::sqlite(
        &site,
        "CREATE TABLE sales_summary (store_id TEXT NOT NULL, item_id TEXT NOT NULL, trans_date TEXT NOT NULL, \
         sale_amount TEXT, PRIMARY KEY (store_id, item_id, trans_date))",
    );
    has_other_columns(&site);
}

#[test]
fn a_table_of_other_columns_is_told_with_the_sql_that_mends_it_in_postgres() {
    let url = postgres::shared().create_database();
    postgres::execute(
        &url,
        "CREATE TABLE sales_summary (store_id text NOT NULL, item_id text NOT NULL, trans_date text NOT NULL, \
         sale_amount numeric(18, 2), PRIMARY KEY (store_id, item_id, trans_date))",
    );
    has_other_columns(&site(&settings(&url, JOB)));
}

fn has_other_columns(site: &Site) {
    site.submit("IL-1.tdf", "S1\t1.00\t4\tBUN\t2026-03-01\n");
    let finished = site.run(["run", "--until-idle"]);
    is_refused(
        &finished,
        &["sales_summary", "tax_amount", "discount_amount", "ALTER TABLE"],
    );
}

#[test]
fn a_job_that_cannot_be_judged_is_told_with_its_key() {
    let job = |key: &str| format!("{}{key}\n", good());
    refused(
        &with("feed = \"sales\"", "feed = \"sale\""),
        &["job \"IL\": feed \"sale\"", "\"sales\""],
    );
    refused(
        &with("feed = \"sales\"", "feed = \"items\""),
        &["job \"IL\": feed", "reference"],
    );
    refused(
        &with("IL-{store}", "IL-{shop}"),
        &["job \"IL\": files", "{shop}", "{store}"],
    );
    refused(&with("IL-{store}", "IL-[1"), &["job \"IL\": files", "IL-[1"]);
    refused(&with("\"IL\"", "\"\""), &["job \"\": id must be a name"]);
    refused(
        &job("time_zone = \"Mars/Base\""),
        &["job \"IL\": time_zone", "Mars/Base", "America/Chicago"],
    );
    refused(
        &job("deadline = \"25:00\""),
        &["job \"IL\": deadline", "25:00", "18:00"],
    );
    refused(&job("trigger = \"some\""), &["[[job]] trigger", "`all`", "`any`"]);
    refused(&job("min_files = -1"), &["[[job]] min_files", "a whole number"]);
    refused(
        &job("requires = \"Item*\""),
        &[
            "[[job]] requires",
            "a list such as [{ files = \"Item*\", within = \"1 day\" }]",
        ],
    );
    refused(
        &job("requires = [\"Item*\"]"),
        &[
            "[[job]] requires",
            "a table such as { files = \"Item*\", within = \"1 day\" }",
        ],
    );
    refused(&job("after = \"J100\""), &["[[job]] after", "a list in brackets"]);
    refused(
        &job("min_files = 3\nstores = [\"1\", \"2\"]"),
        &[
            "job \"IL\": min_files is 3",
            "stores lists only 2",
            "write 2 or less",
        ],
    );
    refused(
        &job("stores = [\"1\"]").replace("IL-{store}", "IL-*"),
        &["job \"IL\": stores needs to know", "{store}", "IL-*.tdf"],
    );
    refused(
        &job("requires = [{ files = \"Item*\", within = \"1 moon\" }]"),
        &["job \"IL\": requires: within", "1 moon", "1 day"],
    );
    refused(
        &format!("{}{JOB}", good()),
        &["job \"IL\" is defined twice", "its own id"],
    );
}

#[test]
fn a_feed_that_cannot_be_read_is_told_with_its_key() {
    refused(
        &with("\"*-*.tdf\"", "\"{when}.tdf\""),
        &["feed \"sales\"", "files", "{when}", "{date}"],
    );
    refused(
        &with("\"amount\", ", ""),
        &["feed \"sales\"", "columns", "amount"],
    );
    refused(
        &with("name = \"sales\"", "name = \"sales\"\nencoding = \"klingon\""),
        &["feed \"sales\"", "encoding", "klingon"],
    );
    refused(
        &with("name = \"sales\"", "name = \"sales\"\ndelimiter = \"\""),
        &["feed \"sales\"", "delimiter"],
    );
    refused(
        &with("\"items\"", "\"sales\""),
        &["feed \"sales\" is defined twice"],
    );
}

#[test]
fn other_values_that_cannot_be_used_are_told_with_their_key() {
    refused(
        &with("\"200ms\"", "\"soon\""),
        &["source.settle", "soon", "30 minutes"],
    );
    refused(&with("\"1s\"", "\"0s\""), &["source.sweep", "0s"]);
    let warehouse = format!("\"{SQLITE}\"");
    refused(
        &with(&warehouse, &format!("{warehouse}\nload = \"replace\"")),
        &["warehouse.load", "replace-days", "upsert", "reload"],
    );
    refused(
        &with(&warehouse, &format!("{warehouse}\ntable = \"a.b.c\"")),
        &["warehouse.table", "a.b.c"],
    );
    refused("[source", &["gristmill.toml"]);
    let reload = with(&warehouse, &format!("{warehouse}\nload = \"reload\""));
    refused(
        &format!("{reload}{}", JOB.replace("IL", "CA")),
        &["warehouse.load = \"reload\"", "IL, CA", "replace-days"],
    );
    refused(
        &reload.replace("IL-{store}", "IL-{date}"),
        &["warehouse.load = \"reload\"", "job IL", "IL-{date}.tdf"],
    );
}

#[test]
fn a_missing_settings_file_is_told_with_the_way_to_one() {
    let site = site(&good());
    for arguments in [
        &["run", "-c", "other.toml"][..],
        &["status", "-c", "other.toml"],
        &["check", "-c", "other.toml", "gristmill.toml"],
        &[
            "aggregate",
            "incoming",
            "-o",
            "x",
            "-c",
            "other.toml",
            "--feed",
            "sales",
        ],
    ] {
        is_refused(&site.run(arguments), &["other.toml", "gristmill init", "-c FILE"]);
    }
}

#[test]
fn an_unknown_command_option_or_level_is_told() {
    let site = site(&good());
    is_refused(&site.run(["mill"]), &["mill", "--help"]);
    is_refused(&site.run(["run", "--for-ever"]), &["--for-ever", "--help"]);
    is_refused(&site.run(["trace", "S1"]), &["<ITEM>", "<DATE>"]);
    is_refused(
        &site.run(["trace", "S1", "BUN", "yesterday"]),
        &["<DATE>", "yesterday"],
    );
    is_refused(
        &site.run(["run", "--until-idle", "--log", "a=b=c"]),
        &["--log", "a=b=c"],
    );
    is_refused(&site.run(["aggregate", "incoming"]), &["--output"]);
}

#[test]
fn an_alert_that_cannot_be_used_is_refused_with_what_to_write() {
    let receiver =
        "[[receiver]]\nname = \"ops\"\nform = \"slack\"\nurl = \"https://hooks.example.com/hunter2\"\n";
    let alert = |rest: &str| format!("[[alert]]\nname = \"a\"\n{rest}\n{receiver}");
    for (alerts, words) in [
        (
            alert("when = \"late\""),
            &["[[alert]] when", "`run-failed`", "`disk`"][..],
        ),
        (
            alert("when = \"held\"\nevery = \"4h\""),
            &["[[alert]] every", "`repeat`"],
        ),
        (
            alert("when = \"held\"\nfeeds = [\"sails\"]"),
            &["alert \"a\": feeds: \"sails\" is unknown", "\"sales\""],
        ),
        (
            alert("when = \"run-failed\"\njobs = [\"CA\"]"),
            &["alert \"a\": jobs: \"CA\" is unknown", "\"IL\""],
        ),
        (
            alert("when = \"held\"\nto = [\"opps\"]"),
            &["to: there is no [[receiver]] \"opps\"", "write \"ops\""],
        ),
        (
            alert("when = \"held\"\npercent = 5"),
            &["percent says nothing about \"held\"", "feeds"],
        ),
        (alert("when = \"rejects\""), &["percent is missing"]),
        (
            alert("when = \"job-incomplete\""),
            &["at is missing", "\"18:00\""],
        ),
        (
            alert("when = \"job-incomplete\"\nat = \"6 pm\""),
            &["at: \"6 pm\" is not a time of day", "\"18:00\""],
        ),
        (
            alert("when = \"store-silent\""),
            &["either waves = 2 or at = \"10:00\""],
        ),
        (
            alert("when = \"lag\"\nover = \"long\""),
            &["over: \"long\" is not a time span"],
        ),
        (
            alert("when = \"disk\"\nfree = \"some\""),
            &["free: \"some\" is no room", "\"10 %\""],
        ),
        (
            alert("when = \"held\"\nrepeat = \"0s\""),
            &["repeat is too short"],
        ),
        (
            alert("when = \"held\"\nquiet = \"at night\""),
            &["quiet: \"at night\" are no hours", "\"22:00-06:00\""],
        ),
        (
            "[[alert]]\nname = \"a\"\nwhen = \"held\"\n".to_owned(),
            &["nobody to tell", "[[receiver]]"],
        ),
        (
            format!("{receiver}{receiver}"),
            &["receiver \"ops\" is defined twice"],
        ),
        (
            receiver.replace("https://hooks.example.com/", "hooks:"),
            &["receiver \"ops\": url:", "https://"],
        ),
        (
            receiver.replace("https://hooks.example.com/hunter2", "${NO_SUCH_VARIABLE}"),
            &["receiver \"ops\": url:", "NO_SUCH_VARIABLE is not set"],
        ),
        (
            "[dead_man]\nurl = \"https://hc.example.com/hunter2\"\nevery = \"1ms\"\n".to_owned(),
            &["dead_man.every", "too short"],
        ),
        (
            "[alerts]\ntime_zone = \"Chicago\"\n".to_owned(),
            &["alerts.time_zone: \"Chicago\" is unknown"],
        ),
    ] {
        let words: Vec<_> = ["gristmill.toml"].iter().chain(words).copied().collect();
        refused(&format!("{}\n{alerts}", good()), &words);
    }
    // A command that only reads needs no receiver's secret.
    let site = site(&good());
    crate::support::run_until_idle(&site);
    let secret = receiver.replace("https://hooks.example.com/hunter2", "${NO_SUCH_VARIABLE}");
    site.write_settings(&format!("{}\n{secret}", good()));
    site.run_ok(["status"]);
}
