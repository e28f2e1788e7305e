use super::*;

/// Settings that can be used in a folder with `in`.
const GOOD: &str = r#"
[source]
url = "in"
[lake]
url = "file://lake"
[state]
url = "sqlite://state.db"
[warehouse]
url = "sqlite://mart/warehouse.db"
[[feed]]
name = "sales"
files = "*-*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5 }
[[job]]
id = "J1"
feed = "sales"
files = "IL-{store}.tdf"
"#;

fn read(text: &str) -> Result<Settings, String> {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("in")).expect("the new folder can be written");
    Settings::from_text(text, folder.path())
}

/// The message about settings in which `good` was replaced.
fn error(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "{good}");
    read(&GOOD.replacen(good, bad, 1)).expect_err(bad)
}

#[test]
fn paths_are_relative_to_the_settings_files_folder() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).expect("the new folder can be written");
    let settings = Settings::from_text(GOOD, folder.path()).expect("the settings are good");
    assert_eq!(
        [&settings.source, &settings.lake, &settings.state],
        [&at("in"), &at("lake"), &at("state.db")]
    );
    let warehouse = at("mart/warehouse.db");
    assert_eq!(settings.warehouse, format!("sqlite://{}", warehouse.display()));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let settings = read(GOOD).expect("the settings are good");
    assert_eq!(settings.settle, Duration::from_secs(1));
    assert_eq!(settings.sweep, Duration::from_secs(30));
    assert_eq!(settings.target.measures, ["sale_amount", "tax_amount"]);
    assert!(!settings.target.audit);
    let job = &settings.jobs[0];
    assert_eq!((job.min_files, job.enabled), (1, true));
    assert_eq!(job.trigger.to_string(), "all");
}

#[test]
fn a_mistake_is_told_with_its_line_its_table_and_its_key() {
    let unknown = error("url = \"in\"", "url = \"in\"\nsetle = \"2s\"");
    assert!(
        unknown.starts_with("line 4 [source] setle: unknown field `setle`"),
        "{unknown}"
    );
    let number = error("files = \"IL-{store}.tdf\"", "files = 7");
    assert!(
        number.starts_with("line 18 [[job]] files: invalid type: integer `7`"),
        "{number}"
    );
    let absent = error("[lake]\nurl = \"file://lake\"", "");
    assert_eq!(absent, "missing field `lake`");
    let absent = error("feed = \"sales\"\n", "");
    assert_eq!(absent, "line 15 [[job]]: missing field `feed`");
}

#[test]
fn no_mistake_brings_a_password_to_light() {
    let url = "url = \"sqlite://mart/warehouse.db\"";
    for bad in [
        "url = \"postgres://u:hunter2@db/${GRISTMILL_NOT_SET}\"",
        "url = \"postgres://u:hunter2@db/mart",
        "url = [\"postgres://u:hunter2@db/mart\"]",
        "url = \"postgress://u:hunter2@db/mart\"",
        "table = 3\nurl = \"postgres://u:hunter2@db/mart\"",
        "postgres://u:hunter2@db/mart?a=b",
        "url = postgres://u:hunter2@db/mart",
        "load = \"postgres://u:hunter2@db/mart\"\nurl = 5",
    ] {
        let message = error(url, bad);
        assert!(!message.contains("hunter2"), "{message}");
    }
    let table = "[warehouse]\nurl = \"sqlite://mart/warehouse.db\"";
    let inline = GOOD.replacen(table, "", 1);
    let inline = format!("warehouse = \"postgres://u:hunter2@db/mart\"\n{inline}");
    let message = read(&inline).expect_err("a table is no text");
    assert!(
        !message.contains("hunter2") && message.contains("warehouse"),
        "{message}"
    );
}

#[test]
fn feeds_that_share_the_table_have_the_same_measures() {
    let second = "[[feed]]\nname = \"other\"\nfiles = \"x\"\n\
                  columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                  measures = { sale_amount = 4 }\n[[job]]";
    let message = error("[[job]]", second);
    assert!(
        message.contains("feed \"other\": measures") && message.contains("need the same"),
        "{message}"
    );
}

#[test]
fn the_feed_with_the_longer_literal_start_takes_a_file() {
    let feeds = Feeds::new(
        [("any", "*.tdf"), ("illinois", "IL-*.tdf"), ("late", "IL-*")]
            .map(|(name, files)| {
                FeedLayout::new(&FeedSpec {
                    name: name.into(),
                    files: files.into(),
                    ..FeedSpec::default()
                })
                .expect("the feed is good")
            })
            .into(),
    );
    let name = |path| feeds.of_file(path).map(|(feed, _)| feed.name.as_str());
    assert_eq!(name("IL-1.tdf"), Some("illinois"));
    assert_eq!(name("CA-1.tdf"), Some("any"));
    assert_eq!(name("IL-1.csv"), Some("late"));
    assert_eq!(name("CA-1.csv"), None);
}
