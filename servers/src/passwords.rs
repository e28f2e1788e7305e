//! Passwords that do not stand in the URL.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// What clients of Postgres take from their surroundings, for a URL without a password. This crate reads no environment:
/// whoever opens a server's database does. They can be sent to another process.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Passwords {
    /// The password for any server, as `PGPASSWORD` has it. It goes before the file.
    pub any: Option<String>,
    /// A file with a password for each server, as `PGPASSFILE` or `~/.pgpass` names it; it need not be there. It is read
    /// anew for each connection.
    pub file: Option<PathBuf>,
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords")
            .field("any", &self.any.as_ref().map(|_| "***"))
            .field("file", &self.file)
            .finish()
    }
}

impl Passwords {
    /// The password for the first host of `config` that has one.
    pub(crate) fn password_for(&self, config: &Config) -> Option<String> {
        if self.any.is_some() {
            return self.any.clone();
        }
        let text = read(self.file.as_deref()?)?;
        let user = config.get_user()?;
        let database = config.get_dbname().unwrap_or(user);
        config.get_hosts().iter().enumerate().find_map(|(at, host)| {
            let ports = config.get_ports();
            let port = ports.get(at).or(ports.first()).unwrap_or(&5432).to_string();
            let host = match host {
                Host::Tcp(name) => name.as_str(),
                // libpq's name for its own default folder, whose place depends on who has built it.
                Host::Unix(folder) if is_default_folder(folder) => "localhost",
                Host::Unix(folder) => folder.to_str()?,
            };
            find(&text, [host, &port, database, user])
        })
    }
}

fn is_default_folder(folder: &Path) -> bool {
    ["/tmp", "/var/run/postgresql", "/run/postgresql"]
        .map(Path::new)
        .contains(&folder)
}

/// Reads a password file by libpq's rule: one that others may read is passed over with a warning, and so is one that
/// cannot be read.
fn read(path: &Path) -> Option<String> {
    let passed_over = |reason: String| {
        tracing::warn!("the password file {} {reason}: it is passed over", path.display());
        None
    };
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return passed_over(format!("cannot be read ({error})")),
    };
    if !meta.is_file() {
        return passed_over("is no plain file".into());
    }
    if meta.mode() & 0o077 != 0 {
        return passed_over(format!("may be read by others (chmod 600 {})", path.display()));
    }
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) => passed_over(format!("cannot be read ({error})")),
    }
}

/// Finds the password in lines of `host:port:database:user:password`, where `*` stands for anything and a backslash
/// takes the next character as it is. The first line that fits counts.
fn find(text: &str, wanted: [&str; 4]) -> Option<String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .find_map(|line| {
            let mut rest = line;
            for wanted in wanted {
                let (field, after) = field(rest)?;
                // An escaped star is a star.
                if &rest[..rest.len() - after.len() - 1] != "*" && field != wanted {
                    return None;
                }
                rest = after;
            }
            Some(unescaped(rest))
        })
}

/// The first field, unescaped, and what follows its colon.
fn field(line: &str) -> Option<(String, &str)> {
    let mut is_escaped = false;
    let end = line.find(|c| {
        let ends = c == ':' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some((unescaped(&line[..end]), &line[end + 1..]))
}

fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(c) = characters.next() {
        // A backslash at the end stands for itself.
        plain.push(if c == '\\' {
            characters.next().unwrap_or(c)
        } else {
            c
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let text = "# db:5432:mart:loader:comment\n\
                    broken\n\
                    db:5433:mart:loader:other port\n\
                    \\*:5432:mart:loader:a star\n\
                    db:*:mart:load\\:er:colon\\\\s \\: and more\\\n\
                    ::1:5432:mart:loader:not the host\n\
                    \\:\\:1:5432:mart:loader:six\n\
                    db:5432:mart:loader:first\n\
                    db:5432:mart:loader:second\n\
                    *:*:*:postgres:any host\r\n";
        for (wanted, password) in [
            (["db", "5432", "mart", "loader"], Some("first")),
            (["db", "5433", "mart", "loader"], Some("other port")),
            (["*", "5432", "mart", "loader"], Some("a star")),
            (["db", "1", "mart", "load:er"], Some("colon\\s : and more\\")),
            (["::1", "5432", "mart", "loader"], Some("six")),
            (["db.example", "5432", "mart", "postgres"], Some("any host")),
            (["db", "5432", "other", "loader"], None),
            (["DB", "5432", "mart", "loader"], None),
        ] {
            assert_eq!(find(text, wanted).as_deref(), password, "{wanted:?}");
        }
    }

    #[test]
    fn the_environment_goes_before_the_file_and_a_file_open_to_others_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgpass");
        fs::write(
            &path,
            "localhost:5432:u:u:from the socket's line\nb:7:m:u:from the file",
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let password = |url: &str, password: Option<&str>, file: &Path| {
            let passwords = Passwords {
                any: password.map(String::from),
                file: Some(file.into()),
            };
            assert!(!format!("{passwords:?}").contains("hunter2"));
            passwords.password_for(&url.parse().unwrap())
        };
        let url = "postgres://u@a:5432,b:7/m";
        assert_eq!(password(url, Some("hunter2"), &path).as_deref(), Some("hunter2"));
        assert_eq!(password(url, None, &path).as_deref(), Some("from the file"));
        let socket = "postgres://u@%2Ftmp";
        assert_eq!(
            password(socket, None, &path).as_deref(),
            Some("from the socket's line")
        );
        assert_eq!(password("postgres://u@%2Fsrv", None, &path), None);
        assert_eq!(password(url, None, &folder.path().join("absent")), None);
        assert_eq!(password(url, None, folder.path()), None);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(password(url, None, &path), None);
    }
}
