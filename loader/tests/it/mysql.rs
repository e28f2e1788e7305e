//! What only MySQL and MariaDB have: tables that exist already, privileges, settings of the server, TLS, and the server
//! itself going away.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use gristmill_loader::{Credentials, LoadError, LoadMode, LoadOutcome, Target, Warehouse, open};
use gristmill_testkit::mariadb::{MariaDb, by_bytes, execute, is_mysql, query, shared};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::cuts::many;
use crate::support::{MEASURES, Place, Summary, contents, counts, day, mismatch};

const A: [Option<i64>; 3] = [Some(45_000), Some(3_150), None];
const DAY: &str = "2025-03-01";

fn usual(url: &str) -> Box<dyn Warehouse> {
    let target = Target::new(
        "sales_summary",
        MEASURES.map(String::from).to_vec(),
        LoadMode::ReplaceDays,
    );
    open(url, target.unwrap(), &Credentials::default()).unwrap()
}

fn message(error: &LoadError) -> String {
    format!("{error}: {}", std::error::Error::source(error).unwrap())
}

#[tokio::test]
async fn keys_that_differ_only_in_case_accents_or_blanks_are_different_keys() {
    let place = Place::mysql();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let mut summary = Summary::default();
    for store in ["a", "A", "a ", "á", "a\u{301}", "ß", "ss"] {
        for item in ["i", "I", "i ", " i"] {
            summary.add(store, item, day(DAY), A.to_vec());
        }
    }
    assert_eq!(place.loaded(&*warehouse, 1, &summary).await, counts(28, 0, 0, 0));
    assert_eq!(contents(&*warehouse).await, summary.rows);
    // Only one of them changes.
    let base = place.load(1, &summary);
    summary.add("a ", "i", day(DAY), vec![None; 3]);
    let load = place.load_on(&base, 2, &summary);
    let outcome = warehouse.load(&load, &|_| ()).await.unwrap();
    assert_eq!(outcome, LoadOutcome::Loaded(counts(0, 1, 0, 27)));
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

#[tokio::test]
async fn a_database_is_used_where_it_is_and_asked_for_where_it_is_not() {
    let place = Place::mysql();
    let name = format!("My {}", place.url.rsplit('/').next().unwrap());
    let warehouse = place.open(&format!("{name}.sales"), &MEASURES, LoadMode::ReplaceDays);
    let message = mismatch(warehouse.prepare().await);
    assert!(
        message.contains(&format!("CREATE DATABASE `{name}`;")),
        "{message}"
    );
    execute(&place.url, &format!("CREATE DATABASE `{name}`"));
    warehouse.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", DAY, A)]);
    place.loaded(&*warehouse, 1, &summary).await;
    let entry = warehouse.ledger_entry("run-1").await.unwrap().unwrap();
    assert_eq!(entry.target, format!("{name}.sales"));
    let runs = query(
        &place.url,
        &format!("SELECT run_id FROM `{name}`.gristmill_ledger"),
    );
    assert_eq!(runs, [[Some("run-1".to_owned())]]);

    let nowhere = format!("mysql://root@127.0.0.1:{}", shared().port);
    let target = Target::new("sales", vec!["m".into()], LoadMode::Upsert).unwrap();
    let error = open(&nowhere, target, &Credentials::default()).err().unwrap();
    assert!(error.to_string().contains("names no database"), "{error}");
}

#[tokio::test]
async fn everything_wrong_with_a_table_is_reported_at_once_with_its_remedy() {
    let (place, by_bytes) = (Place::mysql(), by_bytes());
    execute(
        &place.url,
        &format!(
            "CREATE TABLE sales_summary (store_id varchar(25) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
                 item_id char(25) CHARACTER SET utf8mb4 COLLATE {by_bytes}, trans_date datetime,
                 sale_amount double, tax_amount decimal(5,2), region int NOT NULL,
                 UNIQUE (store_id, item_id)) ENGINE = MyISAM"
        ),
    );
    let warehouse = place.open("sales_summary", &MEASURES, LoadMode::ReplaceDays);
    let message = mismatch(warehouse.prepare().await);
    let table = format!("`{}`.`sales_summary`", place.url.rsplit('/').next().unwrap());
    let text = format!("varchar(191) CHARACTER SET utf8mb4 COLLATE {by_bytes}");
    for part in [
        format!(
            "its engine is MyISAM, and loads need the transactions of InnoDB; change it: ALTER TABLE {table} ENGINE"
        ),
        format!("store_id is varchar(25) COLLATE utf8mb4_general_ci, not {text}"),
        format!("ALTER TABLE {table} MODIFY COLUMN `store_id` {text};"),
        format!("item_id is char(25) COLLATE {by_bytes}, not {text}"),
        "trans_date is datetime, not date".into(),
        "sale_amount is double, not decimal(18,2)".into(),
        "tax_amount is decimal(5,2), not decimal(18,2)".into(),
        format!("ALTER TABLE {table} ADD COLUMN `discount_amount` decimal(18,2);"),
        "region must have a value".into(),
        format!("ALTER TABLE {table} ADD PRIMARY KEY (`store_id`, `item_id`, `trans_date`);"),
    ] {
        assert!(message.contains(&part), "{part} in {message}");
    }
    // The remedies are SQL that works.
    let remedies: String = message
        .split('\n')
        .filter_map(|line| Some(&line[line.find("ALTER TABLE")?..]))
        .collect();
    execute(
        &place.url,
        &format!("{remedies} ALTER TABLE sales_summary ALTER COLUMN region SET DEFAULT 0"),
    );
    warehouse.prepare().await.unwrap();
    let summary = Summary::of(&[("s", "i", DAY, A)]);
    place.loaded(&*warehouse, 1, &summary).await;
    assert_eq!(contents(&*warehouse).await, summary.rows);
}

