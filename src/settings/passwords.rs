//! Passwords from the environment, found where Postgres' own clients look for them.

use std::ffi::OsString;
use std::path::PathBuf;

use gristmill_servers::Passwords;

/// Reads `PGPASSWORD`, and finds the file that `PGPASSFILE` names, or else `~/.pgpass`.
pub(super) fn from_environment() -> Passwords {
    found(|name| std::env::var_os(name))
}

fn found(variable: impl Fn(&str) -> Option<OsString>) -> Passwords {
    // An empty variable counts as unset, as in libpq.
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let at_home = || Some(PathBuf::from(variable("HOME")?).join(".pgpass"));
    Passwords {
        any: variable("PGPASSWORD").and_then(|password| password.into_string().ok()),
        file: variable("PGPASSFILE").map(PathBuf::from).or_else(at_home),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_named_goes_before_the_one_at_home() {
        for (password, passfile, home, expected) in [
            ("", "", "", (None, None)),
            ("", "", "/home/u", (None, Some("/home/u/.pgpass"))),
            (
                "hunter2",
                "/etc/pgpass",
                "/home/u",
                (Some("hunter2"), Some("/etc/pgpass")),
            ),
        ] {
            let passwords = found(|name| match name {
                "PGPASSWORD" => Some(password.into()),
                "PGPASSFILE" => Some(passfile.into()),
                "HOME" => Some(home.into()),
                _ => None,
            });
            assert_eq!(passwords.any.as_deref(), expected.0);
            assert_eq!(passwords.file, expected.1.map(PathBuf::from));
        }
    }
}
