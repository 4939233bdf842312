"""The client against a node that does what each test says: what a real node can hardly be brought to do.

    python -m unittest discover tests/interop/quic
"""
import asyncio
import contextlib
import dataclasses
import datetime
import hashlib
import unittest

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import StreamDataReceived
from aioquic.quic.packet import QuicErrorCode
from anabranch_quic import Code, Ended, Event, Lost, Publisher, Refused, Start, Subscriber, Target, Want, connect, wire
from anabranch_quic.records import HEAD, _Records, crc32c, partition_of, record
from anabranch_quic.subscriber import Reconnect
from anabranch_quic.wire import BATCH_BYTES_MAX, Reader, Type, frame, number, offsets, prefixed
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PARTITIONS = 4
STEP_S = 20


def certificate():
    """A certificate that nobody signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1))
    return builder.sign(key, hashes.SHA256()), key


CERTIFICATE, KEY = certificate()
FINGERPRINT = hashlib.sha256(CERTIFICATE.public_bytes(serialization.Encoding.DER)).hexdigest()


def welcome(credit_max=1 << 20, publish_streams_max=8, minor=0):
    numbers = (minor, PARTITIONS, credit_max, 8, publish_streams_max, 1 << 20, 7, 1)
    return frame(Type.WELCOME, b"".join(map(number, numbers)))


def subscribed(subscription, *groups):
    listed = b"".join(prefixed(offsets(group)) for group in groups)
    return frame(Type.SUBSCRIBED, number(subscription) + prefixed(listed))


def batch(partition, base, datas, chosen=None, next_offset=None):
    """A BATCH of events with these data: whole, or masked if some are chosen."""
    records = b"".join(record(at, None, data, ()) for at, data in enumerate(datas))
    tail = HEAD.pack(0, 0, 0, 2, 0, 0, len(datas) - 1, 0, 0, -1, -1, -1, len(datas))[21:] + records
    head = HEAD.pack(base, len(tail) + 9, 0, 2, crc32c(tail), *[0] * 8)[:21]
    end = base + len(datas) if next_offset is None else next_offset
    mask = b"" if chosen is None else prefixed(sum(1 << at for at in chosen).to_bytes((len(datas) + 7) // 8, "little"))
    return frame(Type.BATCH, number(partition) + number(end) + number(0 if chosen is None else 1) + mask + head + tail)


class Peer(QuicConnectionProtocol):
    """The node's end of a connection: each stream's frames wait in `frames` as (stream, type, body)."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        self.frames, self.cutters = asyncio.Queue(), {}

    def quic_event_received(self, event):
        if isinstance(event, StreamDataReceived):
            cutter = self.cutters.setdefault(event.stream_id, wire.Frames(lambda _: BATCH_BYTES_MAX))
            for kind, body in cutter.feed(event.data, event.end_stream):
                self.frames.put_nowait((event.stream_id, kind, body))

    async def next(self, wanted):
        async with asyncio.timeout(STEP_S):
            stream, kind, body = await self.frames.get()
        assert kind == wanted, f"{kind.name}, not {wanted.name}"
        return body

    def say(self, data, stream=0, is_end=False):
        self._quic.send_stream_data(stream, data, is_end)
        self.transmit()

    def open_data(self, subscription, group):
        stream = self._quic.get_next_available_stream_id(is_unidirectional=True)
        self.say(frame(Type.DATA, number(subscription) + number(group)), stream)
        return stream


class Publish:
    """A PUBLISH that came."""

    def __init__(self, body):
        reader = Reader(body)
        self.partition, self.sequence, count = (reader.number() for _ in range(3))
        records = _Records(reader.rest())
        self.datas = [records.record()[3] for _ in range(count)]
        assert records.at == len(records.data)


@contextlib.asynccontextmanager
async def node():
    """(target, queue of connections)"""
    peers = asyncio.Queue()

    def accept(*args, **more):
        peer = Peer(*args, **more)
        peers.put_nowait(peer)
        return peer

    configuration = QuicConfiguration(is_client=False, alpn_protocols=["anabranch/1"], certificate=CERTIFICATE, private_key=KEY)
    sessions = {}
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=accept,
                         session_ticket_fetcher=lambda label: sessions.pop(label, None),
                         session_ticket_handler=lambda ticket: sessions.__setitem__(ticket.ticket, ticket))
    try:
        yield Target("127.0.0.1", server._transport.get_extra_info("sockname")[1], fingerprint=FINGERPRINT, connect_timeout_s=STEP_S), peers
    finally:
        server.close()


