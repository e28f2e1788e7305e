//! A connection to a cluster: gRPC over HTTP/2, with TLS if the address asks for it.
//!
//! A request is one message with five bytes before it. The answer is messages of the same form, and at the end the status
//! in the trailers, or at once in the headers if there is no message.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use percent_encoding::percent_decode_str;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::Endpoint;
use crate::error::ClusterError;
use crate::wire::Message;

/// The service whose methods are called.
const SERVICE: &str = "spark.connect.SparkConnectService";

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(15);

/// How long nothing may come. Servers send a sign of life every few seconds, or end the stream every two minutes, so that
/// the client attaches to the operation again.
const SILENCE: Duration = Duration::from_secs(180);

/// The length of what stands before a message: whether it is compressed, and its own length.
const PREFIX: usize = 5;

/// The longest message that is read. No response of a plan that writes comes near it.
const LONGEST: usize = 4 << 20;

/// The most characters of a server's message that are shown: Spark's have whole stack traces.
const SHOWN: usize = 500;

/// What gRPC says at the end of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl Status {
    pub(crate) const OK: u16 = 0;
    pub(crate) const CANCELLED: u16 = 1;
    pub(crate) const UNKNOWN: u16 = 2;
    pub(crate) const DEADLINE_EXCEEDED: u16 = 4;
    pub(crate) const PERMISSION_DENIED: u16 = 7;
    pub(crate) const ABORTED: u16 = 10;
    pub(crate) const UNAVAILABLE: u16 = 14;
    pub(crate) const UNAUTHENTICATED: u16 = 16;

    /// Reads it from headers or trailers, if it is there.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).map(|value| value.as_bytes());
        let code = text("grpc-status")?;
        let code = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok());
        let message = String::from_utf8_lossy(text("grpc-message").unwrap_or_default());
        Some(Self {
            code: code.unwrap_or(Self::UNKNOWN),
            message: percent_decode_str(&message).decode_utf8_lossy().into_owned(),
        })
    }

    /// Returns its first line, for people.
    pub(crate) fn shown(&self) -> String {
        let line = self.message.lines().next().unwrap_or_default().trim();
        match line {
            "" => format!("status {} of gRPC without a message", self.code),
            line => line.chars().take(SHOWN).collect(),
        }
    }
}

/// A connection, which is closed when this value is dropped.
pub(crate) struct Connection {
    endpoint: Endpoint,
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, ClusterError> {
        match timeout(CONNECTING, Self::try_open(endpoint)).await {
            Ok(opened) => opened,
            Err(_) => Err(unreachable(endpoint, io::ErrorKind::TimedOut.into())),
        }
    }

    async fn try_open(endpoint: &Endpoint) -> Result<Self, ClusterError> {
        let (host, port) = (endpoint.host.as_str(), endpoint.port);
        let socket = TcpStream::connect((host, port)).await;
        let socket = socket.map_err(|error| unreachable(endpoint, error))?;
        // Requests are small and waited for. Without it they are only slower.
        let _ = socket.set_nodelay(true);
        if !endpoint.is_encrypted {
            return Self::shake_hands(endpoint, socket).await;
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|error| unreachable(endpoint, io::Error::other(error)))?;
        let connector = tls().map_err(|error| unreachable(endpoint, error))?;
        let socket = connector.connect(name, socket).await;
        Self::shake_hands(endpoint, socket.map_err(|error| of_tls(endpoint, error))?).await
    }

