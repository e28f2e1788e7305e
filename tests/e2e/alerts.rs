//! Alerts: what they find, whom they tell in which form, what survives a restart and a receiver that is down.

use std::fs;
use std::net::{SocketAddr, TcpListener};

use gristmill_testkit::gristmill::{Background, Site, wait_until};
use gristmill_testkit::http_receiver::{HttpReceiver, Request};
use gristmill_testkit::smtp_server::SmtpServer;
use gristmill_testkit::tls::Authority;

use crate::support::{self, json, line, sqlite, state};

/// Whatever of a URL must not be seen.
const SECRET: &str = "hush-hush";

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
";

fn mill(jobs: &str, alerts: &str) -> Site {
    support::site(&support::settings(support::SQLITE, &format!("{jobs}\n{alerts}")))
}

fn webhook(name: &str, form: &str, address: SocketAddr) -> String {
    format!("[[receiver]]\nname = \"{name}\"\nform = \"{form}\"\nurl = \"http://{address}/{SECRET}\"\n")
}

fn alert(name: &str, when: &str, rest: &str) -> String {
    format!("[[alert]]\nname = \"{name}\"\nwhen = \"{when}\"\n{rest}\n")
}

fn sale(store: &str, amount: &str) -> String {
    line(store, amount, 4, "BUN", "2026-03-01")
}

/// A file of many sales, which the guards hold if much less comes next.
fn many(store: &str) -> String {
    let item = |number: usize| line(store, "10.00", 4, &format!("ITEM{number}"), "2026-03-01");
    (0..20).map(item).collect()
}

/// What JSON receivers were told, as `kind alert: subjects`.
fn told(requests: &[Request]) -> Vec<String> {
    let one = |request: &Request| {
        let message = request.json();
        let subjects = message["subjects"].as_array().expect("a list").iter();
        let subjects: Vec<_> = subjects
            .map(|told| told["subject"].as_str().expect("a text"))
            .collect();
        let text = |key: &str| message[key].as_str().expect("a text").to_owned();
        format!("{} {}: {}", text("kind"), text("alert"), subjects.join(", "))
    };
    requests.iter().map(one).collect()
}

fn wait_for(service: &mut Background, receiver: &HttpReceiver, expected: &str) {
    wait_until(&format!("the receiver is told {expected:?}"), || {
        assert!(service.is_running(), "the service ended: {}", service.stderr());
        told(&receiver.requests()).iter().any(|told| told == expected)
    });
}

/// A port of 127.0.0.1 that was free a moment ago.
fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("a listener has an address")
}

