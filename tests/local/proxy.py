"""A TCP proxy that can hold back the middle of a long answer, so that a test can act while rows are read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK = 16 * 1024


class Proxy:
    """A proxy that forwards connections to a server. While it holds, an answer longer than the limit stops in its
    middle.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._lock = threading.Condition()
        self._limit: int | None = None
        self._armed = 0
        self._held = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def holding(self, limit_bytes: int) -> Iterator[None]:
        """Holds every connection that answers `limit_bytes` while the context is open. Afterwards all go on."""
        with self._lock:
            self._limit, self._held = limit_bytes, 0
            self._armed += 1
        try:
            yield
        finally:
            with self._lock:
                self._limit = None
                self._lock.notify_all()

    def wait_until_held(self, connections: int = 1, seconds: float = 60) -> None:
        """Waits until so many connections are held in their middle."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._held >= connections, seconds):
                raise TimeoutError(f"{self._held} of {connections} connections reached the limit in {seconds:g} s")

    def close(self) -> None:
        """Takes no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        forwarded = armed = 0
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                # A connection may have been open and in use before.
                if armed != self._armed:
                    forwarded, armed = 0, self._armed
                forwarded += len(chunk)
                if is_answer:
                    self._hold(forwarded)
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _hold(self, forwarded: int) -> None:
        with self._lock:
            if self._limit is None or forwarded <= self._limit:
                return
            self._held += 1
            self._lock.notify_all()
            self._lock.wait_for(lambda: self._limit is None)
