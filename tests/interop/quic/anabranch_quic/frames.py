"""The frames of `anabranch/1`: those of the client are made here, those of the node are read here.

What always holds: a function that makes a frame gives the whole frame, a class that reads one takes its body.
"""
import dataclasses

from .records import Event, events_of, record
from .wire import Code, Fault, Reader, Type, frame, number, offsets, optional, prefixed

MINOR = 0
LATEST, EARLIEST, TIME, CURSOR, OFFSETS = range(5)
WHOLE, MASKED, PACKED = range(3)
MAY_SUBSCRIBE, MAY_PUBLISH, MAY_COMMIT = 1, 2, 4


def hello(agent=None, token=None, user=None, password=None):
    return frame(Type.HELLO, number(MINOR) + optional({1: agent, 2: token, 3: user, 4: password}))


@dataclasses.dataclass(frozen=True)
class Start:
    """Where a subscription begins."""

    kind: int = LATEST
    time_ms: int | None = None
    subscriber: str | None = None
    otherwise: int | None = None
    offsets: dict[int, int] | None = None

    @classmethod
    def latest(cls):
        """Behind the last event."""
        return cls(LATEST)

    @classmethod
    def earliest(cls):
        """At the first event that the log has."""
        return cls(EARLIEST)

    @classmethod
    def time(cls, time_ms):
        """At the first event accepted then or later."""
        return cls(TIME, time_ms=time_ms)

    @classmethod
    def cursor(cls, subscriber, otherwise=LATEST):
        """Where this name committed last; for partitions without a commit at the latest or earliest."""
        return cls(CURSOR, subscriber=subscriber, otherwise=otherwise)

    @classmethod
    def at(cls, positions):
        """At these offsets {partition: offset}, and in these partitions only."""
        return cls(OFFSETS, offsets=dict(positions))


@dataclasses.dataclass(frozen=True)
class Want:
    """What a subscription asks for."""

    filter: str | None = None
    dialect: str | None = None
    route: str | None = None
    partitions: tuple[int, ...] | None = None
    start: Start = Start()
    groups: int | None = None
    encodings: int | None = None


def subscribe(subscription, credit, want):
    start = want.start
    # With explicit offsets their partitions are the ones that are wanted.
    listed = want.partitions is not None and start.kind != OFFSETS
    partitions = b"".join(map(number, sorted(want.partitions))) if listed else None
    positions = offsets(start.offsets) if start.kind == OFFSETS else None
    fields = {1: want.route, 2: want.filter, 3: want.dialect, 4: partitions, 5: start.time_ms, 6: start.subscriber,
              7: start.otherwise, 8: positions, 9: want.groups, 10: want.encodings}
    return frame(Type.SUBSCRIBE, number(subscription) + number(credit) + number(start.kind) + optional(fields))


def unsubscribe(subscription):
    return frame(Type.UNSUBSCRIBE, number(subscription))


def credit(subscription, more):
    return frame(Type.CREDIT, number(subscription) + number(more))


def commit(request, subscriber, positions):
    return frame(Type.COMMIT, number(request) + prefixed(subscriber) + prefixed(offsets(positions)))


def producer(publish, id_bytes):
    return frame(Type.PRODUCER, number(publish) + id_bytes)


def publish(partition, sequence, events):
    """`events` are (key, data, headers), one behind the other in the partition."""
    records = b"".join(record(at, *event) for at, event in enumerate(events))
    return frame(Type.PUBLISH, number(partition) + number(sequence) + number(len(events)) + records)


@dataclasses.dataclass(frozen=True)
class Welcome:
    minor: int
    partitions: int
    credit_max: int
    subscriptions_max: int
    publish_streams_max: int
    publish_bytes_max: int
    permissions: int
    ack_level: int
    node: str | None = None
    agent: str | None = None
    principal: str | None = None
    expires_ms: int | None = None

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        numbers = [reader.number() for _ in range(8)]
        tags = reader.optional()
        texts = [tags[tag].only_text() if tag in tags else None for tag in (1, 2, 3)]
        return cls(*numbers, *texts, tags[4].only_number() if 4 in tags else None)


