//! A TCP proxy that disturbs what passes through it, at a chosen byte.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The way that bytes pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Answers,
}

/// What happens at the chosen byte, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// The connection is cut, in both ways.
    Cut,
    /// The server is silent from then on, on this connection, the others and those to come. It still accepts
    /// connections.
    Silence,
    /// This connection is silent from then on, and no other.
    Stall,
    /// The bytes that come are late by this time.
    Delay(Duration),
}

/// A running proxy. Dropping it cuts what passes through it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    traffic: Arc<Traffic>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes connections on to `server`.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let traffic = Arc::new(Traffic::default());
        let shared = Arc::clone(&traffic);
        let accepting = tokio::spawn(async move {
            // The connections are dropped with this task.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let traffic = Arc::clone(&shared);
                connections.spawn(async move {
                    // When either side ends or the disturbance happens, the connection is over.
                    let _ = pass(client, server, &traffic).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            traffic,
            accepting,
        })
    }

    /// Returns the address at which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets `disturbance` happen after `bytes` more bytes that way, over all connections together.
    pub fn order(&self, way: Way, bytes: u64, disturbance: Disturbance) {
        self.traffic.with(|state| {
            let at = state.passed(way) + bytes;
            state.order = Some((way, at, disturbance));
        });
    }

    /// Returns whether what was ordered has happened.
    pub fn has_happened(&self) -> bool {
        self.traffic.with(|state| state.order.is_none())
    }

    /// Takes the order back, and ends a silence.
    pub fn clear(&self) {
        self.traffic.with(|state| state.order = None);
        self.traffic.silent.send_replace(false);
    }

    /// Lets nothing pass any more over the connections that are open, and tells neither side, as a gateway does that
    /// forgot them. New connections pass.
    pub fn forget(&self) {
        self.traffic.forgotten.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many bytes have passed that way.
    pub fn passed(&self, way: Way) -> u64 {
        self.traffic.with(|state| state.passed(way))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Debug, Default)]
struct Traffic {
    state: Mutex<State>,
    silent: watch::Sender<bool>,
    /// How often the open connections were forgotten.
    forgotten: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    requests: u64,
    answers: u64,
    order: Option<(Way, u64, Disturbance)>,
}

impl State {
    const fn passed(&self, way: Way) -> u64 {
        match way {
            Way::Requests => self.requests,
            Way::Answers => self.answers,
        }
    }

    const fn count(&mut self, way: Way, bytes: u64) {
        match way {
            Way::Requests => self.requests += bytes,
            Way::Answers => self.answers += bytes,
        }
    }

    /// Counts `bytes` that are about to pass. Returns how many of them pass before what is ordered happens, if it
    /// happens within them.
    fn meet(&mut self, way: Way, bytes: u64) -> Option<(u64, Disturbance)> {
        let before = self.passed(way);
        self.count(way, bytes);
        let (_, at, disturbance) = self
            .order
            .filter(|(ordered, at, _)| *ordered == way && before + bytes > *at)?;
        self.order = None;
        Some((at - before, disturbance))
    }
}

impl Traffic {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits while the server is silent.
    async fn sound(&self) {
        let _ = self.silent.subscribe().wait_for(|silent| !silent).await;
    }
}

async fn pass(client: TcpStream, server: SocketAddr, traffic: &Traffic) -> io::Result<()> {
    traffic.sound().await;
    let epoch = traffic.forgotten.load(Ordering::Relaxed);
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, Way::Requests, traffic, epoch),
        pump(from_server, to_client, Way::Answers, traffic, epoch),
    )
    .map(drop)
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    traffic: &Traffic,
    epoch: u64,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if traffic.forgotten.load(Ordering::Relaxed) != epoch {
            std::future::pending::<()>().await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        let met = traffic.with(|state| state.meet(way, length as u64));
        let mut rest = &buffer[..length];
        if let Some((before, disturbance)) = met {
            let (first, second) = rest.split_at(usize::try_from(before).map_err(io::Error::other)?);
            to.write_all(first).await?;
            rest = second;
            match disturbance {
                Disturbance::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
                Disturbance::Stall => std::future::pending().await,
                Disturbance::Silence => {
                    traffic.silent.send_replace(true);
                }
                Disturbance::Delay(time) => tokio::time::sleep(time).await,
            }
        }
        traffic.sound().await;
        to.write_all(rest).await?;
    }
}
