"""Valkey (or Redis), where several nodes share one: passes words between them and counts what they count together.

Enters: OPSMANTIK_VALKEY_URL. Leaves: answers within :data:`ANSWER_SECONDS`, or ``None``, which says that Valkey is
away or slow and that the caller does without. It never holds anything that is not elsewhere too, so nothing here
raises, and nobody waits for a Valkey that is known to be away: a task of its own finds out when it is back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from valkey.asyncio import Valkey as Client
from valkey.exceptions import ValkeyError

log = structlog.get_logger()

ANSWER_SECONDS = 0.05  # slower than this is away: whoever asks has a visitor waiting
CONNECT_SECONDS = 2.0
PROBE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
STEADY_SECONDS = 60.0  # up for so long, and earlier losses are forgotten
LOOP_PASSES = 5

GONE = (ValkeyError, OSError, asyncio.TimeoutError)


class Valkey:
    """Commands to one server. ``up`` says whether asking makes sense at this moment."""

    def __init__(self, url: str) -> None:
        self._client = _client(url, CONNECT_SECONDS)
        self._scripts: dict[str, Any] = {}
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.up = False

    async def start(self) -> None:
        """Begin to look for the server; returns at once, and goes on trying while it is away."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        self.up = False
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        with suppress(*GONE):
            await self._client.aclose()

    async def publish(self, channel: str, payloads: Sequence[str]) -> bool:
        """Whether at least one listener got each of these; if not, say it in another way."""
        pipeline = self._client.pipeline(transaction=False)
        for payload in payloads:
            pipeline.publish(channel, payload)
        heard = await self._ask(pipeline.execute)
        return heard is not None and all(heard)

    async def run(self, script: str, keys: Sequence[str], arguments: Sequence[int]) -> Any | None:
        """What an atomic script answers, in one round trip."""
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._client.register_script(script)
        return await self._ask(lambda: known(keys, arguments))

    async def _ask(self, command: Callable[[], Awaitable[Any]]) -> Any | None:
        if not self.up:
            return None
        try:
            return await self._in_time(command())
        except GONE as lost:
            if self.up:
                self.up = False
                self._lost.set()
                log.warning("valkey.away", error=str(lost) or "no answer in time")
            return None

    async def _in_time(self, command: Awaitable[Any]) -> Any:
        task = asyncio.ensure_future(command)
        try:
            done, _ = await asyncio.wait({task}, timeout=ANSWER_SECONDS - 0.001 * LOOP_PASSES)
            # A busy loop of our own is not a slow server: what has come in meanwhile is taken.
            for _ in range(LOOP_PASSES):
                if done:
                    break
                done, _ = await asyncio.wait({task}, timeout=0.001)
            if not done:
                raise TimeoutError
            return task.result()
        finally:
            if not task.done():  # the client closes a connection whose answer nobody waits for
                task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
                task.cancel()

    async def _watch(self) -> None:
        """Keep ``up`` true to life. A server that comes and goes is believed a little later each time."""
        loop = asyncio.get_running_loop()
        pause, since, said = FIRST_PAUSE, loop.time(), False
        while True:
            failure = await self._probe()
            if failure is None and not self.up:
                self.up, since = True, loop.time()
                self._lost.clear()
                log.info("valkey.up")
            elif failure is not None and (self.up or not said):
                log.warning("valkey.away", error=failure)
                self.up = False
            said = True
            if self.up:
                if loop.time() - since > STEADY_SECONDS:
                    pause = FIRST_PAUSE
                # Not wait_for: before Python 3.12 it may swallow a cancellation that comes with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._lost.wait()
            if not self.up:
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(2 * pause, LONGEST_PAUSE if failure is None else PROBE_SECONDS)

    async def _probe(self) -> str | None:
        """Why it is of no use now, if it is: it must answer in time, take a key and pass on a word."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._client.ping()  # to connect may take longer than to answer
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set("opsmantik:probe", 1, px=1000).publish("opsmantik:probe", "")
            await self._in_time(pipeline.execute())
        except GONE as lost:
            return str(lost) or "no answer in time"
        return None


class Subscription:
    """One connection that listens. Calls ``heard(payload)`` for each word on the channel, and ``turned()`` whenever
    it begins or ceases to listen: what is said before or after that is missed, so whoever listens looks then.
    """

    def __init__(
        self, url: str, channel: str, heard: Callable[[str], None], turned: Callable[[], None], *, name: str
    ) -> None:
        self._url = url
        self._channel = channel
        self._heard = heard
        self._turned = turned
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self.listening = False

    async def start(self) -> None:
        """Begin to listen; returns at once, and goes on trying while the server is away."""
        self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        said = False
        while True:
            client = _client(self._url, PROBE_SECONDS)
            try:
                await self._listen(client.pubsub())
            except GONE as lost:
                if self.listening or not said:
                    log.warning(f"{self._name}.valkey_lost", error=str(lost) or "no answer in time")
                said = True
            finally:
                if self.listening:
                    self.listening = False
                    self._turned()
                with suppress(*GONE):
                    await client.aclose()
            await asyncio.sleep(PROBE_SECONDS * random.uniform(0.25, 0.5))

    async def _listen(self, pubsub: Any) -> None:
        """Until the connection is lost; one that died without a word is found out by asking."""
        async with pubsub:
            await pubsub.subscribe(self._channel)
            asked = False
            while True:
                message = await pubsub.get_message(timeout=PROBE_SECONDS)
                if message is None:
                    if asked:
                        raise TimeoutError
                    await pubsub.ping()
                    asked = True
                    continue
                asked = False
                if message["type"] == "subscribe":
                    self.listening = True
                    self._turned()
                elif message["type"] == "message":
                    self._heard(message["data"])


def _client(url: str, seconds: float) -> Any:
    return Client.from_url(
        url,
        decode_responses=True,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        client_name="opsmantik",
    )
