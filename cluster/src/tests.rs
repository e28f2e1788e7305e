//! What the client makes of the answers of servers that do not do what it hopes for. Real engines are met in
//! `tests/e2e/cluster.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Response};
use tokio::net::TcpListener;

use crate::plan::{Kept, Merge, MergeInput};
use crate::wire::{Message, fields};
use crate::{Cluster, ClusterError, OperationId};

/// What a server does with a request for a method, counted from 0.
type Answers = fn(&str, usize) -> Reply;

enum Reply {
    /// These messages, and a status with its message.
    Messages(Vec<Message>, u16, &'static str),
    /// A status of HTTP without anything of gRPC.
    Http(u16),
    /// The connection ends.
    End,
}

fn merge() -> Merge {
    Merge {
        inputs: vec![MergeInput {
            paths: vec!["file:///lake/partials/a.parquet".to_owned()],
            kept: None,
        }],
        measures: vec!["sale_amount".to_owned()],
    }
}

fn id() -> OperationId {
    OperationId::of(&[7; 32], &[255; 32])
}

/// Starts a server, and returns a client of it and the methods that were called.
async fn server(answers: Answers) -> (Cluster, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let calls = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let (count, seen) = (Arc::new(AtomicUsize::new(0)), calls.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (count, seen) = (count.clone(), seen.clone());
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(socket).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
                    assert!(request.headers()["authorization"] == "Bearer secret");
                    seen.lock().unwrap().push(method.clone());
                    match answers(&method, count.fetch_add(1, Ordering::SeqCst)) {
                        Reply::End => return,
                        answer => reply(respond, answer),
                    }
                }
            });
        }
    });
    let url = format!("sc://127.0.0.1:{port}/;token=secret;use_ssl=false");
    (Cluster::new(url.parse().unwrap()), calls)
}

