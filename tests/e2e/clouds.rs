//! Source and lake in Google Cloud Storage and in Azure: what comes out is what folders give.
//!
//! Azurite stands for Azure. Nothing of Google's own was to be had: SeaweedFS behind a stand-in is what its API is spoken to.

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use gristmill_fixtures::generate::{Dirt, FeedSpec};
use gristmill_testkit::azurite::Azurite;
use gristmill_testkit::google::Google;
use gristmill_testkit::gristmill::Site;
use gristmill_testkit::oracle::{self, Options};
use gristmill_testkit::s3_faults::{Fault, S3Faults};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::multipart::MultipartStore;
use object_store::path::Path as ObjectPath;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

use crate::buckets::{self, BUCKET, ODD_NAMES, job, name, put_all, runtime};
use crate::support::{self, parquet_rows, run_until_idle, sqlite_rows, state};

/// A server of one of the two, and whom it knows.
pub enum Cloud {
    Google { server: Google, account: TempDir },
    Azure(Azurite),
}

impl Cloud {
    /// A server of each, with a bucket.
    pub fn start_each() -> [Self; 2] {
        let account = TempDir::new().expect("a temporary folder can be made");
        Google::service_account(account.path());
        let server = Google::start(&[BUCKET]);
        [
            Self::Google { server, account },
            Self::Azure(Azurite::start(&[BUCKET])),
        ]
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        match self {
            Self::Google { server, .. } => server.port,
            Self::Azure(server) => server.port,
        }
    }

    /// The URL of a prefix.
    fn url(&self, prefix: &str) -> String {
        match self {
            Self::Google { .. } => format!("gs://{BUCKET}/{prefix}"),
            Self::Azure(_) => format!(
                "abfss://{BUCKET}@{}.dfs.core.windows.net/{prefix}",
                Azurite::ACCOUNT
            ),
        }
    }

    /// A site whose source and lake lie below a prefix, as the server at a port gives it.
    pub fn site(&self, port: u16, prefix: &str, jobs: &str) -> Site {
        let (table, endpoint) = match self {
            Self::Google { .. } => ("google", format!("http://127.0.0.1:{port}")),
            Self::Azure(_) => ("azure", Azurite::endpoint(port)),
        };
        let reached = |of: &str| format!("[{of}.{table}]\nendpoint = \"{endpoint}\"\nallow_http = true\n");
        let settings = buckets::settings(&self.url(prefix), support::SQLITE, jobs, reached);
        let mut site = support::site(&settings);
        match self {
            Self::Google { account, .. } => {
                let file = account.path().join("service-account.json");
                let file = file.to_str().expect("the folder's name is UTF-8");
                site.set_variable("GOOGLE_APPLICATION_CREDENTIALS", file);
            }
            Self::Azure(_) => site.set_variable("AZURE_STORAGE_ACCOUNT_KEY", Azurite::KEY),
        }
        site
    }

    /// A client of the test's own.
    pub fn client(&self) -> Arc<dyn ObjectStore> {
        match self {
            Self::Google { server, account } => Arc::new(google(server, account)),
            Self::Azure(server) => {
                let builder = MicrosoftAzureBuilder::new()
                    .with_endpoint(Azurite::endpoint(server.port))
                    .with_account(Azurite::ACCOUNT)
                    .with_access_key(Azurite::KEY)
                    .with_container_name(BUCKET)
                    .with_allow_http(true);
                Arc::new(builder.build().expect("the options go together"))
            }
        }
    }

    /// What must be seen in no message.
    fn secret(&self) -> String {
        match self {
            Self::Google { account, .. } => {
                let file = fs::read_to_string(account.path().join("service-account.json"));
                let file = support::json(&file.expect("it can be read"));
                let key = file["private_key"].as_str().expect("it has a key");
                key.lines().nth(1).expect("a key has several lines").to_owned()
            }
            Self::Azure(_) => Azurite::KEY.to_owned(),
        }
    }
}

fn google(server: &Google, account: &TempDir) -> GoogleCloudStorage {
    let file = account.path().join("service-account.json");
    GoogleCloudStorageBuilder::new()
        .with_base_url(&format!("http://127.0.0.1:{}", server.port))
        .with_application_credentials(file.to_str().expect("the folder's name is UTF-8"))
        .with_bucket_name(BUCKET)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .build()
        .expect("the options go together")
}

