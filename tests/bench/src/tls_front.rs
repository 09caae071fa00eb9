//! TLS in front of a server that has none.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::Failure;

/// The files in which Linux systems keep their certificates.
const SYSTEM_CERTIFICATES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A server that takes TLS connections for `127.0.0.1` and passes on what is in them.
#[derive(Debug)]
pub struct TlsFront {
    /// The address at which it listens.
    pub address: SocketAddr,
    /// The certificate of the authority that signed its own, in PEM.
    certificate: String,
}

impl TlsFront {
    /// Starts one in front of the server at `behind`, until the runtime ends.
    ///
    /// # Errors
    ///
    /// Fails when no certificate can be made, or no port is free.
    pub async fn start(behind: SocketAddr) -> Result<Self, Failure> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name.push(DnType::CommonName, "Tidemark bench");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = authority.self_signed(&authority_key)?.pem();
        let key = KeyPair::generate()?;
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()])?
            .signed_by(&key, &Issuer::new(authority, authority_key))?;
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away ends its connection and nothing else.
                tokio::spawn(pass_on(acceptor.clone(), stream, behind));
            }
        });
        Ok(Self { address, certificate })
    }

    /// Returns what a process needs in its environment to reach it: the address as that of AWS, and a file, written into
    /// `folder`, with the certificates of this system (or of `SSL_CERT_FILE`), of `authority` and of this server.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read or written.
    pub fn environment(&self, folder: &Path, authority: Option<&Path>) -> Result<[(&'static str, String); 2], Failure> {
        let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let system = given
            .into_iter()
            .chain(SYSTEM_CERTIFICATES.map(PathBuf::from))
            .find_map(|path| std::fs::read_to_string(path).ok());
        let authority = authority.map(std::fs::read_to_string).transpose()?;
        let certificates = [
            system.unwrap_or_default(),
            authority.unwrap_or_default(),
            self.certificate.clone(),
        ];
        let bundle = folder.join("ca-bundle.pem");
        std::fs::write(&bundle, certificates.join("\n"))?;
        Ok([
            ("AWS_ENDPOINT_URL", format!("https://{}", self.address)),
            ("SSL_CERT_FILE", bundle.to_string_lossy().into_owned()),
        ])
    }
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = acceptor.accept(stream).await?;
    let mut server = TcpStream::connect(behind).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
