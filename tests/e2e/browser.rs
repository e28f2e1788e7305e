//! The status page in a real browser: Debian's Chromium, driven by `tests/browser/desk.mjs`.

use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill_testkit::gristmill::wait_until;

use crate::support;

const TOKEN: &str = "correct horse battery staple";

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
min_files = 3
trigger = \"any\"
stores = [\"1\", \"2\", \"3\"]
";

/// The browser, by the names that distributions give it.
fn chromium() -> PathBuf {
    let found = ["chromium", "chromium-browser"].iter().find_map(|name| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|program| program.exists())
    });
    found.expect("Chromium is not installed: run `scripts/test --setup`")
}

#[test]
fn a_desk_works_in_a_browser() {
    let node = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-node");
    let modules = node.join("node_modules");
    assert!(
        modules.join("playwright-core").exists(),
        "playwright-core is not installed: run `scripts/test --setup`"
    );
    let http = format!("\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n");
    let site = support::site(&(support::settings(support::SQLITE, JOB) + &http));
    let service = site.start(["run"]);
    let mut address = None;
    wait_until("the page is served", || {
        let log = service.stderr();
        let found = log.split("status page at ").nth(1);
        address = found
            .and_then(|rest| rest.split_whitespace().next())
            .map(str::to_owned);
        address.is_some() && log.contains("watching")
    });
    let mut script = Command::new(node.join("node"));
    script
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/desk.mjs"))
        .arg(address.unwrap())
        .arg(site.incoming())
        .arg(TOKEN)
        .arg(modules)
        .arg(chromium());
    // To make the pictures of the documentation anew.
    script.args(std::env::var_os("GRISTMILL_PICTURES"));
    let output = script.output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\nthe service: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        service.stderr()
    );
}
