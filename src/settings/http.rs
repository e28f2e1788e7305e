//! The settings of the status page: where it listens, who may act, and by which names browsers reach it.

use std::fmt;
use std::net::SocketAddr;

use super::file::HttpTable;

/// Where the status page listens, and who may do what.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// The address; none if there is to be no page.
    pub listen: Option<SocketAddr>,
    /// The names, beside `localhost` and addresses, by which browsers reach it.
    pub hosts: Vec<String>,
    /// What must be presented to act; or why that is not known.
    token: Result<Option<Token>, String>,
}

/// A token, of which only digests are kept: it can be compared, but not shown.
#[derive(Clone)]
pub struct Token {
    digest: blake3::Hash,
    session: blake3::Hash,
}

/// The fewest characters of a token.
const LEAST: usize = 16;

/// What the digest that a browser keeps is derived for.
const SESSION: &str = "gristmill 2026-11 the session of a browser on the status page";

impl Token {
    /// Makes a token of its text.
    fn new(text: &str) -> Result<Self, String> {
        if text.chars().count() < LEAST {
            return Err(format!(
                "http.token is too short: use {LEAST} characters or more, such as the output of `openssl rand -hex 16`"
            ));
        }
        Ok(Self {
            digest: blake3::hash(text.as_bytes()),
            session: blake3::Hash::from(blake3::derive_key(SESSION, text.as_bytes())),
        })
    }

    /// Returns whether a text is the token. Takes the same time wherever the two differ.
    pub(crate) fn is(&self, text: &str) -> bool {
        // Comparing two of these hashes takes constant time.
        self.digest == blake3::hash(text.as_bytes())
    }

    /// Returns what a browser keeps once it has presented the token: the token cannot be computed from it.
    pub(crate) fn session(&self) -> String {
        self.session.to_hex().to_string()
    }

    /// Returns whether a text is what browsers keep. Takes the same time wherever the two differ.
    pub(crate) fn is_session(&self, text: &str) -> bool {
        blake3::Hash::from_hex(text).is_ok_and(|session| session == self.session)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl HttpSettings {
    /// Checks the table.
    pub(super) fn check(table: &HttpTable) -> Result<Self, String> {
        let listen = table.listen.as_deref().map(address).transpose()?;
        for host in &table.hosts {
            if host.is_empty() || host.contains(['/', ':', ' ']) {
                return Err(format!(
                    "http.hosts: {host:?} is not the name of a host: write one such as \"mill.example.com\", without a scheme \
                     or a port"
                ));
            }
        }
        let token = match &table.token {
            None => Ok(None),
            Some(text) => match &text.0 {
                Ok(text) => Ok(Some(Token::new(text)?)),
                Err(problem) => Err(format!("http.token: {problem}")),
            },
        };
        Ok(Self {
            listen,
            hosts: table.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            token,
        })
    }

    /// Returns the token for a page at an address. Whoever can reach an address other than a loopback one could read and
    /// do everything, so that needs a token.
    pub(super) fn token_at(&self, listen: SocketAddr) -> Result<Option<Token>, String> {
        let token = self.token.clone()?;
        if token.is_none() && !listen.ip().is_loopback() {
            return Err(format!(
                "http.token is missing: others can reach {listen}; set a token, or listen on 127.0.0.1"
            ));
        }
        Ok(token)
    }
}

/// Reads the address of `http.listen`.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "http.listen: {text:?} is not an address and a port: write \"127.0.0.1:8080\", \"[::1]:8080\", …"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_compared_and_never_shown() {
        let token = Token::new("correct horse battery").unwrap();
        assert!(token.is("correct horse battery") && !token.is("correct horse batterx") && !token.is(""));
        assert!(token.is_session(&token.session()) && !token.is_session("correct horse battery"));
        assert!(!token.session().contains("horse") && !format!("{token:?}").contains("horse"));
        assert!(Token::new("short").is_err());
    }

    #[test]
    fn others_need_a_token() {
        let settings = |token: Option<&str>| HttpSettings {
            listen: None,
            hosts: Vec::new(),
            token: Ok(token.map(|token| Token::new(token).unwrap())),
        };
        let anywhere = "0.0.0.0:80".parse().unwrap();
        assert!(
            settings(None)
                .token_at(anywhere)
                .unwrap_err()
                .contains("http.token is missing")
        );
        assert!(settings(Some("correct horse battery")).token_at(anywhere).is_ok());
        for loopback in ["127.0.0.1:0", "[::1]:0"] {
            assert!(
                settings(None)
                    .token_at(loopback.parse().unwrap())
                    .unwrap()
                    .is_none()
            );
        }
    }
}
