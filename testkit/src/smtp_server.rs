//! A mail server that takes mail without encryption (RFC 5321), with AUTH PLAIN (RFC 4954), and keeps every mail.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A mail as it came.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Header and text, with line feeds as line ends.
    pub data: String,
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

impl SmtpServer {
    /// Starts a server on a free port.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no free port");
        let address = listener.local_addr().expect("a socket has an address");
        let seen = Arc::<Mutex<Seen>>::default();
        thread::spawn({
            let seen = seen.clone();
            move || {
                for client in listener.incoming().flatten() {
                    // A client that gives up halfway is not a failure of the server.
                    drop(serve(&client, &seen));
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

fn serve(client: &TcpStream, seen: &Mutex<Seen>) -> io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    let say = |text: &str| {
        let mut to = client;
        to.write_all(format!("{text}\r\n").as_bytes())
    };
    let mut mail = Mail::default();
    say("220 testkit ESMTP")?;
    while let Some(line) = lines.next().transpose()? {
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
        match word.as_str() {
            "EHLO" => say("250-testkit\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN")?,
            "AUTH" => say("235 2.7.0 accepted")?,
            "MAIL" => {
                mail = Mail {
                    from: address(),
                    ..Mail::default()
                };
                say("250 2.1.0 ok")?;
            }
            "RCPT" => {
                mail.to.push(address());
                say("250 2.1.5 ok")?;
            }
            "DATA" => {
                say("354 go on")?;
                for line in lines.by_ref() {
                    match line?.as_str() {
                        "." => break,
                        line => {
                            // A dot at the beginning of a line is doubled on the way.
                            mail.data.push_str(line.strip_prefix('.').unwrap_or(line));
                            mail.data.push('\n');
                        }
                    }
                }
                seen.lock()
                    .expect("no holder panics")
                    .mails
                    .push(std::mem::take(&mut mail));
                say("250 2.0.0 taken")?;
            }
            "QUIT" => return say("221 2.0.0 bye"),
            "RSET" | "NOOP" => say("250 2.0.0 ok")?,
            _ => say("502 5.5.1 not known here")?,
        }
    }
    Ok(())
}
