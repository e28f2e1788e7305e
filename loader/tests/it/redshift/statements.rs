//! Checks that docs/redshift.md lists every statement sent to Redshift, and no others. Names, texts and numbers in a
//! listed statement stand for any.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use gristmill_loader::{Load, LoadMode, Target, open};
use gristmill_testkit::venv;

use crate::support::{MEASURES, Place, Summary};

const DOCS: &str = include_str!("../../../../docs/redshift.md");

/// Fails if a statement was sent that the document does not list.
pub fn all_are_listed(place: &Place) {
    let listed = listed_forms();
    for statement in place.redshift.as_ref().unwrap().standin.statements() {
        assert!(
            listed.contains(&form(&statement)),
            "docs/redshift.md does not list this statement:\n{statement}\nIts form is\n{}",
            form(&statement)
        );
    }
}

/// The statements in the document's blocks of SQL.
fn listed() -> Vec<&'static str> {
    let blocks = DOCS.split("```sql\n").skip(1);
    let statements = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().split(';'));
    statements
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
        .collect()
}

fn listed_forms() -> BTreeSet<String> {
    listed().into_iter().map(form).collect()
}

/// A statement with every quoted name as `"…"`, every text as `'…'`, every number as 0, and single blanks.
fn form(statement: &str) -> String {
    let mut form = String::new();
    let mut rest = statement;
    while let Some(next) = rest.chars().next() {
        let length = match next {
            '\'' | '"' => {
                let mut end = 1;
                loop {
                    end += rest[end..].find(next).expect("it is closed") + 1;
                    match rest[end..].starts_with(next) {
                        true => end += 1,
                        false => break end,
                    }
                }
            }
            '0'..='9' => rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()),
            _ => next.len_utf8(),
        };
        match next {
            '\'' => form.push_str("'…'"),
            '"' => form.push_str("\"…\""),
            '0'..='9' => form.push('0'),
            _ => form.push(next),
        }
        rest = &rest[length..];
    }
    // A text with backslashes is concatenated.
    while form.contains("'…' || CHR(0) || '…'") {
        form = form.replace("'…' || CHR(0) || '…'", "'…'");
    }
    form.replace("('…')", "'…'")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn names_texts_and_numbers_have_one_form() {
    assert_eq!(
        form("SELECT  \"a\"\"b\", 'it''s'\n FROM t WHERE x = ('a' || CHR(92) || 'b') LIMIT 17"),
        "SELECT \"…\", '…' FROM t WHERE x = '…' LIMIT 0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listed_statement_is_sent_by_something() {
    let place = Place::redshift();
    let redshift = place.redshift.as_ref().unwrap();
    let row = |item: &'static str, cents| ("s", item, "2025-03-01", [Some(cents), None, None]);
    let in_scope = |scope: &str, load: Load| Load {
        scope: scope.into(),
        ..load
    };
    for mode in [LoadMode::ReplaceDays, LoadMode::Upsert, LoadMode::Reload] {
        let warehouse = place.ready(mode).await;
        let first = place.load(10 * mode as i64 + 1, &Summary::of(&[row("i", 1), row("j", 1)]));
        warehouse.load(&first, &|_| ()).await.unwrap();
        let next = Summary::of(&[row("i", 2)]).covering("s", "2025-03-02");
        let next = place.load_on(&first, 10 * mode as i64 + 2, &next);
        warehouse.load(&next, &|_| ()).await.unwrap();
        warehouse.verify(&next, true, 1).await.unwrap();
        let theirs = Summary::of(&[row("k", 1)]);
        let theirs = in_scope("J102", place.load(10 * mode as i64 + 3, &theirs));
        warehouse.load(&theirs, &|_| ()).await.unwrap();
        warehouse.verify(&next, false, 1).await.unwrap();
        warehouse
            .row("s", "i", "2025-03-01".parse().unwrap())
            .await
            .unwrap();
        warehouse.first_rows(1).await.unwrap();
        warehouse.newest_loads(None).await.unwrap();
        warehouse.row_count().await.unwrap();
        let long = "x".repeat(101);
        let long = Summary::of(&[(long.as_str(), "i", "2025-03-01", [None; 3])]);
        let long = place.load(10 * mode as i64 + 4, &long);
        assert!(warehouse.load(&long, &|_| ()).await.is_err());
    }
    // An existing table, one with a layout, and one with audit columns.
    place.ready(LoadMode::ReplaceDays).await;
    let laid_out = format!("{}&distkey=store_id&sortkey=trans_date,store_id", redshift.url());
    let target = Target::new(
        "laid_out",
        MEASURES.map(String::from).to_vec(),
        LoadMode::ReplaceDays,
    );
    let warehouse = open(&laid_out, target.unwrap(), &place.credentials).unwrap();
    warehouse.prepare().await.unwrap();
    place.edit("DROP TABLE sales_summary").await;
    let audited = place.audited(LoadMode::ReplaceDays);
    audited.prepare().await.unwrap();
    let load = place.load(90, &Summary::of(&[row("i", 1)]));
    audited.load(&load, &|_| ()).await.unwrap();

    let sent: BTreeSet<String> = redshift
        .standin
        .statements()
        .iter()
        .map(|sql| form(sql))
        .collect();
    let listed = listed_forms();
    let missing: Vec<_> = sent.difference(&listed).collect();
    let idle: Vec<_> = listed.difference(&sent).collect();
    assert!(
        missing.is_empty() && idle.is_empty(),
        "docs/redshift.md lacks:\n{missing:#?}\nand lists what is never sent:\n{idle:#?}"
    );
}

/// All but LOCK, which sqlglot does not know.
#[test]
fn every_listed_statement_is_redshifts_sql() {
    const PROGRAM: &str = "
import json, sys
import sqlglot
from sqlglot import exp
for statement in json.load(sys.stdin):
    parsed = sqlglot.parse(statement, read='redshift')
    if len(parsed) != 1 or isinstance(parsed[0], exp.Command):
        sys.exit(f'not understood: {statement}')
";
    let mut python = Command::new(venv::python())
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let statements: Vec<_> = listed()
        .into_iter()
        .filter(|sql| !sql.starts_with("LOCK "))
        .collect();
    let statements = serde_json::to_vec(&statements).unwrap();
    python.stdin.take().unwrap().write_all(&statements).unwrap();
    assert!(python.wait().unwrap().success());
}

/// sqlglot accepts any option of COPY. Source: page "COPY from columnar data formats".
#[test]
fn copy_has_only_options_that_columnar_files_allow() {
    let copies: Vec<_> = listed()
        .into_iter()
        .filter(|sql| sql.starts_with("COPY"))
        .map(form)
        .collect();
    assert!(!copies.is_empty());
    for copy in copies {
        let (_, options) = copy.split_once(" FROM '…' ").unwrap();
        assert_eq!(options, "IAM_ROLE '…' FORMAT AS PARQUET MANIFEST");
    }
}