async def accepted(peers, **more):
    """The next connection, behind HELLO and WELCOME."""
    async with asyncio.timeout(STEP_S):
        peer = await peers.get()
    await peer.next(Type.HELLO)
    peer.say(welcome(**more))
    return peer


def acked(publish, partition, next_sequence, end_offset=0):
    return frame(Type.ACK, number(publish) + prefixed(number(partition) + number(next_sequence) + number(end_offset)))


def nack(publish, partition, sequence, code, expected=None):
    fields = wire.optional({1: "why", 2: "what to do", 3: expected})
    return frame(Type.NACK, number(publish) + number(partition) + number(sequence) + number(code) + fields)


class Connecting(unittest.IsolatedAsyncioTestCase):
    async def test_another_certificate_is_told_nothing(self):
        async with node() as (target, peers):
            target.fingerprint = "00" * 32
            with self.assertRaises(Ended) as caught:
                async with connect(target):
                    self.fail("connected")
            self.assertEqual(caught.exception.code, Code.UNAUTHENTICATED)
            self.assertTrue((await peers.get()).frames.empty())

    async def test_without_a_fingerprint_the_name_must_be_proved(self):
        async with node() as (target, _):
            target.fingerprint = None
            with self.assertLogs("quic"), self.assertRaises(Ended) as caught:
                async with connect(target):
                    self.fail("connected")
            self.assertTrue(caught.exception.is_transport and 0x100 <= caught.exception.code < 0x200, caught.exception)
            with self.assertLogs("quic"), self.assertRaises(Ended):
                async with Subscriber(target) as subscriber:
                    await anext(aiter(subscriber))

    async def test_a_client_that_was_here_subscribes_with_its_first_datagram(self):
        async with node() as (target, peers):
            target.token = iter(("first", "second", "third")).__next__
            for round, early in enumerate((False, True, True)):
                async with connect(target) as connection:
                    subscription = connection.subscribe(Want(filter="a"))
                    peer = await peers.get()
                    self.assertIn(("first", "second", "third")[round].encode(), await peer.next(Type.HELLO))
                    await peer.next(Type.SUBSCRIBE)
                    peer.say(welcome() + subscribed(1, {0: 0}))
                    await asyncio.wait_for(subscription.subscribed(), STEP_S)
                    self.assertEqual(connection.early_data_accepted, early)
            # A node that does not know the ticket any more reads it all later.
            target.tickets[-1] = dataclasses.replace(target.tickets[-1], ticket=b"another")
            target.token = None
            async with connect(target) as connection:
                subscription = connection.subscribe(Want(filter="a"))
                peer = await accepted(peers)
                await peer.next(Type.SUBSCRIBE)
                peer.say(subscribed(1, {0: 0}))
                await asyncio.wait_for(subscription.subscribed(), STEP_S)
                self.assertFalse(connection.early_data_accepted)

    async def test_faults_of_the_node_end_the_connection_with_their_code(self):
        faults = {
            "odd": (b"\x3f\0", Code.UNKNOWN_FRAME),
            "large": (number(Type.ACK) + number(65_537), Code.FRAME_TOO_LARGE),
            "misplaced": (batch(0, 0, [b"a"]), Code.PROTOCOL),
            "cut": (frame(Type.ACK, b"\1"), Code.MALFORMED),
            "its version again": (welcome(), Code.PROTOCOL),
        }
        for name, (said, code) in faults.items():
            with self.subTest(name):
                async with node() as (target, peers), connect(target) as connection:
                    peer = await accepted(peers)
                    peer.say(said)
                    async with asyncio.timeout(STEP_S):
                        self.assertEqual((await connection.ended).code, code)

    async def test_a_minor_version_that_was_not_offered_is_a_fault(self):
        async with node() as (target, peers), connect(target) as connection:
            await accepted(peers, minor=1)
            async with asyncio.timeout(STEP_S):
                self.assertEqual((await connection.ended).code, Code.PROTOCOL)

    async def test_behind_an_end_that_quic_hides_there_is_no_early_data(self):
        async with node() as (target, peers):
            async with connect(target) as connection:
                await accepted(peers)
                await connection.welcomed()
                await connection.ping()
            self.assertTrue(target.tickets)
            reconnect = Reconnect(target)
            await reconnect.after(Ended(Code.GOING_AWAY, "again"))
            self.assertTrue(target.tickets)
            await reconnect.after(Ended(QuicErrorCode.APPLICATION_ERROR, "", is_transport=True))
            self.assertFalse(target.tickets)
            for code in (Code.LIMIT, Code.UNAUTHENTICATED):
                with self.assertRaises(Ended):
                    await reconnect.after(Ended(code, "never"))
            await reconnect.after(Ended(0x3FFF, "of a later version"))

    async def test_even_frames_that_nobody_knows_are_passed_over(self):
        async with node() as (target, peers), connect(target) as connection:
            async with asyncio.timeout(STEP_S):
                peer = await peers.get()
            await peer.next(Type.HELLO)
            peer.say(b"\x3e\3abc" + welcome())
            self.assertEqual((await connection.welcomed()).partitions, PARTITIONS)


