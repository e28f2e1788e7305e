//! TLS to a server: which servers to trust, and which certificate to present.
//!
//! The rules are libpq's, which operators know: encryption without a check, a check of the chain only, or of chain and
//! name. rustls offers only the last, so [`Verifier`] implements all three. The cryptography provider is named here, so
//! nothing depends on a process-wide default; but the client for MySQL has a verifier of its own, and takes the default
//! (see [`crate::mysql`]).

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What to do about an error of TLS, as the end of a message.
pub fn advice(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext};
    match error {
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "; the server's certificate is for another name: put that name into the URL, or write sslmode=verify-ca"
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "; the server needs a new certificate"
        }
        rustls::Error::InvalidCertificate(_) => {
            "; the server's certificate is not from an authority that sslrootcert names: check both"
        }
        _ => "; check the TLS versions that the server accepts, and sslcert and sslkey in the URL",
    }
}

/// What a server's certificate must prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// Nothing: the connection is encrypted, whoever the server is. libpq's `require` without a CA file.
    Nothing,
    /// That one of these authorities signed it. libpq's `verify-ca`.
    Chain(Roots),
    /// The same, and that it is for the host in the URL. libpq's `verify-full`.
    ChainAndName(Roots),
}

/// The certificate authorities to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Those of a PEM file.
    File(PathBuf),
    /// Those that the operating system trusts.
    System,
}

/// When to use TLS.
#[derive(Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Never.
    Off,
    /// If the server offers it; otherwise unencrypted.
    Preferred(Check),
    /// Always; a server that does not offer it is refused.
    Required(Check),
}

/// Reads `sslmode` and `sslrootcert`. Error texts continue a sentence about the URL.
pub fn encryption(mode: Option<&str>, roots: Option<String>) -> Result<Encryption, String> {
    let roots = roots.map(|name| match name.as_str() {
        "system" => Roots::System,
        _ => Roots::File(name.into()),
    });
    let default = if roots == Some(Roots::System) {
        "verify-full"
    } else {
        "prefer"
    };
    let mode = mode.unwrap_or(default);
    if roots == Some(Roots::System) && !["disable", "verify-full"].contains(&mode) {
        // Anyone can get a certificate signed by one of the system's authorities.
        return Err(format!(
            "sslrootcert=system gives no protection with sslmode={mode}; write sslmode=verify-full"
        ));
    }
    let unproven = || {
        format!(
            "sslmode={mode} needs a certificate authority to trust; write sslrootcert=/path/to/ca.pem too"
        )
    };
    // As in libpq, a CA file is used in every mode that could use one.
    let chain = |roots: Option<Roots>| roots.map_or(Check::Nothing, Check::Chain);
    Ok(match mode {
        "disable" => Encryption::Off,
        "prefer" => Encryption::Preferred(chain(roots)),
        "require" => Encryption::Required(chain(roots)),
        "verify-ca" => Encryption::Required(Check::Chain(roots.ok_or_else(unproven)?)),
        "verify-full" => Encryption::Required(Check::ChainAndName(roots.ok_or_else(unproven)?)),
        _ => {
            return Err(
                "sslmode is not known; write disable, prefer, require, verify-ca or verify-full".into(),
            );
        }
    })
}

/// The client's certificate and its private key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, and those that vouch for it.
    pub certificate: PathBuf,
    /// The private key, which nobody else may read.
    pub key: PathBuf,
}

