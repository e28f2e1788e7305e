//! The address of a cluster, as Spark's clients write it: `sc://host:15002/;token=…;use_ssl=true`.

use std::fmt;
use std::str::FromStr;

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

/// Spark's own port.
const USUAL_PORT: u16 = 15002;

/// Whose sessions gristmill's are, unless the address says it.
const USUAL_USER: &str = "gristmill";

/// Where a cluster is, and how it is reached. Its `Display` leaves out the token and all other parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) is_encrypted: bool,
    pub(crate) user: String,
    /// What is sent with each request: the token, and what a proxy before the cluster asks for.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl FromStr for Endpoint {
    type Err = String;

    /// Reads an address. The error continues a sentence about it, and does not quote it: it may hold a token.
    fn from_str(url: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "write one such as \"sc://host:15002/;token=${TOKEN}\"";
        let rest = url
            .strip_prefix("sc://")
            .ok_or_else(|| format!("it does not begin with sc://: {EXAMPLE}"))?;
        let (authority, parameters) = match rest.split_once('/') {
            None => (rest, ""),
            Some((authority, parameters)) => (authority, parameters),
        };
        if !(parameters.is_empty() || parameters.starts_with(';')) {
            return Err(format!("a path stands behind the port: {EXAMPLE}"));
        }
        if authority.contains('@') {
            return Err(format!(
                "it holds a user or a password before the host: {EXAMPLE}"
            ));
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port != 0);
                (
                    host,
                    port.ok_or_else(|| format!("its port is no number of a port: {EXAMPLE}"))?,
                )
            }
            _ => (authority, USUAL_PORT),
        };
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if host.is_empty() || !host.chars().all(is_host) {
            return Err(format!("it names no host: {EXAMPLE}"));
        }
        let mut endpoint = Self {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            is_encrypted: false,
            user: USUAL_USER.to_owned(),
            headers: Vec::new(),
        };
        endpoint.set(parameters)?;
        Ok(endpoint)
    }
}

impl Endpoint {
    fn set(&mut self, parameters: &str) -> Result<(), String> {
        let (mut encrypted, mut has_token) = (None, false);
        for parameter in parameters.split(';').filter(|parameter| !parameter.is_empty()) {
            let (key, value) = parameter
                .split_once('=')
                .ok_or("behind the first ';' stand parameters such as use_ssl=true, with ';' between them")?;
            let value = percent_decode_str(value)
                .decode_utf8()
                .map_err(|_| format!("the value of {key} is not UTF-8"))?;
            match key {
                "use_ssl" => {
                    encrypted = Some(value.parse().map_err(|_| "use_ssl is true or false".to_owned())?);
                }
                "token" => {
                    let token = format!("Bearer {value}");
                    self.add(http::header::AUTHORIZATION, "token", &token)?;
                    has_token = true;
                }
                "user_id" => self.user = value.into_owned(),
                // Each run has a session of its own, and the client's name is known.
                "session_id" | "user_agent" => {
                    return Err(format!("{key} is not for gristmill: leave it out"));
                }
                _ => {
                    let name = HeaderName::from_bytes(key.as_bytes());
                    let name = name.map_err(|_| format!("{key:?} can be no header"))?;
                    self.add(name, key, &value)?;
                }
            }
        }
        self.is_encrypted = encrypted.unwrap_or(has_token);
        if has_token && !self.is_encrypted && !self.is_here() {
            return Err(
                "the token would be sent in the clear: use_ssl=false goes with a token only on this host"
                    .into(),
            );
        }
        Ok(())
    }

    fn add(&mut self, name: HeaderName, key: &str, value: &str) -> Result<(), String> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            format!(
                "the value of {key} has a control character, or one beyond ASCII: a header cannot hold it"
            )
        })?;
        // Its Debug hides it, and no table of compressed headers keeps it.
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(())
    }

    /// Returns whether it is this host, to which nothing goes through a network.
    fn is_here(&self) -> bool {
        matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1")
    }

    /// Returns host and port.
    pub(crate) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sc://{}", self.address())
    }
}

// The token is a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_sparks_clients_write_them() {
        for (url, address, is_encrypted, headers) in [
            ("sc://h", "h:15002", false, 0),
            ("sc://h:443/;use_ssl=true", "h:443", true, 0),
            ("sc://h:443/;token=a%3Db", "h:443", true, 1),
            ("sc://localhost:9/;token=x;use_ssl=false", "localhost:9", false, 1),
            (
                "sc://[::1]:9/;x-databricks-cluster-id=7;token=x",
                "[::1]:9",
                true,
                2,
            ),
            ("sc://[::1]", "[::1]:15002", false, 0),
        ] {
            let endpoint: Endpoint = url.parse().unwrap();
            let found = (endpoint.address(), endpoint.is_encrypted, endpoint.headers.len());
            assert_eq!(found, (address.to_owned(), is_encrypted, headers), "{url}");
        }
        let endpoint: Endpoint = "sc://h/;token=secret;user_id=me".parse().unwrap();
        assert_eq!(endpoint.headers[0].1, "Bearer secret");
        assert!(!format!("{:?}", endpoint.headers).contains("secret"));
        assert_eq!(endpoint.user, "me");
        assert!(!format!("{endpoint} {endpoint:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_the_token() {
        for (url, told) in [
            ("http://h", "sc://"),
            ("sc://", "no host"),
            ("sc://h:x", "port"),
            ("sc://h/path", "a path"),
            ("sc://me:secret@h", "password"),
            ("sc://h/;token=secret;use_ssl=false", "in the clear"),
            ("sc://h/;token=sec\u{7}ret", "token"),
            ("sc://h/;use_ssl=yes", "true or false"),
            ("sc://h/;session_id=1", "leave it out"),
            ("sc://h/;secret", "parameters"),
        ] {
            let problem = url.parse::<Endpoint>().unwrap_err();
            assert!(
                problem.contains(told) && !problem.contains("secret"),
                "{url}: {problem}"
            );
        }
    }
}