class Subscribing(unittest.IsolatedAsyncioTestCase):
    async def test_batches_before_their_answer_wait_and_positions_go_on(self):
        async with node() as (target, peers), Subscriber(target, Want(filter="a > 1", start=Start.latest())) as subscriber:
            first = asyncio.ensure_future(anext(aiter(subscriber)))
            peer = await accepted(peers)
            self.assertEqual(await peer.next(Type.SUBSCRIBE), bytes.fromhex("01 80400000 00 0205") + b"a > 1")
            data = peer.open_data(1, 0)
            peer.say(batch(2, 8, [b"old", b"old", b"10", b"11"]), data)
            peer.say(subscribed(1, {0: 5, 2: 10}, {1: 7}))
            peer.say(frame(Type.POSITION, number(0) + number(6)), data)
            peer.say(frame(Type.LOST, number(0) + number(6) + number(9)), data)
            peer.say(batch(2, 12, [b"12", b"no", b"14"], chosen=(0, 2), next_offset=16), data)
            found = [await asyncio.wait_for(first, STEP_S)]
            self.assertEqual(subscriber.positions, {0: 5, 1: 7, 2: 11})
            while len(found) < 5:
                found.append(await asyncio.wait_for(anext(aiter(subscriber)), STEP_S))
            self.assertEqual([event.data for event in found if isinstance(event, Event)], [b"10", b"11", b"12", b"14"])
            self.assertEqual([event for event in found if isinstance(event, Lost)], [Lost(0, 6, 9)])
            # The connection breaks before the application has taken all of the last batch.
            peer.close(Code.GOING_AWAY, "again")
            again = asyncio.ensure_future(anext(aiter(subscriber)))
            peer = await accepted(peers)
            positions = offsets({0: 9, 1: 7, 2: 16})
            fields = b"\x02\x05a > 1\x08" + prefixed(positions)
            self.assertEqual(await peer.next(Type.SUBSCRIBE), bytes.fromhex("01 80400000 04") + fields)
            peer.say(subscribed(1, {0: 9, 1: 7, 2: 16}))
            peer.say(batch(2, 14, [b"14", b"15", b"16"]), peer.open_data(1, 0))
            self.assertEqual((await asyncio.wait_for(again, STEP_S)).data, b"16")

    async def test_credit_comes_back_when_half_is_used(self):
        async with node() as (target, peers), Subscriber(target, Want(start=Start.earliest()), credit=1_000) as subscriber:
            reading = asyncio.ensure_future(anext(aiter(subscriber)))
            peer = await accepted(peers)
            await peer.next(Type.SUBSCRIBE)
            peer.say(subscribed(1, {0: 0}))
            data = peer.open_data(1, 0)
            one = batch(0, 0, [b"x" * 200])
            body = len(one) - len(number(Type.BATCH)) - len(number(len(one) - 3))
            for at in range(3):
                peer.say(batch(0, at, [b"x" * 200]), data)
            await asyncio.wait_for(reading, STEP_S)
            await asyncio.wait_for(anext(aiter(subscriber)), STEP_S)
            self.assertTrue(peer.frames.empty())
            await asyncio.wait_for(anext(aiter(subscriber)), STEP_S)
            self.assertEqual(await peer.next(Type.CREDIT), number(1) + number(2 * body))

    async def test_the_end_waits_for_the_last_frame_of_each_group(self):
        async with node() as (target, peers), connect(target) as connection:
            subscription = connection.subscribe(Want(groups=2))
            peer = await accepted(peers)
            await peer.next(Type.SUBSCRIBE)
            peer.say(subscribed(1, {0: 0}, {1: 0}))
            await subscription.subscribed()
            subscription.unsubscribe()
            await peer.next(Type.UNSUBSCRIBE)
            peer.say(frame(Type.ENDED, number(1) + number(0)))
            one, two = peer.open_data(1, 0), peer.open_data(1, 1)
            peer.say(batch(0, 0, [b"a"]), one, is_end=True)
            peer.say(batch(1, 0, [b"b"]), two, is_end=True)
            async with asyncio.timeout(STEP_S):
                self.assertEqual([item.events[0].data async for item in subscription], [b"a", b"b"])

    async def test_an_end_can_be_asked_for_before_the_beginning(self):
        async with node() as (target, peers), connect(target) as connection:
            first, second, wrong = (connection.subscribe(Want()) for _ in range(3))
            first.unsubscribe()
            second.unsubscribe()
            peer = await accepted(peers)
            peer.say(frame(Type.REFUSED, number(1) + number(Code.NONE)))
            peer.say(subscribed(2, {0: 0}) + frame(Type.ENDED, number(2) + number(Code.NONE)))
            peer.say(frame(Type.REFUSED, number(3) + number(0x3FFF)))
            peer.say(b"", peer.open_data(2, 0), is_end=True)
            async with asyncio.timeout(STEP_S):
                self.assertEqual([item async for item in first] + [item async for item in second], [])
                with self.assertRaises(Refused):
                    await anext(aiter(wrong))

    async def test_a_mask_ends_with_the_last_event(self):
        body = batch(0, 0, [b"a", b"b", b"c"], chosen=(0, 3))
        async with node() as (target, peers), connect(target) as connection:
            connection.subscribe(Want())
            peer = await accepted(peers)
            peer.say(subscribed(1, {0: 0}))
            peer.say(body, peer.open_data(1, 0))
            async with asyncio.timeout(STEP_S):
                self.assertEqual((await connection.ended).code, Code.MALFORMED)

    async def test_refusals_are_told_and_those_that_pass_are_tried_again(self):
        async with node() as (target, peers), Subscriber(target, Want(filter="(")) as subscriber:
            reading = asyncio.ensure_future(anext(aiter(subscriber)))
            for code in (Code.GOING_AWAY, Code.FILTER_INVALID):
                peer = await accepted(peers)
                await peer.next(Type.SUBSCRIBE)
                peer.say(frame(Type.REFUSED, number(1) + number(code) + wire.optional({1: "at 1: nothing", 2: "mend it"})))
            with self.assertRaises(Refused) as caught:
                await asyncio.wait_for(reading, STEP_S)
            self.assertEqual((caught.exception.code, caught.exception.text), (Code.FILTER_INVALID, "at 1: nothing"))


