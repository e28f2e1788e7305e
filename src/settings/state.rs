//! Where the state database is: a file of SQLite, or a database on a server of Postgres, MySQL or MariaDB, with the role that
//! answers questions there.

use std::path::Path;
use std::sync::Arc;

use gristmill_servers::Passwords;
use gristmill_servers::url::redacted;
use gristmill_servers::{mysql, postgres};
use gristmill_state::{Place, ReaderRole};

use super::file::StateTable;

/// What a server's own list of sessions calls those of the state database.
const NAME: &str = "gristmill state";

/// Reads the table `state`. A path is relative to `folder`, that of the settings file.
pub(super) fn check_state(table: &StateTable, folder: &Path, passwords: &Passwords) -> Result<Place, String> {
    let place = check_place(&table.url.0, folder, passwords)?;
    match (place, &table.criteria_url) {
        (Place::Postgres(server, _), Some(url)) => {
            let role = check_role(&url.0, passwords, &["postgres", "postgresql"])?;
            Ok(Place::Postgres(server, Some(Arc::new(role))))
        }
        (Place::MySql(server, _), Some(url)) => {
            let role = check_role(&url.0, passwords, &["mysql"])?;
            Ok(Place::MySql(server, Some(Arc::new(role))))
        }
        (Place::File(_), Some(_)) => Err(
            "state.criteria_url: it is for a state database on a server, and state.url is a file: leave it out"
                .into(),
        ),
        (place, None) => Ok(place),
    }
}

/// Refuses names that are longer than the columns of a state database on MySQL or MariaDB. `names` are keys of the settings with
/// what they name, and how many characters that may have there.
pub(super) fn check_names<'n>(
    state: &Place,
    names: impl IntoIterator<Item = (&'static str, &'n str, usize)>,
) -> Result<(), String> {
    if !matches!(state, Place::MySql(..)) {
        return Ok(());
    }
    let too_long = names
        .into_iter()
        .find(|(_, name, most)| name.chars().count() > *most);
    too_long.map_or(Ok(()), |(key, name, most)| {
        Err(format!(
            "{key}: {name:?} has more than {most} characters, which a state database on MySQL or MariaDB does not take: write a \
             shorter name"
        ))
    })
}

/// Reads `state.criteria_url`, which is for the same kind of server as `state.url`.
fn check_role(url: &str, passwords: &Passwords, schemes: &[&str]) -> Result<ReaderRole, String> {
    let reason = match url.split_once("://") {
        Some((scheme, _)) if schemes.contains(&scheme) => match ReaderRole::new(url, passwords) {
            Ok(role) => return Ok(role),
            Err(reason) => reason,
        },
        _ => format!(
            "write {}://role:password@host/database",
            schemes.first().unwrap_or(&"")
        ),
    };
    Err(format!(
        "state.criteria_url: cannot ask {} questions: {reason}",
        redacted(url)
    ))
}

/// Reads `state.url`.
fn check_place(url: &str, folder: &Path, passwords: &Passwords) -> Result<Place, String> {
    match url.split_once("://") {
        None if !url.is_empty() => Ok(Place::File(folder.join(url))),
        Some(("sqlite", path)) if !path.is_empty() => Ok(Place::File(folder.join(path))),
        Some(("postgres" | "postgresql", _)) => {
            let server = postgres::Server::new(url, passwords, NAME);
            server
                .map(|server| Arc::new(server).into())
                .map_err(|reason| unusable(url, &reason))
        }
        Some(("mysql", _)) => {
            let server = mysql_server(url).map_err(|reason| unusable(url, &reason))?;
            Ok(Arc::new(server).into())
        }
        _ => Err(format!(
            "state.url: {:?} cannot be used: write a path, sqlite://PATH, postgres://user:password@host:5432/database or \
             mysql://user:password@host:3306/database",
            redacted(url)
        )),
    }
}

fn unusable(url: &str, reason: &str) -> String {
    format!(
        "state.url: cannot use {} as the state database: {reason}",
        redacted(url)
    )
}

/// Reads the URL of a server of MySQL or MariaDB, which must name the database.
fn mysql_server(url: &str) -> Result<mysql::Server, String> {
    let server = mysql::Server::new(url)?;
    match server.database() {
        Some(_) => Ok(server.for_state()),
        None => Err(format!("it names no database; {}", mysql::FORM)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Place, String> {
        check_place(url, Path::new("/etc/mill"), &Passwords::default())
    }

    #[test]
    fn names_that_no_column_of_mysql_holds_are_refused_there() {
        let long = "é".repeat(61);
        let names = [("[[alert]] name", "short", 60), ("[[alert]] name", &long, 60)];
        let mysql = read("mysql://mill@db/state").unwrap();
        let refused = check_names(&mysql, names).unwrap_err();
        assert!(refused.contains("more than 60 characters"), "{refused}");
        check_names(&mysql, [names[0]]).unwrap();
        check_names(&read("state.db").unwrap(), names).unwrap();
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
            assert!(matches!(&place, Place::Postgres(..)), "{scheme}");
            assert_eq!(
                place.to_string(),
                format!("{scheme}://mill:***@db:5433/state?sslmode=require")
            );
            assert!(!format!("{place:?}").contains("hunter2"));
        }
        let place = read("mysql://mill:hunter2@db:3307/state?sslmode=require").unwrap();
        assert!(matches!(&place, Place::MySql(..)), "{place:?}");
        assert_eq!(
            place.to_string(),
            "mysql://mill:***@db:3307/state?sslmode=require"
        );
        assert!(!format!("{place:?}").contains("hunter2"));
    }

    #[test]
    fn a_role_for_questions_goes_with_a_server() {
        let read = |url: &str, criteria_url: &str| {
            let text = format!("url = {url:?}\ncriteria_url = {criteria_url:?}");
            let table = toml::from_str(&text).unwrap();
            check_state(&table, Path::new("/etc/mill"), &Passwords::default())
        };
        let place = read("mysql://mill@db/state", "mysql://asks:hunter2@db/state").unwrap();
        assert!(matches!(&place, Place::MySql(_, Some(_))), "{place:?}");
        let (state, asks) = ("postgres://mill@db/state", "postgres://asks:hunter2@db/state");
        let place = read(state, asks).unwrap();
        assert!(matches!(&place, Place::Postgres(_, Some(_))), "{place:?}");
        assert!(!format!("{place:?}").contains("hunter2"));
        for (url, criteria_url, expected) in [
            ("state.db", asks, "leave it out"),
            (state, "state.db", "write postgres://role"),
            (state, "mysql://asks:hunter2@db/state", "write postgres://role"),
            (state, "postgres://asks:hunter2@/state", "it names no host"),
            ("mysql://mill@db/state", asks, "write mysql://role"),
        ] {
            let error = read(url, criteria_url).unwrap_err();
            assert!(
                error.starts_with("state.criteria_url: ") && error.contains(expected),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_told_without_its_password() {
        for (url, expected) in [
            ("", "write a path"),
            ("sqlite://", "write a path"),
            ("oracle://mill:hunter2@db/state", "sqlite://PATH, postgres://"),
            ("mysql://mill:hunter2@db", "it names no database; write mysql://"),
            ("mysql://db/state", "it names no user"),
            (
                "mysql://mill:hunter2@db/state?colour=red",
                "colour=red, which is not known",
            ),
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