#[tokio::test]
async fn keys_over_parts_of_columns_and_views_are_refused() {
    let by_bytes = by_bytes();
    let columns = format!(
        "store_id varchar(25) COLLATE {by_bytes} NOT NULL, item_id varchar(25) COLLATE {by_bytes} NOT NULL,
         trans_date date NOT NULL, sale_amount decimal(18,2), tax_amount decimal(18,2), discount_amount decimal(18,2)"
    );
    let with = |key: &str| format!("CREATE TABLE sales_summary ({columns}{key}) CHARACTER SET utf8mb4");
    for (create, refused) in [
        (with(", KEY (store_id, item_id, trans_date)"), "no unique key"),
        (
            with(", UNIQUE (store_id, item_id(3), trans_date)"),
            "no unique key",
        ),
        (
            with(", UNIQUE (store_id, item_id, trans_date, sale_amount)"),
            "no unique key",
        ),
        (
            format!(
                "CREATE TABLE t ({columns}) CHARACTER SET utf8mb4; CREATE VIEW sales_summary AS SELECT * FROM t"
            ),
            "it is a view",
        ),
    ] {
        let place = Place::mysql();
        execute(&place.url, &create);
        let warehouse = place.open("sales_summary", &MEASURES, LoadMode::Upsert);
        let message = mismatch(warehouse.prepare().await);
        assert!(message.contains(refused), "{create}: {message}");
    }
    let place = Place::mysql();
    execute(&place.url, &with(", UNIQUE (item_id, trans_date, store_id)"));
    place.ready(LoadMode::Upsert).await;
}

