"""The Python client against a real node: every scenario a function; any difference ends the program.

    python talk.py HOST:PORT FINGERPRINT [SCENARIO …]

What always holds: each scenario publishes under a type of its own and asks for that type only, so none sees another's events.
"""
import asyncio
import contextlib
import json
import os
import sys

from aioquic.quic.packet import QuicErrorCode
from anabranch_quic import Code, Event, Publisher, Refused, Start, Subscriber, Target, Want, connect, frames
from anabranch_quic.records import partition_of
from anabranch_quic.wire import Type, frame, number, prefixed

STEP_S = 30
TARGET = None


async def soon(awaitable):
    async with asyncio.timeout(STEP_S):
        return await awaitable


def of_type(kind, more="", **want):
    return Want(filter=f"type = '{kind}'{more}", **{"start": Start.earliest(), **want})


async def publish(kind, count, keys=10, begin=0):
    """Events with data `{"n":…}`, in order per key; each is acknowledged when this comes back."""
    async with Publisher(TARGET) as publisher:
        for n in range(begin, begin + count):
            await soon(publisher.send(json.dumps({"n": n}).encode(), f"{kind}-{n % keys}".encode(), [("ce_type", kind.encode())]))
        await soon(publisher.flush())
        assert (publisher.acknowledged, publisher.refused) == (count, 0)


def n_of(event):
    return json.loads(event.data)["n"]


def in_order(events, numbers):
    """Each number once, in order per key, and offsets in order per partition."""
    assert sorted(map(n_of, events)) == sorted(numbers), f"{len(events)} events of {len(numbers)}"
    keys, offsets = {}, {}
    for event in events:
        assert n_of(event) > keys.get(event.key, -1) and event.offset > offsets.get(event.partition, -1), event
        keys[event.key], offsets[event.partition] = n_of(event), event.offset


async def take(want, count, **more):
    """So many events of a new subscriber."""
    async with Subscriber(TARGET, want, **more) as subscriber:
        events = aiter(subscriber)
        return [await soon(anext(events)) for _ in range(count)]


async def faults():
    """What no client may send: the connection ends with the code of the specification."""

    def bidirectional(connection):
        # The node's limit of streams would keep aioquic from it.
        connection._quic._remote_max_streams_bidi = 100
        connection.send(connection.open_stream(is_unidirectional=False), frames.hello())

    def on_publish(data):
        return lambda connection: connection.send(connection.open_stream(is_unidirectional=True), data)

    def control(data):
        return lambda connection: connection.send_control(data)

    def many_streams(connection):
        # Twice as many as there may be: until then ends can be on their way.
        for number_of_stream in range(2 * connection.welcome.publish_streams_max + 1):
            on_publish(frames.producer(number_of_stream, bytes(16)))(connection)

    def one_number(connection):
        on_publish(producer)(connection)
        on_publish(producer)(connection)

    producer = frames.producer(1, bytes(16))
    one = frames.publish(0, 0, [(None, b"{}", ())])
    for name, do, code in (
        ("a second bidirectional stream", bidirectional, Code.PROTOCOL),
        ("an oversize control frame", control(number(Type.COMMIT) + number(65_537)), Code.FRAME_TOO_LARGE),
        ("an oversize SUBSCRIBE", control(number(Type.SUBSCRIBE) + number((1 << 62) - 1)), Code.FRAME_TOO_LARGE),
        ("an odd frame that nobody knows", control(b"\x3f\0"), Code.UNKNOWN_FRAME),
        ("HELLO again", control(frames.hello()), Code.PROTOCOL),
        ("a frame of the node's", control(frame(Type.WELCOME, bytes(8))), Code.PROTOCOL),
        ("a frame of another stream", control(one), Code.PROTOCOL),
        ("a body that is too short", control(frame(Type.COMMIT, b"\1")), Code.MALFORMED),
        ("tags that descend", control(frame(Type.SUBSCRIBE, b"\1\1\0\2\1a\1\1a")), Code.MALFORMED),
        ("a subscription's number again", control(2 * frames.subscribe(5, 1, Want())), Code.PROTOCOL),
        ("a subscription's number that goes down", control(frames.subscribe(5, 1, Want()) + frames.subscribe(4, 1, Want())), Code.PROTOCOL),
        ("a partition that no log has", control(frames.commit(1, "a", {1_024: 0})), Code.MALFORMED),
        ("a publish to a partition that no log has", on_publish(producer + frames.publish(1_024, 0, [(None, b"{}", ())])), Code.MALFORMED),
        ("a start that nobody knows", control(frame(Type.SUBSCRIBE, b"\1\1\5")), Code.MALFORMED),
        ("two publish streams of one number", one_number, Code.PROTOCOL),
        ("too many publish streams", many_streams, Code.LIMIT),
        ("the end of a publish stream within a frame", lambda connection: connection.send(
            connection.open_stream(is_unidirectional=True), producer[:5], is_end=True), Code.MALFORMED),
        ("the reset of the control stream", lambda connection: connection.reset(0), Code.PROTOCOL),
        ("PUBLISH before PRODUCER", on_publish(one), Code.PROTOCOL),
        ("PRODUCER again", on_publish(2 * producer), Code.PROTOCOL),
        ("a control frame on a publish stream", on_publish(producer + frames.unsubscribe(1)), Code.PROTOCOL),
        ("an oversize PUBLISH", on_publish(producer + number(Type.PUBLISH) + number(1 << 40)), Code.FRAME_TOO_LARGE),
        ("an oversize PRODUCER", on_publish(number(Type.PRODUCER) + number(1_025)), Code.FRAME_TOO_LARGE),
        ("an odd frame on a publish stream", on_publish(producer + b"\x3f\0"), Code.UNKNOWN_FRAME),
        ("the end of the control stream", lambda connection: connection.send(0, b"", is_end=True), Code.PROTOCOL),
    ):
        async with connect(TARGET) as connection:
            await soon(connection.welcomed())
            do(connection)
            ended = await soon(connection.ended)
            assert (ended.code, ended.is_transport) == (code, False), f"{name}: {ended!r}, not {code!r}"
            assert ended.text, f"{name}: the node does not say why"


