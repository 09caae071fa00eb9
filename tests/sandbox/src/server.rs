//! The server accepts connections and moves their packets. What they mean is decided in other modules.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidemark_tds::connection::{Stream, greet};
use tidemark_tds::packet::{self, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

use crate::attention::Attention;
use crate::engine::Engine;
use crate::tds::dispatch;
use crate::tds::wire::Wire;
use crate::tls::Identity;

/// The state that every connection needs.
pub struct Service {
    /// The shared state.
    pub engine: Arc<Engine>,
    /// The server's side of TLS.
    pub identity: Identity,
    /// The number that is raised to cut all connections.
    pub cut: watch::Receiver<u64>,
}

/// Accepts connections until the runtime ends.
pub async fn accept(listener: TcpListener, service: Arc<Service>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let service = Arc::clone(&service);
                tokio::spawn(async move {
                    let mut cut = service.cut.clone();
                    cut.mark_unchanged();
                    tokio::select! {
                        // The end of a connection, in whatever way, does not concern the others.
                        _ = connection(stream, &service) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
            // This may be a lack of file descriptors, of which others may free some.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, service: &Service) -> io::Result<()> {
    match greet(stream, Some(&service.identity.acceptor)).await? {
        Some((stream, login)) => converse(stream, service, login).await,
        None => Ok(()),
    }
}

async fn converse(stream: Stream, service: &Service, first: Message) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (requests, inbox) = std::sync::mpsc::channel::<Message>();
    let (out, mut outbox) = mpsc::channel::<Vec<u8>>(4);
    let attention = Arc::new(Attention::default());
    let (engine, noted) = (Arc::clone(&service.engine), Arc::clone(&attention));
    std::thread::Builder::new()
        .name("session".to_owned())
        .stack_size(16 << 20)
        .spawn(move || {
            let mut wire = Wire::new(out, attention);
            dispatch::serve(&engine, &first, &inbox, &mut wire);
        })?;
    let write = async {
        while let Some(frames) = outbox.recv().await {
            writer.write_all(&frames).await?;
            if outbox.is_empty() {
                writer.flush().await?;
            }
        }
        writer.shutdown().await
    };
    let read = async {
        loop {
            let message = packet::read(&mut reader).await?;
            if message.kind == packet::ATTENTION {
                noted.note();
            }
            if requests.send(message).is_err() {
                // The session has ended, and what the client still sends is of no use.
                tokio::io::copy(&mut (&mut reader).take(1 << 20), &mut tokio::io::sink()).await?;
                return Ok::<(), io::Error>(());
            }
        }
    };
    tokio::select! {
        result = write => result,
        result = read => result,
    }
}