#[test]
fn files_and_waves_are_told_when_they_go_wrong_and_when_they_are_right_again() {
    let receiver = HttpReceiver::start();
    let alerts = [
        alert("held", "held", "feeds = [\"sales\"]"),
        alert("rejects", "rejects", "percent = 4"),
        alert("failed", "run-failed", "jobs = [\"IL\"]"),
        alert("lag", "lag", "over = \"1s\"\njobs = [\"CA\"]"),
        alert("full", "disk", "free = \"1 B\""),
    ];
    let two = "[[job]]\nid = \"CA\"\nfeed = \"sales\"\nfiles = \"CA-*.tdf\"\nmin_files = 2\n";
    let hook = webhook("hook", "json", receiver.address());
    let site = mill(&format!("{JOB}{two}"), &format!("{}{hook}", alerts.concat()));
    let mut service = support::service(&site);
    site.submit("IL-1.tdf", many("S1"));
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
        "1",
    );

    site.submit("IL-1.tdf", sale("S1", "1.00"));
    wait_for(&mut service, &receiver, "firing held: file IL-1.tdf");
    let status = site.run_ok(["status"]);
    assert!(status.contains("alert held: file IL-1.tdf (since "), "{status}");
    let listed = json(&site.run_ok(["status", "--json"]));
    assert_eq!(listed["alerts"][0]["alert"], "held", "{listed}");
    site.run_ok(["accept", "IL-1.tdf"]);
    wait_for(&mut service, &receiver, "resolved held: file IL-1.tdf");

    site.submit("IL-2.tdf", many("S2") + "S2\tnone\t4\tBUN\t2026-03-01\n");
    wait_for(&mut service, &receiver, "firing rejects: file IL-2.tdf");
    site.submit("IL-2.tdf", many("S2"));
    wait_for(&mut service, &receiver, "resolved rejects: file IL-2.tdf");

    site.submit("CA-1.tdf", sale("S8", "1.00"));
    wait_for(&mut service, &receiver, "firing lag: job CA");
    site.submit("CA-2.tdf", sale("S9", "1.00"));
    wait_for(&mut service, &receiver, "resolved lag: job CA");

    sqlite(
        &site,
        "CREATE TRIGGER closed BEFORE INSERT ON sales_summary BEGIN SELECT RAISE(ABORT, 'stocktaking'); END",
    );
    site.submit("IL-3.tdf", sale("S3", "1.00"));
    wait_for(&mut service, &receiver, "firing failed: job IL");
    sqlite(&site, "DROP TRIGGER closed");
    site.run_ok(["retry"]);
    wait_for(&mut service, &receiver, "resolved failed: job IL");

    // Each is told once, and nothing else is.
    let all = told(&receiver.requests());
    assert_eq!(all.len(), 8, "{all:#?}");
    let log = service.terminate().stderr;
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn provinces_and_stores_are_told_when_they_are_late_and_when_they_come() {
    let receiver = HttpReceiver::start();
    let alerts = [
        alert("late", "job-incomplete", "at = \"00:00\"\njobs = [\"IL\"]"),
        alert("silent", "store-silent", "at = \"00:00\"\njobs = [\"IL\"]"),
        alert("skips", "store-silent", "waves = 1\njobs = [\"CA\"]"),
    ];
    let jobs = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
min_files = 2
stores = [\"1\", \"2\"]
[[job]]
id = \"CA\"
feed = \"sales\"
files = \"CA-{store}-{date}.tdf\"
trigger = \"any\"
";
    let hook = webhook("hook", "json", receiver.address());
    let site = mill(jobs, &format!("{}{hook}", alerts.concat()));
    support::run_until_idle(&site);
    assert!(
        receiver.requests().is_empty(),
        "the jobs were not there at midnight: {:?}",
        told(&receiver.requests())
    );
    state(&site, "UPDATE job_edit SET at = '2026-01-01T00:00:00.000000Z'");

    let mut service = support::service(&site);
    wait_for(&mut service, &receiver, "firing late: job IL");
    wait_for(
        &mut service,
        &receiver,
        "firing silent: store 1 of job IL, store 2 of job IL",
    );
    let late = receiver.requests().into_iter().map(|request| request.json());
    let late = late
        .into_iter()
        .find(|message| message["alert"] == "late")
        .expect("it was told");
    let facts = late["subjects"][0]["facts"].as_str().expect("facts are text");
    assert!(
        facts.contains("no complete run since") && facts.contains("it waits for"),
        "{facts}"
    );
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    wait_for(&mut service, &receiver, "resolved silent: store 1 of job IL");
    site.submit("IL-2.tdf", sale("S2", "1.00"));
    wait_for(&mut service, &receiver, "resolved silent: store 2 of job IL");
    wait_for(&mut service, &receiver, "resolved late: job IL");

    for store in ["1", "2"] {
        site.submit(format!("CA-{store}-2026-03-01.tdf"), sale(store, "1.00"));
    }
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM ingested_file_status WHERE file_url LIKE 'CA%'",
        "2",
    );
    site.submit("CA-1-2026-03-02.tdf", line("1", "1.00", 4, "BUN", "2026-03-02"));
    wait_for(&mut service, &receiver, "firing skips: store 2 of job CA");
    site.submit("CA-2-2026-03-02.tdf", line("2", "1.00", 4, "BUN", "2026-03-02"));
    wait_for(&mut service, &receiver, "resolved skips: store 2 of job CA");
    service.terminate();
}