async def skipped():
    """Even frames and tags that nobody knows."""
    async with connect(TARGET) as connection:
        await soon(connection.welcomed())
        connection.send_control(b"\x3e\3abc" + frame(0x1000, bytes(65_536)))
        positions = prefixed(number(0) + number(0))
        connection.send_control(frame(Type.COMMIT, number(9) + prefixed("skipped") + positions + b"\x3f\2xx"))
        connection._commits[9] = asyncio.get_running_loop().create_future()
        assert (await soon(connection._commits[9])).code == Code.NONE


async def refusals():
    """Subscriptions and commits that cannot be: the connection goes on."""
    async with connect(TARGET) as connection:
        welcome = await soon(connection.welcomed())
        assert welcome.minor == 0 and welcome.permissions == 7 and welcome.ack_level in (0, 1, 2), welcome
        for want, code in (
            (Want(filter="temp >"), Code.FILTER_INVALID),
            (Want(filter='[{"operatorType":"Nonsense"}]', dialect="eventgrid"), Code.FILTER_INVALID),
            (Want(route="nowhere"), Code.NO_SUCH_ROUTE),
            (Want(partitions=(welcome.partitions,)), Code.NO_SUCH_PARTITION),
            (Want(start=Start.at({welcome.partitions: 0})), Code.NO_SUCH_PARTITION),
            (Want(start=Start.at({0: 1 << 40})), Code.OFFSET_BEYOND_END),
            (Want(start=Start.cursor("no spaces")), Code.SUBSCRIBER_INVALID),
        ):
            try:
                await soon(connection.subscribe(want).subscribed())
            except Refused as refused:
                assert refused.code == code and refused.text and refused.advice, f"{want}: {refused}"
            else:
                raise AssertionError(f"{want} was not refused")
        for name, positions, code in (("a/b", {0: 0}, Code.SUBSCRIBER_INVALID), ("", {0: 0}, Code.SUBSCRIBER_INVALID),
                                      ("a", {welcome.partitions: 0}, Code.NO_SUCH_PARTITION)):
            try:
                await soon(connection.commit(name, positions))
            except Refused as refused:
                assert refused.code == code, f"{name}: {refused}"
            else:
                raise AssertionError(f"{name} was kept")
        open_ones = [connection.subscribe(Want()) for _ in range(welcome.subscriptions_max)]
        for one in open_ones:
            await soon(one.subscribed())
        with contextlib.suppress(Refused):
            await soon(connection.subscribe(Want()).subscribed())
            raise AssertionError("one subscription more than the limit")
        open_ones[0].unsubscribe()
        await soon(anext(aiter(open_ones[0]), None))
        assert open_ones[0].ended.code == Code.NONE
        await soon(connection.subscribe(Want()).subscribed())


