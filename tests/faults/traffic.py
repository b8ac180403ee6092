"""What visitors and networks do to the doors: repeats, lost replies, wrong orders, poison, floods, slow readers."""

from __future__ import annotations

import json
import random
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import flood as floods
from streams import _resident as resident

from opsmantik.cli import serve
from opsmantik.db.child import preparation
from opsmantik.settings import Settings
from tests.faults.house import Drive, House, Ledger, VoidError, free_port, outage, slowest
from tests.faults.proxy import Spoiler, proxy
from tests.faults.rows import Given, Outcome, row
from tests.valkey import running_valkey

BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


def post(house: House, events: list[dict[str, Any]], place: int = 0) -> tuple[int, dict[str, Any]]:
    """What the door for events answers."""
    public_id, domain = house.sites[place]
    body = {"site": public_id, "sent": round(time.time() * 1000), "v": "1.0.0", "events": events}
    request = urllib.request.Request(
        f"{house.url}/v1/events", data=json.dumps(body).encode(),
        headers={"Content-Type": "text/plain", "Origin": f"https://www.{domain}", "User-Agent": BROWSER},
    )  # fmt: skip
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read() or b"{}")


def event(house: House, session: str, act: str = "view", **more: Any) -> dict[str, Any]:
    """One event of a visit to the house's first site."""
    found = {
        "id": str(uuid4()), "ts": round(time.time() * 1000), "sid": session, "vid": session[:32], "act": act,
        "cat": "conversion" if act == "phone_call" else "interaction",
        "url": f"https://www.{house.sites[0][1]}/",
    }  # fmt: skip
    if act == "phone_call":
        found["label"] = "tel:05000001020"
    return found | more


def _counted(house: House) -> dict[str, int]:
    rows = house.query(
        "SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM sessions) AS visits,"
        " (SELECT count(*) FROM calls) AS taps, (SELECT coalesce(sum(n), 0) FROM ingest_counts"
        " WHERE outcome = 'duplicate')::bigint AS duplicates"
    )
    return dict(rows)


@row(
    "duplicates",
    injected="each event of a visit, a tap among them, sent 100 times, 16 at a time",
    must="one row, one lead and one count of each; every answer 200",
)
def duplicates(given: Given) -> Outcome:
    with House(given.directory) as house:
        session = str(uuid4())
        visit = [event(house, session), event(house, session), event(house, session, "phone_call")]
        with ThreadPoolExecutor(16) as many:
            answers = list(many.map(lambda number: post(house, visit), range(100)))
        statuses = {status for status, _ in answers}
        found = _counted(house)
        wrong = house.miscounted()
        if statuses != {200}:
            wrong.append(f"answers were {statuses}")
        if found != {"events": 3, "visits": 1, "taps": 1, "duplicates": 297}:
            wrong.append("not one of each")
        figure = ", ".join(f"{n} {name}" for name, n in found.items()) + " of 300 sent"
        return Outcome(figure, wrong, raw=found)


@row(
    "lost-replies",
    injected="one reply in ten is lost on its way and its connection broken; clients send again",
    must="each event is one row and counted once",
)
def lost_replies(given: Given) -> Outcome:
    with House(given.directory) as house:
        port, spoiler = free_port(), Spoiler(loses=0.1)
        with proxy(port, house.port, spoiler):
            report = Drive(house, seconds=12, port=port).finish()
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        if spoiler.lost < 50:
            wrong.append("hardly any reply was lost")
        repeats = _counted(house)["duplicates"]
        return Outcome(
            f"{spoiler.lost} replies lost; {ledger.words}; {repeats} repeats found to be such", wrong
        )


