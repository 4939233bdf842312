"""Publishing that outlives connections: each event is sent until the node has acknowledged it, and the node keeps it once.

What always holds: an event leaves the `_Lane` of its partition when it is acknowledged or refused, and never otherwise; its sequence is
its place there, so that leaving one out numbers those behind it anew.
"""
import asyncio
import collections
import dataclasses
import os
import random

from .connection import Ended, connect
from .records import partition_of
from .subscriber import WAIT_S_MAX, WAIT_S_MIN, Reconnect
from .target import Target
from .wire import Code, Fault

FRAME_BYTES = 64 << 10
FRAME_EVENTS_MAX = 16_384
UNDER_WAY_BYTES_MAX = 4 << 20
LINGER_S = 0.005
RECORD_OVERHEAD = 32

DROP = {Code.FORBIDDEN, Code.NO_SUCH_PARTITION, Code.EVENT_INVALID, Code.EVENT_TOO_LARGE, Code.WRONG_PARTITION}
"""The node will never take it. After any other code, known or not, it is sent again."""
NEXT_CONNECTION = {Code.GOING_AWAY, Code.AUTH_EXPIRED}
"""The node will not, on this connection."""


@dataclasses.dataclass(slots=True)
class _Pending:
    """An event that is not acknowledged yet."""

    event: tuple
    """(key, data, headers)"""
    size: int
    is_alone: bool = False
    """A frame of several with it was refused: it goes in one of its own."""


class _Lane:
    """The events of one partition that are not acknowledged, in the order of their sequences."""

    def __init__(self, partition):
        self.partition = partition
        self.first = 0
        """Sequence of the first event."""
        self.events = collections.deque()
        self.sent = 0
        """So many of them are under way on this connection."""
        self.cuts = collections.deque()
        """(sequence, count) of the frames that they were sent in: whoever sends again must cut as before."""
        self.cuts_sent = 0
        """So many of those on this connection."""
        self.waits = None
        self.wait_s = WAIT_S_MIN

    def begin(self):
        """A new connection: everything is to be sent."""
        self.sent = self.cuts_sent = 0
        self.stop_waiting()
        self.wait_s = WAIT_S_MIN

    def stop_waiting(self):
        if self.waits is not None:
            self.waits.cancel()
            self.waits = None

    def next_frame(self, bytes_max):
        """(sequence, events) of what is to be sent next, or `None`."""
        if self.waits is not None or self.sent == len(self.events):
            return None
        if self.cuts_sent == len(self.cuts):
            self.cuts.append((self.first + self.sent, self._cut(bytes_max)))
        sequence, count = self.cuts[self.cuts_sent]
        chosen = [self.events[at].event for at in range(self.sent, self.sent + count)]
        self.sent += count
        self.cuts_sent += 1
        return sequence, chosen

    def _cut(self, bytes_max):
        """How many events the next new frame has."""
        count = size = 0
        for at in range(self.sent, min(len(self.events), self.sent + FRAME_EVENTS_MAX)):
            one = self.events[at]
            if count and (size + one.size > bytes_max or one.is_alone):
                break
            count, size = count + 1, size + one.size
            if one.is_alone:
                break
        return count

    def acknowledged(self, next_sequence):
        """Forgets what is kept: the sizes of those events."""
        if next_sequence > self.first + len(self.events):
            raise Fault(Code.PROTOCOL, f"ACK up to {next_sequence} of partition {self.partition}, which was not sent")
        done = [self.events.popleft().size for _ in range(next_sequence - self.first)]
        self.first += len(done)
        # What a connection before this one brought may be acknowledged before it was sent again.
        self.sent = max(0, self.sent - len(done))
        while self.cuts and sum(self.cuts[0]) <= self.first:
            self.cuts.popleft()
            self.cuts_sent = max(0, self.cuts_sent - 1)
        if self.cuts and self.cuts[0][0] < self.first:
            raise Fault(Code.PROTOCOL, f"ACK up to {next_sequence} of partition {self.partition}, in the middle of a frame")
        self.wait_s = WAIT_S_MIN
        return done

    def back_to(self, sequence):
        """Nothing from this sequence on is kept: the number of events of the frame that had it, from there on."""
        if not self.first <= sequence <= self.first + self.sent:
            raise Fault(Code.PROTOCOL, f"NACK of {sequence} of partition {self.partition}, which is not under way")
        count = 0
        while self.cuts and sum(self.cuts[-1]) > sequence:
            begin, length = self.cuts.pop()
            count = begin + length - sequence
            if begin < sequence:
                self.cuts.append((begin, sequence - begin))
        self.sent, self.cuts_sent = sequence - self.first, len(self.cuts)
        return count

    def renumber(self, sequence):
        """The node has forgotten what it had acknowledged: what is here goes on behind what it has."""
        self.first, self.sent, self.cuts_sent = sequence, 0, 0
        self.cuts.clear()