async def starts():
    """Every start, parts of the log, groups and encodings."""
    await publish("starts", 1_000)
    everything = await take(of_type("starts"), 1_000)
    in_order(everything, range(1_000))
    for event in everything:
        assert event.partition == partition_of(event.key, await partitions()) and event.headers == (("ce_type", b"starts"),), event
    for encodings in (4, 5, 7):
        for groups in (1, 3):
            found = await take(of_type("starts", " AND n % 7 = 3", encodings=encodings, groups=groups), 143)
            in_order(found, range(3, 1_000, 7))
            found = await take(of_type("starts", encodings=encodings, groups=groups), 1_000)
            assert sorted(found, key=lambda event: (event.partition, event.offset)) == sorted(
                everything, key=lambda event: (event.partition, event.offset)), f"encodings {encodings}, groups {groups}"
    one = everything[0].partition
    there = [event for event in everything if event.partition == one]
    assert await take(of_type("starts", partitions=(one,)), len(there)) == there
    assert await take(of_type("starts", start=Start.at({one: there[-5].offset})), 5) == there[-5:]
    await asyncio.sleep(0.01)
    time_ms = max(event.time_ms for event in everything) + 1
    await publish("starts", 10, begin=1_000)
    in_order(await take(of_type("starts", start=Start.time(time_ms)), 10), range(1_000, 1_010))


async def ends():
    """A subscription that is ended before it is open, and one of which a stream is stopped."""
    async with connect(TARGET) as connection:
        for wait in (False, True):
            subscription = connection.subscribe(Want())
            if wait:
                await soon(subscription.subscribed())
            subscription.unsubscribe()
            await soon(anext(aiter(subscription), None))
        await publish("ends", 1)
        subscription = connection.subscribe(of_type("ends"), credit=1)
        items = aiter(subscription)
        while not isinstance(first := await soon(anext(items)), frames.Batch):
            pass
        assert [n_of(event) for event in first.events] == [0]
        [stream] = [number for number, one in connection._streams.items() if one.data.subscription == subscription.number]
        connection._quic.stop_stream(stream, Code.NONE)
        connection.transmit()
        # It is found out with the next byte.
        connection.send_control(frames.credit(subscription.number, 1 << 20))
        n = 0
        async with asyncio.timeout(STEP_S):
            while subscription.ended is None:
                n += 1
                await publish("ends", 1, begin=n)
        assert subscription.ended.code == Code.NONE, subscription.ended


async def partitions():
    async with connect(TARGET) as connection:
        return (await soon(connection.welcomed())).partitions


async def groups():
    """Each group has its own data stream and its own partitions."""
    async with connect(TARGET) as connection:
        answer = await soon(connection.subscribe(Want(groups=4)).subscribed())
        found = [partition for group in answer.groups for partition in group]
        assert 1 <= len(answer.groups) <= 4 and sorted(found) == list(range(connection.welcome.partitions)), answer


async def resume():
    """Connections break, clients end, some of it while events come: none is missing, none comes twice."""
    publishing = asyncio.ensure_future(publish("resume", 5_000))
    found, start = [], Start.earliest()
    while len(found) < 5_000:
        async with Subscriber(TARGET, of_type("resume", start=start)) as subscriber, asyncio.timeout(STEP_S):
            async for event in subscriber:
                found.append(event)
                if len(found) % 1_000 == 0:
                    break
                if len(found) % 311 == 0:
                    subscriber.connection.close(Code.NONE)
        # What had arrived and was not taken goes with the old connection.
        start = Start.at(subscriber.positions)
    await publishing
    in_order(found, range(5_000))