#[tokio::test]
async fn a_user_needs_the_privileges_that_the_documentation_lists_and_no_others() {
    let place = Place::mysql();
    let owner = place.ready(LoadMode::ReplaceDays).await;
    let before = Summary::of(&[("s", "i", DAY, A)]);
    place.loaded(&*owner, 1, &before).await;
    let database = place.url.rsplit('/').next().unwrap();
    let user = format!("'clerk_{database}'@'127.0.0.1'");
    let tables = [
        "sales_summary",
        "gristmill_ledger",
        "gristmill_days",
        "gristmill_standing",
        "gristmill_locks",
    ];
    let grant_tables =
        tables.map(|table| format!("GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.{table} TO {user};"));
    execute(
        &place.url,
        &format!(
            "CREATE USER {user} IDENTIFIED BY 'hunter2'; {} GRANT CREATE TEMPORARY TABLES ON {database}.* TO {user}",
            grant_tables.concat()
        ),
    );
    let url = place.url.replace("root@", &format!("clerk_{database}:hunter2@"));
    let clerk = usual(&url);
    clerk.prepare().await.unwrap();
    let load = place.load(2, &Summary::of(&[("s", "j", DAY, A)]));
    for (privilege, on) in [
        ("CREATE TEMPORARY TABLES", "*"),
        ("INSERT", "sales_summary"),
        ("INSERT", "gristmill_ledger"),
        ("UPDATE", "gristmill_locks"),
    ] {
        execute(
            &place.url,
            &format!("REVOKE {privilege} ON {database}.{on} FROM {user}"),
        );
        let error = clerk.load(&load, &|_| ()).await;
        execute(
            &place.url,
            &format!("GRANT {privilege} ON {database}.{on} TO {user}"),
        );
        let message = message(&error.unwrap_err());
        assert!(
            message.contains("GRANT") && message.contains("denied") && !message.contains("hunter2"),
            "{privilege} on {on}: {message}"
        );
        assert_eq!(contents(&*owner).await, before.rows);
    }
    assert_eq!(owner.ledger_entry("run-2").await.unwrap(), None);
    assert!(matches!(
        clerk.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(_)
    ));

    let wrong = usual(&url.replace("hunter2", "a%20secret%20guess"))
        .row_count()
        .await
        .unwrap_err();
    let absent = usual(&place.url.replace("/test_", "/absent_"))
        .prepare()
        .await
        .unwrap_err();
    execute(
        &place.url,
        &format!(
            "ALTER TABLE sales_summary MODIFY item_id varchar(3) COLLATE {}",
            by_bytes()
        ),
    );
    let long = Summary::of(&[("s", "a secret item", DAY, A)]);
    let too_long = usual(&place.url)
        .load(&place.load(3, &long), &|_| ())
        .await
        .unwrap_err();
    for (error, advice) in [
        (wrong, "right user and password"),
        (absent, "CREATE DATABASE"),
        (too_long, "MODIFY COLUMN"),
    ] {
        let message = message(&error);
        assert!(!error.is_transient() && message.contains(advice), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[tokio::test]
async fn rows_are_looked_up_by_key_even_if_the_server_believes_the_target_to_be_empty() {
    let place = Place::mysql();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let forgetful = "ALTER TABLE sales_summary STATS_PERSISTENT = 1, STATS_AUTO_RECALC = 0";
    execute(&place.url, forgetful);
    let mut last = place.load(1, &many(1));
    warehouse.load(&last, &|_| ()).await.unwrap();
    let other_key = "ALTER TABLE sales_summary DROP PRIMARY KEY, ADD UNIQUE KEY `by ``item` (item_id, trans_date, store_id)";
    let mut sequence = 1;
    for change in [forgetful, other_key] {
        execute(&place.url, &format!("{change}; FLUSH TABLES"));
        for has_base in [true, false] {
            sequence += 1;
            let load = match has_base {
                true => place.load_on(&last, sequence, &many(sequence)),
                false => place.load(sequence, &many(sequence)),
            };
            let limit = Duration::from_secs(20);
            let done = tokio::time::timeout(limit, warehouse.load(&load, &|_| ())).await;
            let done = done.expect("not each row is compared with all rows of the other table");
            assert_eq!(done.unwrap(), LoadOutcome::Loaded(counts(0, 8_000, 0, 0)));
            last = load;
        }
        assert_eq!(contents(&*warehouse).await, many(sequence).rows);
        let found = warehouse.verify(&last, true, 9).await.unwrap();
        assert_eq!(found.mended, Some(counts(0, 0, 0, 8_000)));
    }
}

#[tokio::test]
async fn what_may_pass_on_the_server_is_transient_and_says_what_else_to_do() {
    let place = Place::mysql();
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    let load = place.load(1, &Summary::of(&[("s", "i", DAY, A)]));
    for (code, is_outage, advice) in [
        (1213, true, "may pass by itself"),
        (1205, true, "may pass by itself"),
        (1021, true, "make room"),
        (1290, true, "primary server"),
        (1062, false, "unique key besides"),
        (1665, false, "binlog_format=ROW"),
        (1197, false, "max_binlog_cache_size"),
    ] {
        execute(
            &place.url,
            &format!(
                "DROP TRIGGER IF EXISTS refuse;
                 CREATE TRIGGER refuse BEFORE INSERT ON sales_summary FOR EACH ROW
                     SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'refused'"
            ),
        );
        let error = warehouse.load(&load, &|_| ()).await.unwrap_err();
        let message = message(&error);
        assert_eq!(error.is_outage(), is_outage, "{message}");
        assert!(
            message.contains(advice) && message.contains(&code.to_string()),
            "{message}"
        );
    }
    execute(&place.url, "DROP TRIGGER refuse");
    assert!(matches!(
        warehouse.load(&load, &|_| ()).await.unwrap(),
        LoadOutcome::Loaded(_)
    ));
}

#[tokio::test]
async fn settings_of_the_server_do_not_matter_or_are_named() {
    let server = MariaDb::start_with(
        &[
            "--sql-mode=ANSI_QUOTES",
            "--transaction-isolation=SERIALIZABLE",
            "--default-time-zone=+05:00",
            "--lower-case-table-names=1",
            "--autocommit=0",
            "--collation-server=utf8mb4_general_ci",
            "--character-set-server=utf8mb4",
            "--log-bin=DIR/binlog",
            "--binlog-format=STATEMENT",
        ],
        &[],
    );
    let place = Place::at(server.create_database());
    let warehouse = place.open("Sales_Summary", &MEASURES, LoadMode::ReplaceDays);
    let summary = Summary::of(&[("s", "i", DAY, A), ("S", "i", DAY, A)]);
    let load = place.load(1, &summary);
    let error = warehouse.prepare().await.unwrap_err();
    let told = message(&error);
    assert!(
        !error.is_transient() && told.contains("binlog_format=ROW"),
        "{told}"
    );

    execute(&place.url, "SET GLOBAL binlog_format = MIXED");
    warehouse.prepare().await.unwrap();
    // Two names of one table.
    let other = usual(&place.url);
    other.prepare().await.unwrap();
    let (a, b) = tokio::join!(warehouse.load(&load, &|_| ()), other.load(&load, &|_| ()));
    let loaded = [a.unwrap(), b.unwrap()];
    let loaded = loaded
        .iter()
        .filter(|outcome| matches!(outcome, LoadOutcome::Loaded(_)));
    assert_eq!(loaded.count(), 1);
    assert_eq!(contents(&*other).await, summary.rows);
    // In UTC.
    let is_now = "SELECT (TIMESTAMPDIFF(MINUTE, loaded_at, UTC_TIMESTAMP()) BETWEEN 0 AND 9) || '' FROM gristmill_ledger";
    assert_eq!(query(&place.url, is_now), [[Some("1".to_owned())]]);

    execute(&place.url, "SET GLOBAL max_allowed_packet = 16384");
    let error = warehouse
        .load(&place.load(2, &many(2)), &|_| ())
        .await
        .unwrap_err();
    let told = message(&error);
    assert!(
        !error.is_transient() && told.contains("raise max_allowed_packet"),
        "{told}"
    );
    assert_eq!(contents(&*other).await, summary.rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_survives_a_server_that_dies_in_the_middle() {
    let server = MariaDb::start();
    let place = Place::at(server.create_database());
    let warehouse = place.ready(LoadMode::ReplaceDays).await;
    for sequence in 1..=2 {
        // The first goes directly into the target, the second through temporary tables.
        let load = place.load(sequence, &many(sequence));
        let stopped = std::sync::Once::new();
        let error = warehouse
            .load(&load, &|_| stopped.call_once(|| server.kill()))
            .await
            .unwrap_err();
        assert!(error.is_outage(), "{error:?}");
        let refused = warehouse.load(&load, &|_| ()).await.unwrap_err();
        assert!(refused.is_outage(), "{refused:?}");
        let told = refused.to_string();
        assert!(told.starts_with("cannot connect to mysql://"), "{told}");
        server.start_again();
        assert_eq!(warehouse.ledger_entry(&load.run_id).await.unwrap(), None);
        place.loaded(&*warehouse, sequence, &many(sequence)).await;
        assert_eq!(contents(&*warehouse).await, many(sequence).rows);
    }
}

/// A certificate authority for the test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, as PEM.
    fn certify(&self, common_name: &str, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

/// How a session is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Encrypted,
    Plain,
}

#[tokio::test]
async fn every_sslmode_meets_servers_with_and_without_tls() {
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    let (certificate, key) = ours.certify("server", &["localhost"]);
    let secured = MariaDb::start_with(
        &[
            "--ssl-ca=DIR/root.crt",
            "--ssl-cert=DIR/server.crt",
            "--ssl-key=DIR/server.key",
        ],
        &[
            ("root.crt", &ours.0.pem()),
            ("server.crt", &certificate),
            ("server.key", &key),
        ],
    );
    execute(
        &secured.url("mysql"),
        "CREATE USER certified@'%' REQUIRE X509; CREATE USER only_tls@'%' REQUIRE SSL; CREATE USER loose@'%';
         CREATE USER scrambled@'%' IDENTIFIED BY 'it''s:a/secret'",
    );
    // A target that has a row if, and only if, the session that reads it is encrypted.
    let status = match is_mysql() {
        true => "performance_schema.session_status",
        false => "information_schema.SESSION_STATUS",
    };
    let encrypted = format!(
        "CREATE DATABASE mart; CREATE VIEW mart.sales_summary AS
             SELECT 1 AS one FROM {status} WHERE VARIABLE_NAME = 'Ssl_cipher' AND VARIABLE_VALUE <> '';"
    );
    for server in [&secured, shared()] {
        execute(&server.url("mysql"), &encrypted);
    }
    execute(
        &secured.url("mysql"),
        "GRANT SELECT ON mart.* TO certified@'%', only_tls@'%', loose@'%', scrambled@'%'",
    );
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    for (authority, name) in [(&ours, "ours"), (&foreign, "foreign")] {
        write(&format!("{name}.pem"), &authority.0.pem());
        let (certificate, key) = authority.certify("certified", &[]);
        write(&format!("{name}-client.crt"), &certificate);
        write(&format!("{name}-client.key"), &key);
    }
    let dir = files.path().display().to_string();
    let client = "sslcert=DIR/ours-client.crt&sslkey=DIR/ours-client.key";
    let verified = "sslmode=verify-full&sslrootcert=DIR/ours.pem";
    use Found::{Encrypted, Plain};
    for (login, host, parameters, found) in [
        ("loose", "localhost", "", Ok(Encrypted)),
        ("loose", "localhost", "sslmode=disable", Ok(Plain)),
        ("loose", "127.0.0.1", "sslmode=require", Ok(Encrypted)),
        (
            "loose",
            "127.0.0.1",
            "sslmode=verify-ca&sslrootcert=DIR/ours.pem",
            Ok(Encrypted),
        ),
        (
            "loose",
            "127.0.0.1",
            "sslmode=require&sslrootcert=DIR/ours.pem",
            Ok(Encrypted),
        ),
        ("loose", "localhost", verified, Ok(Encrypted)),
        ("loose", "127.0.0.1", verified, Err("for another name")),
        (
            "loose",
            "localhost",
            "sslmode=verify-ca&sslrootcert=DIR/foreign.pem",
            Err("authority"),
        ),
        (
            "loose",
            "localhost",
            "sslmode=verify-full&sslrootcert=DIR/foreign.pem",
            Err("authority"),
        ),
        (
            "loose",
            "localhost",
            "sslmode=verify-full&sslrootcert=DIR/absent.pem",
            Err("absent.pem cannot be read"),
        ),
        ("loose", "localhost", "sslrootcert=system", Err("authorit")),
        ("only_tls", "localhost", "sslmode=prefer", Ok(Encrypted)),
        ("only_tls", "localhost", "sslmode=disable", Err("denied")),
        (
            "certified",
            "localhost",
            &format!("{verified}&{client}"),
            Ok(Encrypted),
        ),
        ("certified", "localhost", verified, Err("denied")),
        (
            "scrambled:it's%3Aa%2Fsecret",
            "localhost",
            verified,
            Ok(Encrypted),
        ),
        (
            "scrambled:it's%3Aa%2Fsecret",
            "localhost",
            "sslmode=disable",
            Ok(Plain),
        ),
        (
            "scrambled:a%20secret%20guess",
            "localhost",
            verified,
            Err("denied"),
        ),
        ("root@plain", "", "sslmode=prefer", Ok(Plain)),
        (
            "root@plain",
            "",
            "sslmode=require",
            Err("set up TLS on the server"),
        ),
    ] {
        let parameters = parameters.replace("DIR", &dir);
        let url = match login {
            "root@plain" => format!("{}?{parameters}", shared().url("mart")),
            login => format!("mysql://{login}@{host}:{}/mart?{parameters}", secured.port),
        };
        let counted = usual(&url).row_count().await;
        let seen = counted
            .as_ref()
            .map(|rows| if *rows == 0 { Plain } else { Encrypted });
        match (seen, found) {
            (Ok(seen), found) => assert_eq!(Ok(seen), found, "{url}"),
            (Err(error), found) => {
                let source = std::error::Error::source(error).map(ToString::to_string);
                let told = format!("{error} {source:?} {error:?}");
                let expected = found.expect_err(&told);
                assert!(!error.is_transient() && told.contains(expected), "{url}: {told}");
                assert!(!told.contains("secret"), "{told}");
            }
        }
    }
    let socket = shared().socket().display().to_string();
    let url = format!("mysql://root@localhost/mart?socket={socket}&sslmode=require");
    assert_eq!(usual(&url).row_count().await.unwrap(), 0, "over the socket");
}
