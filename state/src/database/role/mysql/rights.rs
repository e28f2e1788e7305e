//! Whether a role on MySQL or MariaDB may do more than read.
//!
//! A question is answered in a transaction that can only read, whatever the role may do. But a role that could write would
//! be one mistake away from it, and the state database's own reads everything, so neither is taken.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

/// What the user of the session was granted, one statement for each object, as the server shows it.
const GRANTS: &str = "SHOW GRANTS";

/// What does no harm.
const HARMLESS: [&str; 3] = ["USAGE", "SELECT", "SHOW VIEW"];

/// Returns what the role of a session may do beyond reading, and how that is taken from it.
pub(super) async fn problem(conn: &mut Conn) -> Result<Option<String>, Error> {
    let grants: Vec<String> = conn.query(GRANTS).await?;
    Ok(grants.iter().find_map(|grant| beyond_reading(grant)))
}

fn beyond_reading(grant: &str) -> Option<String> {
    let what = grant.strip_prefix("GRANT ")?;
    let (what, to) = what.split_once(" TO ")?;
    let Some((rights, object)) = what.split_once(" ON ") else {
        return Some(format!("it may become another role; REVOKE {what} FROM it"));
    };
    if to.contains("WITH GRANT OPTION") {
        return Some(format!(
            "it may give its rights to others; REVOKE GRANT OPTION ON {object} FROM it"
        ));
    }
    let mut rights = without_columns(rights);
    rights.retain(|right| !HARMLESS.contains(&right.as_str()));
    match rights.is_empty() {
        true => None,
        false => {
            let rights = rights.join(", ");
            Some(format!(
                "it may do more than read; REVOKE {rights} ON {object} FROM it, or create a role that may only read"
            ))
        }
    }
}

/// Returns the rights of a list, without the columns that they are restricted to.
fn without_columns(rights: &str) -> Vec<String> {
    let mut depth = 0;
    let rights: String = rights
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0 && *c != ')'
        })
        .collect();
    rights.split(',').map(|right| right.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_reading_is_told_from_what_is_not() {
        for (grant, problem) in [
            (
                "GRANT USAGE ON *.* TO `r`@`%` IDENTIFIED BY PASSWORD '*6BB4'",
                None,
            ),
            ("GRANT SELECT, SHOW VIEW ON `state`.`files` TO `r`@`%`", None),
            ("GRANT SELECT (`a`, `b`) ON `state`.`files` TO `r`@`%`", None),
            (
                "GRANT SELECT, UPDATE (`a`) ON `state`.`t` TO `r`@`%`",
                Some("REVOKE UPDATE ON `state`.`t`"),
            ),
            (
                "GRANT ALL PRIVILEGES ON `state`.* TO `r`@`%`",
                Some("REVOKE ALL PRIVILEGES"),
            ),
            ("GRANT FILE ON *.* TO `r`@`%`", Some("REVOKE FILE ON *.*")),
            ("GRANT `writer` TO `r`@`%`", Some("REVOKE `writer`")),
            (
                "GRANT SELECT ON `state`.* TO `r`@`%` WITH GRANT OPTION",
                Some("REVOKE GRANT OPTION"),
            ),
        ] {
            let found = beyond_reading(grant);
            match problem {
                None => assert_eq!(found, None, "{grant}"),
                Some(part) => assert!(found.is_some_and(|found| found.contains(part)), "{grant}"),
            }
        }
    }
}