async def credit():
    """Without new credit nothing more comes, with it the rest does."""
    await publish("credit", 2_000, keys=1)
    async with connect(TARGET) as connection:
        found, frames_seen = [], 0
        subscription = connection.subscribe(of_type("credit", encodings=4), credit=1)
        async with asyncio.timeout(STEP_S):
            # New credit is given when the next one is asked for.
            async for item in subscription:
                if isinstance(item, frames.Batch):
                    found += item.events
                    frames_seen += 1
                    if len(found) == 2_000:
                        break
                    if frames_seen < 5:
                        await connection.ping()
                        await connection.ping()
                    assert not any(isinstance(one, frames.Batch) for one in subscription._items._queue)
        in_order(found, range(2_000))


async def moved():
    """The client goes on from another port: the same connection, no event missing."""
    async with connect(TARGET) as connection:
        subscription = connection.subscribe(of_type("moved"))
        await soon(subscription.subscribed())
        await publish("moved", 100)
        found, items = [], aiter(subscription)
        for count in (100, 200, 300):
            while len(found) < count:
                item = await soon(anext(items))
                found += item.events if isinstance(item, frames.Batch) else ()
            if count < 300:
                await connection.rebind()
                await publish("moved", 100, begin=count)
        assert not connection.ended.done()
        in_order(found, range(300))


class Raw:
    """A publish stream by hand."""

    def __init__(self, connection, producer):
        self.said = asyncio.Queue()
        self.stream = connection.open_publish(producer, self.said.put_nowait, self.said.put_nowait)

    async def send(self, partition, sequence, *events):
        self.stream.send(partition, sequence, events)
        return await soon(self.said.get())


async def sequences():
    """What comes again is kept once; a gap is refused; a refused frame leaves its sequence free."""
    producer, kind = os.urandom(16), [("ce_type", b"sequences")]
    events = [(None, json.dumps({"n": n}).encode(), kind) for n in range(10)]
    async with connect(TARGET) as connection:
        await soon(connection.welcomed())
        raw = Raw(connection, producer)
        first = await raw.send(0, 7, *events[:3])
        [(_, next_sequence, end)] = first.entries
        assert next_sequence == 10 and end > 0, first
        # What is kept is acknowledged again.
        again = await raw.send(0, 7, *events[:3])
        assert again.entries[0][:2] == (0, 10), again
        gap = await raw.send(0, 11, *events[4:5])
        assert (gap.code, gap.sequence, gap.expected) == (Code.OUT_OF_ORDER, 11, 10), gap
        nowhere = await raw.send(connection.welcome.partitions, 0, *events[:1])
        assert (nowhere.code, nowhere.partition, nowhere.sequence) == (Code.NO_SUCH_PARTITION, connection.welcome.partitions, 0), nowhere
        bad = await raw.send(0, 10, (None, b"{}", [("iothub-connection-device-id", b"x")]))
        assert (bad.code, bad.sequence) == (Code.EVENT_INVALID, 10) and bad.text and bad.advice, bad
        good = await raw.send(0, 10, *events[3:5])
        assert good.entries[0][1] == 12, good
    async with connect(TARGET) as connection:
        # A new connection: a frame that is kept and one that is not.
        await soon(connection.welcomed())
        raw = Raw(connection, producer)
        again = await raw.send(0, 10, *events[3:5])
        assert again.entries[0][:2] == (0, 12), again
        rest = await raw.send(0, 12, *events[5:])
        assert rest.entries[0][1] == 17, rest
        raw.stream.finish()
        key = b"d1"
        other = (partition_of(key, connection.welcome.partitions) + 1) % connection.welcome.partitions
        # Streams that have ended do not count, and partitions may go on on others.
        for at in range(3 * connection.welcome.publish_streams_max):
            next_one = Raw(connection, producer)
            moved_on = await next_one.send(0, 17 + at, (None, b"{}", [("ce_type", b"other")]))
            assert moved_on.entries[0][1] == 18 + at, moved_on
            next_one.stream.finish()
        wrong = await Raw(connection, os.urandom(16)).send(other, 0, (key, b"{}", kind))
        assert (wrong.code, wrong.sequence) == (Code.WRONG_PARTITION, 0), wrong
    in_order(await take(of_type("sequences"), 10), range(10))


