//! The status page: what its pages, its API and its metrics tell, and who may do what.

use gristmill_testkit::gristmill::{Background, Site, wait_until};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::support::{self, json, line, state};

const TOKEN: &str = "correct horse battery staple";

const JOB: &str = "
[[job]]
id = \"IL\"
feed = \"sales\"
files = \"IL-{store}.tdf\"
trigger = \"any\"
";

pub fn mill(http: &str) -> Site {
    let settings = support::settings(support::SQLITE, JOB);
    support::site(&format!("{settings}\n[http]\nlisten = \"127.0.0.1:0\"\n{http}"))
}

/// The service with its page, as a browser or a program sees it.
pub struct Desk {
    service: Background,
    pub address: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

pub struct Answer {
    pub status: u16,
    headers: HeaderMap,
    pub body: String,
}

impl Desk {
    pub fn open(site: &Site) -> Self {
        let mut service = site.start(["run"]);
        let mut address = None;
        wait_until("the page is served", || {
            assert!(service.is_running(), "the service ended: {}", service.stderr());
            let log = service.stderr();
            let found = log.split("status page at http://").nth(1);
            address = found
                .and_then(|rest| rest.split_whitespace().next())
                .map(str::to_owned);
            address.is_some()
        });
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let desk = Self {
            service,
            address: address.expect("the log has it"),
            client: reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client can be made"),
            runtime: builder
                .worker_threads(1)
                .enable_all()
                .build()
                .expect("a runtime can be made"),
        };
        wait_until("the service is ready", || desk.get("/readyz").status == 200);
        desk
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method.parse().expect("a method"), url)
    }

    pub fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.expect("the page answers");
            Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                body: response.text().await.expect("the answer is text"),
            }
        })
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path))
    }

    pub fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    pub fn api(&self, path: &str) -> Value {
        json(&self.page(path))
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = self.request("POST", path).body(body.to_owned());
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request)
    }

    /// Stops the service, which must end well.
    pub fn close(self) {
        let ended = self.service.terminate();
        assert_eq!(ended.status.code(), Some(0), "{ended}");
    }

    /// Waits until a page of the API answers so.
    pub fn wait_for(&self, path: &str, is_so: impl Fn(&Value) -> bool) {
        wait_until(path, || is_so(&self.api(path)));
    }
}

pub fn sale(store: &str, amount: &str) -> String {
    line(store, amount, 4, "BUN", "2026-03-01")
}

