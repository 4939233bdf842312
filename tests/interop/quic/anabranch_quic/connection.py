"""One connection of `anabranch/1` over aioquic: HELLO, subscriptions, commits and publish streams.

What always holds: what the node sends is read as it comes and waits in the queue of its subscription, which credit bounds; nothing is
sent that another than the node could read. A connection that has ended does not come back: see `Subscriber` and `Publisher`.
"""
import asyncio
import contextlib
import hashlib
import socket

from aioquic.asyncio import QuicConnectionProtocol
from aioquic.quic import events
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicErrorCode
from cryptography.hazmat.primitives.serialization import Encoding

from . import frames
from .wire import BATCH_BYTES_MAX, CONTROL_BYTES_MAX, OTHER_BYTES_MAX, Code, Fault, Frames, Type

AGENT = "anabranch-python/1"


class Ended(ConnectionError):
    """The connection is over."""

    def __init__(self, code, text, is_transport=False):
        super().__init__(f"the connection ended: {f'QUIC 0x{code:x}' if is_transport else Code.name_of(code)}: {text}")
        self.code, self.text = code, text
        self.is_transport = is_transport
        """The code is one of QUIC's own."""

    @property
    def is_hidden(self):
        """The node ended it before the handshake was complete, so QUIC does not say why."""
        return self.is_transport and self.code == QuicErrorCode.APPLICATION_ERROR


class Refused(Exception):
    """The node's answer to something is no."""

    def __init__(self, what, answer):
        super().__init__(f"{what}: {Code.name_of(answer.code)}: {answer.text.rstrip('.')}. {answer.advice}")
        self.code, self.text, self.advice = answer.code, answer.text, answer.advice


