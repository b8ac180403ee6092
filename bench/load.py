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
import re
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
AGAIN_SECONDS = 0.25  # before what failed is sent again
INSIST_SECONDS = 90.0  # after the end, for what has not arrived by then
EVENT = re.compile(rb'"id":"([0-9a-f-]{36})",[^{}]*?"act":"(\w+)"')


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
    told: bool = False  # whether to tell of each answer
    insists: bool = False  # whether what fails is sent again until it is acknowledged, as a tracker does
    made_on_the_way: bool = False  # whether requests are made when they are sent: for runs of many minutes


class Told(msgspec.Struct, array_like=True):
    """One answer, or what came in its place. Times are of the monotonic clock."""

    due: float
    sent: float
    at: float
    status: str
    rows: list[str]  # ids of its events, those that leave rows; only with 200


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
    told: list[Told] = []
    given_up: int = 0  # requests that were never answered with 200, although insisted on
    minutes: list[dict[str, float]] = []  # latency_ms of each minute of the measured time


class Connection:
    """One kept-alive connection, with at most one request under way."""

    __slots__ = ("began", "ends", "port", "received", "sent", "shot", "socket")

    def __init__(self, port: int) -> None:
        self.port = port
        self.shot: Shot | None = None
        self.ends = False  # the server has said that it closes it
        self.began = self.sent = 0.0
        self.connect()

    def connect(self) -> None:
        """Anew, after the one before it broke. A server that is away for a moment is waited for."""
        ends = time.perf_counter() + DRAIN_SECONDS
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port))
                break
            except OSError:
                if time.perf_counter() > ends:
                    raise
                time.sleep(0.02)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.ends = b"", False

    def send(self, shot: Shot, began: float) -> None:
        self.shot, self.began, self.sent = shot, began, time.perf_counter()
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
                self.ends = data.find(b"\r\nconnection: close", 0, end) > 0
                return int(data[9:12])
        self.received = data
        return None


class Load:
    """One run."""

    def __init__(self, order: Order) -> None:
        self.order = order
        supply = (order.rate or order.most) * (order.warm_seconds + order.seconds) + 1000
        traffic = Traffic(order.kind, [Site(*site) for site in order.sites], order.seed)
        shots = traffic.shots(int(supply))
        self._shots = shots if order.made_on_the_way else iter(list(shots))
        self._poll = select.epoll()
        self._connections = {
            c.socket.fileno(): c for c in (Connection(order.port) for _ in range(order.connections))
        }
        for number in self._connections:
            self._poll.register(number, select.EPOLLIN)
        self._latency = array("d")
        self._minutes: list[array[float]] = []
        self._accepted: list[tuple[float, int]] = []
        self._told: list[Told] = []
        # when to send it, when it was due at first, and what
        self._again: deque[tuple[float, float, Shot]] = deque()
        self._given_up = 0
        self._requests = self._events = 0
        self._whole = [0, 0, 0, 0]
        self._failures: dict[str, int] = {}
        self._measuring = False
        self._measured_from = 0.0

    def run(self) -> Report:
        order = self.order
        start = time.perf_counter()
        phases = self._open(start) if order.rate else self._closed(start)
        next(phases)  # warm
        before, self._measuring, began = self._cpu(), True, time.perf_counter()
        self._measured_from = began
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
            told=self._told,
            given_up=self._given_up,
            minutes=[percentiles(minute) for minute in self._minutes],
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
                self._repeat(free)
                while waiting and free:
                    self._send(free.popleft(), next(self._shots), waiting.popleft())
                free.extend(self._answered(min(due, ends) - time.perf_counter()))
            yield False
        insists_until = time.perf_counter() + INSIST_SECONDS
        while waiting or (self._is_owed() and time.perf_counter() < insists_until):
            self._repeat(free)
            if waiting and free:
                self._send(free.popleft(), next(self._shots), waiting.popleft())
            free.extend(self._answered(0.02 if self._again else 0.1))
        self._given_up = len(self._again)
        self._drain()

    def _is_owed(self) -> bool:
        """Whether something that is insisted on has not been answered with 200."""
        under_way = any(connection.shot is not None for connection in self._connections.values())
        return self.order.insists and (bool(self._again) or under_way)

    def _repeat(self, free: deque[Connection]) -> None:
        """Send again what it is time for."""
        while self._again and free and self._again[0][0] <= time.perf_counter():
            _, began, shot = self._again.popleft()
            self._send(free.popleft(), shot, began)

    def _send(self, connection: Connection, shot: Shot, began: float) -> None:
        """A connection that broke while nobody used it is renewed first: nothing has been sent on it."""
        try:
            connection.send(shot, began)
        except OSError:
            self._renew(connection)
            connection.send(shot, began)

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
                if connection.shot is None:  # it was idle, and is among the free ones already
                    self._renew(connection)
                    continue
                self._count(connection, type(broken).__name__)
                self._renew(connection)
                free.append(connection)
                continue
            if status is not None:
                self._count(connection, None if status == 200 else str(status))
                if connection.ends:
                    self._renew(connection)
                free.append(connection)
        return free

    def _count(self, connection: Connection, failure: str | None) -> None:
        shot, connection.shot = connection.shot, None
        assert shot is not None
        if self.order.told:
            self._tell(connection, shot, failure)
        if failure is not None:
            self._failures[failure] = self._failures.get(failure, 0) + 1
            if self.order.insists:
                self._again.append((time.perf_counter() + AGAIN_SECONDS, connection.began, shot))
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
            while now - self._measured_from >= 60 * len(self._minutes):
                self._minutes.append(array("d"))
            self._minutes[-1].append(now - connection.began)
            if self.order.accepted:
                self._accepted.append((now, shot.site))

    def _tell(self, connection: Connection, shot: Shot, failure: str | None) -> None:
        rows = []
        if failure is None:
            events = EVENT.findall(b"".join(shot.pieces))
            rows = [name.decode() for name, act in events if act != b"heartbeat"]
        self._told.append(
            Told(connection.began, connection.sent, time.perf_counter(), failure or "200", rows)
        )

    def _renew(self, broken: Connection) -> None:
        del self._connections[broken.socket.fileno()]
        broken.socket.close()
        broken.connect()
        self._connections[broken.socket.fileno()] = broken
        self._poll.register(broken.socket.fileno(), select.EPOLLIN)

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
