//! A way to a Postgres server that can be cut at a chosen message or byte, as networks are.
//!
//! It passes on what either side says, message by message, over plain TCP (`sslmode=disable`: what is encrypted has no
//! messages that it could see).

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client, to the server.
    Client,
    /// The server, to the client.
    Server,
}

/// Where connections are cut. Counts go over all connections since the cut was asked for.
#[derive(Debug, Clone, Copy)]
pub enum Cut {
    /// In place of this message, counted from 0.
    Message(Side, usize),
    /// After so many bytes, be it within a message.
    Bytes(Side, usize),
}

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Both ends hear of it.
    Close,
    /// Nobody hears anything any more.
    Stall,
}

/// A port that leads to a server.
pub struct Proxy {
    /// The port to connect to, on 127.0.0.1.
    pub port: u16,
    counter: Arc<Mutex<Counter>>,
}

#[derive(Default)]
struct Counter {
    cut: Option<(Cut, Manner)>,
    messages: [usize; 2],
    bytes: [usize; 2],
    fallen: Option<char>,
    /// Streams that wait in silence.
    stalled: Vec<TcpStream>,
}

impl Proxy {
    /// Opens a way to the server at a port of 127.0.0.1. It stays until the process ends.
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no port is free");
        let port = listener.local_addr().expect("a listener has an address").port();
        let counter = Arc::new(Mutex::new(Counter::default()));
        let shared = counter.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                // A server that is down is one that takes no connection: the client sees its own end at once.
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server))) else {
                    continue;
                };
                if let Err(error) = carry(&client, &server, &shared) {
                    panic!("the proxy cannot carry a connection: {error}");
                }
            }
        });
        Self { port, counter }
    }

    /// Cuts once from now on, or no more. Counting starts anew, and what was silent is closed.
    pub fn cut(&self, cut: Option<(Cut, Manner)>) {
        for stream in lock(&self.counter).stalled.drain(..) {
            // Its peer may have gone before.
            let _ = stream.shutdown(Shutdown::Both);
        }
        *lock(&self.counter) = Counter {
            cut,
            ..Counter::default()
        };
    }

    /// The letter of the message at which the last cut fell (`~` for the first of a connection); `None` if it has not.
    pub fn fallen(&self) -> Option<char> {
        lock(&self.counter).fallen
    }
}

impl Counter {
    /// How much of a message may pass. Less than all of it: the cut falls here.
    fn passes(&mut self, side: Side, message: &[u8], letter: char) -> usize {
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
fn carry(client: &TcpStream, server: &TcpStream, counter: &Arc<Mutex<Counter>>) -> io::Result<()> {
    for (side, from, to) in [(Side::Client, client, server), (Side::Server, server, client)] {
        to.set_nodelay(true)?;
        let (mut from, mut to, counter) = (from.try_clone()?, to.try_clone()?, counter.clone());
        thread::spawn(move || {
            // An error is an end like any other: the one side is gone, and the other must hear of it.
            let stalls = pass_on(side, &mut from, &mut to, &counter).unwrap_or(false);
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

/// Passes messages on until an end or a cut; whether the connection is to stall.
fn pass_on(
    side: Side,
    from: &mut TcpStream,
    to: &mut TcpStream,
    counter: &Mutex<Counter>,
) -> io::Result<bool> {
    // A client's first message has no letter.
    let mut has_letter = side == Side::Server;
    loop {
        let mut message = vec![0; 4 + usize::from(has_letter)];
        from.read_exact(&mut message)?;
        let (letter, length) = message.split_at(message.len() - 4);
        let letter = letter.first().map_or('~', |letter| char::from(*letter));
        let length = u32::from_be_bytes(length.try_into().expect("four bytes were read"));
        let start = message.len();
        message.resize(start + length as usize - 4, 0);
        from.read_exact(&mut message[start..])?;
        has_letter = true;

        let (passes, manner) = {
            let mut counter = lock(counter);
            let passes = counter.passes(side, &message, letter);
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