    async fn shake_hands(
        endpoint: &Endpoint,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Self, ClusterError> {
        let shaken = Builder::new().handshake(socket).await;
        let (requests, connection) = shaken.map_err(|error| broken(&error))?;
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("the connection to the cluster ended: {error}");
            }
        });
        Ok(Self {
            endpoint: endpoint.clone(),
            requests,
            driver,
        })
    }

    /// Calls a method, and returns its answer, of which nothing has been read.
    pub(crate) async fn call(&self, method: &str, message: Message) -> Result<Answer, ClusterError> {
        let message = message.into_bytes();
        let length = u32::try_from(message.len())
            .map_err(|_| ClusterError::Failed("the plan has more than 4 GiB".to_owned()))?;
        let mut body = BytesMut::with_capacity(PREFIX + message.len());
        body.put_u8(0);
        body.put_u32(length);
        body.extend_from_slice(&message);

        let request = self.request(method)?;
        let mut ready = self
            .requests
            .clone()
            .ready()
            .await
            .map_err(|error| broken(&error))?;
        let (answer, mut sender) = ready
            .send_request(request, false)
            .map_err(|error| broken(&error))?;
        sender
            .send_data(body.freeze(), true)
            .map_err(|error| broken(&error))?;
        let answer = alive(answer).await?.map_err(|error| broken(&error))?;
        let (head, body) = answer.into_parts();
        let is_grpc = head
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if let Some(status) = Status::of(&head.headers) {
            // There may be messages, which only a status that is fine lets be read.
            if status.code != Status::OK {
                return Err(ClusterError::of(status));
            }
        } else if !is_grpc || head.status != StatusCode::OK {
            return Err(self.of_http(head.status));
        }
        Ok(Answer {
            body,
            read: BytesMut::new(),
            address: self.endpoint.address(),
        })
    }

    /// Calls a method whose answer does not matter, but for its failure.
    pub(crate) async fn tell(&self, method: &str, message: Message) -> Result<(), ClusterError> {
        let mut answer = self.call(method, message).await?;
        while answer.next().await?.is_some() {}
        Ok(())
    }

    fn request(&self, method: &str) -> Result<Request<()>, ClusterError> {
        let scheme = if self.endpoint.is_encrypted {
            "https"
        } else {
            "http"
        };
        let url = format!("{scheme}://{}/{SERVICE}/{method}", self.endpoint.address());
        let mut request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(url)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(())
            .map_err(|error| unreachable(&self.endpoint, io::Error::other(error)))?;
        request
            .headers_mut()
            .extend(self.endpoint.headers.iter().cloned());
        Ok(request)
    }

    /// Makes the failure that an answer tells which is not gRPC's: that of a proxy before the cluster, or of some other
    /// server.
    fn of_http(&self, status: StatusCode) -> ClusterError {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ClusterError::Denied(status.to_string()),
            StatusCode::TOO_MANY_REQUESTS => ClusterError::Unavailable(status.to_string()),
            status if status.is_server_error() => ClusterError::Unavailable(status.to_string()),
            status => ClusterError::Foreign {
                address: self.endpoint.address(),
                problem: format!("it answers {status}"),
            },
        }
    }
}

/// The answer to a request.
pub(crate) struct Answer {
    body: RecvStream,
    read: BytesMut,
    address: String,
}

impl Answer {
    /// Returns the next message, or `None` at the end of an answer whose status is fine.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClusterError> {
        loop {
            if let Some(message) = self.take()? {
                return Ok(Some(message));
            }
            let Some(part) = alive(self.body.data()).await? else {
                break;
            };
            let part = part.map_err(|error| broken(&error))?;
            let _ = self.body.flow_control().release_capacity(part.len());
            self.read.extend_from_slice(&part);
        }
        let trailers = alive(self.body.trailers())
            .await?
            .map_err(|error| broken(&error))?;
        match trailers.as_ref().and_then(Status::of) {
            Some(status) if status.code != Status::OK => Err(ClusterError::of(status)),
            // Without one, it was in the headers.
            _ => Ok(None),
        }
    }

    /// Takes a message from what was read, if it is whole.
    fn take(&mut self) -> Result<Option<Bytes>, ClusterError> {
        let Some((prefix, rest)) = self.read.split_at_checked(PREFIX) else {
            return Ok(None);
        };
        let is_compressed = prefix[0] != 0;
        let length = (&prefix[1..]).get_u32() as usize;
        if is_compressed || length > LONGEST {
            return Err(ClusterError::Foreign {
                address: self.address.clone(),
                problem: "a message of its answer is compressed, or far too long".to_owned(),
            });
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.read.advance(PREFIX);
        Ok(Some(self.read.split_to(length).freeze()))
    }
}

/// Waits for what a server that is alive sends.
async fn alive<T>(coming: impl Future<Output = T>) -> Result<T, ClusterError> {
    timeout(SILENCE, coming)
        .await
        .map_err(|_| ClusterError::Unavailable(format!("nothing came for {} seconds", SILENCE.as_secs())))
}

/// TLS with the certificate authorities that the system trusts.
fn tls() -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    // Some of the system's certificates may be unreadable; it is enough if any are left.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(io::Error::other(
            "the system has no certificate authorities: install ca-certificates, or name a file in SSL_CERT_FILE",
        ));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A certificate that is not trusted stays so; everything else may pass.
fn of_tls(endpoint: &Endpoint, error: io::Error) -> ClusterError {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(cause) => ClusterError::Foreign {
            address: endpoint.address(),
            problem: format!("TLS: {cause}"),
        },
        None => unreachable(endpoint, error),
    }
}

fn unreachable(endpoint: &Endpoint, source: io::Error) -> ClusterError {
    ClusterError::Unreachable {
        address: endpoint.address(),
        source,
    }
}

fn broken(error: &h2::Error) -> ClusterError {
    ClusterError::Unavailable(error.to_string())
}
