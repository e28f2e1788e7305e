//! The history of jobs: every change of a configuration is kept, by whatever means it was made.

use gristmill_state::{EditAction, JobEdit};

use crate::shell::Shell;
use crate::support::{Fixture, job};

fn value(edit: &JobEdit, key: &str) -> String {
    edit.after
        .as_ref()
        .map_or_else(String::new, |after| after[key].to_string())
}

#[tokio::test]
async fn edits_by_commands_name_the_user_and_those_with_sql_do_not() {
    let f = Fixture::new().await;
    let db = f.open_again().await.on_behalf_of("alice");
    db.add_jobs(&[job("J101")]).await.unwrap();
    assert!(
        db.untold_edits().await.unwrap().is_empty(),
        "the service tells of these itself"
    );
    f.pass(60);
    db.set_enabled("J101", false).await.unwrap();
    db.set_enabled("J101", false).await.unwrap();
    let mut shell = f.shell().await;
    let replace = match &shell {
        Shell::Sqlite(_) => {
            "INSERT OR REPLACE INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count,
                                                            job_trigger) VALUES ('J101', 'sales', 'CA-*', 1, 'all')"
        }
        Shell::MySql(_) => {
            "INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
             VALUES ('J101', 'sales', 'CA-*', 1, 'all')
                 ON DUPLICATE KEY UPDATE job_input_pattern = 'CA-*', job_min_file_count = 1, job_enabled = 1"
        }
        Shell::Postgres(_) => {
            "INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
             VALUES ('J101', 'sales', 'CA-*', 1, 'all')
                 ON CONFLICT (job_config_id)
                 DO UPDATE SET job_input_pattern = 'CA-*', job_min_file_count = 1, job_enabled = 1"
        }
    };
    for sql in [
        "UPDATE aggr_job_configuration SET job_min_file_count = 7 WHERE job_config_id = 'J101'",
        "UPDATE aggr_job_configuration SET last_exec_status = 'RUNNING'",
        replace,
        "UPDATE aggr_job_configuration SET job_config_id = 'J200'",
        "DELETE FROM aggr_job_configuration",
    ] {
        shell.execute(sql).await.unwrap();
    }
    let history = f.db.job_history(None).await.unwrap();
    let told: Vec<_> = history
        .iter()
        .rev()
        .map(|edit| (edit.job_id.as_str(), edit.action, edit.who.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("J101", EditAction::Added, "alice by `gristmill run`"),
            ("J101", EditAction::Changed, "alice by `gristmill jobs pause`"),
            ("J101", EditAction::Changed, "SQL"),
            ("J101", EditAction::Changed, "SQL"),
            ("J101", EditAction::Removed, "SQL"),
            ("J200", EditAction::Added, "SQL"),
            ("J200", EditAction::Removed, "SQL"),
        ]
    );
    let of_one = f.db.job_history(Some("J101")).await.unwrap();
    assert_eq!(of_one.len(), 5);
    // Newest first: removed, replaced, counted, paused, added.
    assert_eq!(value(&of_one[1], "files"), "\"CA-*\"");
    assert_eq!(
        of_one[1].before, of_one[2].after,
        "also what REPLACE replaced is known"
    );
    assert_eq!(value(&of_one[2], "min_files"), "7");
    let untold = f.db.untold_edits().await.unwrap();
    assert_eq!(untold.len(), 6);
    assert!(f.db.untold_edits().await.unwrap().is_empty());
}
