//! Settings as nobody means to write them: each is used or refused, and no message tells a password.

use gristmill_testkit::mutations::Mutations;

use super::*;

const PASSWORD: &str = "hunter2";

/// The examples of the documentation, each as a whole settings file.
fn corpus() -> Vec<Vec<u8>> {
    let documents = [
        include_str!("../../../docs/configuration.md"),
        include_str!("../../../docs/feeds.md"),
        include_str!("../../../docs/alerts.md"),
    ];
    let blocks = documents
        .iter()
        .flat_map(|document| document.split("```toml\n").skip(1));
    let mut corpus: Vec<String> = blocks
        .filter_map(|block| block.split("```").next())
        .map(|block| match block.contains("[warehouse]") {
            true => block.to_owned(),
            false => format!("{GOOD}\n{block}"),
        })
        .collect();
    assert!(corpus.len() > 20, "the documents have {} examples", corpus.len());
    corpus.push(include_str!("../../cli/init.toml").to_owned());
    corpus.push(include_str!("../../cli/demo.toml").to_owned());
    corpus.push(with_password());
    corpus.into_iter().map(String::into_bytes).collect()
}

fn with_password() -> String {
    let warehouse = format!("postgres://loader:{PASSWORD}@db.example/mart");
    GOOD.replace("sqlite://mart/warehouse.db", &warehouse)
}

/// A folder that has the sources of most examples.
fn site() -> tempfile::TempDir {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    for source in ["in", "incoming", "data/incoming"] {
        std::fs::create_dir_all(folder.path().join(source)).expect("the new folder can be written");
    }
    folder
}

#[test]
fn no_text_breaks_the_reader_of_settings() {
    let folder = site();
    let mut mutations = Mutations::of(corpus(), usize::MAX);
    let mut used = 0;
    for number in 0..3_000 {
        let text = String::from_utf8_lossy(&mutations.next_file()).into_owned();
        let outcome = std::panic::catch_unwind(|| Settings::from_text(&text, folder.path()));
        let Ok(outcome) = outcome else {
            panic!("mutation {number}: {text}")
        };
        used += u32::from(outcome.is_ok());
    }
    assert!(used > 0, "none were used");
}

#[test]
fn no_message_about_mistyped_settings_tells_a_password() {
    let folder = site();
    let mut mutations = Mutations::of(vec![with_password().into_bytes()], usize::MAX);
    let mut refused = 0;
    for number in 0..3_000 {
        let text = String::from_utf8_lossy(&mutations.next_file()).into_owned();
        // A part of the text that was put elsewhere may hold it, where it is a name; and so may a user's name, where
        // the colon behind it was mistyped.
        let behind_colon = format!("loader:{PASSWORD}");
        if text.matches(PASSWORD).count() != 1 || !text.contains(&behind_colon) {
            continue;
        }
        if let Err(error) = Settings::from_text(&text, folder.path()) {
            assert!(!error.contains(PASSWORD), "mutation {number}: {error}\n{text}");
            refused += 1;
        }
    }
    assert!(refused > 500, "only {refused} were refused");
}
