//! `job_addl_criteria`, answered in a process of its own.

use gristmill_state::{Answerer, CriterionError};
use tokio::sync::Semaphore;

use crate::aside::{self, Asked, LIMIT, Unanswered};

/// The most of these processes at the same time.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// The hidden command that answers a criterion.
pub(crate) const COMMAND: &str = "answer-criterion";

/// Returns whether a SELECT on the state database yields a row.
pub(crate) async fn ask(answerer: Option<Answerer>, sql: &str) -> Result<bool, CriterionError> {
    let answerer = answerer.ok_or(CriterionError::NoRole)?;
    if cfg!(test) {
        // The program of the unit tests has no such command.
        return gristmill_state::criterion(&answerer, sql, LIMIT).await;
    }
    let _turn = AT_ONCE.acquire().await;
    let asked = Asked {
        answerer,
        sql: sql.to_owned(),
    };
    let failed = |message| Err(CriterionError::Failed { message });
    match aside::answer(COMMAND, &asked).await {
        Ok(answer) => answer,
        Err(Unanswered::TimedOut) => Err(CriterionError::TimedOut { limit: LIMIT }),
        Err(Unanswered::TooMuchMemory) => Err(CriterionError::TooMuchMemory),
        Err(Unanswered::NotStarted(error)) => failed(format!("its process cannot be started: {error}")),
        Err(Unanswered::Ended(status)) => failed(format!("its process ended without an answer ({status})")),
    }
}