#[test]
fn what_comes_of_a_feed_is_what_a_folder_gives_and_every_command_reads_it() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let spec = FeedSpec {
        seed: 70,
        files: 60,
        lines_per_file: 40,
        stores: 30,
        items: 12,
        days: 3,
        dirt: Dirt::every_kind(),
        ..FeedSpec::default()
    };
    let mut files = spec.write_to(folder.path()).expect("the spec is possible");
    let mut names: Vec<_> = files.iter().map(|file| name(file)).collect();
    // Its rejects are sent in parts.
    let large = buckets::with_large_rejects(&mut fastrand::Rng::with_seed(70));
    let odd = (0..).map(|number| format!("odd {number}\t1.25\t4\tITEM\t2026-03-01\n").into_bytes());
    let others = [("BIG-1.tdf", large)]
        .into_iter()
        .chain(ODD_NAMES.into_iter().zip(odd));
    for (number, (name, text)) in others.enumerate() {
        let file = folder.path().join(format!("other{number}"));
        fs::write(&file, text).expect("the folder can be written");
        files.push(file);
        names.push(name.to_owned());
    }
    let expected = oracle::summary(&files, Options::default());
    let from_disk = support::site(&support::adding(support::settings(support::SQLITE, &job(1))));
    let paths = files.iter().map(|file| file.as_os_str());
    from_disk.run(
        ["aggregate", "-o", "out.parquet"]
            .iter()
            .map(OsStr::new)
            .chain(paths),
    );
    assert!(parquet_rows(&from_disk.folder().join("out.parquet")) == expected);
    let counts = oracle::counts(&files, Options::default());
    let good = counts.iter().filter(|counts| !counts.rejected).count();

    for cloud in Cloud::start_each() {
        let (store, runtime) = (cloud.client(), runtime());
        put_all(
            &runtime,
            &*store,
            files.iter().zip(&names).map(|(file, name)| {
                let bytes = fs::read(file).expect("the feed can be read");
                (format!("all/in/{name}"), bytes)
            }),
        );
        let site = cloud.site(cloud.port(), "all", &job(good));
        let first = site.run(["run", "--until-idle"]);
        assert!(first.status.success(), "{first}");
        assert!(sqlite_rows(&site) == expected, "the warehouse differs: {first}");

        // What a process that died has left there.
        let orphan = format!(
            "partials/sales/IL-9.tdf.{}-0123456789abcdef.parquet",
            "ab".repeat(16)
        );
        put_all(&runtime, &*store, [(format!("all/lake/{orphan}"), b"x".to_vec())]);
        let mut swept = "uploads=0 objects=1";
        if let Cloud::Google { server, account } = &cloud {
            let key =
                ObjectPath::parse("all/lake/partials/sales/a & b.parquet").expect("the key can be used");
            runtime
                .block_on(google(server, account).create_multipart(&key))
                .expect("an upload can be begun");
            swept = "uploads=1 objects=1";
        }
        let again = site.run(["run", "--until-idle"]);
        assert!(
            again.stdout.contains("0 validated, 0 unchanged, 0 rejected") && again.stderr.contains(swept),
            "{again}"
        );
        buckets::assert_lake_holds(&site, buckets::list(&runtime, &*store, "all/lake"));
        let third = site.run(["run", "--until-idle"]);
        assert!(!third.stderr.contains("uploads="), "{third}");

        fs::remove_dir_all(site.folder().join("state.db-lake/cache")).expect("the copies can be removed");
        let verified = site.run_ok(["load", "--verify", "all"]);
        assert!(verified.contains("They agree."), "{verified}");
        let checked = site.run_ok(["check", &cloud.url(&format!("all/in/{}", ODD_NAMES[0]))]);
        assert!(checked.contains("feed sales; would be validated"), "{checked}");
        let source = cloud.url("all/in");
        let aggregated = site.run(["aggregate", &source, "--feed", "sales", "-o", "out.parquet"]);
        assert!(
            aggregated.stdout.contains(&format!("{} files", files.len())),
            "{aggregated}"
        );
        let rows = parquet_rows(&site.folder().join("out.parquet"));
        assert!(rows == expected, "the summary differs: {aggregated}");
        let told = [&first, &again, &aggregated].map(|done| format!("{}{}", done.stdout, done.stderr));
        assert!(!told.concat().contains(&cloud.secret()));
    }
}

