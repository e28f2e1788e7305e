//! Files as stores really write them: each shape is told by settings, and gives the right rows or is refused with a
//! reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::Row;
use serde_json::Value;

use crate::support::{SQLITE, json, run_until_idle, site, sqlite_rows, state, told};

/// Settings with this feed, and one job for all its files.
fn settings(feed: &str) -> String {
    let files = feed.lines().find_map(|line| line.strip_prefix("files = ")).expect("the feed has files");
    format!(
        "[source]\nurl = \"incoming\"\nsettle = \"200ms\"\nsweep = \"1s\"\n[lake]\nurl = \"lake\"\n\
         [state]\nurl = \"sqlite://state.db\"\n[warehouse]\nurl = \"{SQLITE}\"\n{feed}\n\
         [[job]]\nid = \"J\"\nfeed = \"sales\"\nfiles = {files}\ntrigger = \"any\"\n"
    )
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let path = entry.expect("the entry can be read").path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// Reads a CSV with quotes around fields that hold quotes.
fn rows_of(csv: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = csv
        .lines()
        .skip(1)
        .map(|line| {
            let mut fields = vec![String::new()];
            let (mut is_quoted, mut before) = (false, ' ');
            for c in line.chars() {
                let last = fields.last_mut().expect("there is a field");
                match c {
                    '"' => {
                        if !is_quoted && before == '"' {
                            last.push('"');
                        }
                        is_quoted = !is_quoted;
                    }
                    ',' if !is_quoted => fields.push(String::new()),
                    c => last.push(c),
                }
                before = c;
            }
            let amount = |at: usize| Some(fields[at].clone()).filter(|text| !text.is_empty());
            Row {
                store_id: fields[0].clone(),
                item_id: fields[1].clone(),
                trans_date: fields[2].clone(),
                sale_amount: amount(3),
                tax_amount: amount(4),
                discount_amount: amount(5),
            }
        })
        .collect();
    rows.sort();
    rows
}

/// What `check` says of files.
fn check(site: &Site, files: &[PathBuf]) -> Vec<Value> {
    let names = files.iter().map(|file| file.to_str().expect("the name is text").to_owned());
    let finished = site.run(["check".to_owned(), "--json".to_owned()].into_iter().chain(names));
    assert!(finished.status.code().is_some_and(|code| code < 2), "{finished}");
    json(&finished.stdout).as_array().expect("it is a list").clone()
}

/// Runs one case, and returns what is wrong.
fn run_case(case: &Path) -> Vec<String> {
    let read = |name: &str| fs::read_to_string(case.join(name)).ok();
    let site = site(&settings(&read("feed.toml").expect("the case has a feed")));
    let files = files_below(&case.join("in"));
    for file in &files {
        let name = file.strip_prefix(case.join("in")).expect("it is below");
        site.submit(name, fs::read(file).expect("the file can be read"));
    }
    let submitted = files_below(&site.incoming());
    let checked = check(&site, &submitted);
    let mut wrong = Vec::new();
    let total = |key: &str| checked.iter().map(|file| file[key].as_u64().unwrap_or(0)).sum::<u64>();
    if total("lines") != total("rows") + total("ignored") + total("skipped") + total("rejects") {
        wrong.push("lines are not conserved".to_owned());
    }
    for file in &checked {
        let because = file["rejected_because"].as_str();
        match (read("refused.txt"), because) {
            (None, Some(because)) => wrong.push(format!("is refused: {because}")),
            (Some(_), None) => wrong.push(format!("is not refused: {file}")),
            (Some(words), Some(because)) => {
                for word in words.lines().filter(|word| !because.contains(word)) {
                    wrong.push(format!("{word:?} is not in {because:?}"));
                }
            }
            (None, None) => {}
        }
    }
    run_until_idle(&site);
    let counts = read("counts.txt").unwrap_or_default();
    let words: Vec<&str> = counts.split_whitespace().filter(|word| *word != "files").collect();
    for pair in words.chunks(2) {
        let found = match pair[0] {
            "validated" => {
                let sql = "SELECT count(*) || '' FROM ingested_file_status WHERE last_update_status = 'VALIDATED'";
                state(&site, sql)[0].parse().expect("it is a count")
            }
            key => total(key),
        };
        if pair[1] != found.to_string() {
            wrong.push(format!("{}: {found} instead of {}", pair[0], pair[1]));
        }
    }
    let expected = rows_of(&read("expected.csv").expect("the case has rows"));
    let found = sqlite_rows(&site);
    if found != expected {
        wrong.push(format!("rows {:?} instead of {:?}", told(&found), told(&expected)));
    }
    wrong
}

#[test]
fn every_shape_gives_the_right_rows_or_is_refused_with_a_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases = fs::read_dir(folder).expect("the cases can be listed");
    let mut wrong = BTreeMap::new();
    let mut count = 0;
    for case in cases.map(|case| case.expect("the case can be read").path()).filter(|case| case.is_dir()) {
        count += 1;
        let found = run_case(&case);
        if !found.is_empty() {
            wrong.insert(case.file_name().expect("it has a name").to_owned(), found);
        }
    }
    assert!(count >= 30, "{count} cases");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