/// A file of many sales, which the guards hold if much less comes next.
pub fn many(store: &str) -> String {
    let item = |number: usize| line(store, "10.00", 4, &format!("ITEM{number}"), "2026-03-01");
    (0..20).map(item).collect()
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn pages_and_api_tell_what_the_commands_tell() {
    let site = mill("");
    site.submit(
        "IL-1.tdf",
        sale("S1", "1.00") + "S1\tnone\t4\tBUN\t2026-03-01\n" + &many("S1"),
    );
    site.submit("odd.name", "x");
    support::run_until_idle(&site);
    let desk = Desk::open(&site);
    for (path, command) in [
        ("/api/status", &["status"][..]),
        ("/api/files", &["files"]),
        ("/api/files/unmatched", &["files", "--unmatched"]),
        ("/api/rejects?file=IL-1.tdf", &["rejects", "IL-1.tdf"]),
        ("/api/jobs", &["jobs", "list"]),
        ("/api/jobs/history?job=IL", &["jobs", "history", "IL"]),
        ("/api/explain/IL", &["explain", "IL"]),
        ("/api/runs", &["runs"]),
        (
            "/api/trace?store=S1&item=BUN&date=2026-03-01",
            &["trace", "S1", "BUN", "2026-03-01"],
        ),
        (
            "/api/history?store=S1&item=BUN&date=2026-03-01",
            &["history", "S1", "BUN", "2026-03-01"],
        ),
    ] {
        let told = site.run(command.iter().chain(&["--json"]));
        assert_eq!(desk.api(path), json(&told.stdout), "{path}");
    }
    let run = state(&site, "SELECT run_id FROM job_run").remove(0);
    for (path, told) in [
        ("/", "complete since"),
        ("/files?q=il-1", "IL-1.tdf"),
        ("/files/unmatched", "odd.name"),
        ("/file?path=IL-1.tdf", "Rejects"),
        ("/jobs", "IL-{store}.tdf"),
        ("/jobs/IL", "trigger = &quot;any&quot;"),
        ("/runs?job=IL", &run),
        (&format!("/runs/{run}"), "balances"),
        ("/stores?job=IL", "on time"),
        ("/row?store=S1&item=BUN&date=2026-03-01", "the warehouse agrees"),
    ] {
        let page = desk.page(path);
        assert!(page.contains(told), "{path} lacks {told}: {page}");
    }
    let csv = desk.page("/file/rejects.csv?path=IL-1.tdf");
    assert!(csv.contains("\"IL-1.tdf\",\"2\""), "{csv}");
    for path in [
        "/nowhere",
        "/jobs/none",
        "/runs/none",
        "/file?path=none",
        "/api/explain/none",
    ] {
        assert_eq!(desk.get(path).status, 404, "{path}");
    }
    for path in [
        "/file",
        "/files?status=odd",
        "/runs?limit=x",
        "/row?store=a&item=b&date=c",
        "/api/rejects",
    ] {
        assert_eq!(desk.get(path).status, 400, "{path}");
    }
    assert_eq!(desk.service.terminate().status.code(), Some(0));
}

#[test]
fn an_empty_site_says_what_to_do_first() {
    let site = support::site(&format!(
        "{}\n[http]\nlisten = \"127.0.0.1:0\"\n",
        support::settings(support::SQLITE, "")
    ));
    let desk = Desk::open(&site);
    for (path, told) in [
        ("/", "Put files where"),
        ("/files", "put files where"),
        ("/jobs", "in the settings file adds one"),
        ("/runs", "No run so far"),
        ("/stores", "There is no job yet"),
        ("/row", "Name a store"),
        ("/store", "Name a store"),
        ("/store?store=1", "No file of this store has come so far"),
        ("/sql", "Write a question"),
        ("/files?page=9", "The list ends before page 9"),
        ("/jobs?page=9", "The list ends before page 9"),
    ] {
        assert!(desk.page(path).contains(told), "{path}");
    }
}

#[test]
fn names_and_texts_of_stores_are_never_markup() {
    let site = mill("");
    let name = "IL-<img src=x onerror=alert(1)>&\"'.tdf";
    let evil = "<script>alert(2)</script>";
    let lines = sale(evil, "1.00") + &format!("{evil}\tnone\t4\tBUN\t2026-03-01\n") + &many(evil);
    site.submit(name, lines);
    site.submit("<b>odd", "x");
    support::run_until_idle(&site);
    state(
        &site,
        "UPDATE ingested_file_status SET last_error = '<script>alert(3)</script>'",
    );
    let desk = Desk::open(&site);
    let run = state(&site, "SELECT run_id FROM job_run").remove(0);
    let file = "/file?path=IL-%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%26%22%27.tdf";
    for path in [
        "/",
        "/files",
        "/files?q=%3Cscript%3Ealert(4)%3C/script%3E",
        "/files/unmatched",
        file,
        "/jobs/IL",
        &format!("/runs/{run}"),
        "/stores?job=IL",
        "/row?store=%3Cscript%3Ealert(2)%3C/script%3E&item=BUN&date=2026-03-01",
        "/store?store=%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%26%22%27",
        "/store?store=%3Cscript%3Ealert(2)%3C/script%3E&since=2026-03-01",
        "/sql?q=SELECT%20last_error%20AS%20%22%3Cb%3E%22%20FROM%20files",
        &format!("/runs/{run}/rows"),
    ] {
        let page = desk.page(path);
        assert!(
            !page.contains("<script>") && !page.contains("<img") && !page.contains("<b>"),
            "{path}: {page}"
        );
    }
    assert!(desk.page(file).contains("&lt;script&gt;alert(2)"));
    for path in [
        "/%3Cscript%3Ealert(5)%3C/script%3E",
        "/jobs/%3Cimg%20src=x%3E",
        "/file?path=%3Cimg%20src=x%3E",
    ] {
        let answer = desk.get(path);
        assert!(
            !answer.body.contains("<script>") && !answer.body.contains("<img"),
            "{path}: {}",
            answer.body
        );
    }
}

#[test]
fn every_answer_forbids_what_browsers_could_do_with_it() {
    let site = mill("");
    let desk = Desk::open(&site);
    for path in ["/", "/api/status", "/nowhere", "/assets/live.js", "/metrics"] {
        let headers = desk.get(path).headers;
        let of = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert!(
            of("content-security-policy").contains("default-src 'none'"),
            "{path}"
        );
        assert!(
            of("content-security-policy").contains("frame-ancestors 'none'"),
            "{path}"
        );
        assert_eq!(of("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(of("x-frame-options"), "DENY", "{path}");
    }
}

#[test]
fn only_the_service_s_own_names_are_answered() {
    let site = mill("hosts = [\"mill.example.com\"]");
    let desk = Desk::open(&site);
    for (host, status) in [
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:9", 200),
        ("mill.example.com", 200),
    ] {
        for path in ["/", "/api/status", "/metrics"] {
            let answer = desk.send(desk.request("GET", path).header("host", host));
            assert_eq!(answer.status, status, "{host} {path}: {}", answer.body);
        }
    }
}

#[test]
fn acting_needs_the_token() {
    let site = mill(&format!("token = \"{TOKEN}\""));
    site.submit("IL-1.tdf", many("S1"));
    support::run_until_idle(&site);
    site.submit("IL-1.tdf", sale("S1", "2.00"));
    support::run_until_idle(&site);
    let status = || state(&site, "SELECT last_update_status FROM ingested_file_status").remove(0);
    assert_eq!(status(), "HELD");
    let desk = Desk::open(&site);
    assert!(
        desk.page("/").contains("Sign in to act"),
        "the token can be presented"
    );

    let body = "{\"file\":\"IL-1.tdf\"}";
    let bearer = |token: &str| format!("Bearer {token}");
    assert_eq!(desk.post("/api/accept", &[], body).status, 401);
    assert_eq!(
        desk.post(
            "/api/accept",
            &[("authorization", &bearer("wrong wrong wrong wrong"))],
            body
        )
        .status,
        401
    );
    assert_eq!(desk.post("/act/accept", &[FORM], "file=IL-1.tdf").status, 401);
    assert_eq!(desk.post("/sign-in", &[FORM], "token=wrong").status, 401);
    assert_eq!(status(), "HELD");

    let signed = desk.post(
        "/sign-in",
        &[FORM],
        "token=correct+horse+battery+staple&next=/file?path=IL-1.tdf",
    );
    assert_eq!(
        (signed.status, &signed.headers["location"]),
        (303, &"/file?path=IL-1.tdf".parse().unwrap())
    );
    let cookie = signed.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap();
    assert!(!cookie.contains("horse"));

    // A page elsewhere that makes the browser send the form.
    for headers in [
        &[FORM, ("cookie", cookie), ("origin", "http://evil.example")][..],
        &[FORM, ("cookie", cookie), ("origin", "null")],
        &[FORM, ("cookie", cookie), ("sec-fetch-site", "cross-site")],
    ] {
        assert_eq!(
            desk.post("/act/accept", headers, "file=IL-1.tdf").status,
            403,
            "{headers:?}"
        );
    }
    assert_eq!(status(), "HELD");

    let origin = format!("http://{}", desk.address);
    let headers = [
        FORM,
        ("cookie", cookie),
        ("origin", &origin),
        ("sec-fetch-site", "same-origin"),
    ];
    let done = desk.post(
        "/act/accept",
        &headers,
        "file=IL-1.tdf&next=/file?path%3DIL-1.tdf",
    );
    assert_eq!(done.status, 303, "{}", done.body);
    let back = done.headers["location"].to_str().unwrap();
    assert!(desk.page(back).contains("its held version is in force"), "{back}");
    assert_eq!(status(), "VALIDATED");
    desk.wait_for("/api/runs", |runs| {
        runs[0]["state"] == "COMPLETED" && runs.as_array().unwrap().len() == 2
    });
    assert_eq!(
        desk.post("/act/accept", &headers, "file=IL-1.tdf").status,
        409,
        "nothing is held any more"
    );

    // The API does the same.
    let bearer = bearer(TOKEN);
    let headers = [("authorization", bearer.as_str())];
    let post = |path: &str, body: &str| desk.post(path, &headers, body);
    assert_eq!(post("/api/jobs/IL/pause", "").status, 200);
    assert_eq!(desk.api("/api/jobs")[0]["enabled"], false);
    assert_eq!(post("/api/jobs/IL/resume", "").status, 200);
    assert_eq!(post("/api/jobs/none/pause", "").status, 404);
    assert_eq!(post("/api/jobs/IL/run", "").status, 200);
    assert_eq!(post("/api/jobs/IL/run", "{\"date\":\"2026-03-01\"}").status, 400);
    assert_eq!(post("/api/withdraw", "[]").status, 400);
    assert_eq!(post("/api/withdraw", body).status, 200);
    assert_eq!(post("/api/retry", "").status, 200);
    assert_eq!(post("/api/retry", "{\"name\":\"none\"}").status, 400);
    let who = state(&site, "SELECT who FROM intervention ORDER BY 1");
    assert_eq!(
        who,
        ["the API, from 127.0.0.1", "the status page, from 127.0.0.1"]
    );
    for path in [
        "/",
        "/files",
        "/jobs/IL",
        "/runs",
        "/sign-in",
        "/api/status",
        "/metrics",
    ] {
        assert!(!desk.page(path).contains("horse"), "{path}");
    }
    assert!(!desk.service.stderr().contains("horse"));
}

#[test]
fn a_locked_state_database_is_told_and_pages_still_show() {
    let site = mill(&format!("token = \"{TOKEN}\""));
    let desk = Desk::open(&site);
    let bearer = format!("Bearer {TOKEN}");
    let pause = || desk.post("/api/jobs/IL/pause", &[("authorization", &bearer)], "");
    support::while_locked(&site, "state.db", || {
        for path in ["/", "/files", "/jobs/IL", "/api/status", "/metrics", "/healthz"] {
            desk.page(path);
        }
        let refused = pause();
        assert_eq!(refused.status, 503, "{}", refused.body);
        for part in ["keeps the state database locked", "try again"] {
            assert!(refused.body.contains(part), "{}", refused.body);
        }
    });
    assert_eq!(pause().status, 200);
    let unknown = desk.post("/act/pause", &[FORM], "job=IL");
    assert!(unknown.body.contains("href=\"/sign-in\""), "{}", unknown.body);
    // Loading the address of an action does nothing.
    assert_eq!(desk.get("/act/resume").status, 303);
    assert!(!desk.api("/api/jobs")[0]["enabled"].as_bool().expect("it is told"));
    desk.close();
}

#[test]
fn a_service_that_is_stopped_while_its_state_database_is_locked_ends_well() {
    let site = mill("");
    let desk = Desk::open(&site);
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    support::while_locked(&site, "state.db", || {
        let is_waiting = || {
            desk.service
                .stderr()
                .contains("recording attempts failed and will be tried again")
        };
        wait_until("the service waits for the lock", is_waiting);
        desk.close();
    });
    support::run_until_idle(&site);
    assert_eq!(support::sqlite_rows(&site).len(), 1);
}

#[test]
fn without_a_token_the_page_only_shows() {
    let site = mill("");
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    let desk = Desk::open(&site);
    for (path, body) in [
        ("/api/retry", "{}"),
        ("/api/jobs/IL/pause", ""),
        ("/act/retry-failed", ""),
    ] {
        for headers in [&[][..], &[("authorization", "Bearer "), FORM]] {
            assert_eq!(desk.post(path, headers, body).status, 403, "{path}");
        }
    }
    assert!(!desk.page("/jobs/IL").contains("Pause"));
    assert_eq!(desk.get("/sign-in").status, 404);
}

#[test]
fn an_address_that_others_reach_needs_a_token_also_to_read() {
    let site = mill("");
    let refused = site.run(["run", "--http", "0.0.0.0:0"]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("http.token is missing"), "{refused}");

    let mut site = mill("token = \"${MILL_TOKEN}\"");
    // A command that serves no page needs no token.
    support::run_until_idle(&{
        let site = mill("");
        site.submit("IL-1.tdf", sale("S1", "1.00"));
        site
    });
    site.set_variable("MILL_TOKEN", TOKEN);
    let settings = support::settings(support::SQLITE, JOB);
    site.write_settings(&format!(
        "{settings}\n[http]\nlisten = \"0.0.0.0:0\"\ntoken = \"${{MILL_TOKEN}}\"\n"
    ));
    let mut desk = Desk::open(&site);
    desk.address = desk.address.replace("0.0.0.0", "127.0.0.1");
    let read = |path: &str| desk.get(path).status;
    assert_eq!(
        [read("/"), read("/files?q=a")],
        [303, 303],
        "the browser is led to the form"
    );
    assert_eq!(
        [read("/api/status"), read("/metrics"), read("/live?at=/")],
        [401; 3]
    );
    assert_eq!(
        [
            read("/healthz"),
            read("/readyz"),
            read("/sign-in"),
            read("/assets/style.css")
        ],
        [200; 4]
    );
    let bearer = format!("Bearer {TOKEN}");
    let told = desk.send(desk.request("GET", "/api/status").header("authorization", bearer));
    assert_eq!(told.status, 200, "{}", told.body);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = mill("").run(["run", "--http", &address]);
    assert_eq!(refused.status.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("cannot listen on"), "{refused}");
}

#[test]
fn a_stream_carries_only_what_changed() {
    let site = mill("");
    let desk = Desk::open(&site);
    let digest = |page: &str, id: &str| {
        let at = page.find(&format!("id=\"{id}\" data-live")).unwrap();
        let rest = &page[at..];
        let rest = rest.split("data-digest=\"").nth(1).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let page = desk.page("/");
    let has = ["needs", "provinces"]
        .map(|id| format!("{id}:{}", digest(&page, id)))
        .join(",");
    let events = desk.runtime.block_on(async {
        let url = format!("http://{}/live?at=/&have={has}", desk.address);
        let mut response = desk.client.get(url).send().await.unwrap();
        site.submit("IL-1.tdf", sale("S1", "1.00"));
        let mut events = String::new();
        let complete = async {
            while !events.contains("complete since") {
                let chunk = response.chunk().await.unwrap().expect("the stream goes on");
                events.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, complete)
            .await
            .expect("the run shows on the open page");
        events
    });
    let parts: Vec<Value> = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(json)
        .collect();
    let last = parts.iter().rfind(|part| part["id"] == "provinces").unwrap();
    assert_eq!(last["digest"], digest(&desk.page("/"), "provinces").as_str());
    let is_repeated = parts
        .windows(2)
        .any(|pair| pair[0]["digest"] == pair[1]["digest"]);
    assert!(!is_repeated, "{events}");
    assert!(
        !parts
            .iter()
            .any(|part| has.contains(part["digest"].as_str().unwrap())),
        "{events}"
    );
    // A stream does not keep the service from ending.
    assert_eq!(desk.service.terminate().status.code(), Some(0));
}

#[test]
fn today_tells_what_alerts_have_found_and_whom_they_cannot_reach() {
    let settings = support::settings(support::SQLITE, JOB);
    // Nobody listens at port 1.
    let site = support::site(&format!(
        "{settings}\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [[alert]]\nname = \"held-back\"\nwhen = \"held\"\n\
         [[receiver]]\nname = \"desk\"\nform = \"json\"\nurl = \"http://127.0.0.1:1/hush\"\n"
    ));
    let desk = Desk::open(&site);
    let strip = || {
        let page = desk.page("/");
        let from = page.find("<section class=\"needs\" aria-label=\"Alerts\">")?;
        let rest = &page[from..];
        Some(rest[..rest.find("</section>").expect("it ends")].to_owned())
    };
    site.submit("IL-1.tdf", many("S1"));
    desk.wait_for("/api/status", |status| {
        status["jobs"][0]["last_status"] == "COMPLETED"
    });
    assert_eq!(strip(), None);
    site.submit("IL-1.tdf", sale("S1", "1.00"));
    wait_until("Today tells of the alert and of its receiver", || {
        strip().is_some_and(|strip| {
            strip.contains("held-back")
                && strip.contains("file IL-1.tdf")
                && strip.contains("has not got")
                && strip.contains("http://127.0.0.1:1: ")
        })
    });
    assert!(!strip().expect("it is there").contains("hush"));
    site.run_ok(["accept", "IL-1.tdf"]);
    // Its end is still to be told.
    wait_until("Today no longer tells of the file", || {
        strip().is_some_and(|strip| !strip.contains("file IL-1.tdf"))
    });
    desk.close();
}

#[test]
fn readiness_tells_of_a_warehouse_that_is_away() {
    let settings = support::settings("postgres://nobody@127.0.0.1:1/none", JOB);
    let site = support::site(&format!("{settings}\n[http]\nlisten = \"127.0.0.1:0\"\n"));
    let service = site.start(["run"]);
    let address = || {
        let log = service.stderr();
        let found = log.split("status page at http://").nth(1)?;
        found.split_whitespace().next().map(str::to_owned)
    };
    wait_until("the page is served", || address().is_some());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let get = |path: &str| {
        let url = format!("http://{}{path}", address().unwrap());
        runtime.block_on(async {
            let response = reqwest::get(url).await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        })
    };
    wait_until("readiness tells of the warehouse", || {
        let (status, told) = get("/readyz");
        status == 503 && told.contains("is waited for")
    });
    assert_eq!(get("/healthz"), (200, "ok\n".to_owned()));
    let (_, today) = get("/");
    assert!(today.contains("is waited for since"), "{today}");
}

#[test]
fn what_changed_between_versions_and_runs_is_told() {
    let site = mill("");
    for amount in ["1.00", "2.50"] {
        site.submit("IL-1.tdf", many("S1") + &sale("S1", amount));
        support::run_until_idle(&site);
    }
    let told = site.run_ok(["history", "S1", "BUN", "2026-03-01"]);
    let amounts = ["2.50", "1.00"].map(|amount| told.find(&format!("sale_amount {amount}")));
    assert!(amounts[0].is_some() && amounts[0] < amounts[1], "{told}");
    let desk = Desk::open(&site);
    let versions = state(&site, "SELECT version_id FROM file_version ORDER BY 1");
    let page = desk.page(&format!(
        "/file?path=IL-1.tdf&from={}&to={}",
        versions[0], versions[1]
    ));
    assert!(page.contains("201.00 → 202.50"), "{page}");
    assert!(desk.page("/file?path=IL-1.tdf").contains("what changed"));
    let row = desk.page("/row?store=S1&item=BUN&date=2026-03-01");
    assert!(row.contains("History") && row.contains("1.00"), "{row}");
}

#[test]
fn pages_stay_small_and_quick_however_much_there_is() {
    let site = mill("");
    support::run_until_idle(&site);
    let now = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now')";
    let numbers = |count: u32| {
        format!("WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count} - 1)")
    };
    // 300 jobs with 20 files and 10 runs each. Every tenth file is held, and no run stands in the warehouse's ledger.
    for sql in [
        format!(
            "INSERT INTO aggr_job_configuration
                    (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
             {} SELECT printf('J%04d', i), 'sales', printf('J%04d-{{store}}.tdf', i), 20, 'any' FROM n",
            numbers(300)
        ),
        format!(
            "INSERT INTO ingested_file_status
                    (file_id, file_url, feed, store_id, last_update_status, last_update_timestamp, submitted_timestamp,
                     last_validated_timestamp, stamp_bytes, stamp_modified_ns, stamp_inode)
             {} SELECT i + 1, printf('J%04d-%d.tdf', i / 20, i % 20), 'sales', i % 20, 'VALIDATED', {now}, {now}, {now}, 1, 1, 1
                  FROM n",
            numbers(6_000)
        ),
        format!(
            "INSERT INTO file_version
                    (version_id, file_id, content_hash, layout_digest, bytes, lines, rows, ignored, skipped, rejects,
                     drift_lines, accepted, created_timestamp)
             {} SELECT i + 1, i + 1, printf('%064x', i), 'l', 10, 4, 1, 1, 1, 1, 0, 1, {now} FROM n",
            numbers(6_000)
        ),
        format!(
            "INSERT INTO submission
                    (submission_id, file_id, version_id, outcome, submitted_timestamp, stamp_bytes, stamp_modified_ns,
                     stamp_inode)
             {} SELECT i + 1, i + 1, i + 1, 'VALIDATED', {now}, 1, 1, 1 FROM n",
            numbers(6_000)
        ),
        "UPDATE ingested_file_status SET version_id = file_id, valid_submission_id = file_id".to_owned(),
        "UPDATE ingested_file_status
            SET last_update_status = 'HELD', last_error = 'it is much less', held_version_id = file_id,
                held_submission_id = file_id
          WHERE file_id % 10 = 0"
            .to_owned(),
        format!(
            "INSERT INTO job_run
                    (run_id, job_config_id, wave, sequence, state, cause, incomplete, inputs_digest, as_of_submission,
                     queued_timestamp, started_timestamp, finished_timestamp, outcome, summary_object, summary_rows,
                     summary_digest)
             {} SELECT printf('J%04d-%d', i / 10, i % 10), printf('J%04d', i / 10), '', i + 1, 'COMPLETED', 'manual', 0, 'd', 1,
                       {now}, {now}, {now}, 'LOADED', 's', 1, 'd' FROM n",
            numbers(3_000)
        ),
    ] {
        state(&site, &sql);
    }
    let desk = Desk::open(&site);
    for path in [
        "/",
        "/?page=3",
        "/?q=J01",
        "/files",
        "/files?q=J0100",
        "/files?status=held&sort=path",
        "/files?page=50",
        "/file?path=J0100-3.tdf",
        "/jobs",
        "/jobs/J0100",
        "/runs",
        "/runs/J0100-9",
        "/stores?job=J0100",
        "/metrics",
    ] {
        let began = std::time::Instant::now();
        let page = desk.page(path);
        assert!(page.len() < 300_000, "{path} has {} bytes", page.len());
        // Far above what it takes: what grows with everything that is known takes minutes.
        assert!(
            began.elapsed().as_secs() < 20,
            "{path} took {:?}",
            began.elapsed()
        );
    }
    assert_eq!(desk.api("/api/jobs").as_array().unwrap().len(), 301);
}