#[test]
fn an_object_that_changes_while_it_is_read_is_read_again() {
    let text = |amount: &str| {
        let lines = (0..300_000)
            .map(|number| support::line(&format!("store {}", number % 50), amount, 4, "ITEM", "2026-03-01"));
        lines.collect::<String>().into_bytes()
    };
    for cloud in Cloud::start_each() {
        let proxy = S3Faults::before(cloud.port());
        let (store, runtime) = (cloud.client(), runtime());
        put_all(
            &runtime,
            &*store,
            [("changing/in/IL-1.tdf".to_owned(), text("1.00"))],
        );
        // The newer version comes between the first part and the second.
        let mut newer = Some(text("2.00"));
        proxy.plan(move |request| {
            let is_later_part = request.range.is_some_and(|range| !range.starts_with("bytes=0-"));
            if is_later_part && let Some(bytes) = newer.take() {
                put_all(&runtime, &*store, [("changing/in/IL-1.tdf".to_owned(), bytes)]);
            }
            Fault::None
        });
        let site = cloud.site(proxy.port, "changing", &job(1));
        run_until_idle(&site);
        assert_eq!(
            state(&site, "SELECT count(*) FROM file_version"),
            ["1"],
            "the old one was never whole"
        );
        let rows = support::told(&sqlite_rows(&site));
        assert!(
            rows.len() == 50 && rows.iter().all(|row| row.ends_with(" 12000.00 - -")),
            "{rows:?}"
        );
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_as_a_lake() {
    for cloud in Cloud::start_each() {
        let proxy = S3Faults::before(cloud.port());
        // To overwrite an object is to remove it first.
        let (store, runtime) = (cloud.client(), runtime());
        proxy.plan(move |request| {
            if request.method == "PUT" && request.target.contains("owner") {
                let owner = ObjectPath::from("conditions/lake/_owner");
                // There is none to remove the first time.
                let _ = runtime.block_on(store.delete(&owner));
            }
            Fault::None
        });
        let site = cloud.site(proxy.port, "conditions", &job(1));
        let refused = site.run(["run", "--until-idle"]);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(refused.stderr.contains("ignores conditions"), "{refused}");
    }
}

#[test]
fn credentials_that_do_not_do_are_a_clear_error_without_them() {
    const WRONG: &str = "aHVudGVyMg==";
    for cloud in Cloud::start_each() {
        let mut site = cloud.site(cloud.port(), "in", &job(1));
        let cases = match &cloud {
            Cloud::Google { .. } => [
                ("GOOGLE_APPLICATION_CREDENTIALS", "gone.json", 2, "gone.json"),
                (
                    "GOOGLE_APPLICATION_CREDENTIALS",
                    "damaged.json",
                    2,
                    "damaged.json",
                ),
            ],
            Cloud::Azure(_) => [
                ("AZURE_STORAGE_ACCOUNT_KEY", WRONG, 1, "403"),
                ("AZURE_STORAGE_ACCOUNT_KEY", "hunter2?", 2, "cannot use abfss://"),
            ],
        };
        let file = site.folder().join("damaged.json");
        fs::write(
            file,
            "{\"type\": \"service_account\", \"private_key\": \"hunter3\"}",
        )
        .expect("the folder can be written");
        for (variable, value, status, told) in cases {
            site.set_variable(variable, value);
            let refused = site.run(["run", "--until-idle"]);
            assert_eq!(refused.status.code(), Some(status), "{refused}");
            assert!(
                refused.stderr.contains(told) && refused.stderr.contains(&cloud.url("in")),
                "{told}: {refused}"
            );
            assert!(
                ![WRONG, "hunter2", "hunter3"]
                    .iter()
                    .any(|secret| refused.stderr.contains(secret)),
                "{refused}"
            );
        }
        let proxy = S3Faults::before(cloud.port());
        proxy.plan(|_| Fault::Answer(401, "AuthenticationRequired"));
        let refused = cloud.site(proxy.port, "in", &job(1)).run(["run", "--until-idle"]);
        assert_eq!(refused.status.code(), Some(1), "{refused}");
        assert!(
            refused.stderr.contains("cannot claim the lake") && refused.stderr.contains("401"),
            "{refused}"
        );
        // A token begins as JSON in base64 does.
        assert!(
            !refused.stderr.contains(&cloud.secret()) && !refused.stderr.contains("eyJ"),
            "{refused}"
        );
        if let Cloud::Azure(_) = cloud {
            site.clear_variable("AZURE_STORAGE_ACCOUNT_KEY");
            site.set_variable(
                "AZURE_STORAGE_SAS_TOKEN",
                &Azurite::SIGNATURE.replace("sig=", "sig=hunter2"),
            );
            let refused = site.run(["run", "--until-idle"]);
            assert_eq!(refused.status.code(), Some(1), "{refused}");
            assert!(
                refused.stderr.contains("403") && !refused.stderr.contains("hunter2"),
                "{refused}"
            );
        }
    }
}
