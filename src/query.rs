//! What somebody asks the views of the state database on the status page, answered in a process of its own.

use gristmill_state::{Answer, Answerer, QueryError};
use tokio::sync::Semaphore;

use crate::aside::{self, Asked, LIMIT, Unanswered};

/// The most of these processes at the same time. Who finds none free is told so: nobody waits for others' questions.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The hidden command that answers.
pub(crate) const COMMAND: &str = "answer-query";

/// Why there is no answer.
pub(crate) enum NoAnswer {
    /// It cannot be answered.
    Refused(QueryError),
    /// Others ask just now.
    Busy,
}

/// Answers a SELECT on the views of the state database.
pub(crate) async fn ask(answerer: Option<Answerer>, sql: &str) -> Result<Answer, NoAnswer> {
    let Ok(_turn) = AT_ONCE.try_acquire() else {
        return Err(NoAnswer::Busy);
    };
    let Some(answerer) = answerer else {
        return Err(NoAnswer::Refused(QueryError::NoRole));
    };
    let asked = Asked {
        answerer,
        sql: sql.to_owned(),
    };
    let failed = |message| Err(NoAnswer::Refused(QueryError::Failed { message }));
    match aside::answer::<Result<Answer, QueryError>>(COMMAND, &asked).await {
        Ok(answer) => answer.map_err(NoAnswer::Refused),
        Err(Unanswered::TimedOut) => Err(NoAnswer::Refused(QueryError::TimedOut { limit: LIMIT })),
        Err(Unanswered::TooMuchMemory) => Err(NoAnswer::Refused(QueryError::TooMuchMemory)),
        Err(Unanswered::NotStarted(error)) => failed(format!("its process cannot be started: {error}")),
        Err(Unanswered::Ended(status)) => failed(format!("its process ended without an answer ({status})")),
    }
}