@row(
    "wrong-order",
    injected="thirty visits of one plan, each sent in an order of its own, a request an event",
    must="all thirty come to the same: event count, times, entry page, lead",
)
def wrong_order(given: Given) -> Outcome:
    chance, now = random.Random(6), round(time.time() * 1000)
    with House(given.directory) as house:
        for number in range(30):
            session = str(uuid4())
            base = f"https://www.{house.sites[0][1]}"
            visit = [
                event(house, session, url=f"{base}/?gclid=Cj0KCQ{number:050d}", ts=now - 50_000),
                event(house, session, url=f"{base}/fiyatlar", ts=now - 40_000),
                event(house, session, "scroll_depth", label="50%", url=f"{base}/fiyatlar", ts=now - 30_000),
                event(house, session, "phone_call", url=f"{base}/iletisim", ts=now - 20_000),
                event(house, session, url=f"{base}/iletisim", ts=now - 10_000),
            ]
            if number:
                chance.shuffle(visit)
            for each in visit:
                status, answer = post(house, [each])
                if status != 200:
                    raise VoidError(str(answer))
        states = house.query(
            "SELECT count(*) AS visits, count(DISTINCT (s.event_count, split_part(s.entry_page, '?', 1), s.exit_page,"
            " s.channel, s.attribution_source,"
            " round(extract(epoch FROM s.last_event_at - s.started_at)), (SELECT count(*) FROM calls c"
            " WHERE c.site_id = s.site_id AND c.matched_session_id = s.id))) AS states FROM sessions s"
        )
        wrong = house.miscounted()
        if tuple(states) != (30, 1):
            wrong.append("they came to different things")
        return Outcome(f"{states['visits']} visits, {states['states']} final state(s)", wrong)


@row(
    "poison",
    injected="one event that cannot be read, one with NUL and lone surrogates and one of 1970 in batches of a hundred",
    must="99 stored, 1 kept among the rejected with its reason; received = stored + rejected",
)
def poison(given: Given) -> Outcome:
    batches = 20
    with House(given.directory, OPSMANTIK_RATE_LIMIT_PER_MINUTE="0") as house:
        odd = []
        for _ in range(batches):
            session = str(uuid4())
            batch = [event(house, session) for _ in range(97)]
            batch.insert(50, event(house, session, label="a\x00b\ud800c"))
            batch.insert(20, event(house, session, ts=1000))
            batch.insert(70, {"id": "not an id", "act": 7})
            status, answer = post(house, batch)
            results = [result["status"] for result in answer.get("results", [])] or [str(answer)]
            odd.append((status, results.count("accepted"), results.count("rejected")))
        tally = {name: int(n) for name, n in house.query(
            "SELECT array_agg(ARRAY[outcome::text, n::text]) FROM"
            " (SELECT outcome, sum(n) AS n FROM ingest_counts GROUP BY outcome) t")[0]}  # fmt: skip
        kept = house.query("SELECT count(*) FROM rejected_events")[0]
        stored = house.stored()
        wrong = house.miscounted()
        if set(odd) != {(200, 99, 1)}:
            wrong.append(f"answers (status, accepted, rejected): {sorted(set(odd))}")
        if (stored, kept, sum(tally.values())) != (99 * batches, batches, 100 * batches):
            wrong.append("the books do not balance")
        figure = f"{100 * batches} received = {stored} stored + {kept} rejected and kept; counted: {tally}"
        return Outcome(figure, wrong, raw={"tally": tally})


@row(
    "flood",
    injected="site A at 2,000 events/s from thousands of addresses, site B at 100 (bench/flood.py, three rounds)",
    must="A is told to wait (429); B is refused nothing and its p99 is at most 1.5 times what it is alone",
    limit=240,
)
def flood(given: Given) -> Outcome:
    floods.ROUNDS = 3
    figures, runs = floods.flood(given.directory, 1.0)
    ratio = figures[0]
    told = statistics.median(run["told_to_wait"] for run in runs)
    alone = statistics.median(run["alone"]["latency_ms"]["p99"] for run in runs)
    wrong = [] if ratio.is_met else [f"B's p99 was {ratio.reached:g} times as long"]
    return Outcome(
        f"B's p99 {ratio.reached:g} × of {alone:.0f} ms alone; A: {told:.0f} answers a second were 429", wrong
    )


@row(
    "deploy",
    injected="SIGTERM at 500 events/s, four times; the next server takes the listening socket over",
    must="no event dropped: all acknowledged in the end; each ends within 15 s",
)
def deploy(given: Given) -> Outcome:
    with Deployed(given.directory) as house:
        drive = Drive(house, seconds=24, rate=500, connections=64)
        moments, ends = [], []
        for _ in range(4):
            time.sleep(2)
            moments.append(time.monotonic())
            ends.append(house.replace())
        report = drive.finish()
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        if max(ends) > 15:
            wrong.append(f"one took {max(ends):.0f} s to end")
        pause = max(outage(report.told, moment, moment + 15) for moment in moments)
        figure = (
            f"{ledger.words}; sent again: {ledger.refusals or 'none'}; each ended within {max(ends):.1f} s; longest pause"
            f" {pause:.1f} s"
        )
        return Outcome(figure, wrong, raw={"ends": ends})


