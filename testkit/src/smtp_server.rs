//! A mail server (RFC 5321) with AUTH PLAIN (RFC 4954) that keeps every mail: without encryption, with TLS from the beginning
//! (RFC 8314), or from STARTTLS on (RFC 3207).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::tls::{Certificate, Stream};

/// A mail as it came.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Header and text, with line feeds as line ends.
    pub data: String,
    /// Whether it came encrypted.
    pub is_encrypted: bool,
}

/// What a server has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The mails that it took.
    pub mails: Vec<Mail>,
    /// The commands of all clients, in the order in which they came.
    pub commands: Vec<String>,
}

/// A server on 127.0.0.1. It lives as long as the process.
pub struct SmtpServer {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

/// What a server offers its clients.
enum Offer {
    Plain,
    Tls(Certificate),
    StartTls(Certificate),
}

impl SmtpServer {
    /// Starts a server on a free port that encrypts nothing.
    pub fn start() -> Self {
        Self::offering(Offer::Plain)
    }

    /// Starts a server that speaks TLS from the beginning.
    pub fn start_tls(certificate: Certificate) -> Self {
        Self::offering(Offer::Tls(certificate))
    }

    /// Starts a server that speaks TLS from STARTTLS on.
    pub fn start_starttls(certificate: Certificate) -> Self {
        Self::offering(Offer::StartTls(certificate))
    }

    fn offering(offer: Offer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
        let address = listener.local_addr().expect("a socket has an address");
        let seen = Arc::<Mutex<Seen>>::default();
        thread::spawn({
            let seen = seen.clone();
            move || {
                for client in listener.incoming().flatten() {
                    // A client that gives up halfway is not a failure of the server.
                    drop(serve(client, &offer, &seen));
                }
            }
        });
        Self { address, seen }
    }

    /// Returns its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns what it has seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no holder panics").clone()
    }
}

/// A conversation with a client.
struct Session(BufReader<Stream>);

impl Session {
    fn say(&mut self, text: &str) -> io::Result<()> {
        let client = self.0.get_mut();
        client.write_all(format!("{text}\r\n").as_bytes())?;
        client.flush()
    }

    /// Returns the next line; `None` when the client is gone.
    fn hear(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

fn serve(client: TcpStream, offer: &Offer, seen: &Mutex<Seen>) -> io::Result<()> {
    let (stream, mut is_encrypted) = match offer {
        Offer::Tls(certificate) => (Stream::new(client, Some(certificate))?, true),
        Offer::Plain | Offer::StartTls(_) => (Stream::new(client, None)?, false),
    };
    let mut mail = Mail::default();
    let mut session = Session(BufReader::new(stream));
    session.say("220 testkit ESMTP")?;
    while let Some(line) = session.hear()? {
        seen.lock().expect("no holder panics").commands.push(line.clone());
        let word = line
            .split([' ', ':'])
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let address = || {
            let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
            inner.map_or(String::new(), |(address, _)| address.to_owned())
        };
        match (word.as_str(), offer) {
            ("EHLO", Offer::StartTls(_)) if !is_encrypted => {
                session.say("250-testkit\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 STARTTLS")?;
            }
            ("EHLO", _) => session.say("250-testkit\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN")?,
            ("STARTTLS", Offer::StartTls(certificate)) if !is_encrypted => {
                session.say("220 2.0.0 go on")?;
                let Stream::Plain(client) = session.0.into_inner() else {
                    unreachable!("it is not encrypted")
                };
                session = Session(BufReader::new(Stream::new(client, Some(certificate))?));
                is_encrypted = true;
            }
            ("AUTH", _) => session.say("235 2.7.0 accepted")?,
            ("MAIL", _) => {
                mail = Mail {
                    from: address(),
                    is_encrypted,
                    ..Mail::default()
                };
                session.say("250 2.1.0 ok")?;
            }
            ("RCPT", _) => {
                mail.to.push(address());
                session.say("250 2.1.5 ok")?;
            }
            ("DATA", _) => {
                session.say("354 go on")?;
                while let Some(line) = session.hear()?.filter(|line| line != ".") {
                    // A dot at the beginning of a line is doubled on the way.
                    mail.data.push_str(line.strip_prefix('.').unwrap_or(&line));
                    mail.data.push('\n');
                }
                seen.lock()
                    .expect("no holder panics")
                    .mails
                    .push(std::mem::take(&mut mail));
                session.say("250 2.0.0 taken")?;
            }
            ("QUIT", _) => return session.say("221 2.0.0 bye"),
            ("RSET" | "NOOP", _) => session.say("250 2.0.0 ok")?,
            _ => session.say("502 5.5.1 not known here")?,
        }
    }
    Ok(())
}
