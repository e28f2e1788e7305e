//! A state that moves from a file to a server and back.

use gristmill_state::{Place, StateDb, TransferError};

use crate::place::new_place;
use crate::shell::Shell;
use crate::transfer::{clock, export, fill, held, import};

/// What every table and key of a server's database looks like, and whether its triggers work.
const SCHEMA: &str = "
    SELECT format('%s %s %s', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
     UNION ALL
    SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
     WHERE connamespace = 'public'::regnamespace ORDER BY 1";

#[tokio::test]
async fn a_state_goes_from_a_file_to_a_server_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::File(folder.path().join("state.db"));
    drop(StateDb::open(&file, clock()).await.unwrap());
    fill(&file).await;
    // What only SQLite writes like this: all that a text and a number may be.
    let mut shell = Shell::open(&file).await;
    for statement in [
        "UPDATE waiting SET reason = 'a' || char(0, 98, 9, 10, 92, 127, 65533, 1114111)",
        "UPDATE tally_duration SET seconds = 0.1 + 0.2",
        "INSERT INTO tally_duration VALUES ('test', 9e999, 9223372036854775807, -9e999), ('test', 5e-324, 0, 0.0)",
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
         INSERT INTO unmatched_file SELECT 'file ' || n, n, -n, '2026-11-23T08:15:00.000000Z' FROM n",
    ] {
        shell.execute(statement).await.unwrap();
    }
    let original = folder.path().join("original.db");
    export(&file, &original).await;
    let (server, ()) = new_place();
    StateDb::open(&server, clock()).await.unwrap();
    let mut on_server = Shell::open(&server).await;
    let before = on_server.column(SCHEMA).await;
    let read = import(&original, &server).await.unwrap();
    assert_eq!(on_server.column(SCHEMA).await, before);
    let unmatched = read.iter().find(|table| table.table == "unmatched_file").unwrap();
    assert_eq!(unmatched.rows, 5001);

    let back = folder.path().join("back.db");
    export(&server, &back).await;
    // Postgres has NUL in no text.
    shell
        .execute("UPDATE waiting SET reason = 'a' || char(65533, 98, 9, 10, 92, 127, 65533, 1114111)")
        .await
        .unwrap();
    let expected = folder.path().join("expected.db");
    export(&file, &expected).await;
    let (mut found, mut expected) = (held(&back).await, held(&expected).await);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_row_that_a_server_refuses_leaves_it_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let place = Place::from(&file);
    drop(StateDb::open(&place, clock()).await.unwrap());
    fill(&place).await;
    let mut shell = Shell::open(&place).await;
    // Of the checks of a server, sqlite3 can be told to ignore all.
    shell
        .execute("PRAGMA ignore_check_constraints = ON; UPDATE waiting SET failures = 0")
        .await
        .unwrap();
    let (server, ()) = new_place();
    let error = import(&file, &server).await.unwrap_err();
    let TransferError::Copy { table, source } = &error else {
        panic!("{error}")
    };
    assert_eq!(table, "waiting");
    assert!(source.to_string().contains("waiting_failures_check"), "{source}");
    let mut on_server = Shell::open(&server).await;
    let left = "SELECT CAST((SELECT count(*) FROM job_run) + (SELECT count(*) FROM job_edit) AS text)";
    assert_eq!(on_server.column(left).await, ["0"]);
    shell.execute("UPDATE waiting SET failures = 1").await.unwrap();
    import(&file, &server).await.unwrap();
}

#[tokio::test]
async fn numbers_of_other_tables_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.db");
    let place = Place::from(&file);
    drop(StateDb::open(&place, clock()).await.unwrap());
    fill(&place).await;
    let (server, ()) = new_place();
    StateDb::open(&server, clock()).await.unwrap();
    let mut on_server = Shell::open(&server).await;
    on_server
        .execute(
            "CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, note text);
             INSERT INTO notes (note) VALUES ('kept'), ('removed'); DELETE FROM notes WHERE id = 2",
        )
        .await
        .unwrap();
    import(&file, &server).await.unwrap();
    let next = "INSERT INTO notes (note) VALUES ('next') RETURNING id::text";
    assert_eq!(on_server.column(next).await, ["3"]);
    let given = "SELECT nextval(pg_get_serial_sequence('ingested_file_status', 'file_id'))::text";
    assert_eq!(on_server.column(given).await, ["10"]);
    export(&server, &folder.path().join("back.db")).await;
}