async def bad_events():
    """Of what a publisher sends only the bad events are refused, and it is told which."""
    refused = []
    async with Publisher(TARGET, on_refused=lambda key, data, headers, why: refused.append((json.loads(data)["n"], why.code))) as publisher:
        for n in range(200):
            headers = [("ce_type", b"bad"), ("DT-subject", b"x")] if n % 50 == 20 else [("ce_type", b"bad")]
            await soon(publisher.send(json.dumps({"n": n}).encode(), b"bad", headers))
        await soon(publisher.flush())
        assert (publisher.acknowledged, publisher.refused) == (196, 4)
    assert refused == [(n, Code.EVENT_INVALID) for n in (20, 70, 120, 170)], refused
    in_order(await take(of_type("bad"), 196), [n for n in range(200) if n % 50 != 20])


async def cursors():
    """Positions under a name: they hold for the next connection, and go back if they are told to."""
    await publish("cursors", 300)
    start = Start.cursor("cursors", frames.EARLIEST)
    found = []
    for count in (100, 150, 50):
        async with Subscriber(TARGET, of_type("cursors", start=start)) as subscriber:
            events = aiter(subscriber)
            for _ in range(count):
                found.append(await soon(anext(events)))
            await soon(subscriber.commit("cursors"))
    in_order(found, range(300))
    async with connect(TARGET) as connection:
        await soon(connection.commit("cursors", {event.partition: 0 for event in found}))
    in_order(await take(of_type("cursors", start=start), 300), range(300))


async def live():
    """Events that come after the subscription, each as soon as it is there."""
    async with connect(TARGET) as connection:
        subscription = connection.subscribe(of_type("live", start=Start.latest()))
        await soon(subscription.subscribed())
        found, items = [], aiter(subscription)
        for n in range(20):
            await publish("live", 1, begin=n)
            while len(found) <= n:
                item = await soon(anext(items))
                found += item.events if isinstance(item, frames.Batch) else ()
        assert all(isinstance(event, Event) for event in found)
        in_order(found, range(20))


async def early():
    """A client that was here subscribes with its first datagram; what could be repeated by others waits for the handshake."""
    await publish("early", 10)
    for do in (None, lambda connection: connection.open_publish(bytes(16), None, None),
               lambda connection: connection.send_control(frames.commit(1, "early", {0: 0}))):
        async with asyncio.timeout(STEP_S):
            while not TARGET.tickets:
                async with connect(TARGET) as connection:
                    await connection.welcomed()
                    # Tickets come behind the handshake.
                    await connection.ping()
        async with connect(TARGET) as connection:
            if do is None:
                subscription, found = connection.subscribe(of_type("early")), []
                async with asyncio.timeout(STEP_S):
                    async for item in subscription:
                        found += item.events if isinstance(item, frames.Batch) else ()
                        if len(found) == 10:
                            break
                in_order(found, range(10))
            else:
                do(connection)
                ended = await soon(connection.ended)
                # Before the handshake is complete QUIC hides why (RFC 9000, section 10.2.3).
                hidden = (QuicErrorCode.APPLICATION_ERROR, True)
                assert (ended.code, ended.is_transport) in ((Code.EARLY_DATA, False), hidden), repr(ended)
            assert connection.early_data_accepted


SCENARIOS = [faults, skipped, refusals, starts, groups, ends, resume, credit, moved, sequences, bad_events, cursors, live, early]


def main():
    global TARGET
    address, fingerprint, *names = sys.argv[1:]
    host, _, port = address.rpartition(":")
    TARGET = Target(host.strip("[]"), int(port), fingerprint=fingerprint)
    for scenario in SCENARIOS:
        if not names or scenario.__name__ in names:
            print(scenario.__name__, flush=True)
            asyncio.run(scenario())


if __name__ == "__main__":
    main()
