//! Temporary users, and the connection to the server.

use std::sync::{Arc, Mutex};

use gristmill_loader::{Credentials, LoadMode, Target, Warehouse, open};
use gristmill_redshift_standin::TlsAcceptor;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::with_causes;
use crate::support::MEASURES;
use crate::support::server::{self, Redshift};

fn target() -> Target {
    Target::new(
        "sales",
        MEASURES.map(String::from).to_vec(),
        LoadMode::ReplaceDays,
    )
    .unwrap()
}

/// An endpoint that gives every request the same response, and keeps the requests.
struct Endpoint {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Endpoint {
    async fn answering(status: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !is_whole(&request) {
                    let mut part = [0; 4096];
                    let length = socket.read(&mut part).await.unwrap();
                    request.extend_from_slice(&part[..length]);
                }
                kept.lock().unwrap().push(String::from_utf8(request).unwrap());
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { url, requests }
    }

    fn credentials(&self) -> Credentials {
        let aws = server::aws().into_builder().endpoint_url(&self.url).build();
        Credentials {
            aws: Some(aws),
            ..Credentials::default()
        }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

fn warehouse(redshift: &Redshift, parameter: &str, endpoint: &Endpoint) -> Box<dyn Warehouse> {
    let url = format!(
        "{}&sslmode=disable&{parameter}",
        redshift.url_for("", "127.0.0.1")
    );
    open(&url, target(), &endpoint.credentials()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_gives_a_user_for_each_connection() {
    let redshift = Redshift::start();
    redshift
        .standin
        .set_password("IAMR:loader", "for a quarter of an hour");
    let endpoint = Endpoint::answering(
        "200 OK",
        "<GetClusterCredentialsWithIAMResponse xmlns=\"http://redshift.amazonaws.com/doc/2012-12-01/\">\
         <GetClusterCredentialsWithIAMResult><DbUser>IAMR:loader</DbUser>\
         <DbPassword>for a quarter of an hour</DbPassword></GetClusterCredentialsWithIAMResult>\
         </GetClusterCredentialsWithIAMResponse>",
    )
    .await;
    let warehouse = warehouse(&redshift, "cluster=stores-1", &endpoint);
    warehouse.prepare().await.unwrap();
    assert_eq!(warehouse.row_count().await.unwrap(), 0);
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2, "one for each connection");
    for part in [
        "Action=GetClusterCredentialsWithIAM",
        "ClusterIdentifier=stores-1",
        "DbName=mart",
        "DurationSeconds=900",
    ] {
        assert!(requests[0].contains(part), "{part}: {}", requests[0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workgroup_gives_a_user_too() {
    let redshift = Redshift::start();
    redshift
        .standin
        .set_password("IAMR:loader", "for a quarter of an hour");
    let body = r#"{"dbUser": "IAMR:loader", "dbPassword": "for a quarter of an hour"}"#;
    let endpoint = Endpoint::answering("200 OK", body).await;
    let warehouse = warehouse(&redshift, "workgroup=stores&region=eu-west-1", &endpoint);
    warehouse.prepare().await.unwrap();
    let request = &endpoint.requests()[0];
    for part in [
        "RedshiftServerless.GetCredentials",
        r#""workgroupName":"stores""#,
        r#""dbName":"mart""#,
        r#""durationSeconds":900"#,
        "/eu-west-1/redshift-serverless/",
    ] {
        assert!(request.contains(part), "{part}: {request}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aws_refuses_is_reported_and_not_retried() {
    let redshift = Redshift::start();
    let endpoint = Endpoint::answering(
        "404 Not Found",
        "<ErrorResponse xmlns=\"http://redshift.amazonaws.com/doc/2012-12-01/\"><Error><Type>Sender</Type>\
         <Code>ClusterNotFound</Code><Message>Cluster stores-1 not found.</Message></Error></ErrorResponse>",
    )
    .await;
    let error = warehouse(&redshift, "cluster=stores-1", &endpoint)
        .prepare()
        .await
        .unwrap_err();
    let message = with_causes(&error);
    assert!(!error.is_transient(), "{message}");
    assert!(
        message
            .contains("credentials for the cluster stores-1: ClusterNotFound: Cluster stores-1 not found."),
        "{message}"
    );
    // An expired temporary user, or another password.
    let body = r#"{"dbUser": "IAMR:gone", "dbPassword": "hunter2"}"#;
    let endpoint = Endpoint::answering("200 OK", body).await;
    let error = warehouse(&redshift, "workgroup=w", &endpoint)
        .prepare()
        .await
        .unwrap_err();
    let message = with_causes(&error);
    assert!(!error.is_transient() && !message.contains("hunter2"), "{message}");
    assert!(message.contains("right user and password"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_certificate_and_name_are_checked() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let redshift = Redshift::with_tls(Some(TlsAcceptor::from(Arc::new(config))));
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("ca.pem");
    std::fs::write(&roots, signed.cert.pem()).unwrap();
    let connected = async |host: &str, parameters: &str| {
        let login = "loader:loader-password@";
        let url = format!("{}{parameters}", redshift.url_for(login, host));
        open(&url, target(), &server::credentials())
            .unwrap()
            .prepare()
            .await
    };
    let file = format!("&sslrootcert={}", roots.display());
    connected("localhost", &file).await.unwrap();
    for (host, parameters) in [("127.0.0.1", file.as_str()), ("localhost", "")] {
        let error = connected(host, parameters).await.unwrap_err();
        assert!(with_causes(&error).contains("certificate"), "{host}: {error}");
    }
}
