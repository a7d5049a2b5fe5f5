"""Addresses where Redis should be and does not answer."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from threading import Event, Thread
from urllib.parse import urlsplit


@contextmanager
def listener_that_never_answers():
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


@contextmanager
def nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    yield f"redis://127.0.0.1:{port}/0"


class Proxy:
    """Stands in front of the real Redis, and can be hung: it takes what comes and passes nothing on."""

    def __init__(self, url: str) -> None:
        there = urlsplit(url)
        self.target = (there.hostname, there.port or 6379)
        self.passing = Event()
        self.passing.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = there._replace(netloc=f"127.0.0.1:{self.listener.getsockname()[1]}").geturl()
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                inside, _ = self.listener.accept()
            except OSError:
                return
            outside = socket.create_connection(self.target)
            for pair in ((inside, outside), (outside, inside)):
                Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.passing.wait()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
