//! TLS inside PRELOGIN packets.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::packet::{END, HEADER, PRELOGIN, frame};

/// A stream whose bytes travel in PRELOGIN packets until the handshake is over.
pub struct Wrapped<S> {
    inner: S,
    wrapping: bool,
    header: [u8; HEADER],
    header_read: usize,
    body_left: usize,
    outgoing: Vec<u8>,
    written: usize,
}

impl<S> Wrapped<S> {
    /// Wraps a stream. Its bytes travel in packets until [`Wrapped::pass_through`].
    pub fn new(inner: S) -> Self {
        Wrapped {
            inner,
            wrapping: true,
            header: [0; HEADER],
            header_read: 0,
            body_left: 0,
            outgoing: Vec::new(),
            written: 0,
        }
    }

    /// Ends the wrapping after the handshake: bytes travel as they are.
    pub fn pass_through(&mut self) {
        self.wrapping = false;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.wrapping {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        while this.body_left == 0 {
            let mut header = ReadBuf::new(&mut this.header[this.header_read..]);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut header))?;
            let count = header.filled().len();
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            this.header_read += count;
            if this.header_read == HEADER {
                let length = usize::from(u16::from_be_bytes([this.header[2], this.header[3]]));
                if this.header[0] != PRELOGIN || length < HEADER {
                    let e = io::Error::new(io::ErrorKind::InvalidData, "not a TLS handshake in PRELOGIN packets");
                    return Poll::Ready(Err(e));
                }
                this.body_left = length - HEADER;
                this.header_read = 0;
            }
        }
        let limit = this.body_left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(limit));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let count = part.filled().len();
        buf.advance(count);
        this.body_left -= count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Wrapped<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outgoing.len() {
            let count = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.outgoing[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.outgoing.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Makes a packet of what has been collected.
    fn close_packet(&mut self) {
        if self.written == 0 && !self.outgoing.is_empty() && self.outgoing[0] == 0 {
            let payload = self.outgoing.split_off(HEADER);
            self.outgoing = frame(PRELOGIN, &payload, 4096, true, &mut 0);
            debug_assert_eq!(self.outgoing[1] & !END, 0);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if !this.wrapping {
            ready!(this.poll_drain(cx))?;
            return Pin::new(&mut this.inner).poll_write(cx, buf);
        }
        // A header of zeros marks a packet that is still open. All that is written up to the flush becomes one message.
        if this.outgoing.first().is_some_and(|kind| *kind != 0) {
            ready!(this.poll_drain(cx))?;
        }
        if this.outgoing.is_empty() {
            this.outgoing.extend([0; HEADER]);
        }
        this.outgoing.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close_packet();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}