class Publisher:
    """`async with Publisher(target) as publisher`, then `send`, and `flush` before the end.

    `on_refused(key, data, headers, refusal)` is called for each event that the node will never take, `on_ack(partition, next_sequence,
    end_offset)` for each acknowledgement, `on_lost(partition, count)` when the node has forgotten events that it had acknowledged, as
    one can that acknowledges before it has synced."""

    def __init__(self, target: Target, on_refused=None, on_ack=None, on_lost=None):
        self.acknowledged = self.refused = 0
        self._on_refused = on_refused or (lambda key, data, headers, refusal: None)
        self._on_lost = on_lost or (lambda partition, count: None)
        self._on_ack = on_ack or (lambda partition, next_sequence, end_offset: None)
        self._producer = os.urandom(16)
        self._lanes = {}
        self._bytes = 0
        self._reconnect = Reconnect(target)
        self._welcome = self._stream = self._pump_at = self._failed = None
        self._changed = asyncio.Condition()

    async def __aenter__(self):
        self._task = asyncio.create_task(self._run())
        await self._until(lambda: self._welcome is not None)
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def send(self, data, key=None, headers=()):
        """Takes an event; waits while too much is under way."""
        await self._until(lambda: self._bytes < UNDER_WAY_BYTES_MAX)
        partitions = self._welcome.partitions
        partition = random.randrange(partitions) if key is None else partition_of(key, partitions)
        lane = self._lanes.get(partition) or self._lanes.setdefault(partition, _Lane(partition))
        size = len(key or b"") + len(data or b"") + RECORD_OVERHEAD
        size += sum(len(name.encode()) + len(value or b"") + RECORD_OVERHEAD for name, value in headers)
        if size > self._welcome.publish_bytes_max:
            raise ValueError(f"an event of {size} bytes; the node takes {self._welcome.publish_bytes_max}")
        lane.events.append(_Pending((key, data, tuple(headers)), size))
        self._bytes += size
        self._pump_soon()

    async def flush(self):
        """Waits until every event is acknowledged or refused."""
        await self._until(lambda: self._bytes == 0)

    async def _until(self, is_so):
        async with self._changed:
            await self._changed.wait_for(lambda: self._failed is not None or is_so())
        if self._failed is not None:
            raise self._failed

    def _tell(self):
        """Wakes who waits in `_until`."""

        async def tell():
            async with self._changed:
                self._changed.notify_all()

        asyncio.ensure_future(tell())

    async def _run(self):
        try:
            while True:
                goaway = None
                try:
                    async with connect(self._reconnect.target) as connection:
                        try:
                            self._begin(connection, await connection.welcomed())
                            raise await connection.ended
                        finally:
                            goaway, self._stream = connection.goaway, None
                except OSError as error:
                    await self._reconnect.after(error, goaway)
        except Exception as error:
            self._failed = error
            self._tell()

    def _lane(self, partition):
        if partition not in self._lanes:
            raise Fault(Code.PROTOCOL, f"an answer for partition {partition}, to which nothing was sent")
        return self._lanes[partition]

    def _begin(self, connection, welcome):
        """The same producer on a new connection: everything that was not acknowledged goes again."""
        if welcome.publish_streams_max == 0:
            raise RuntimeError(f"{welcome.principal or 'an anonymous client'} may not publish")
        if self._welcome is not None and welcome.partitions != self._welcome.partitions:
            raise RuntimeError(f"the node had {self._welcome.partitions} partitions and has {welcome.partitions}: it is another log")
        self._welcome = welcome
        self._stream = connection.open_publish(self._producer, self._acked, self._nacked)
        for lane in self._lanes.values():
            lane.begin()
        self._tell()
        self._pump_soon()

    def _pump_soon(self):
        if self._pump_at is None:
            self._pump_at = asyncio.get_running_loop().call_later(LINGER_S, self._pump)

    def _pump(self):
        self._pump_at = None
        if self._stream is None:
            return
        # A frame's head and its records' lengths are within the sizes that were counted.
        bytes_max = min(FRAME_BYTES, self._welcome.publish_bytes_max)
        try:
            for lane in self._lanes.values():
                while (frame := lane.next_frame(bytes_max)) is not None:
                    self._stream.send(lane.partition, *frame)
        except Ended:
            # `_run` has seen it too, and begins anew.
            self._stream = None

    def _acked(self, ack):
        for partition, next_sequence, end_offset in ack.entries:
            done = self._lane(partition).acknowledged(next_sequence)
            self._bytes -= sum(done)
            self.acknowledged += len(done)
            self._reconnect.worked()
            self._on_ack(partition, next_sequence, end_offset)
        self._tell()

    def _nacked(self, nack):
        lane = self._lane(nack.partition)
        expected = nack.expected if nack.code == Code.OUT_OF_ORDER and nack.expected is not None else nack.sequence
        if expected > nack.sequence:
            raise Fault(Code.PROTOCOL, f"NACK of {nack.sequence} of partition {nack.partition} expects {expected}, which comes later")
        if expected < lane.first:
            self._on_lost(nack.partition, lane.first - expected)
            lane.renumber(expected)
        count = lane.back_to(expected)
        if nack.code in NEXT_CONNECTION:
            self._stream = None
        elif nack.code not in DROP:
            lane.stop_waiting()
            lane.waits = asyncio.get_running_loop().call_later(lane.wait_s, self._again, lane)
            lane.wait_s = min(lane.wait_s * 2, WAIT_S_MAX)
        elif count > 1:
            # One of them is bad: alone each of the others will be taken.
            for at in range(lane.sent, lane.sent + count):
                lane.events[at].is_alone = True
            self._pump_soon()
        else:
            one = lane.events[lane.sent]
            del lane.events[lane.sent]
            self._bytes -= one.size
            self.refused += 1
            self._on_refused(*one.event, nack)
            self._tell()
            self._pump_soon()

    def _again(self, lane):
        lane.stop_waiting()
        self._pump_soon()
