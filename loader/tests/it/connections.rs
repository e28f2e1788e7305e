//! Connections to a Postgres server, with `psql` as the oracle: it uses libpq, whose parameters the URL uses, too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use gristmill_loader::{Credentials, LoadError, LoadMode, Target, open};
use gristmill_servers::Passwords;
use gristmill_testkit::postgres::{self, Postgres, StopMode, execute};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::support::MEASURES;

/// A target that has a row if, and only if, the session that reads it is encrypted.
const ENCRYPTED: &str =
    "CREATE VIEW sales_summary AS SELECT FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl;
     GRANT SELECT ON sales_summary TO PUBLIC";

/// What the server requires of each user, who is named after it.
const ENTRANCE: &str = "
local     all postgres     trust
local     all scram        scram-sha-256
host      all postgres,any all trust
hostssl   all only_tls     all trust
hostnossl all only_plain   all trust
host      all scram        all scram-sha-256
hostssl   all certified    all cert
";

const ROLES: &str = "CREATE ROLE \"any\" LOGIN; CREATE ROLE only_tls LOGIN; CREATE ROLE only_plain LOGIN;
     CREATE ROLE certified LOGIN; CREATE ROLE scram LOGIN PASSWORD 'it''s:a\\secret';";

/// How a connection is protected; `None` if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Encrypted,
    Plain,
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

/// A server with TLS, and the files for its clients.
struct Secured {
    server: Postgres,
    files: TempDir,
}

