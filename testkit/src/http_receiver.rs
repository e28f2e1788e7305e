//! A webhook: an HTTP server that keeps every request, and answers as a test asks it to.

use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::http_head::{header, length, read_head};
use crate::tls::{Certificate, Stream};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// `POST`, `GET`, ….
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The lines of its head.
    pub head: Vec<String>,
    /// Its body.
    pub body: String,
}

impl Request {
    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// Returns its body, which must be JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A server on 127.0.0.1 that keeps what it gets. It is gone when it is dropped.
pub struct HttpReceiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    is_tls: bool,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    status: AtomicU16,
    /// What `Retry-After` says, if anything.
    retry_after: Mutex<Option<String>>,
    stop: AtomicBool,
}

impl HttpReceiver {
    /// Starts a server on a free port, which answers 200.
    pub fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    /// Starts a server on a free port that speaks TLS.
    pub fn start_tls(certificate: Certificate) -> Self {
        Self::serve_at(([127, 0, 0, 1], 0).into(), Some(certificate))
    }

    /// Starts a server at an address, such as one that was free a moment ago.
    pub fn start_at(address: SocketAddr) -> Self {
        Self::serve_at(address, None)
    }

    fn serve_at(address: SocketAddr, certificate: Option<Certificate>) -> Self {
        let is_tls = certificate.is_some();
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("cannot listen on {address}: {error}"));
        let address = listener.local_addr().expect("a socket has an address");
        let shared = Arc::new(Shared {
            status: AtomicU16::new(200),
            ..Shared::default()
        });
        let thread = thread::spawn({
            let shared = shared.clone();
            move || {
                for client in listener.incoming().flatten() {
                    if shared.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // A client that gives up halfway is not a failure of the server.
                    drop(Stream::new(client, certificate.as_ref()).and_then(|client| serve(client, &shared)));
                }
            }
        });
        Self {
            address,
            shared,
            is_tls,
            thread: Some(thread),
        }
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a path. With TLS, it names the host `localhost`.
    pub fn url(&self, path: &str) -> String {
        match self.is_tls {
            true => format!("https://localhost:{}{path}", self.address.port()),
            false => format!("http://{}{path}", self.address),
        }
    }

    /// Has it answer with another status from now on.
    pub fn answer(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// Has it ask in each answer from now on to be left alone: what `Retry-After` says.
    pub fn ask_to_wait(&self, retry_after: &str) {
        *self.shared.retry_after.lock().expect("no holder panics") = Some(retry_after.to_owned());
    }

    /// Returns what it has got so far, also what it did not take.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no holder panics").clone()
    }
}

impl Drop for HttpReceiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which then closes the port.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(client: Stream, shared: &Shared) -> io::Result<()> {
    let mut reader = BufReader::new(client);
    let head = read_head(&mut reader)?;
    let mut body = vec![0; length(&head).unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let mut words = head
        .first()
        .map_or("", String::as_str)
        .split(' ')
        .map(str::to_owned);
    let request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        body: String::from_utf8_lossy(&body).into_owned(),
        head,
    };
    shared.requests.lock().expect("no holder panics").push(request);
    let status = shared.status.load(Ordering::SeqCst);
    let retry_after = shared.retry_after.lock().expect("no holder panics").clone();
    let retry_after = retry_after.map_or_else(String::new, |asked| format!("Retry-After: {asked}\r\n"));
    let client = reader.get_mut();
    write!(
        client,
        "HTTP/1.1 {status} X\r\nConnection: close\r\n{retry_after}Content-Length: 0\r\n\r\n"
    )?;
    client.flush()
}