class Deployed(House):
    """Whoever replaces the server keeps the socket, as ``opsmantik up`` and systemd do."""

    def _begin(self) -> None:
        self._listener = serve.listen(Settings(port=self.port))
        self._listener.set_inheritable(True)
        self._start_server()

    def _start_server(self) -> None:
        number = self._listener.fileno()
        with (self.home / "server.log").open("ab") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "opsmantik.cli", "serve", "--fd", str(number)], env=self.environment(),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(number,), preexec_fn=preparation(),
            )  # fmt: skip
        self._await_readiness()

    def replace(self) -> float:
        """End it in order, start the next one; seconds that the first took to end."""
        began = time.monotonic()
        self.server.terminate()
        self.server.wait(30)
        took = time.monotonic() - began
        self._start_server()
        return round(took, 2)

    def close(self) -> None:
        super().close()
        self._listener.close()


@row(
    "slow-stream",
    injected="forty pages open their stream and read no byte of it, at 200 events/s for 20 s",
    must="no event waits for them; the server's memory grows by no more than 16 MB",
)
def slow_stream(given: Given) -> Outcome:
    with House(given.directory) as house:
        cookie, site = house.sign_in_owner(), house.site_ids()[0]
        calm = Drive(house, seconds=6, rate=200).finish()
        readers = []
        for _ in range(40):
            reader = socket.socket()
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            reader.connect(("127.0.0.1", house.port))
            host = urlsplit(house.url).netloc
            reader.sendall(
                f"GET /api/v1/sites/{site}/stream HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n".encode()
            )
            readers.append(reader)
        drive = Drive(house, seconds=20, rate=200, seed=2)
        before = resident(house.server.pid)
        report = drive.finish()
        grown = (resident(house.server.pid) - before) / 2**20
        answered = sum(bool(reader.recv(15, socket.MSG_PEEK)) for reader in readers)
        for reader in readers:
            reader.close()
        ledger = Ledger.of(house, calm, report)
        wrong = ledger.wrong()
        if ledger.refusals:
            wrong.append(f"refused: {ledger.refusals}")
        if answered != len(readers):
            wrong.append(f"only {answered} streams were opened")
        if grown > 16:
            wrong.append("memory grew")
        figure = (
            f"memory {grown:+.1f} MB; p99 {slowest(report.told)['p99']:.0f} ms, {slowest(calm.told)['p99']:.0f} ms before;"
            f" {ledger.words}"
        )
        return Outcome(figure, wrong)


@row(
    "valkey",
    injected="Valkey, which two servers would share, frozen for 4 s, thawed, killed, and started again 4 s later",
    must="every event is taken (200) and stored; no answer waits a second for it",
)
def valkey(given: Given) -> Outcome:
    with running_valkey() as store, House(given.directory, OPSMANTIK_VALKEY_URL=store.url) as house:
        drive = Drive(house, seconds=22)
        began = time.monotonic()
        time.sleep(3)
        store.freeze()
        frozen = time.monotonic()
        time.sleep(4)
        store.thaw()
        time.sleep(3)
        store.kill()
        killed = time.monotonic()
        time.sleep(4)
        store.start()
        back = time.monotonic()
        report = drive.finish()
        ledger = Ledger.of(house, report)
        wrong = ledger.wrong() + house.miscounted()
        if ledger.refusals:
            wrong.append(f"refused: {ledger.refusals}")
        times = {
            "well": slowest(report.told, began, frozen), "frozen": slowest(report.told, frozen, frozen + 4),
            "killed": slowest(report.told, killed, back), "back": slowest(report.told, back),
        }  # fmt: skip
        if max(times["frozen"]["max"], times["killed"]["max"]) > 1000:
            wrong.append("an answer waited longer than a second")
        figure = "p99 " + ", ".join(f"{name} {each['p99']:.0f} ms" for name, each in times.items())
        return Outcome(f"{figure}; {ledger.words}", wrong, raw=times)
