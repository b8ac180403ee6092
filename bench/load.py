"""The load generator: a process of its own that keeps connections busy and measures what comes back.

Enters: an :class:`Order`, as JSON on standard input. Leaves: a :class:`Report`, as JSON on standard output.

Closed loop (no rate): every connection sends its next request when the answer to the last is there; it finds the
most that the server can take. Open loop (a rate): requests have due times that no slow answer moves, and latency
counts from the due time, whether or not a connection was free to send it then. Without that a server that stalls
for a second would hide the requests that it kept from being sent (coordinated omission).

Plain sockets and epoll, requests made beforehand, answers read no further than needed: about 15 microseconds of
CPU a request, for the generator shares the machine with what it measures.
"""

from __future__ import annotations

import gc
import random
import select
import socket
import sys
import time
from array import array
from collections import deque
from collections.abc import Iterator

import msgspec
from machine import busy_seconds, cpu_seconds
from mix import Kind, Shot, Site, Traffic

DRAIN_SECONDS = 20.0
ANSWER = 65_536


class Order(msgspec.Struct):
    """What to do. ``processes``: names and first process ids of what is measured beside."""

    kind: Kind
    port: int
    sites: list[tuple[str, str]]
    connections: int
    warm_seconds: float
    seconds: float
    processes: dict[str, int]
    rate: float | None = None  # events a second; None is as fast as it goes
    most: float = 12_000.0  # events a second that requests are made for, where the rate is not known
    seed: int = 1
    accepted: bool = False  # whether to tell of each event


class Report(msgspec.Struct):
    """What came of it. Counts without a word are of the measured time; ``whole_*`` are of the whole run."""

    seconds: float
    requests: int
    events: int
    latency_ms: dict[str, float]
    cpu_seconds: dict[str, float]  # of the order's processes, the generator, and the whole machine
    whole_requests: int
    whole_events: int
    whole_rows: int
    whole_taps: int
    failures: dict[str, int]  # by status, or by what happened to the connection
    supply_seconds: float | None  # set when the requests ran out before the time
    accepted: list[tuple[float, int]] = []  # when (monotonic clock), and the place of its site in the order


