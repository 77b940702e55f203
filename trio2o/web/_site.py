"""A face's site: its connections, and the calls that run on them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.web.http import datetimeToString
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, MethodNotAllowed
from trio2o.domain.tasks import Task
from trio2o.message import Answer, Body, Call
from trio2o.web._channel import Channel, Exchange, Limits
from trio2o.web._head import Head
from trio2o.web._mount import Table
from trio2o.web._pipeline import UNEXPECTED, Face, Found, Pipeline, request_id_of

log = make_logger()

SAFE = ("GET", "HEAD")


class FaceSite(Factory):
    """A face, its table and its limits, as a factory of channels.

    Calls run as tasks of their own: reads end with their client, all else runs to its end.
    """

    noisy = False

    def __init__(
        self, reactor: Any, face: Face, table: Table, pipeline: Pipeline, limits: Limits
    ) -> None:
        self.face, self._table = face, table
        self._reactor, self._pipeline, self.limits = reactor, pipeline, limits
        self.running: set[Task] = set()
        self._channels: set[Channel] = set()
        self.draining = False
        """Each connection ends with its next answer, which says so."""
        self._closed: Deferred[None] | None = None
        self._second, self._date = 0, b""

    def buildProtocol(self, addr: Any) -> Channel:  # noqa: N802
        channel = Channel(self._reactor, self, self.limits, self._lost)
        channel.peer = getattr(addr, "host", "")
        self._channels.add(channel)
        return channel

    def _lost(self, channel: Channel) -> None:
        self._channels.discard(channel)
        self._look()

    def _ran(self, task: Task) -> None:
        self.running.discard(task)
        self._look()

    def _look(self) -> None:
        if self._closed is not None and not self.in_use:
            closed, self._closed = self._closed, None
            closed.callback(None)

    @property
    def in_use(self) -> bool:
        """Whether there are connections, or calls that run on."""
        return bool(self._channels or self.running)

    def close(self) -> Deferred[Any]:
        """Close connections as they become idle; fires when what is running and written is out."""
        for channel in list(self._channels):
            channel.rest()
        if not self.in_use:
            return succeed(None)
        self._closed = Deferred()
        return self._closed

    def own(self, fault: Fault, call: Call) -> Answer:
        """An error of a call that no operation saw."""
        answer, id = self.face.fault(fault), request_id_of(call.said or {})
        self._pipeline.refused(self.face, call, id, answer)
        told = (b"X-Openstack-Request-Id", id.encode())
        return Answer(answer.status, (*answer.headers, told), answer.body)

    def date(self) -> bytes:
        """The header that tells the time of an answer."""
        now = int(time.time())
        if now != self._second:
            self._second, self._date = now, b"Date: " + datetimeToString(now)
        return self._date

    def turn(self, share: str) -> Deferred[None] | None:
        """When one more call of a project may be read; None: now."""
        return self._pipeline.shares.turn(share)

    def of(self, head: Head) -> FaceSite:
        """The site that a request is for."""
        return self

    def find(self, head: Head) -> Found:
        """The rows that a request is for."""
        head.path = self.face.normal(head.path)
        return self._table.find(head.method, head.path)

    def serve(self, channel: Channel, exchange: Exchange, body: Body) -> None:
        """Answer a request: the channel is told."""
        head, fields, peer = exchange.head, exchange.head.fields, channel.peer
        call = Call(head.method, head.path, head.query, fields.headers, body, fields.said, peer)
        task = Task(self._run(channel, exchange, call))
        if not task.over:
            exchange.task, task.ended = task, self._ran
            self.running.add(task)

    async def _run(self, channel: Channel, exchange: Exchange, call: Call) -> None:
        found = exchange.found
        try:
            if found.allowed:
                answer = self._wrong_method(found, call)
            else:
                answer = await self._pipeline.serve(self.face, found, call, exchange)
        except CancelledError:
            return
        except Exception:
            log.error("a call failed\n{traceback}", traceback=traceback.format_exc())
            answer = self.own(Fault(UNEXPECTED), call)
        exchange.task = None  # from now on its client's leaving ends what is written
        try:
            await channel.answer(exchange, answer)
        except Exception:
            log.error("an answer failed\n{traceback}", traceback=traceback.format_exc())
        if self._closed is not None:
            channel.rest()

    def left(self, exchange: Exchange) -> None:
        """Nobody waits for the answer any more: a read ends, all else goes on."""
        if exchange.task is not None and exchange.head.method in SAFE:
            exchange.task.cancel()

    def _wrong_method(self, found: Found, call: Call) -> Answer:
        fault = MethodNotAllowed("The method is not allowed for this resource.", found.allowed)
        answer = self.own(fault, call)
        allow = (b"Allow", ", ".join(found.allowed).encode())
        return Answer(answer.status, (*answer.headers, allow), answer.body)


class JointSite(FaceSite):
    """One port for all faces: the first segment of a path is a face's name.

    What has no such segment is answered by the first of them: `GET /healthcheck`, and no other.
    """

    def __init__(self, sites: Mapping[str, FaceSite], limits: Limits) -> None:
        one = next(iter(sites.values()))
        table = one._table.only("/healthcheck")
        super().__init__(one._reactor, one.face, table, one._pipeline, limits)
        self._sites = {name.encode(): site for name, site in sites.items()}

    def of(self, head: Head) -> FaceSite:
        _, prefix, *rest = head.path.split(b"/", 2)
        if (site := self._sites.get(prefix)) is None:
            return self
        head.path = b"/" + b"".join(rest)
        return site
