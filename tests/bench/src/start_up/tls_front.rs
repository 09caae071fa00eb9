//! TLS in front of a server that has none.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::Failure;

/// A server that takes TLS connections for `127.0.0.1` and passes on what is in them.
pub struct TlsFront {
    /// The address at which it listens.
    pub address: SocketAddr,
    /// The certificate of the authority that signed its own, in PEM.
    pub certificate: String,
}

impl TlsFront {
    /// Starts one in front of the server at `behind`, until the runtime ends.
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
}

async fn pass_on(acceptor: TlsAcceptor, stream: TcpStream, behind: SocketAddr) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut client = acceptor.accept(stream).await?;
    let mut server = TcpStream::connect(behind).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