fn reply(mut respond: h2::server::SendResponse<Bytes>, answer: Reply) {
    let head = Response::builder();
    match answer {
        Reply::Http(status) => {
            let head = head.status(status).body(()).unwrap();
            respond.send_response(head, true).unwrap();
        }
        Reply::Messages(messages, status, text) => {
            let head = head.header("content-type", "application/grpc").body(()).unwrap();
            let mut body = respond.send_response(head, false).unwrap();
            for message in messages {
                let message = message.into_bytes();
                let mut framed = BytesMut::new();
                framed.put_u8(0);
                framed.put_u32(message.len() as u32);
                framed.extend_from_slice(&message);
                // In two pieces, as networks cut them.
                let whole = framed.freeze();
                let cut = whole.len() / 2;
                body.send_data(whole.slice(..cut), false).unwrap();
                body.send_data(whole.slice(cut..), false).unwrap();
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", status.into());
            trailers.insert("grpc-message", text.parse().unwrap());
            body.send_trailers(trailers).unwrap();
        }
        Reply::End => unreachable!("nothing is replied"),
    }
}

fn response(id: &str) -> Message {
    Message::new().text(1, "session").text(13, id)
}

fn complete(id: &str) -> Message {
    response(id).message(14, &Message::new())
}

#[tokio::test]
async fn an_operation_is_followed_over_streams_and_connections_that_end() {
    let (cluster, calls) = server(|_, call| match call {
        // The stream ends in order, then the connection breaks, before the last response comes.
        0 => Reply::Messages(vec![response("one"), response("two")], 0, ""),
        1 => Reply::End,
        2 => Reply::Messages(vec![response("three")], 14, "busy"),
        _ => Reply::Messages(vec![complete("four")], 0, ""),
    })
    .await;
    cluster.execute(&id(), &merge(), "file:///out").await.unwrap();
    let expected = [
        "ExecutePlan",
        "ReattachExecute",
        "ReattachExecute",
        "ReattachExecute",
    ];
    assert_eq!(*calls.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_operation_is_ended_and_forgotten() {
    let (cluster, calls) = server(|_, _| Reply::Messages(vec![Message::new()], 0, "")).await;
    cluster.interrupt(&id()).await.unwrap();
    assert_eq!(*calls.lock().unwrap(), ["Interrupt", "ReleaseExecute"]);
}

#[tokio::test]
async fn each_kind_of_failure_is_told_apart() {
    for (answers, is_outage, is_permanent, told) in [
        (
            (|_, _| Reply::Messages(vec![], 16, "no%20such%20token")) as Answers,
            false,
            true,
            "no such token",
        ),
        (|_, _| Reply::Http(403), false, true, "token of cluster.url"),
        (
            |_, _| Reply::Http(404),
            false,
            true,
            "does not speak Spark Connect",
        ),
        (
            |_, _| Reply::Messages(vec![], 13, "[PATH_NOT_FOUND] gone%0Aat a stack"),
            false,
            false,
            "the cluster failed: [PATH_NOT_FOUND] gone",
        ),
        (
            |_, _| Reply::Messages(vec![], 13, "[INVALID_HANDLE.OPERATION_NOT_FOUND] x"),
            false,
            false,
            "does not know the operation",
        ),
        (
            |_, _| Reply::Messages(vec![], 13, "[INVALID_HANDLE.FORMAT] x"),
            false,
            false,
            "the cluster failed",
        ),
    ] {
        let (cluster, calls) = server(answers).await;
        let error = cluster.attach(&id()).await.unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(told) && !shown.contains("stack"), "{shown}");
        assert_eq!(
            (error.is_outage(), error.is_permanent()),
            (is_outage, is_permanent),
            "{shown}"
        );
        assert_eq!(calls.lock().unwrap().len(), 1, "{shown}: tried once");
    }
}

#[tokio::test]
async fn a_server_that_never_says_a_word_is_an_outage() {
    let (cluster, calls) = server(|_, _| Reply::Messages(vec![], 0, "")).await;
    let error = cluster.attach(&id()).await.unwrap_err();
    assert!(
        error.is_outage() && error.to_string().contains("without a word"),
        "{error}"
    );
    assert_eq!(calls.lock().unwrap().len(), 11);
}

#[tokio::test]
async fn a_server_that_is_absent_is_an_outage() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let cluster = Cluster::new(format!("sc://127.0.0.1:{port}").parse().unwrap());
    let error = cluster.execute(&id(), &merge(), "file:///out").await.unwrap_err();
    assert!(matches!(error, ClusterError::Unreachable { .. }) && error.is_outage());
    assert!(error.to_string().contains(&format!("127.0.0.1:{port}")));
}

#[test]
fn ids_are_two_uuids() {
    let id = id();
    assert_eq!(id.to_string().parse::<OperationId>().unwrap(), id);
    assert_eq!(id.session, "07070707-0707-8707-8707-070707070707");
    assert_eq!(id.operation, "ffffffff-ffff-8fff-bfff-ffffffffffff");
    assert!("x:y".parse::<OperationId>().is_err() && "x".parse::<OperationId>().is_err());
}

#[test]
fn a_plan_of_many_files_with_days_is_not_deep() {
    let kept = |n: i32| Kept {
        are_named: n % 2 == 0,
        days: (0..20)
            .map(|store| (format!("s'{store}`"), vec![-1, n]))
            .collect(),
    };
    let merge = Merge {
        inputs: (0..300)
            .map(|n| MergeInput {
                paths: vec![format!("file:///{n}")],
                kept: Some(kept(n)),
            })
            .collect(),
        ..merge()
    };
    fn depth(bytes: &[u8]) -> usize {
        let Some(fields) = fields(bytes) else { return 0 };
        1 + fields.iter().map(|(_, inner)| depth(inner)).max().unwrap_or(0)
    }
    let plan = merge.to_plan("file:///out").into_bytes();
    // Readers of protocol buffers allow a hundred.
    assert!(depth(&plan) < 90, "{}", depth(&plan));
    assert_ne!(merge.fingerprint(), self::merge().fingerprint());
}
