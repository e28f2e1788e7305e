//! The status page, its API and its metrics: what the state database knows, told over HTTP.
//!
//! The server has a thread and a runtime of its own, and reads the state database over connections of its own, so it never
//! keeps the pipeline waiting. What people do on it is written to the state database, where the pipeline finds it, just as
//! what commands write. All facts come from [`overview`](crate::overview).

mod actions;
mod address;
mod api;
mod ask;
mod assets;
mod charts;
mod desk;
mod guard;
mod health;
mod layout;
mod live;
mod metrics;
mod pages;
mod parts;
mod problem;
mod rendered;
mod session;
mod viewer;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use gristmill_state::Clock;
use tokio::sync::watch;

use self::desk::Desk;
use self::problem::Problem;
use crate::pipeline::Vitals;
use crate::settings::Settings;
use crate::usage::Usage;

/// How long requests in progress may take to end when the server stops.
const PARTING: Duration = Duration::from_secs(2);

/// The threads that answer: a page that reads from the lake does not keep the others waiting.
const THREADS: usize = 2;

/// The largest body of a request, in bytes. Forms and requests have little to say.
const BODY: usize = 64 << 10;

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on an address, and serves from a thread of its own. Pages say that the service is starting until the state
    /// database can be read.
    pub(crate) fn start(
        settings: &Settings,
        listen: SocketAddr,
        clock: Arc<dyn Clock>,
        vitals: Arc<Vitals>,
    ) -> anyhow::Result<Self> {
        let token = settings.token_at(listen)?;
        let listener = TcpListener::bind(listen)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| {
                Usage::new(format!(
                    "cannot listen on {listen}: {error}; name another address with http.listen or --http"
                ))
            })?;
        let address = listener
            .local_addr()
            .context("cannot find the address of the status page")?;
        let (stop, stopped) = watch::channel(false);
        let desk = Arc::new(Desk::new(
            settings.clone(),
            token,
            address,
            clock,
            vitals,
            stopped,
        ));
        let thread = std::thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || {
                if let Err(error) = serve(desk, listener) {
                    tracing::error!("the status page ended: {error:#}");
                }
            })
            .context("cannot start the thread of the status page")?;
        tracing::info!("status page at http://{address}");
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the status page ended by a panic: this is a bug; please report it");
        }
    }
}

/// Serves until the desk is stopped.
fn serve(desk: Arc<Desk>, listener: TcpListener) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("http")
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(live::watch(desk.clone()));
        let router = router(desk.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let stopped = {
            let desk = desk.clone();
            async move { desk.stopped().await }
        };
        let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
        tokio::select! {
            served = serving.into_future() => served?,
            () = async { desk.stopped().await; tokio::time::sleep(PARTING).await } => {}
        }
        anyhow::Ok(())
    });
    // A thread may hang on a lake that does not answer.
    runtime.shutdown_timeout(PARTING);
    served
}

/// Serves an asset. Browsers keep it: its address changes with the version of gristmill.
async fn asset(Path(name): Path<String>) -> Response {
    let Some((kind, text)) = assets::asset(&name) else {
        return Problem::NotFound("there is no such asset".to_owned()).page();
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, text).into_response()
}

fn router(desk: Arc<Desk>) -> Router {
    let api = api::ROUTES.iter().fold(Router::new(), |router, route| {
        router.route(route.path, (route.method)())
    });
    Router::new()
        .merge(api)
        .route("/live", get(live::stream))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::scrape))
        .route("/assets/{name}", get(asset))
        .route("/sign-in", get(session::form).post(session::sign_in))
        .route("/sign-out", post(session::sign_out))
        // Whoever loads the address of an action again does not do it again.
        .route(
            "/act/{action}",
            post(actions::of_form).get(async || Redirect::to("/")),
        )
        .route("/file/rejects.csv", get(pages::rejects_csv))
        .route("/store/{report}", get(pages::report_file))
        .route("/sql.csv", get(pages::sql_csv))
        .fallback(get(pages::show))
        .layer(from_fn_with_state(desk.clone(), guard::guard))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(desk)
}