#[test]
fn a_notice_waits_for_its_receiver_through_a_restart_and_comes_once() {
    let address = free();
    let full = alert("full", "disk", "free = \"100 %\"");
    let hook = webhook("hook", "json", address);
    let site = mill(JOB, &format!("{full}{hook}"));
    let service = support::service(&site);
    wait_until("the receiver is tried", || {
        service.stderr().contains("a notice could not be sent")
    });
    // The pipeline goes on meanwhile.
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    wait_until("the file is loaded", || {
        state(&site, "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'") == ["1"]
    });
    let status = site.run_ok(["status"]);
    assert!(status.contains("receiver hook has not got 1 notice"), "{status}");
    assert!(status.contains(&format!("http://{address}: ")), "{status}");
    let log = service.kill().stderr;
    assert!(!log.contains(SECRET) && !status.contains(SECRET), "{log}{status}");

    let mut service = support::service(&site);
    let receiver = HttpReceiver::start_at(address);
    let expected = format!("firing full: disk of {}", site.folder().display());
    wait_for(&mut service, &receiver, &expected);
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM alert_notice WHERE sent_timestamp IS NOT NULL",
        "1",
    );
    service.kill();
    let service = support::service(&site);
    site.submit("IL-1.tdf", sale("S1", "2.00"));
    support::wait_for_state(
        &site,
        "SELECT count(*) FROM job_run WHERE state = 'COMPLETED'",
        "2",
    );
    service.terminate();
    assert_eq!(told(&receiver.requests()), std::slice::from_ref(&expected));

    // With room enough it is over.
    let settings = fs::read_to_string(site.folder().join("gristmill.toml")).expect("it was written");
    site.write_settings(&settings.replace("100 %", "1 B"));
    support::run_until_idle(&site);
    let all = told(&receiver.requests());
    assert_eq!(all, [expected.clone(), expected.replace("firing", "resolved")]);
    // An alert that is gone leaves nothing behind.
    site.write_settings(&settings);
    support::run_until_idle(&site);
    site.write_settings(&support::settings(support::SQLITE, JOB));
    support::run_until_idle(&site);
    assert_eq!(state(&site, "SELECT count(*) FROM alert_firing"), ["0"]);
}

#[test]
fn what_goes_on_is_repeated_as_set() {
    let receiver = HttpReceiver::start();
    let full = alert("full", "disk", "free = \"100 %\"\nrepeat = \"1s\"");
    let site = mill(
        JOB,
        &format!("{full}{}", webhook("hook", "json", receiver.address())),
    );
    let mut service = support::service(&site);
    let disk = format!("disk of {}", site.folder().display());
    wait_for(&mut service, &receiver, &format!("repeated full: {disk}"));
    service.terminate();
    assert_eq!(told(&receiver.requests())[0], format!("firing full: {disk}"));
}