/// Reads the files, and returns the connector for `tokio_postgres`. Error texts continue a sentence about the URL.
pub fn connector(check: &Check, identity: Option<&Identity>) -> Result<MakeRustlsConnect, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = Verifier {
        roots: match check {
            Check::Nothing => None,
            Check::Chain(roots) | Check::ChainAndName(roots) => Some(roots.load()?),
        },
        is_name_checked: matches!(check, Check::ChainAndName(_)),
        provider: provider.clone(),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let (certificates, key) = identity.load()?;
            config.with_client_auth_cert(certificates, key).map_err(|error| {
                format!(
                    "{} and {} do not go together: {error}",
                    identity.certificate.display(),
                    identity.key.display()
                )
            })?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

impl Roots {
    fn load(&self) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.certificates()?);
        Ok(store)
    }

    /// The authorities' certificates, each of which can be used.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, String> {
        let mut store = RootCertStore::empty();
        match self {
            Self::File(path) => {
                let all = certificates(path)?;
                for certificate in &all {
                    store.add(certificate.clone()).map_err(|error| {
                        format!("{} holds an invalid certificate: {error}", path.display())
                    })?;
                }
                Ok(all)
            }
            Self::System => {
                // Some of the system's certificates may be unreadable; it is enough if any are left.
                let mut all = rustls_native_certs::load_native_certs().certs;
                all.retain(|certificate| store.add(certificate.clone()).is_ok());
                match all.is_empty() {
                    true => Err("the system has no certificate authorities; name a file: \
                                 sslrootcert=/path/to/ca.pem"
                        .into()),
                    false => Ok(all),
                }
            }
        }
    }
}

impl Identity {
    /// Reads `sslcert` and `sslkey`. Error texts continue a sentence about the URL.
    pub fn named(certificate: Option<String>, key: Option<String>) -> Result<Option<Self>, String> {
        match (certificate.map(PathBuf::from), key.map(PathBuf::from)) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            _ => Err("sslcert and sslkey go together; name both files".into()),
        }
    }

    /// Reads both files, and checks who else may read the key.
    pub fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
        let shown = self.key.display();
        let meta = fs::metadata(&self.key).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        // libpq's rule: no other user may read the key, but if root owns it, its group may.
        let forbidden = if meta.uid() == 0 { 0o037 } else { 0o077 };
        if meta.mode() & forbidden != 0 {
            return Err(format!("others may read the key {shown}; chmod 600 {shown}"));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| format!("{shown} is not a PEM private key without a passphrase: {error}"))?;
        Ok((certificates(&self.certificate)?, key))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let bad = |error: rustls::pki_types::pem::Error| format!("{shown} cannot be read: {error}");
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(bad)?
        .collect::<Result<_, _>>()
        .map_err(bad)?;
    if certificates.is_empty() {
        return Err(format!("{shown} holds no certificate in PEM"));
    }
    Ok(certificates)
}

/// Checks a server's certificate as far as configured, and always that the server has its private key.
#[derive(Debug)]
struct Verifier {
    /// `None`: any certificate will do.
    roots: Option<RootCertStore>,
    is_name_checked: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
            if self.is_name_checked {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let signed = rcgen::generate_simple_self_signed(["db".to_string()]).unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let certificate = write("client.crt", &signed.cert.pem());
        let key = write("client.key", &signed.signing_key.serialize_pem());
        let with = |certificate: &Path, key: &Path| {
            let (certificate, key) = (certificate.to_path_buf(), key.to_path_buf());
            connector(&Check::Nothing, Some(&Identity { certificate, key })).map(|_| ())
        };
        assert_eq!(with(&certificate, &key), Ok(()));

        let absent = folder.path().join("absent.pem");
        let empty = write("empty.pem", "nothing\n");
        let open = write("open.key", &signed.signing_key.serialize_pem());
        fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
        let roots = |path: &Path| connector(&Check::Chain(Roots::File(path.into())), None).map(|_| ());
        for (result, expected) in [
            (roots(&absent), "absent.pem cannot be read"),
            (roots(&empty), "empty.pem holds no certificate"),
            (roots(&key), "client.key holds no certificate"),
            (with(&empty, &key), "empty.pem holds no certificate"),
            (with(&certificate, &absent), "absent.pem cannot be read"),
            (
                with(&certificate, &certificate),
                "client.crt is not a PEM private key",
            ),
            (with(&certificate, &open), "chmod 600"),
            (
                with(&certificate, &write("other.key", &other.serialize_pem())),
                "do not go together",
            ),
        ] {
            let error = result.unwrap_err();
            assert!(
                error.contains(expected) && !error.contains("PRIVATE"),
                "{expected}: {error}"
            );
        }
    }
}
