//! What each database reads, and that the servers understand it.

use std::fmt::Write;
use std::path::Path;

use gristmill_testkit::{mariadb, postgres};
use mysql_async::consts::ColumnType;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use super::listed::expanded;
use crate::dialect::Dialect;
use crate::dialect::mysql::SESSION;
use crate::dialect::notation::positional;

/// All statements as a database reads them, one below the other.
fn shown(dialect: Dialect) -> String {
    let mut shown = String::new();
    for (name, statement) in expanded(dialect) {
        writeln!(shown, "-- {name}\n{};\n", statement.trim()).unwrap();
    }
    shown
}

#[test]
fn sqlite_reads_these_statements() {
    insta::assert_snapshot!("sqlite", shown(Dialect::Sqlite));
}

#[test]
fn postgres_reads_these_statements() {
    insta::assert_snapshot!("postgres", shown(Dialect::Postgres));
}

#[test]
fn mysql_reads_these_statements() {
    insta::assert_snapshot!("mysql", shown(Dialect::MySql));
}

/// The texts of all migrations of a server, in their order.
fn schema(server: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(server);
    let mut files: Vec<_> = folder
        .read_dir()
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.collect()
}

/// Connects to a new database of Postgres that has the schema.
async fn database() -> Client {
    let url = postgres::shared().create_database();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let schema = schema("postgres").concat();
    client
        .batch_execute(&format!("BEGIN; {schema} COMMIT;"))
        .await
        .unwrap();
    client
}

/// Every value that goes in or comes out is of one of the types that the facade converts.
#[tokio::test]
async fn postgres_understands_every_statement() {
    let client = database().await;
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, statement) in expanded(Dialect::Postgres) {
        count += 1;
        let prepared = match client.prepare(&statement).await {
            Ok(prepared) => prepared,
            Err(error) => {
                let error = error.as_db_error().map_or(error.to_string(), ToString::to_string);
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let given = [Type::INT8, Type::TEXT, Type::FLOAT8, Type::JSONB];
        let others = prepared.params().iter().filter(|kind| !given.contains(kind));
        wrong.extend(others.map(|kind| format!("{name} is given a value of the type {kind}")));
        let returned = [Type::INT4, Type::INT8, Type::TEXT, Type::FLOAT8, Type::BOOL];
        let others = prepared
            .columns()
            .iter()
            .filter(|column| !returned.contains(column.type_()));
        wrong.extend(others.map(|column| {
            let (column, kind) = (column.name(), column.type_());
            format!("{name} returns `{column}` of the type {kind}")
        }));
    }
    assert!(count > 250, "only {count} statements were looked at");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn mysql_understands_every_statement() {
    let url = mariadb::shared().create_database();
    let mut conn = Conn::new(Opts::from_url(&url).unwrap()).await.unwrap();
    conn.query_drop(SESSION).await.unwrap();
    for text in schema("mysql") {
        conn.query_drop(text).await.unwrap();
    }
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, statement) in expanded(Dialect::MySql) {
        for part in positional(&statement) {
            count += 1;
            let prepared = match conn.prep(&*part.text).await {
                Ok(prepared) => prepared,
                Err(error) => {
                    wrong.push(format!("{name}: {error}"));
                    continue;
                }
            };
            let columns = prepared.columns();
            let unread = columns.iter().filter(|column| {
                use ColumnType::{MYSQL_TYPE_DATETIME, MYSQL_TYPE_TIME, MYSQL_TYPE_TIMESTAMP};
                matches!(
                    column.column_type(),
                    MYSQL_TYPE_DATETIME | MYSQL_TYPE_TIME | MYSQL_TYPE_TIMESTAMP
                )
            });
            wrong.extend(unread.map(|column| format!("{name} returns `{}` as a time", column.name_str())));
        }
    }
    conn.disconnect().await.unwrap();
    assert!(count > 250, "only {count} statements were looked at");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
