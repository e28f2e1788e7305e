//! Servers for the tests that are the same on each.

use std::sync::Arc;

use gristmill_servers::{Passwords, mysql, postgres};
use gristmill_testkit::{mariadb, postgres as postgres_server};

use crate::dialect::Place;

/// Runs tests, which take the URL of a new database, on each kind of server.
macro_rules! on_servers {
    ($($name:ident)+) => {
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(gristmill_testkit::postgres::shared().create_database()).await;
            }
        )+}

        mod on_mariadb {$(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(gristmill_testkit::mariadb::shared().create_database()).await;
            }
        )+}
    };
}

pub(crate) use on_servers;

fn is_of_mysql(url: &str) -> bool {
    url.starts_with("mysql:")
}

/// Returns the place with a URL.
pub(crate) fn place(url: &str) -> Place {
    match is_of_mysql(url) {
        true => Arc::new(mysql::Server::new(url).unwrap().for_state()).into(),
        false => {
            Arc::new(postgres::Server::new(url, &Passwords::default(), "gristmill state").unwrap()).into()
        }
    }
}

/// Runs statements in the database of a URL. `now()` is the server's time, in UTC.
pub(crate) fn execute(url: &str, sql: &str) {
    match is_of_mysql(url) {
        true => {
            let sql = sql.replace("now()", "utc_timestamp(6)");
            let sql = sql.replace("interval '1 second'", "interval 1 second");
            mariadb::execute(url, &sql.replace("interval '1 minute'", "interval 1 minute"));
        }
        false => postgres_server::execute(url, sql),
    }
}

/// Ends all sessions of a database but that of the caller.
pub(crate) fn cut(url: &str) {
    if !is_of_mysql(url) {
        return execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'gristmill state'
                AND datname = current_database()",
        );
    }
    let sessions = "SELECT CAST(id AS CHAR) FROM information_schema.processlist
                     WHERE db = database() AND id <> connection_id()";
    for session in mariadb::query(url, sessions).into_iter().flatten().flatten() {
        // It may have ended by itself.
        execute(url, &format!("KILL CONNECTION {session}"));
    }
}
