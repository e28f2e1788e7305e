//! A proxy in front of an object storage server that fails as networks and busy servers do.
//!
//! The test sets a plan that chooses a fault for each request. Each request has a connection of its own, which keeps
//! the proxy simple; clients have to reconnect after most of these faults anyway.

use std::io::{self, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::http_head::{header, length, read_head, write_head};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request and its answer are forwarded.
    None,
    /// The same, after a delay.
    Delay(Duration),
    /// The proxy answers with this status and S3 error code, without forwarding the request.
    Answer(u16, &'static str),
    /// The connection is cut without an answer.
    Cut,
    /// The answer is cut after this many bytes of its body, although its head announces the whole body.
    CutBody(usize),
    /// The answer's body ends after this many bytes, and its head announces only these.
    ShortBody(usize),
    /// The request is forwarded without this query parameter, as if the server did not know it.
    Without(&'static str),
}

/// A request as the plan sees it.
#[derive(Debug)]
pub struct Request<'a> {
    /// `GET`, `HEAD`, `PUT`, `POST` or `DELETE`.
    pub method: &'a str,
    /// The path and the query, encoded.
    pub target: &'a str,
    /// The value of the header `Range`.
    pub range: Option<&'a str>,
    /// The value of the header `x-amz-request-payer`.
    pub payer: Option<&'a str>,
}

type Plan = Box<dyn FnMut(&Request<'_>) -> Fault + Send>;

/// The proxy, on a free port of 127.0.0.1. Its threads end with the process.
pub struct S3Faults {
    /// The port it listens on.
    pub port: u16,
    plan: Arc<Mutex<Plan>>,
}

impl S3Faults {
    /// Starts a proxy in front of the server on this port of 127.0.0.1. At first it forwards everything.
    pub fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
        let port = listener.local_addr().expect("a socket has an address").port();
        let plan: Arc<Mutex<Plan>> = Arc::new(Mutex::new(Box::new(|_| Fault::None)));
        let asked = plan.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let plan = asked.clone();
                // A client that gives up halfway is not a failure of the proxy.
                thread::spawn(move || drop(serve(client, server, &plan)));
            }
        });
        Self { port, plan }
    }

    /// Returns the proxy's URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls this plan for each request from now on, in the thread that serves the request.
    pub fn plan(&self, plan: impl FnMut(&Request<'_>) -> Fault + Send + 'static) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(plan);
    }
}

fn serve(client: TcpStream, server: u16, plan: &Mutex<Plan>) -> io::Result<()> {
    let mut from_client = BufReader::new(client.try_clone()?);
    let mut to_client = client;
    let mut head = read_head(&mut from_client)?;
    let mut words = head.first().map_or("", String::as_str).split(' ');
    let request = Request {
        method: words.next().unwrap_or(""),
        target: words.next().unwrap_or(""),
        range: header(&head, "range"),
        payer: header(&head, "x-amz-request-payer"),
    };
    let mut body = vec![0; length(&head).unwrap_or(0)];
    from_client.read_exact(&mut body)?;
    let fault = plan.lock().unwrap_or_else(PoisonError::into_inner)(&request);
    let method = request.method.to_owned();
    match fault {
        Fault::Cut => return Ok(()),
        Fault::Answer(status, code) => {
            let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
            let text = if method == "HEAD" { "" } else { &text };
            return write!(
                to_client,
                "HTTP/1.1 {status} {code}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
        }
        Fault::Delay(pause) => thread::sleep(pause),
        Fault::Without(parameter) => {
            let is_other = |pair: &&str| pair.split('=').next() != Some(parameter);
            let kept: Vec<_> = head[0].split('&').filter(is_other).collect();
            head[0] = kept.join("&");
        }
        Fault::None | Fault::CutBody(_) | Fault::ShortBody(_) => {}
    }

    let mut to_server = TcpStream::connect(("127.0.0.1", server))?;
    write_head(&mut to_server, &head, None)?;
    to_server.write_all(&body)?;
    let mut from_server = BufReader::new(to_server);
    let head = read_head(&mut from_server)?;
    // Without a length, the body ends with the connection.
    let length = length(&head).filter(|_| method != "HEAD");
    let (said, given) = match fault {
        Fault::ShortBody(most) => (length.map(|length| length.min(most)), most as u64),
        Fault::CutBody(most) => (None, most as u64),
        _ => (None, u64::MAX),
    };
    write_head(&mut to_client, &head, said)?;
    if method != "HEAD" {
        let given = length.map_or(given, |length| given.min(length as u64));
        io::copy(&mut from_server.take(given), &mut to_client)?;
    }
    Ok(())
}