class Publishing(unittest.IsolatedAsyncioTestCase):
    KEY = b"d1"
    PARTITION = partition_of(KEY, PARTITIONS)

    @contextlib.asynccontextmanager
    async def publishing(self, *datas):
        """(publisher, its first connection, the refused), these data sent with one key."""
        refused = []
        async with node() as (target, self.peers):
            publisher = Publisher(target, on_refused=lambda key, data, headers, why: refused.append((data, why.code)))
            entering = asyncio.ensure_future(publisher.__aenter__())
            peer = await accepted(self.peers)
            await entering
            try:
                for data in datas:
                    await publisher.send(data, self.KEY)
                yield publisher, peer, refused
            finally:
                await publisher.__aexit__()

    async def take(self, peer, sequence, *datas):
        publish = Publish(await peer.next(Type.PUBLISH))
        self.assertEqual((publish.partition, publish.sequence, publish.datas), (self.PARTITION, sequence, list(datas)))

    def acks(self, peer, next_sequence):
        peer.say(acked(1, self.PARTITION, next_sequence))

    def nacks(self, peer, *args):
        peer.say(nack(1, self.PARTITION, *args))

    async def test_all_of_a_turn_is_one_frame(self):
        async with self.publishing(b"a", b"b", b"c") as (publisher, peer, _):
            producer = await peer.next(Type.PRODUCER)
            self.assertEqual((producer[0], len(producer)), (1, 17))
            await self.take(peer, 0, b"a", b"b", b"c")
            self.acks(peer, 3)
            await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual((publisher.acknowledged, publisher.refused), (3, 0))

    async def test_what_was_not_acknowledged_goes_again_with_the_same_producer(self):
        async with self.publishing(b"a") as (publisher, peer, _):
            producer = await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a")
            await publisher.send(b"b", self.KEY)
            await publisher.send(b"c", self.KEY)
            await self.take(peer, 1, b"b", b"c")
            self.acks(peer, 1)
            while publisher.acknowledged < 1:
                await asyncio.sleep(0.001)
            peer.close(Code.INTERNAL, "a fault")
            await publisher.send(b"d", self.KEY)
            peer = await accepted(self.peers)
            self.assertEqual(await peer.next(Type.PRODUCER), producer)
            # The frame that there was, and then what came later.
            await self.take(peer, 1, b"b", b"c")
            await self.take(peer, 3, b"d")
            self.acks(peer, 4)
            await asyncio.wait_for(publisher.flush(), STEP_S)

    async def test_an_overloaded_node_gets_the_rest_again(self):
        async with self.publishing(b"a", b"b") as (publisher, peer, refused):
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a", b"b")
            self.nacks(peer, 0, Code.OVERLOADED)
            await self.take(peer, 0, b"a", b"b")
            self.nacks(peer, 0, 0x3FFF)
            await self.take(peer, 0, b"a", b"b")
            self.nacks(peer, 1, Code.OUT_OF_ORDER, 0)
            await self.take(peer, 0, b"a", b"b")
            self.acks(peer, 2)
            await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual(refused, [])

    async def test_of_a_refused_frame_only_the_bad_event_is_lost(self):
        async with self.publishing(b"a", b"bad", b"c") as (publisher, peer, refused):
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a", b"bad", b"c")
            self.nacks(peer, 0, Code.EVENT_INVALID)
            await self.take(peer, 0, b"a")
            await self.take(peer, 1, b"bad")
            await self.take(peer, 2, b"c")
            self.acks(peer, 1)
            self.nacks(peer, 1, Code.EVENT_INVALID)
            # The one behind it takes its sequence.
            await self.take(peer, 1, b"c")
            self.acks(peer, 2)
            await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual((refused, publisher.acknowledged), ([(b"bad", Code.EVENT_INVALID)], 2))

    async def test_a_node_that_goes_away_refuses_nothing_for_good(self):
        async with self.publishing(b"a") as (publisher, peer, refused):
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a")
            peer.say(frame(Type.GOAWAY, number(Code.GOING_AWAY) + number(150)))
            self.nacks(peer, 0, Code.GOING_AWAY)
            # The client has read both before it is told of the end.
            await peer.ping()
            peer.close(Code.GOING_AWAY, "bye")
            peer = await accepted(self.peers)
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a")
            self.acks(peer, 1)
            await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual(refused, [])

    async def test_a_sequence_that_was_left_out_lies_before_the_one_that_was_sent(self):
        async with self.publishing(b"a", b"b") as (publisher, peer, _):
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a", b"b")
            self.nacks(peer, 0, Code.OUT_OF_ORDER, 1)
            with self.assertRaises(Ended) as caught:
                await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual(caught.exception.code, Code.PROTOCOL)

    async def test_frames_are_cut_as_before(self):
        async with self.publishing(b"a", b"b") as (publisher, peer, _):
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a", b"b")
            await publisher.send(b"c", self.KEY)
            await self.take(peer, 2, b"c")
            peer.close(Code.INTERNAL, "a fault")
            await publisher.send(b"d", self.KEY)
            await publisher.send(b"e", self.KEY)
            peer = await accepted(self.peers)
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a", b"b")
            await self.take(peer, 2, b"c")
            await self.take(peer, 3, b"d", b"e")
            self.acks(peer, 2)
            # One of them is refused: nothing of the others is kept, so they are cut and numbered anew.
            self.nacks(peer, 2, Code.EVENT_INVALID)
            await self.take(peer, 2, b"d", b"e")
            self.acks(peer, 4)
            await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual((publisher.acknowledged, publisher.refused), (4, 1))

    async def test_a_node_that_forgot_what_it_acknowledged_gets_the_rest(self):
        async with self.publishing(b"a", b"b") as (publisher, peer, _):
            lost = []
            publisher._on_lost = lambda *args: lost.append(args)
            await peer.next(Type.PRODUCER)
            await self.take(peer, 0, b"a", b"b")
            await publisher.send(b"c", self.KEY)
            await self.take(peer, 2, b"c")
            self.acks(peer, 2)
            while publisher.acknowledged < 2:
                await asyncio.sleep(0.001)
            peer.close(Code.INTERNAL, "a fault")
            peer = await accepted(self.peers)
            await peer.next(Type.PRODUCER)
            await self.take(peer, 2, b"c")
            self.nacks(peer, 2, Code.OUT_OF_ORDER, 1)
            await self.take(peer, 1, b"c")
            self.acks(peer, 2)
            await asyncio.wait_for(publisher.flush(), STEP_S)
            self.assertEqual(lost, [(self.PARTITION, 1)])

    async def test_who_may_not_publish_is_told(self):
        async with node() as (target, peers):
            entering = asyncio.ensure_future(Publisher(target).__aenter__())
            await accepted(peers, publish_streams_max=0)
            with self.assertRaisesRegex(RuntimeError, "may not publish"):
                await asyncio.wait_for(entering, STEP_S)


if __name__ == "__main__":
    unittest.main()