class Subscription:
    """A subscription of one connection: `async for` gives its Batch, Position and Lost frames."""

    def __init__(self, connection, number, want, window):
        self.number, self.want = number, want
        self._connection = connection
        self._window, self._used = window, 0
        self._answer = asyncio.get_running_loop().create_future()
        self._items = asyncio.Queue()
        self._groups_ended = 0
        self._is_leaving = False
        self.ended = None
        """The node's ENDED."""

    async def subscribed(self):
        """The node's SUBSCRIBED; `Refused` if it does not want to."""
        return await asyncio.shield(self._answer)

    async def __aiter__(self):
        # What comes before SUBSCRIBED waits: only that says where each partition begins.
        try:
            await self.subscribed()
        except Refused as refused:
            if self._is_leaving and refused.code == Code.NONE:
                # It was over before it was open.
                return
            raise
        while (item := await self._items.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item
            if isinstance(item, frames.Batch):
                self._give_back(item.size)
        if self.ended.code != Code.NONE:
            raise Refused("the subscription has ended", self.ended)

    def _give_back(self, size):
        """New credit for what the application has taken, a half of the window at a time."""
        self._used += size
        if self._connection.welcome is not None and self._used * 2 >= min(self._window, self._connection.welcome.credit_max):
            self._connection.send_control(frames.credit(self.number, self._used))
            self._used = 0

    def unsubscribe(self):
        """Asks for the end. What is on its way still comes."""
        self._is_leaving = True
        self._connection.send_control(frames.unsubscribe(self.number))

    def _answered(self, answer):
        if isinstance(answer, Exception):
            self._answer.set_exception(answer)
            # Nobody may be waiting for it.
            self._answer.exception()
            return
        self._answer.set_result(answer)

    def _group_ended(self):
        self._groups_ended += 1
        self._finish()

    def _finish(self):
        """The end comes behind the last frame of the last group."""
        if self.ended is not None and self._groups_ended == len(self._answer.result().groups):
            self._connection._subscriptions.pop(self.number)
            self._items.put_nowait(None)

    def _failed(self, error):
        if not self._answer.done():
            self._answered(error)
        self._items.put_nowait(error)


class _DataStream:
    """A stream of the node's: which subscription's it is says its first frame."""

    def __init__(self):
        self.frames = Frames(lambda kind: BATCH_BYTES_MAX if kind == Type.BATCH else OTHER_BYTES_MAX)
        self.data = None


class PublishStream:
    """A publish stream. `on_ack` and `on_nack` are called with each Ack and Nack."""

    def __init__(self, connection, number, producer, on_ack, on_nack):
        self.number, self.on_ack, self.on_nack = number, on_ack, on_nack
        self._connection = connection
        self._stream = connection.open_stream(is_unidirectional=True)
        connection.send(self._stream, frames.producer(number, producer))

    def send(self, partition, sequence, events):
        """Sends (key, data, headers) of one partition as one PUBLISH."""
        self._connection.send(self._stream, frames.publish(partition, sequence, events))

    def finish(self):
        """Nothing more is sent here."""
        self._connection.send(self._stream, b"", is_end=True)


class Connection(QuicConnectionProtocol):
    """A connection whose HELLO is sent. Made by `connect`."""

    def __init__(self, quic, target):
        super().__init__(quic)
        self.target = target
        self.welcome = None
        self.goaway = None
        """The node's GOAWAY."""
        self.ended = asyncio.get_running_loop().create_future()
        """Its result is the `Ended`."""
        self.early_data_accepted = None
        """Whether the node read what was sent before the handshake was complete."""
        self._ready = asyncio.get_running_loop().create_future()
        self._welcomed = asyncio.get_running_loop().create_future()
        self._control = None
        self._control_frames = Frames(lambda _: CONTROL_BYTES_MAX)
        self._streams, self._subscriptions, self._publishes, self._commits = {}, {}, {}, {}
        self._last_subscription = self._last_publish = self._last_commit = 0
        self._handlers = {
            Type.WELCOME: self._on_welcome, Type.SUBSCRIBED: self._on_subscribed, Type.REFUSED: self._on_refused,
            Type.ENDED: self._on_ended, Type.COMMITTED: self._on_committed, Type.ACK: self._on_ack, Type.NACK: self._on_nack,
            Type.GOAWAY: self._on_goaway,
        }

    # What applications call

    async def welcomed(self):
        """The node's WELCOME; `Ended` if there is none."""
        return await asyncio.shield(self._welcomed)

    def subscribe(self, want=frames.Want(), credit=4 << 20):
        """Sends SUBSCRIBE at once; the answer comes with `Subscription.subscribed`."""
        self._last_subscription += 1
        found = Subscription(self, self._last_subscription, want, credit)
        self._subscriptions[found.number] = found
        self.send_control(frames.subscribe(found.number, credit, want))
        return found

    async def commit(self, subscriber, positions):
        """Keeps {partition: offset} under a name, on the node's disk when this comes back."""
        await self.welcomed()
        self._last_commit += 1
        answer = self._commits[self._last_commit] = asyncio.get_running_loop().create_future()
        self.send_control(frames.commit(self._last_commit, subscriber, positions))
        answer = await answer
        if answer.code != Code.NONE:
            raise Refused(f"the positions of {subscriber} were not kept", answer)

    def open_publish(self, producer, on_ack, on_nack):
        """A publish stream for the events of a producer, 16 bytes. WELCOME must have come."""
        self._last_publish += 1
        found = PublishStream(self, self._last_publish, producer, on_ack, on_nack)
        self._publishes[found.number] = found
        return found

    async def rebind(self):
        """Goes on from another local port; the node sees a client that has moved."""
        old = self._transport
        await _bind(lambda: self, old.get_extra_info("peername"))
        old.close()
        self.change_connection_id()

    # Streams

    def open_stream(self, is_unidirectional):
        stream = self._quic.get_next_available_stream_id(is_unidirectional)
        self.send(stream, b"")
        return stream

    def send(self, stream, data, is_end=False):
        if self.ended.done():
            raise self.ended.result()
        self._quic.send_stream_data(stream, data, is_end)
        self._transmit_soon()

    def reset(self, stream):
        """Breaks a stream off."""
        self._quic.reset_stream(stream, Code.NONE)
        self._transmit_soon()

    def send_control(self, data):
        self.send(self._control, data)

    def quic_event_received(self, event):
        if self.ended.done():
            return
        try:
            match event:
                case events.HandshakeCompleted(_, early_data_accepted, session_resumed):
                    self.early_data_accepted = early_data_accepted
                    # Who resumes a session has proved to be the one that gave the ticket.
                    if session_resumed or self._is_the_node():
                        self._hello()
                case events.StreamDataReceived(data, is_end, stream):
                    self._received(stream, data, is_end)
                case events.StreamReset(_, stream):
                    if stream == self._control:
                        raise Fault(Code.PROTOCOL, "the node reset the control stream")
                    self._stream_ended(stream)
                case events.ConnectionTerminated(code, frame_type, text):
                    self._over(Ended(code, text, frame_type is not None))
        except Fault as fault:
            self.close(fault.code, str(fault))
            self._over(Ended(fault.code, f"{fault} (found by this client)"))

    def error_received(self, error):
        """ICMP says that nobody listens there: waiting for the idle time would find the same."""
        if isinstance(error, ConnectionRefusedError):
            self._over(Ended(Code.NONE, "nobody listens there", is_transport=True))

    def _is_the_node(self):
        """Whether the certificate is the one that was asked for by its fingerprint; aioquic has looked at the others."""
        wanted = self.target.fingerprint
        if wanted is None:
            return True
        # aioquic has no public way to the certificate.
        found = hashlib.sha256(self._quic.tls._peer_certificate.public_bytes(Encoding.DER)).hexdigest()
        if found == wanted.lower().removeprefix("sha256:").replace(":", ""):
            return True
        self.close(Code.UNAUTHENTICATED, "another certificate")
        self._over(Ended(Code.UNAUTHENTICATED, f"the node's certificate is {found}, not the one that was asked for"))
        return False

    def _hello(self):
        """Sends HELLO, if it was not sent in 0-RTT. What the node did not read of that, QUIC sends again."""
        if self._control is not None:
            return
        target = self.target
        self._control = self.open_stream(is_unidirectional=False)
        token = target.token() if callable(target.token) else target.token
        self.send_control(frames.hello(AGENT, token, target.user, target.password))
        self._ready.set_result(None)

    def _received(self, stream, data, is_end):
        if stream == self._control:
            for kind, body in self._control_frames.feed(data, is_end):
                handler = self._handlers.get(kind)
                if handler is None or (self.welcome is None) != (kind == Type.WELCOME):
                    raise Fault(Code.PROTOCOL, f"{kind.name} on the control stream")
                handler(body)
            if is_end:
                raise Fault(Code.PROTOCOL, "the node ended the control stream")
            return
        one = self._streams.setdefault(stream, _DataStream())
        for kind, body in one.frames.feed(data, is_end):
            self._on_data(one, kind, body)
        if is_end:
            self._stream_ended(stream)

    def _stream_ended(self, stream):
        one = self._streams.pop(stream, None)
        # One of a subscription that was refused, or never was, is nobody's.
        if one is not None and one.data is not None and (subscription := self._subscriptions.get(one.data.subscription)):
            subscription._group_ended()

    def _on_data(self, stream, kind, body):
        readers = {Type.BATCH: frames.Batch, Type.POSITION: frames.Position, Type.LOST: frames.Lost}
        if stream.data is None and kind == Type.DATA:
            stream.data = frames.Data.read(body)
        elif stream.data is not None and kind in readers:
            if subscription := self._subscriptions.get(stream.data.subscription):
                subscription._items.put_nowait(readers[kind].read(body))
        else:
            raise Fault(Code.PROTOCOL, f"{kind.name} on a data stream")

    # The control stream

    def _on_welcome(self, body):
        self.welcome = frames.Welcome.read(body)
        if self.welcome.minor > frames.MINOR:
            raise Fault(Code.PROTOCOL, f"the node speaks minor version {self.welcome.minor}, which was not offered")
        self._welcomed.set_result(self.welcome)
        asyncio.ensure_future(self._keep_alive())

    async def _keep_alive(self):
        """QUIC ends a connection on which nothing is said."""
        with contextlib.suppress(ConnectionError):
            while not self.ended.done():
                await asyncio.wait([self.ended], timeout=self.target.idle_timeout_s / 3)
                if not self.ended.done():
                    self._quic.send_ping(0)
                    self.transmit()

    def _on_subscribed(self, body):
        answer = frames.Subscribed.read(body)
        subscription = self._subscriptions.get(answer.subscription)
        if subscription is None or subscription._answer.done():
            raise Fault(Code.PROTOCOL, f"SUBSCRIBED for {answer.subscription}")
        subscription._answered(answer)

    def _on_refused(self, body):
        answer = frames.Answer.read(body)
        subscription = self._subscriptions.pop(answer.number, None)
        if subscription is None or subscription._answer.done():
            raise Fault(Code.PROTOCOL, f"REFUSED for {answer.number}")
        subscription._answered(Refused("the subscription was refused", answer))

    def _on_ended(self, body):
        answer = frames.Answer.read(body)
        subscription = self._subscriptions.get(answer.number)
        if subscription is None or not subscription._answer.done() or subscription.ended is not None:
            raise Fault(Code.PROTOCOL, f"ENDED for {answer.number}")
        subscription.ended = answer
        subscription._finish()

    def _on_committed(self, body):
        answer = frames.Answer.read(body)
        waiting = self._commits.pop(answer.number, None)
        if waiting is None:
            raise Fault(Code.PROTOCOL, f"COMMITTED for {answer.number}")
        if not waiting.done():
            waiting.set_result(answer)

    def _on_ack(self, body):
        ack = frames.Ack.read(body)
        self._publish(ack.publish).on_ack(ack)

    def _on_nack(self, body):
        nack = frames.Nack.read(body)
        self._publish(nack.publish).on_nack(nack)

    def _publish(self, number):
        if number not in self._publishes:
            raise Fault(Code.PROTOCOL, f"an answer for publish stream {number}")
        return self._publishes[number]

    def _on_goaway(self, body):
        self.goaway = frames.Goaway.read(body)

    def _over(self, ended):
        if self.ended.done():
            return
        self.ended.set_result(ended)
        for waiting in (self._ready, self._welcomed, *self._commits.values()):
            if not waiting.done():
                waiting.set_exception(ended)
                # Nobody may be waiting for it.
                waiting.exception()
        for subscription in self._subscriptions.values():
            subscription._failed(ended)


async def _bind(make_protocol, address):
    """A UDP socket that is connected, so that the system says when nobody listens there."""
    return await asyncio.get_running_loop().create_datagram_endpoint(make_protocol, remote_addr=address[:2])


@contextlib.asynccontextmanager
async def connect(target):
    """A connection whose HELLO is sent; closed when the block ends."""
    loop = asyncio.get_running_loop()
    address = (await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM))[0][4]
    configuration = target.configuration()
    quic = QuicConnection(configuration=configuration, session_ticket_handler=target.tickets.append)
    _, connection = await _bind(lambda: Connection(quic, target), address)
    try:
        connection.connect(connection._transport.get_extra_info("peername"), transmit=False)
        if (ticket := configuration.session_ticket) is not None and ticket.is_valid and ticket.max_early_data_size:
            connection._hello()
        # Not before what the caller sends at once, if it can be sent already.
        connection._transmit_soon()
        async with asyncio.timeout(target.connect_timeout_s):
            await asyncio.shield(connection._ready)
        yield connection
    finally:
        # Nothing happens if it has ended already.
        connection.close(Code.NONE)
        connection._over(Ended(Code.NONE, "this client is done"))
        connection._transport.close()
