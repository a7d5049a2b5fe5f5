"""The load driver: keep-alive connections on plain sockets, each sending its next request on the last one's answer."""

from __future__ import annotations

import itertools
import selectors
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

CONNECTIONS = 16


@dataclass(frozen=True)
class Slice:
    """What one uninterrupted stretch of load measured; times in seconds."""

    requests: int
    elapsed: float
    p50: float
    p99: float
    driver_cpu: float
    server_cpu: float | None = None

    @property
    def rate(self) -> float:
        return self.requests / self.elapsed


class Driver:
    """``CONNECTIONS`` connections to ``address``, kept open from slice to slice."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sockets = [socket.create_connection(address) for _ in range(CONNECTIONS)]
        for connection in self.sockets:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setblocking(False)
        self.host = f"{address[0]}:{address[1]}"

    def close(self) -> None:
        for connection in self.sockets:
            connection.close()

    def request(self, path: str, secret: str | None, headers: Mapping[str, str]) -> bytes:
        lines = {"Host": self.host, "Accept": "*/*", **headers}
        if secret:
            lines["Authorization"] = f"Bearer {secret}"
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()

    def drive(self, requests: Iterator[bytes], seconds: float, status: int) -> Slice:
        """Send ``requests`` for ``seconds`` and measure. Any answer that has not ``status`` ends the run."""
        expected = b"HTTP/1.1 %d " % status
        selector = selectors.DefaultSelector()
        clock = time.perf_counter
        took: list[float] = []
        cpu, start = time.process_time(), clock()
        deadline = start + seconds
        sent: dict[int, float] = {}
        for connection in self.sockets:
            selector.register(connection, selectors.EVENT_READ, data=bytearray())
            sent[connection.fileno()] = clock()
            connection.send(next(requests))
        waiting = len(self.sockets)
        while waiting:
            for ready, _ in selector.select():
                received = ready.data
                part = ready.fileobj.recv(65536)
                if not part:
                    raise SystemExit("The server closed a connection.")
                received += part
                if not is_whole(received):
                    continue
                now = clock()
                took.append(now - sent[ready.fd])
                if not received.startswith(expected):
                    raise SystemExit(f"Expected {status}, got:\n{received.decode(errors='replace')}")
                received.clear()
                if now < deadline:
                    sent[ready.fd] = now
                    ready.fileobj.send(next(requests))
                else:
                    waiting -= 1
        elapsed, cpu = clock() - start, time.process_time() - cpu
        selector.close()
        took.sort()
        return Slice(
            requests=len(took),
            elapsed=elapsed,
            p50=took[len(took) // 2],
            p99=took[len(took) * 99 // 100],
            driver_cpu=cpu,
        )


def is_whole(received: bytearray) -> bool:
    """Whether this is a complete answer: headers, and as much body as Content-Length says."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    at = received.find(b"Content-Length: ", 0, end)
    if at < 0:
        raise SystemExit(f"No Content-Length:\n{received.decode(errors='replace')}")
    return len(received) >= end + 4 + int(received[at + 16 : received.index(b"\r\n", at)])


def rotate(
    driver: Driver, path: str, secrets: list[str] | None, headers: Mapping[str, str] = MappingProxyType({})
) -> Iterator[bytes]:
    """Requests for ``path`` without end, with each of ``secrets`` in turn; without any if None."""
    return itertools.cycle([driver.request(path, secret, headers) for secret in secrets or [None]])