impl Secured {
    fn start() -> Self {
        let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
        let (certificate, key) = ours.certify("server", &["localhost"]);
        let server = Postgres::start_with_files(&[
            ("server.crt", &certificate),
            ("server.key", &key),
            ("root.crt", &ours.0.pem()),
            ("pg_hba.conf", ENTRANCE),
            ("postgresql.auto.conf", "ssl = on\nssl_ca_file = 'root.crt'\n"),
        ]);
        execute(&server.url("postgres"), &format!("{ROLES} {ENCRYPTED}"));

        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| write_private(files.path().join(name), text);
        for (authority, name) in [(&ours, "ours"), (&foreign, "foreign")] {
            write(&format!("{name}.pem"), &authority.0.pem());
            let (certificate, key) = authority.certify("certified", &[]);
            write(&format!("{name}-client.crt"), &certificate);
            write(&format!("{name}-client.key"), &key);
        }
        Self { server, files }
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn url(&self, user: &str, host: &str, parameters: &str) -> String {
        // Fills in the files' names here, which keeps the table below readable.
        let parameters = parameters.replace("DIR", &self.files.path().display().to_string());
        format!(
            "postgres://{user}@{host}:{}/postgres?{parameters}",
            self.server.port
        )
    }
}

fn write_private(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// How `psql` connects with a URL.
fn psql(url: &str, passwords: &Passwords) -> Option<Session> {
    let mut command = Command::new("psql");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent");
    if let Some(password) = &passwords.any {
        command.env("PGPASSWORD", password);
    }
    if let Some(file) = &passwords.file {
        command.env("PGPASSFILE", file);
    }
    command.args(["-XAtw", "-c", "SELECT count(*) FROM sales_summary", "-d", url]);
    let output = command
        .output()
        .expect("no psql: apt-get install postgresql (scripts/test does it)");
    match String::from_utf8_lossy(&output.stdout).trim() {
        "1" => Some(Session::Encrypted),
        "0" => Some(Session::Plain),
        _ => {
            assert_eq!(
                output.status.code(),
                Some(2),
                "{url}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            None
        }
    }
}

/// How gristmill connects with a URL; an error must name it, and show no secret.
async fn gristmill(url: &str, passwords: &Passwords) -> Result<Session, LoadError> {
    let measures = MEASURES.map(String::from).to_vec();
    let target = Target::new("sales_summary", measures, LoadMode::ReplaceDays).unwrap();
    let credentials = Credentials {
        passwords: passwords.clone(),
        ..Credentials::default()
    };
    let counted = match open(url, target, &credentials) {
        Ok(warehouse) => warehouse.row_count().await,
        Err(error) => Err(error),
    };
    match counted {
        Ok(0) => Ok(Session::Plain),
        Ok(_) => Ok(Session::Encrypted),
        Err(error) => {
            let message = message(&error);
            let debug = format!("{error:?}");
            assert!(message.contains("postgres://"), "{message}");
            for secret in ["secret", "PRIVATE KEY"] {
                assert!(
                    !message.contains(secret) && !debug.contains(secret),
                    "{message} {debug}"
                );
            }
            Err(error)
        }
    }
}

fn message(error: &LoadError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

async fn assert_as_psql(url: &str, passwords: &Passwords) -> Option<Session> {
    let asked = (url.to_string(), passwords.clone());
    let oracle = tokio::task::spawn_blocking(move || psql(&asked.0, &asked.1));
    let found = gristmill(url, passwords).await;
    let session = found.as_ref().ok().copied();
    assert_eq!(
        session,
        oracle.await.unwrap(),
        "{url}: {:?}",
        found.as_ref().map_err(message)
    );
    if let Err(error) = found {
        assert!(!error.is_transient(), "{}", message(&error));
    }
    session
}

#[tokio::test]
async fn every_sslmode_meets_every_server_as_in_psql() {
    let secured = Secured::start();
    let plain = postgres::shared();
    let plain_url = plain.create_database();
    execute(&plain_url, ENCRYPTED);

    let none = Passwords::default();
    let mut sessions = [0; 3];
    for mode in [
        "",
        "sslmode=disable",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=verify-ca",
        "sslmode=verify-full",
    ] {
        for roots in ["", "&sslrootcert=DIR/ours.pem", "&sslrootcert=DIR/foreign.pem"] {
            let parameters = format!("{mode}{roots}");
            let parameters = parameters.trim_start_matches('&');
            let mut urls = Vec::new();
            for (user, host) in [
                ("any", "localhost"),
                ("any", "127.0.0.1"),
                ("only_tls", "localhost"),
                ("only_plain", "localhost"),
            ] {
                urls.push(secured.url(user, host, parameters));
            }
            let parameters = parameters.replace("DIR", &secured.files.path().display().to_string());
            urls.push(format!("{plain_url}?{parameters}"));
            for url in urls {
                sessions[match assert_as_psql(&url, &none).await {
                    None => 0,
                    Some(Session::Plain) => 1,
                    Some(Session::Encrypted) => 2,
                }] += 1;
            }
        }
    }
    assert!(
        sessions.iter().all(|count| *count > 10),
        "the table is one-sided: {sessions:?}"
    );
}

#[tokio::test]
async fn certificates_passwords_and_channel_binding_as_in_psql() {
    let secured = Secured::start();
    let verified = "sslmode=verify-full&sslrootcert=DIR/ours.pem";
    let client =
        |whose: &str| format!("{verified}&sslcert=DIR/{whose}-client.crt&sslkey=DIR/{whose}-client.key");
    let none = Passwords::default();
    let encrypted = Some(Session::Encrypted);
    let password = "it's%3Aa%5Csecret";
    for (user, parameters, session) in [
        ("certified", client("ours"), encrypted),
        ("certified", client("foreign"), None),
        ("certified", verified.into(), None),
        // The certificate decides which user may connect, not the URL.
        ("any", client("ours"), encrypted),
        (
            "certified",
            client("ours").replace("verify-full", "prefer"),
            encrypted,
        ),
        (
            "certified",
            client("ours").replace("verify-full", "disable"),
            None,
        ),
        (
            &format!("scram:{password}"),
            format!("{verified}&channel_binding=require"),
            encrypted,
        ),
        (
            &format!("scram:{password}"),
            "sslmode=require&channel_binding=disable".into(),
            encrypted,
        ),
        (
            &format!("scram:{password}"),
            "sslmode=disable&channel_binding=require".into(),
            None,
        ),
        (
            &format!("scram:{password}"),
            "sslmode=disable".into(),
            Some(Session::Plain),
        ),
        ("scram:a%20secret%20guess", verified.into(), None),
        ("scram:a%20secret%20guess", "sslmode=prefer".into(), None),
        ("scram", verified.into(), None),
    ] {
        let url = secured.url(user, "localhost", &parameters);
        assert_eq!(assert_as_psql(&url, &none).await, session, "{url}");
    }
    fs::set_permissions(secured.file("ours-client.key"), fs::Permissions::from_mode(0o604)).unwrap();
    assert_eq!(
        assert_as_psql(&secured.url("certified", "localhost", &client("ours")), &none).await,
        None
    );
}

#[tokio::test]
async fn passwords_from_the_environment_and_the_password_file_as_in_psql() {
    let secured = Secured::start();
    let port = secured.server.port;
    let right = "it's\\:a\\\\secret";
    let socket = secured.server.socket_folder().display().to_string();
    let over_socket = format!("postgres://scram@/postgres?host={socket}&port={port}");
    let over_tcp = secured.url("scram", "localhost", "sslmode=prefer");
    let (encrypted, plain) = (Some(Session::Encrypted), Some(Session::Plain));
    let environment = |password: &str| Passwords {
        any: Some(password.into()),
        ..Passwords::default()
    };
    for (url, passwords, session) in [
        (&over_tcp, environment("it's:a\\secret"), encrypted),
        (&over_socket, environment("it's:a\\secret"), plain),
        (&over_tcp, environment("a secret guess"), None),
    ] {
        assert_eq!(assert_as_psql(url, &passwords).await, session, "{url}");
    }
    for (at, (url, lines, mode, session)) in [
        (&over_tcp, format!("*:*:*:*:{right}"), 0o600, encrypted),
        (
            &over_tcp,
            format!("localhost:{port}:postgres:scram:{right}"),
            0o400,
            encrypted,
        ),
        (
            &over_tcp,
            format!("# {port}\n\nx\nother:*:*:*:no secret\nlocalhost:*:*:scram:{right}\n"),
            0o600,
            encrypted,
        ),
        (
            &over_tcp,
            format!("localhost:*:*:*:no secret\n*:*:*:*:{right}"),
            0o600,
            None,
        ),
        (&over_tcp, format!("127.0.0.1:*:*:*:{right}"), 0o600, None),
        (&over_tcp, format!("local\\host:*:*:*:{right}"), 0o600, encrypted),
        (&over_tcp, format!("\\*:*:*:*:{right}"), 0o600, None),
        (&over_tcp, format!("*:*:*:*:{right}"), 0o640, None),
        (&over_socket, format!("{socket}:{port}:*:*:{right}"), 0o600, plain),
        (&over_socket, format!("localhost:*:*:*:{right}"), 0o600, None),
    ]
    .into_iter()
    .enumerate()
    {
        let file = write_private(secured.files.path().join(format!("pgpass{at}")), &lines);
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let passwords = Passwords {
            file: Some(file),
            ..Passwords::default()
        };
        assert_eq!(
            assert_as_psql(url, &passwords).await,
            session,
            "{lines} for {url}"
        );
    }
}

#[tokio::test]
async fn faults_of_the_connection_are_reported_with_advice() {
    let secured = Secured::start();
    let none = Passwords::default();
    let verified = "sslmode=verify-full&sslrootcert=DIR/ours.pem";
    let plain = postgres::shared().create_database();
    for (url, advice) in [
        (secured.url("any", "127.0.0.1", verified), "for another name"),
        (
            secured.url("any", "localhost", &verified.replace("ours", "foreign")),
            "authority",
        ),
        (
            secured.url("any", "localhost", &verified.replace("ours", "absent")),
            "absent.pem cannot be read",
        ),
        // Unlike psql, which would continue without any check.
        (
            secured.url("any", "localhost", "sslrootcert=DIR/absent.pem"),
            "absent.pem cannot be read",
        ),
        (secured.url("any", "localhost", "sslrootcert=system"), "authorit"),
        (secured.url("certified", "localhost", verified), "pg_hba.conf"),
        (secured.url("scram", "localhost", ""), "PGPASSWORD or ~/.pgpass"),
        (
            secured.url("scram:a%20secret%20guess", "localhost", ""),
            "put the right password",
        ),
        (format!("{plain}?sslmode=require"), "set up TLS on the server"),
    ] {
        let error = gristmill(&url, &none).await.unwrap_err();
        let message = message(&error);
        assert!(!error.is_transient() && message.contains(advice), "{message}");
    }

    // What may pass by itself.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    for (url, part) in [
        (
            "postgres://u@no-such-host.invalid/db".to_string(),
            "the host and port in the URL",
        ),
        (
            format!("postgres://u:secret@127.0.0.1:{port}/db?connect_timeout=1"),
            "no answer within 2 s",
        ),
        (
            format!("postgres://u@127.0.0.1:{port}/db?connect_timeout=1&sslmode=disable"),
            "no answer within 2 s",
        ),
    ] {
        let error = gristmill(&url, &none).await.unwrap_err();
        let message = message(&error);
        assert!(error.is_transient() && message.contains(part), "{message}");
    }
    secured.server.stop(StopMode::Fast);
    let error = gristmill(&secured.url("any", "localhost", verified), &none)
        .await
        .unwrap_err();
    assert!(
        error.is_transient() && message(&error).contains("the server is up"),
        "{}",
        message(&error)
    );
}

#[tokio::test]
async fn a_unix_socket_needs_no_tls_whatever_the_mode() {
    let secured = Secured::start();
    let socket = secured
        .server
        .socket_folder()
        .display()
        .to_string()
        .replace('/', "%2F");
    for mode in ["prefer", "require", "verify-full"] {
        let url = secured.url(
            "postgres",
            &socket,
            &format!("sslmode={mode}&sslrootcert=DIR/ours.pem"),
        );
        assert_eq!(
            assert_as_psql(&url, &Passwords::default()).await,
            Some(Session::Plain)
        );
    }
}
