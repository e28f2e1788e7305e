//! The protocol: who may log in, and how answers are sent.

use std::fmt;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream;
use pgwire::api::auth::md5pass::{Md5PasswordAuthStartupHandler, hash_md5_password};
use pgwire::api::auth::{AuthSource, DefaultServerParameterProvider, LoginInfo, Password, StartupHandler};
use pgwire::api::query::SimpleQueryHandler;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::{ClientInfo, ClientPortalStore, PgWireServerHandlers, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::tokio::process_socket;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::refusal::Refusal;
use crate::session::{Reply, Session, Transaction};
use crate::{Fault, Shared};

/// The version that Redshift reports.
const VERSION: &str = "8.0.2";

/// Accepts connections for ever.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        let (own_handle, handle) = tokio::sync::oneshot::channel::<AbortHandle>();
        let task = tokio::spawn(async move {
            let session = Arc::new(Session::open(Arc::clone(&shared)).await);
            let abort = handle.await.expect("the handle is sent at once");
            let tls = shared.tls.clone();
            let handlers = Handlers {
                startup: Arc::new(startup(&shared)),
                queries: Arc::new(Queries {
                    shared,
                    session,
                    abort,
                }),
            };
            // However it ends, the client sees it.
            drop(process_socket(socket, tls, Arc::new(handlers)).await);
        });
        own_handle
            .send(task.abort_handle())
            .expect("the task waits for it");
    }
}

type Startup = Md5PasswordAuthStartupHandler<Users, DefaultServerParameterProvider>;

struct Handlers {
    startup: Arc<Startup>,
    queries: Arc<Queries>,
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.queries)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.startup)
    }
}

fn startup(shared: &Arc<Shared>) -> Startup {
    let mut parameters = DefaultServerParameterProvider::default();
    parameters.server_version = VERSION.into();
    Md5PasswordAuthStartupHandler::new(Arc::new(Users(Arc::clone(shared))), Arc::new(parameters))
}

/// The users who may log in, with MD5, as Redshift's ordinary and temporary users do.
struct Users(Arc<Shared>);

impl Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users")
    }
}

#[async_trait]
impl AuthSource for Users {
    async fn get_password(&self, login: &LoginInfo) -> PgWireResult<Password> {
        let user = login.user().unwrap_or_default();
        let known = self.0.script().passwords.get(user).cloned();
        let password = known.ok_or_else(|| PgWireError::InvalidPassword(user.to_owned()))?;
        let salt = vec![1, 2, 3, 4];
        let hash = hash_md5_password(user, &password, &salt);
        Ok(Password::new(Some(salt), hash.into_bytes()))
    }
}

/// The statements of one connection.
struct Queries {
    shared: Arc<Shared>,
    session: Arc<Session>,
    /// Ends the connection without an answer.
    abort: AbortHandle,
}

#[async_trait]
impl SimpleQueryHandler for Queries {
    async fn do_query<C>(&self, _client: &mut C, statement: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Unpin + Send + Sync,
    {
        let fault = self.shared.record(statement);
        if fault == Some(Fault::CutBefore) {
            self.cut().await;
        }
        if let Some(Fault::Error {
            code,
            message,
            detail,
        }) = &fault
        {
            self.session.fail().await;
            let refusal = Refusal {
                detail: Some(detail.clone()),
                ..Refusal::new(code, message)
            };
            return Ok(vec![refused(refusal)]);
        }
        let done = Arc::clone(&self.session).run(statement).await;
        if fault == Some(Fault::CutAfter) {
            self.cut().await;
        }
        Ok(vec![match done {
            Ok(Reply::Rows(columns, rows)) => answer(columns, rows)?,
            Ok(Reply::Done(tag, rows)) => self.done(tag, rows),
            Err(refusal) => refused(refusal),
        }])
    }
}

impl Queries {
    async fn cut(&self) {
        self.abort.abort();
        std::future::pending::<()>().await;
    }

    fn done(&self, tag: &str, rows: Option<u64>) -> Response {
        let mut response = Tag::new(tag);
        if let Some(rows) = rows {
            response = response.with_rows(rows as usize);
        }
        match self.session.transaction() {
            Transaction::Open if tag == "BEGIN" => Response::TransactionStart(response),
            Transaction::None => Response::TransactionEnd(response),
            _ => Response::Execution(response),
        }
    }
}

fn refused(
    Refusal {
        code,
        message,
        detail,
    }: Refusal,
) -> Response {
    let mut error = ErrorInfo::new("ERROR".into(), code, message);
    error.detail = detail;
    Response::Error(Box::new(error))
}

/// Returns an answer with rows as text.
fn answer(columns: Vec<String>, rows: Vec<Vec<Option<String>>>) -> PgWireResult<Response> {
    let field = |name| FieldInfo::new(name, None, None, Type::VARCHAR, FieldFormat::Text);
    let fields: Arc<Vec<FieldInfo>> = Arc::new(columns.into_iter().map(field).collect());
    let mut encoder = DataRowEncoder::new(Arc::clone(&fields));
    let mut encoded = Vec::new();
    for row in rows {
        for value in row {
            encoder.encode_field(&value)?;
        }
        encoded.push(Ok(encoder.take_row()));
    }
    Ok(Response::Query(QueryResponse::new(fields, stream::iter(encoded))))
}
