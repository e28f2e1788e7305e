//! Jobs from the settings file, and edits to them in SQL.

use gristmill_state::{StateError, Trigger};

use crate::support::{Fixture, job};

#[tokio::test]
async fn the_settings_add_jobs_and_never_overwrite_an_edit() {
    let f = Fixture::new().await;
    assert_eq!(
        f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap(),
        ["J101", "J102"]
    );
    f.shell()
        .await
        .execute("UPDATE aggr_job_configuration SET job_min_file_count = 2 WHERE job_config_id = 'J101'")
        .await
        .unwrap();
    assert_eq!(
        f.db.add_jobs(&[job("J101"), job("J103")]).await.unwrap(),
        ["J103"]
    );
    let edited = f.db.job("J101").await.unwrap().unwrap();
    assert_eq!(edited.config.min_files, 2);
}

#[tokio::test]
async fn apply_overwrites_and_names_what_it_changed() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101"), job("J102")]).await.unwrap();
    f.db.set_enabled("J101", false).await.unwrap();
    assert!(!f.db.job("J101").await.unwrap().unwrap().config.enabled);
    assert_eq!(
        f.db.apply_jobs(&[job("J101"), job("J102"), job("J103")])
            .await
            .unwrap(),
        ["J101", "J103"]
    );
    assert_eq!(f.db.job("J101").await.unwrap().unwrap().config, job("J101"));
    assert!(f.db.apply_jobs(&[job("J101")]).await.unwrap().is_empty());
    assert!(f.db.job("J999").await.unwrap().is_none());
    let error = f.db.set_enabled("J999", true).await.unwrap_err();
    assert!(matches!(error, StateError::UnknownJob { .. }), "{error}");
    assert!(matches!(
        f.facts_of("J999", [None]).await,
        Err(StateError::UnknownJob { .. })
    ));
}

#[tokio::test]
async fn an_edit_in_sql_is_in_the_next_facts() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    assert_eq!(f.db.job("J101").await.unwrap().unwrap().config.min_files, 13);
    f.shell()
        .await
        .execute(
            "UPDATE aggr_job_configuration SET job_min_file_count = 12, job_trigger = 'any', job_enabled = 0,
                job_addl_criteria = 'SELECT 1' WHERE job_config_id = 'J101'",
        )
        .await
        .unwrap();
    let config = f.db.job("J101").await.unwrap().unwrap().config;
    assert_eq!(
        (config.min_files, config.trigger, config.enabled),
        (12, Trigger::Any, false)
    );
    assert_eq!(config.addl_criteria.as_deref(), Some("SELECT 1"));
}

#[tokio::test]
async fn a_job_may_be_added_in_sql() {
    let f = Fixture::new().await;
    f.shell().await.execute(
        "INSERT INTO aggr_job_configuration (job_config_id, job_feed, job_input_pattern, job_min_file_count, job_trigger)
         VALUES ('J200', 'sales', 'CA-*.tdf', 25, 'all')",
    ).await.unwrap();
    let added = f.db.job("J200").await.unwrap().unwrap();
    assert!(added.config.enabled);
    assert_eq!(added.config.params, "{}");
}

#[tokio::test]
async fn nonsense_is_refused_by_the_table_itself() {
    let f = Fixture::new().await;
    f.db.add_jobs(&[job("J101")]).await.unwrap();
    for edit in [
        "job_trigger = 'sometimes'",
        "job_params = '{'",
        "job_enabled = 2",
        "job_min_file_count = -1",
        "job_min_file_count = 'thirteen'",
        "last_exec_status = 'DONE'",
        "last_run_timestamp = 'yesterday'",
    ] {
        let update = format!("UPDATE aggr_job_configuration SET {edit}");
        f.shell().await.execute(&update).await.expect_err(edit);
    }
}
