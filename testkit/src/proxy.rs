//! A proxy for a Postgres, MySQL or MariaDB server whose connections can be cut at a chosen message or byte, as networks
//! cut them.
//!
//! It forwards the messages of both sides one by one, over plain TCP (`sslmode=disable`: in an encrypted stream it
//! could not see the messages).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Which side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client sends to the server.
    Client,
    /// The server sends to the client.
    Server,
}

/// Where connections are cut. Messages and bytes are counted over all connections that began since the cut was planned:
/// what is still on its way of an earlier one is passed on uncounted.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// Instead of this message, counted from 0.
    Message(Side, usize),
    /// After this many bytes, even within a message.
    Bytes(Side, usize),
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Both sides see the connection closed.
    Close,
    /// The connection stays open, and nothing is forwarded any more.
    Stall,
}

/// How the server's protocol divides a stream into messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A letter, and the length with itself; a client's first message has no letter.
    Postgres,
    /// The length, a running number, and in most packets a letter: the command, or the kind of the answer.
    MySql,
}

/// A port that forwards to a server.
pub struct Proxy {
    /// The port to connect to, on 127.0.0.1.
    pub port: u16,
    counter: Arc<Mutex<Counter>>,
}

#[derive(Default)]
struct Counter {
    /// The number of the plan.
    plan: u64,
    cut: Option<(Cut, Manner)>,
    messages: [usize; 2],
    bytes: [usize; 2],
    fallen: Option<char>,
    /// Streams that are kept open without being forwarded.
    stalled: Vec<TcpStream>,
}

impl Proxy {
    /// Starts a proxy for the server at a port of 127.0.0.1. It runs until the process ends.
    pub fn start(server: u16, protocol: Protocol) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let counter = Arc::new(Mutex::new(Counter::default()));
        let shared = counter.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                // If the server is down, the client's connection is closed at once.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else {
                    continue;
                };
                let plan = lock(&shared).plan;
                if let Err(error) = carry(protocol, (&client, &server), plan, &shared) {
                    panic!("the proxy cannot carry a connection: {error}");
                }
            }
        });
        Self { port, counter }
    }

    /// Plans one cut, or none. Resets the counts, and closes stalled connections.
    pub fn cut(&self, cut: Option<(Cut, Manner)>) {
        let mut counter = lock(&self.counter);
        for stream in counter.stalled.drain(..) {
            // Its peer may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
        *counter = Counter {
            plan: counter.plan + 1,
            cut,
            ..Counter::default()
        };
    }

    /// Returns the letter of the message at which the last cut happened (`~` for the first of a connection), or `None`
    /// if it has not happened.
    pub fn fallen(&self) -> Option<char> {
        lock(&self.counter).fallen
    }
}

impl Counter {
    /// Returns how many bytes of a message may pass; fewer than all of them means that the cut happens here. `plan` is the
    /// one under which the message's connection began.
    fn passes(&mut self, plan: u64, side: Side, message: &[u8], letter: char) -> usize {
        if plan != self.plan {
            return message.len();
        }
        let at = side as usize;
        let passes = match self.cut {
            Some((Cut::Message(cut, number), _)) if cut == side && number == self.messages[at] => 0,
            Some((Cut::Bytes(cut, number), _)) if cut == side => message.len().min(number - self.bytes[at]),
            _ => message.len(),
        };
        self.messages[at] += 1;
        self.bytes[at] += passes;
        if passes < message.len() {
            self.fallen = Some(letter);
        }
        passes
    }
}

fn lock(counter: &Mutex<Counter>) -> MutexGuard<'_, Counter> {
    counter.lock().expect("a thread of the proxy panicked")
}

/// Starts a thread for each direction.
fn carry(
    protocol: Protocol,
    (client, server): (&TcpStream, &TcpStream),
    plan: u64,
    counter: &Arc<Mutex<Counter>>,
) -> io::Result<()> {
    for (side, from, to) in [(Side::Client, client, server), (Side::Server, server, client)] {
        to.set_nodelay(true)?;
        let (mut from, mut to, counter) = (from.try_clone()?, to.try_clone()?, counter.clone());
        thread::spawn(move || {
            // An error is an end like any other: one side is gone, and the other must see that.
            let stalls = pass_on(protocol, (plan, side), &mut from, &mut to, &counter).unwrap_or(false);
            if stalls {
                // An open stream keeps its peer waiting.
                lock(&counter).stalled.extend([from, to]);
            } else {
                let _ = from.shutdown(Shutdown::Both);
                let _ = to.shutdown(Shutdown::Both);
            }
        });
    }
    Ok(())
}

/// Forwards messages until an end or a cut, and returns whether the connection is to stall.
fn pass_on(
    protocol: Protocol,
    (plan, side): (u64, Side),
    from: &mut TcpStream,
    to: &mut TcpStream,
    counter: &Mutex<Counter>,
) -> io::Result<bool> {
    let mut is_first = true;
    loop {
        let (message, letter) = match protocol {
            Protocol::Postgres => postgres_message(from, side == Side::Server || !is_first)?,
            Protocol::MySql => mysql_message(from, is_first)?,
        };
        is_first = false;

        let (passes, manner) = {
            let mut counter = lock(counter);
            let passes = counter.passes(plan, side, &message, letter);
            let manner = counter.cut.map_or(Manner::Close, |(_, manner)| manner);
            if passes < message.len() {
                counter.cut = None;
            }
            (passes, manner)
        };
        to.write_all(&message[..passes])?;
        if passes < message.len() {
            return Ok(manner == Manner::Stall);
        }
    }
}

fn postgres_message(from: &mut TcpStream, has_letter: bool) -> io::Result<(Vec<u8>, char)> {
    let mut message = vec![0; 4 + usize::from(has_letter)];
    from.read_exact(&mut message)?;
    let (letter, length) = message.split_at(message.len() - 4);
    let letter = letter.first().map_or('~', |letter| char::from(*letter));
    let length = u32::from_be_bytes(length.try_into().expect("four bytes were read"));
    let start = message.len();
    message.resize(start + length as usize - 4, 0);
    from.read_exact(&mut message[start..])?;
    Ok((message, letter))
}

fn mysql_message(from: &mut TcpStream, is_first: bool) -> io::Result<(Vec<u8>, char)> {
    let mut message = vec![0; 4];
    from.read_exact(&mut message)?;
    let length = u32::from_le_bytes([message[0], message[1], message[2], 0]);
    message.resize(4 + length as usize, 0);
    from.read_exact(&mut message[4..])?;
    let letter = message
        .get(4)
        .filter(|_| !is_first)
        .map_or('~', |letter| char::from(*letter));
    Ok((message, letter))
}