@dataclasses.dataclass(frozen=True)
class Subscribed:
    subscription: int
    groups: tuple[dict[int, int], ...]
    """Per group its partitions, and where each begins."""
    properties: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        subscription, listed, groups = reader.number(), reader.list(), []
        while listed:
            groups.append(listed.list().offsets())
        if not 1 <= len(groups) <= 64:
            raise Fault(Code.MALFORMED, f"{len(groups)} groups")
        tags = reader.optional(repeated=(1, 2))
        properties = tuple((value.text(), value.only_text()) for value in tags.get(1, ()))
        return cls(subscription, tuple(groups), properties, tuple(value.only_text() for value in tags.get(2, ())))


@dataclasses.dataclass(frozen=True)
class Answer:
    """REFUSED, ENDED and COMMITTED: a number of the client's, a code and why."""

    number: int
    code: int
    text: str = ""
    advice: str = ""

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        values, tags = (reader.number(), reader.number()), reader.optional()
        return cls(*values, *(tags[tag].only_text() if tag in tags else "" for tag in (1, 2)))


@dataclasses.dataclass(frozen=True)
class Ack:
    publish: int
    entries: tuple[tuple[int, int, int], ...]
    """(partition, next_sequence, end_offset)"""

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        publish, listed, entries = reader.number(), reader.list(), []
        while listed:
            entries.append((listed.number(), listed.number(), listed.number()))
        reader.optional()
        return cls(publish, tuple(entries))


@dataclasses.dataclass(frozen=True)
class Nack:
    publish: int
    partition: int
    sequence: int
    code: int
    text: str = ""
    advice: str = ""
    expected: int | None = None

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        values, tags = [reader.number() for _ in range(4)], reader.optional()
        texts = [tags[tag].only_text() if tag in tags else "" for tag in (1, 2)]
        return cls(*values, *texts, tags[3].only_number() if 3 in tags else None)


@dataclasses.dataclass(frozen=True)
class Goaway:
    code: int
    after_ms: int
    text: str = ""
    address: str | None = None

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        values, tags = (reader.number(), reader.number()), reader.optional()
        return cls(*values, tags[1].only_text() if 1 in tags else "", tags[2].only_text() if 2 in tags else None)


@dataclasses.dataclass(frozen=True)
class Data:
    subscription: int
    group: int

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        values = (reader.number(), reader.number())
        reader.optional()
        return cls(*values)


@dataclasses.dataclass(frozen=True)
class Batch:
    partition: int
    next_offset: int
    """Where it goes on behind this frame: all before it is settled."""
    events: tuple[Event, ...]
    size: int
    """Bytes of the frame's body, which count against the credit."""

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        partition, next_offset, encoding = (reader.number() for _ in range(3))
        if encoding > PACKED:
            raise Fault(Code.MALFORMED, f"encoding {encoding} of a batch")
        mask = reader.bytes() if encoding == MASKED else None
        events = events_of(partition, bytes(reader.rest()))
        if mask is not None:
            if len(mask) != (len(events) + 7) // 8:
                raise Fault(Code.MALFORMED, f"a mask of {len(mask)} bytes for {len(events)} events")
            if len(events) % 8 and mask[-1] >> len(events) % 8:
                raise Fault(Code.MALFORMED, "a mask with bits behind its last event")
            events = [event for at, event in enumerate(events) if mask[at // 8] >> at % 8 & 1]
        return cls(partition, next_offset, tuple(events), len(body))


@dataclasses.dataclass(frozen=True)
class Position:
    partition: int
    next_offset: int

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        values = (reader.number(), reader.number())
        reader.optional()
        return cls(*values)


@dataclasses.dataclass(frozen=True)
class Lost:
    """The log does not have these events any more; nobody knows whether they would have matched."""

    partition: int
    begin: int
    end: int

    @classmethod
    def read(cls, body):
        reader = Reader(body)
        values = tuple(reader.number() for _ in range(3))
        reader.optional()
        return cls(*values)

    @property
    def next_offset(self):
        return self.end
