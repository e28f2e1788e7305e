//! The API beside its description: schemathesis makes up requests from `openapi.json`, and compares the answers with it.
//!
//! `GRISTMILL_API_EXAMPLES=200` makes up more requests for each operation than the short form of the tests does.

use std::process::Command;

use gristmill_testkit::venv;

use crate::page::Desk;
use crate::support::{self, line};

const TOKEN: &str = "correct horse battery staple";

/// What an answer must be: no failure of the server, and what the description says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
";

#[test]
fn the_api_answers_as_its_description_says() {
    let http = format!("\n[http]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n");
    let site = support::site(&(support::settings(support::SQLITE, JOB) + &http));
    let good: String = (0..20)
        .map(|number| line("1", "1.00", 4, &format!("ITEM{number}"), "2026-03-01"))
        .collect();
    site.submit("IL-1.tdf", good.clone() + "1\tnone\t4\tBUN\t2026-03-01\n");
    site.submit("IL-2.tdf", "2\tnone\t4\tBUN\t2026-03-01\n");
    site.submit("odd.name", "x");
    support::run_until_idle(&site);
    let desk = Desk::open(&site);
    let examples = std::env::var("GRISTMILL_API_EXAMPLES").unwrap_or_else(|_| "5".to_owned());
    for token in [Some(TOKEN), None] {
        let mut command = Command::new(venv::program("schemathesis"));
        command
            .current_dir(site.folder())
            .arg("run")
            .arg(format!("http://{}/api/openapi.json", desk.address))
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", &examples, "--generation-deterministic"])
            .args(["--workers", "1", "--continue-on-failure"])
            // A question may take its five seconds.
            .args([
                "--request-timeout",
                "60",
                "--no-color",
                "--suppress-health-check",
                "all",
            ]);
        if let Some(token) = token {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let output = command.output().expect("schemathesis can be started");
        assert!(
            output.status.success(),
            "with {token:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
