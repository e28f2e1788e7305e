//! Where the state database is: a file of SQLite, or a database on a server of Postgres.

use std::path::Path;
use std::sync::Arc;

use gristmill_servers::Passwords;
use gristmill_servers::postgres::Server;
use gristmill_servers::url::redacted;
use gristmill_state::Place;

/// What a server's own list of sessions calls those of the state database.
const NAME: &str = "gristmill state";

/// Reads `state.url`. A path is relative to `folder`, that of the settings file.
pub(super) fn check_state(url: &str, folder: &Path, passwords: &Passwords) -> Result<Place, String> {
    match url.split_once("://") {
        None if !url.is_empty() => Ok(Place::File(folder.join(url))),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Place::File(folder.join(path))),
        Some(("postgres" | "postgresql", _)) => match Server::new(url, passwords, NAME) {
            Ok(server) => Ok(Place::Server(Arc::new(server))),
            Err(reason) => Err(format!(
                "state.url: cannot use {} as the state database: {reason}",
                redacted(url)
            )),
        },
        _ => Err(format!(
            "state.url: {:?} cannot be used: write a path, sqlite://PATH or postgres://user:password@host:5432/database",
            redacted(url)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Place, String> {
        check_state(url, Path::new("/etc/mill"), &Passwords::default())
    }

    #[test]
    fn files_and_servers_are_told_apart() {
        for (url, shown) in [
            ("state.db", "/etc/mill/state.db"),
            ("sqlite:///var/lib/mill/state.db", "/var/lib/mill/state.db"),
            ("sqlite://state.db", "/etc/mill/state.db"),
        ] {
            let place = read(url).unwrap();
            assert!(matches!(&place, Place::File(_)), "{url}");
            assert_eq!(place.to_string(), shown);
        }
        for scheme in ["postgres", "postgresql"] {
            let place = read(&format!("{scheme}://mill:hunter2@db:5433/state?sslmode=require")).unwrap();
            assert!(matches!(&place, Place::Server(_)), "{scheme}");
            assert_eq!(
                place.to_string(),
                format!("{scheme}://mill:***@db:5433/state?sslmode=require")
            );
            assert!(!format!("{place:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_told_without_its_password() {
        for (url, expected) in [
            ("", "write a path"),
            ("sqlite://", "write a path"),
            ("mysql://mill:hunter2@db/state", "sqlite://PATH or postgres://"),
            (
                "postgres://mill:hunter2@/state",
                "as the state database: it names no host",
            ),
            ("postgres://mill:hunter2@db/state?colour=red", "write postgres://"),
            ("postgres://mill:hun@ter2@db/state", "write each `@`"),
            (
                "postgres://mill:hunter2@db/state?sslmode=verify-full",
                "write sslrootcert=",
            ),
        ] {
            let error = read(url).unwrap_err();
            assert!(
                error.starts_with("state.url: ") && error.contains(expected),
                "{error}"
            );
            assert!(!error.contains("hunter2") && !error.contains("ter2"), "{error}");
        }
    }
}
