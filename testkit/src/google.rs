//! A stand-in for Google Cloud Storage: SeaweedFS behind a proxy that translates what differs between Google's XML API
//! and S3.
//!
//! Requests must have a token, whose signature is not checked; "only if it does not exist" is expressed by a
//! generation. SeaweedFS answers everything else (listing, ranges, ETags, uploads in parts) as an S3 server, which
//! Google's XML API resembles. This does not show what Google's own servers do.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};

use crate::http_head::{header, length, read_head, write_head};
use crate::seaweedfs::SeaweedFs;

/// A server that only this process uses, on a free port of 127.0.0.1.
pub struct Google {
    /// The port it listens on.
    pub port: u16,
    _behind: SeaweedFs,
}

impl Google {
    /// Starts a server with these buckets.
    ///
    /// # Panics
    /// As [`SeaweedFs::start`] does.
    pub fn start(buckets: &[&str]) -> Self {
        let behind = SeaweedFs::start_for_anyone(buckets);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
        let port = listener.local_addr().expect("a socket has an address").port();
        let server = behind.port;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that gives up halfway is not a failure of the server.
                thread::spawn(move || drop(serve(client, server)));
            }
        });
        Self {
            port,
            _behind: behind,
        }
    }

    /// Writes a service account file with a new key to this folder, and returns its path.
    pub fn service_account(folder: &Path) -> PathBuf {
        let key =
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("cannot generate a key");
        let account = serde_json::json!({
            "type": "service_account",
            "client_email": "test@gristmill.iam.gserviceaccount.com",
            "private_key_id": "test-key",
            "private_key": key.serialize_pem(),
        });
        let file = folder.join("service-account.json");
        fs::write(&file, account.to_string()).expect("cannot write the service account file");
        file
    }
}

/// Answers one request; each connection carries only one.
fn serve(client: TcpStream, server: u16) -> io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let mut to_client = client;
    let mut head = read_head(&mut from_client)?;
    let mut body = vec![0; length(&head).unwrap_or(0)];
    from_client.read_exact(&mut body)?;
    // A token of a service account has three parts.
    let is_token = |value: &str| value.starts_with("Bearer ") && value.split('.').count() == 3;
    if !header(&head, "authorization").is_some_and(is_token) {
        return to_client
            .write_all(b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    }
    head.retain(|line| !line.to_ascii_lowercase().starts_with("authorization:"));
    for line in &mut head {
        if line.eq_ignore_ascii_case("x-goog-if-generation-match: 0") {
            *line = "If-None-Match: *".to_owned();
        }
    }
    let mut to_server = TcpStream::connect(("127.0.0.1", server))?;
    write_head(&mut to_server, &head, None)?;
    to_server.write_all(&body)?;
    io::copy(&mut to_server, &mut to_client)?;
    Ok(())
}
