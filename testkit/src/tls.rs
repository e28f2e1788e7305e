//! TLS for the servers of this crate: a certificate authority of the test's own, connections that may become encrypted, and
//! encryption in front of a server that has none.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tokio::io::copy_bidirectional;
use tokio_rustls::TlsAcceptor;

/// A certificate authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a server needs to speak TLS.
pub type Certificate = Arc<ServerConfig>;

impl Default for Authority {
    fn default() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "testkit");
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate can be signed"))
    }
}

impl Authority {
    /// Returns its certificate, as PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a certificate for a host and its key, as PEM.
    pub fn certify_as_pem(&self, host: &str) -> (String, String) {
        let (certificate, key) = self.signed(host);
        (certificate.pem(), key.serialize_pem())
    }

    fn signed(&self, host: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new([host.to_owned()]).expect("this is the name of a host");
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0);
        (certificate.expect("a certificate can be signed"), key)
    }

    /// Makes a certificate for a host.
    pub fn certify(&self, host: &str) -> Certificate {
        let (certificate, key) = self.signed(host);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it is a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Arc::new(config.expect("the key is that of the certificate"))
    }
}

/// A connection to a client.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    /// Begins to speak with a client, encrypted if there is a certificate.
    pub(crate) fn new(client: TcpStream, certificate: Option<&Certificate>) -> io::Result<Self> {
        match certificate {
            None => Ok(Self::Plain(client)),
            Some(certificate) => Self::encrypted(client, certificate),
        }
    }

    /// Encrypts what follows.
    pub(crate) fn encrypted(client: TcpStream, certificate: &Certificate) -> io::Result<Self> {
        let connection = ServerConnection::new(certificate.clone()).map_err(io::Error::other)?;
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, client))))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Has a server of HTTP/2 on 127.0.0.1 that cannot speak TLS do so on a port of its own, as a balancer in front of it does.
/// Returns the port. It forwards until the process ends.
pub fn terminate(server: u16, certificate: &Certificate) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("no port is free");
    let port = listener.local_addr().expect("a listener has an address").port();
    let mut config = ServerConfig::clone(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_io()
            .build()
            .expect("a runtime can be made");
        for client in listener.incoming().flatten() {
            let acceptor = acceptor.clone();
            runtime.spawn(async move {
                // A client that does not trust the certificate, or a server that is gone, ends the connection.
                let _ = forward(client, &acceptor, server).await;
            });
        }
    });
    port
}

async fn forward(client: TcpStream, acceptor: &TlsAcceptor, server: u16) -> io::Result<()> {
    client.set_nonblocking(true)?;
    let client = tokio::net::TcpStream::from_std(client)?;
    let mut client = acceptor.accept(client).await?;
    let mut server = tokio::net::TcpStream::connect(("127.0.0.1", server)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