#[test]
fn each_form_is_sent_and_mail_arrives() {
    let (receiver, server) = (HttpReceiver::start(), SmtpServer::start());
    let hooks = ["json", "slack", "teams"].map(|form| webhook(form, form, receiver.address()));
    let mail = format!(
        "[[receiver]]\nname = \"mail\"\nform = \"smtp\"\nurl = \"smtp://{}\"\ntls = false\n\
         from = \"Mühle <mill@example.com>\"\nto = [\"desk@example.com\", \"Ops <ops@example.com>\"]\n",
        server.address()
    );
    let mut site = mill(
        JOB,
        &format!(
            "{}{}{mail}",
            alert("full", "disk", "free = \"100 %\""),
            hooks.concat()
        ),
    );
    let settings = fs::read_to_string(site.folder().join("gristmill.toml")).expect("it was written");
    site.write_settings(&settings.replacen("[[receiver]]", "[[receiver]]\ntoken = \"${HOOK_TOKEN}\"", 1));
    site.set_variable("HOOK_TOKEN", "t0ken");
    let tested = site.run_ok(["alert", "test"]);
    for (name, form) in [
        ("json", "json"),
        ("slack", "slack"),
        ("teams", "teams"),
        ("mail", "smtp"),
    ] {
        assert!(tested.contains(&format!("{name} ({form}, ")), "{tested}");
    }
    assert_eq!(tested.matches("): sent").count(), 4, "{tested}");
    let requests = receiver.requests();
    let [program, slack, teams] = &requests[..] else {
        panic!("{requests:?}");
    };
    assert_eq!(program.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(slack.header("authorization"), None);
    for request in &requests {
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/hush-hush")
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert!(request.body.contains("gristmill alert test"), "{}", request.body);
    }
    assert_eq!(program.json()["kind"], "test");
    assert_eq!(slack.json()["blocks"][0]["type"], "header");
    let attachment = &teams.json()["attachments"][0];
    assert_eq!(
        attachment["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );

    support::run_until_idle(&site);
    let mails = server.seen().mails;
    assert_eq!(mails.len(), 2, "the test and the notice: {mails:?}");
    let mail = &mails[1];
    assert_eq!(
        (mail.from.as_str(), &mail.to[..]),
        (
            "mill@example.com",
            &["desk@example.com".to_owned(), "ops@example.com".to_owned()][..]
        )
    );
    for part in [
        "Subject: gristmill: full: disk of",
        "Message-ID: <gristmill.",
        "Date: ",
        "are free",
        "To: desk@example.com",
    ] {
        assert!(mail.data.contains(part), "{part} is not in {}", mail.data);
    }
    assert_eq!(receiver.requests().len(), 6);
}

#[test]
fn a_test_says_who_cannot_be_reached() {
    let (receiver, server, nobody) = (HttpReceiver::start(), SmtpServer::start(), free());
    receiver.answer(404);
    let hooks = [
        webhook("gone", "slack", receiver.address()),
        webhook("nobody", "json", nobody),
    ];
    // A server without STARTTLS gets neither the password nor the mail.
    let mail = format!(
        "[[receiver]]\nname = \"mail\"\nform = \"smtp\"\nurl = \"smtp://user:{SECRET}@{}\"\n\
         from = \"mill@example.com\"\nto = [\"desk@example.com\"]\n",
        server.address()
    );
    let some = alert("full", "disk", "free = \"100 %\"\nto = [\"gone\"]");
    let site = mill(JOB, &format!("{some}{}{mail}", hooks.concat()));
    let finished = site.run(["alert", "test"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    for part in [
        "gone (slack, http://127.0.0.1:",
        "answered 404",
        "nobody (json, http://",
        "refused",
        "mail (smtp, smtp://",
    ] {
        assert!(finished.stdout.contains(part), "{part}: {finished}");
    }
    assert!(!finished.to_string().contains(SECRET), "{finished}");
    let commands = server.seen().commands;
    assert!(
        !commands
            .iter()
            .any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")),
        "{commands:?}"
    );
    let one = site.run(["alert", "test", "full"]);
    assert_eq!(one.stdout.lines().count(), 1, "{one}");
    let unknown = site.run(["alert", "test", "fool"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown}");
}

#[test]
fn tls_proves_who_a_receiver_is_before_anything_is_told() {
    let (authority, stranger) = (Authority::default(), Authority::default());
    let ours = || authority.certify("localhost");
    let hooks = [
        ("known", HttpReceiver::start_tls(ours())),
        ("unknown", HttpReceiver::start_tls(stranger.certify("localhost"))),
        (
            "misnamed",
            HttpReceiver::start_tls(authority.certify("elsewhere.example")),
        ),
    ];
    let mails = [
        ("tls", "smtps", SmtpServer::start_tls(ours())),
        ("starttls", "smtp", SmtpServer::start_starttls(ours())),
        (
            "tls-unknown",
            "smtps",
            SmtpServer::start_tls(stranger.certify("localhost")),
        ),
        (
            "starttls-unknown",
            "smtp",
            SmtpServer::start_starttls(stranger.certify("localhost")),
        ),
    ];
    let mut receivers = String::new();
    for (name, hook) in &hooks {
        let url = hook.url(&format!("/{SECRET}"));
        receivers += &format!("[[receiver]]\nname = \"{name}\"\nform = \"json\"\nurl = \"{url}\"\n");
    }
    for (name, scheme, server) in &mails {
        let port = server.address().port();
        receivers += &format!(
            "[[receiver]]\nname = \"{name}\"\nform = \"smtp\"\nurl = \"{scheme}://user:{SECRET}@localhost:{port}\"\n\
             from = \"mill@example.com\"\nto = [\"desk@example.com\"]\n"
        );
    }
    let mut site = mill(
        JOB,
        &format!("{}{receivers}", alert("full", "disk", "free = \"100 %\"")),
    );
    let pem = site.folder().join("authority.pem");
    fs::write(&pem, authority.pem()).expect("it can be written");
    site.set_variable("SSL_CERT_FILE", pem.to_str().expect("the path is text"));
    let tested = site.run(["alert", "test"]);
    assert_eq!(tested.status.code(), Some(1), "{tested}");
    assert!(!tested.to_string().contains(SECRET), "{tested}");
    let line = |name: &str| {
        let mut lines = tested.stdout.lines();
        lines
            .find(|line| line.starts_with(&format!("{name} (")))
            .unwrap_or_else(|| panic!("{name}: {tested}"))
    };
    for name in ["known", "tls", "starttls"] {
        assert!(line(name).ends_with("): sent"), "{tested}");
    }
    for name in ["unknown", "misnamed", "tls-unknown", "starttls-unknown"] {
        assert!(
            line(name).contains("not sent") && line(name).contains("certificate"),
            "{tested}"
        );
    }
    let requests = hooks.each_ref().map(|(_, hook)| hook.requests().len());
    assert_eq!(requests, [1, 0, 0]);
    for (name, _, server) in &mails {
        let seen = server.seen();
        let has_account = seen.commands.iter().any(|command| command.starts_with("AUTH"));
        let is_known = !name.ends_with("unknown");
        assert_eq!(
            (seen.mails.len(), has_account),
            (usize::from(is_known), is_known),
            "{name}"
        );
        assert!(seen.mails.iter().all(|mail| mail.is_encrypted), "{name}");
    }
}

#[test]
fn the_dead_mans_switch_is_called_only_while_all_is_well() {
    let receiver = HttpReceiver::start();
    let dead_man = format!(
        "[dead_man]\nurl = \"{}\"\nevery = \"1s\"\n",
        receiver.url(&format!("/{SECRET}"))
    );
    let site = mill(JOB, &dead_man);
    let service = support::service(&site);
    wait_until("it is called twice", || receiver.requests().len() >= 2);
    let call = receiver.requests().remove(0);
    assert_eq!((call.method.as_str(), call.path.as_str()), ("GET", "/hush-hush"));
    service.terminate();

    // A warehouse that is away: nothing that arrives is loaded.
    let called = receiver.requests().len();
    let away = format!("postgres://postgres@{}/nothing", free());
    site.write_settings(&support::settings(&away, &format!("{JOB}\n{dead_man}")));
    let service = support::service(&site);
    wait_until("it says why it does not call", || {
        service
            .stderr()
            .contains("the dead man's switch is not called: the warehouse is waited for")
    });
    let before = receiver.requests().len();
    assert!(before <= called + 1, "only before the warehouse was asked for");
    wait_until("the warehouse is tried again", || {
        service.stderr().matches("preparing the warehouse failed").count() >= 2
    });
    assert_eq!(receiver.requests().len(), before);
    let log = service.terminate().stderr;
    assert!(!log.contains(SECRET), "{log}");
}