class Connection:
    """One kept-alive connection, with at most one request under way."""

    __slots__ = ("began", "received", "shot", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.shot: Shot | None = None
        self.received = b""
        self.began = 0.0

    def send(self, shot: Shot, began: float) -> None:
        self.shot, self.began = shot, began
        request = (b"%d" % (time.time_ns() // 1_000_000)).join(shot.pieces)
        self.socket.sendall(request)

    def read(self) -> int | None:
        """The status when the whole answer is there; None while it is not. Raises ConnectionError at its end."""
        data = self.socket.recv(ANSWER)
        if not data:
            raise ConnectionResetError
        if self.received:
            data = self.received + data
        end = data.find(b"\r\n\r\n")
        if end > 0:
            start = data.index(b"content-length: ", 0, end) + 16
            if len(data) >= end + 4 + int(data[start : data.index(b"\r", start)]):
                self.received = b""
                return int(data[9:12])
        self.received = data
        return None


class Load:
    """One run."""

    def __init__(self, order: Order) -> None:
        self.order = order
        supply = (order.rate or order.most) * (order.warm_seconds + order.seconds) + 1000
        traffic = Traffic(order.kind, [Site(*site) for site in order.sites], order.seed)
        self._shots = iter(list(traffic.shots(int(supply))))
        self._poll = select.epoll()
        self._connections = {
            c.socket.fileno(): c for c in (Connection(order.port) for _ in range(order.connections))
        }
        for number in self._connections:
            self._poll.register(number, select.EPOLLIN)
        self._latency = array("d")
        self._accepted: list[tuple[float, int]] = []
        self._requests = self._events = 0
        self._whole = [0, 0, 0, 0]
        self._failures: dict[str, int] = {}
        self._measuring = False

    def run(self) -> Report:
        order = self.order
        start = time.perf_counter()
        phases = self._open(start) if order.rate else self._closed(start)
        next(phases)  # warm
        before, self._measuring, began = self._cpu(), True, time.perf_counter()
        dry = next(phases)
        ended, self._measuring = time.perf_counter(), False
        after = self._cpu()
        for _ in phases:  # what is still under way
            pass
        for connection in self._connections.values():
            connection.socket.close()
        return Report(
            seconds=ended - began,
            requests=self._requests,
            events=self._events,
            latency_ms=percentiles(self._latency),
            cpu_seconds={name: after[name] - before[name] for name in after},
            whole_requests=self._whole[0],
            whole_events=self._whole[1],
            whole_rows=self._whole[2],
            whole_taps=self._whole[3],
            failures=self._failures,
            supply_seconds=ended - began if dry else None,
            accepted=self._accepted,
        )

    def _cpu(self) -> dict[str, float]:
        others = {name: cpu_seconds(pid) for name, pid in self.order.processes.items()}
        return others | {"generator": time.process_time(), "machine": busy_seconds()}

    def _closed(self, start: float) -> Iterator[bool]:
        """Yields when warm, at the end of the measurement (whether the requests ran out), and when all is answered."""
        for connection in list(self._connections.values()):
            connection.send(next(self._shots), time.perf_counter())
        for ends in (start + self.order.warm_seconds, start + self.order.warm_seconds + self.order.seconds):
            dry = False
            while not dry and time.perf_counter() < ends:
                for connection in self._answered(0.1):
                    shot = next(self._shots, None)
                    if shot is None:
                        dry = True
                    else:
                        connection.send(shot, time.perf_counter())
            yield dry
        self._drain()

    def _open(self, start: float) -> Iterator[bool]:
        """As above, with the gaps of visitors who know nothing of each other: exponential ones."""
        gaps = random.Random(self.order.seed)
        rate = self.order.rate or 1.0
        free = deque(self._connections.values())
        due, waiting = start, deque[float]()
        for ends in (start + self.order.warm_seconds, start + self.order.warm_seconds + self.order.seconds):
            while (now := time.perf_counter()) < ends:
                while due <= now:
                    waiting.append(due)
                    due += gaps.expovariate(rate)
                while waiting and free:
                    free.popleft().send(next(self._shots), waiting.popleft())
                free.extend(self._answered(min(due, ends) - time.perf_counter()))
            yield False
        while waiting:
            if free:
                free.popleft().send(next(self._shots), waiting.popleft())
            free.extend(self._answered(0.1))
        self._drain()

    def _answered(self, timeout: float) -> list[Connection]:
        """Wait for answers, at most so long; the connections that are free again."""
        # epoll's own timeout counts whole milliseconds, select's microseconds.
        if not select.select([self._poll], (), (), max(timeout, 0.0))[0]:
            return []
        free = []
        for number, _ in self._poll.poll(0):
            connection = self._connections[number]
            try:
                status = connection.read()
            except (OSError, ValueError) as broken:
                self._count(connection, type(broken).__name__)
                free.append(self._renew(connection))
                continue
            if status is not None:
                self._count(connection, None if status == 200 else str(status))
                free.append(connection)
        return free

    def _count(self, connection: Connection, failure: str | None) -> None:
        shot, connection.shot = connection.shot, None
        assert shot is not None
        if failure is not None:
            self._failures[failure] = self._failures.get(failure, 0) + 1
            return
        whole = self._whole
        whole[0] += 1
        whole[1] += shot.events
        whole[2] += shot.rows
        whole[3] += shot.taps
        if self._measuring:
            self._requests += 1
            self._events += shot.events
            now = time.perf_counter()
            self._latency.append(now - connection.began)
            if self.order.accepted:
                self._accepted.append((now, shot.site))

    def _renew(self, broken: Connection) -> Connection:
        del self._connections[broken.socket.fileno()]
        broken.socket.close()
        fresh = Connection(self.order.port)
        self._connections[fresh.socket.fileno()] = fresh
        self._poll.register(fresh.socket.fileno(), select.EPOLLIN)
        return fresh

    def _drain(self) -> None:
        ends = time.perf_counter() + DRAIN_SECONDS
        while any(c.shot is not None for c in self._connections.values()):
            if time.perf_counter() > ends:
                self._failures["no answer"] = sum(c.shot is not None for c in self._connections.values())
                return
            self._answered(0.1)


def percentiles(seconds: array[float] | list[float]) -> dict[str, float]:
    """p50, p99, p99.9 and the longest, in milliseconds; empty for nothing."""
    if not seconds:
        return {}
    ordered = sorted(seconds)
    last = len(ordered) - 1
    at = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: round(ordered[round(share * last)] * 1000, 3) for name, share in at.items()}


if __name__ == "__main__":
    load = Load(msgspec.json.decode(sys.stdin.buffer.read(), type=Order))
    gc.collect()
    gc.freeze()
    gc.disable()  # nothing here makes circles
    sys.stdout.buffer.write(msgspec.json.encode(load.run()))
