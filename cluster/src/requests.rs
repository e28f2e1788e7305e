//! The requests of Spark Connect that gristmill makes, and what it reads of the answers.

use crate::client::OperationId;
use crate::wire::{Message, fields};

/// The client's name in the cluster's logs.
const CLIENT: &str = concat!("gristmill/", env!("CARGO_PKG_VERSION"));

/// Who asks, and about which operation.
pub(crate) struct About<'o> {
    pub(crate) id: &'o OperationId,
    pub(crate) user: &'o str,
}

impl About<'_> {
    fn session(&self) -> Message {
        let user = Message::new().text(1, self.user).text(2, self.user);
        Message::new().text(1, &self.id.session).message(2, &user)
    }

    /// `ExecutePlanRequest`: begins the operation, which can be attached to again.
    pub(crate) fn execute(&self, plan: &Message) -> Message {
        let reattachable = Message::new().int(1, true.into());
        self.session()
            .message(3, plan)
            .text(4, CLIENT)
            .message(5, &Message::new().message(1, &reattachable))
            .text(6, &self.id.operation)
    }

    /// `ReattachExecuteRequest`: goes on behind the response that was read last.
    pub(crate) fn reattach(&self, last_response: Option<&str>) -> Message {
        let request = self.session().text(3, &self.id.operation).text(4, CLIENT);
        match last_response {
            Some(response) => request.text(5, response),
            None => request,
        }
    }

    /// `ReleaseExecuteRequest`: the operation is not needed any more.
    pub(crate) fn release_all(&self) -> Message {
        let request = self.session().text(3, &self.id.operation).text(4, CLIENT);
        request.message(5, &Message::new())
    }

    /// `InterruptRequest`: the operation is to end.
    pub(crate) fn interrupt(&self) -> Message {
        const OPERATION: i64 = 3;
        self.session()
            .text(3, CLIENT)
            .int(4, OPERATION)
            .text(6, &self.id.operation)
    }

    /// `ReleaseSessionRequest`: the session, which has this operation alone, is not needed any more.
    pub(crate) fn release_session(&self) -> Message {
        self.session().text(3, CLIENT)
    }
}

/// What gristmill reads of an `ExecutePlanResponse`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// Its id, to go on behind it.
    pub(crate) id: Option<String>,
    /// Whether it says that the operation is done.
    pub(crate) is_complete: bool,
}

impl Response {
    /// Reads a response; `None` if it is none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        const ID: u32 = 13;
        const COMPLETE: u32 = 14;
        let fields = fields(bytes)?;
        let id = fields.iter().find(|(number, _)| *number == ID);
        let id = id.and_then(|(_, id)| String::from_utf8(id.to_vec()).ok());
        Some(Self {
            id: id.filter(|id| !id.is_empty()),
            is_complete: fields.iter().any(|(number, _)| *number == COMPLETE),
        })
    }
}
