"""A subscription that outlives connections: every matching event comes once, in the order of its partition.

What always holds: `positions` says, per partition, the offset behind all that the application was given. After a broken connection it
goes on from there.
"""
import asyncio
import dataclasses

from . import frames
from .connection import Ended, Refused, connect
from .frames import Start, Want
from .target import Target
from .wire import Code

GIVE_UP = {Code.MALFORMED, Code.FRAME_TOO_LARGE, Code.PROTOCOL, Code.UNKNOWN_FRAME, Code.EARLY_DATA, Code.LIMIT, Code.UNAUTHENTICATED,
           Code.FORBIDDEN}
"""Ends of a connection that the next one would meet again. After any other, known or not, it is worth trying."""
SUBSCRIBE_AGAIN = {Code.INTERNAL, Code.TIMEOUT, Code.GOING_AWAY, Code.BUSY, Code.AUTH_EXPIRED, Code.SOURCE_CHANGED, Code.CURSORS_FAILED}
"""Refusals of a subscription that another try may not meet. Any other, known or not, is final."""
WAIT_S_MIN, WAIT_S_MAX = 0.1, 5.0


def is_final(ended):
    """Whether the next connection would meet the same: QUIC's errors 0x100 to 0x1ff are those of TLS, such as a wrong certificate."""
    return 0x100 <= ended.code < 0x200 if ended.is_transport else ended.code in GIVE_UP


class Reconnect:
    """When to connect again, and where: twice as long each time, or what GOAWAY says."""

    def __init__(self, target):
        self.target, self._wait_s = target, WAIT_S_MIN

    def worked(self):
        self._wait_s = WAIT_S_MIN

    async def after(self, error, goaway=None):
        """Waits, or raises the error if there is no use in it."""
        if isinstance(error, Ended):
            if is_final(error):
                raise error
            if error.is_hidden:
                # Without 0-RTT the next connection learns why.
                self.target.tickets.clear()
        wait_s = self._wait_s
        if goaway is not None:
            wait_s = max(wait_s, goaway.after_ms / 1_000)
            if goaway.address is not None:
                host, _, port = goaway.address.rpartition(":")
                self.target = dataclasses.replace(self.target, host=host.strip("[]"), port=int(port))
        self._wait_s = min(self._wait_s * 2, WAIT_S_MAX)
        await asyncio.sleep(wait_s)


class Subscriber:
    """`async with Subscriber(target, want) as subscriber`, and in it `async for event in subscriber`: each Event, and each Lost, of what
    is wanted. The end comes only with an error, or with that of the block. `on_subscribed` is called after each SUBSCRIBED."""

    def __init__(self, target: Target, want: Want = Want(), credit=4 << 20, on_subscribed=None):
        self.want, self.credit = want, credit
        self._on_subscribed = on_subscribed or (lambda: None)
        self.positions = {}
        """{partition: offset}: the first that the application was not given yet."""
        self.subscribed = None
        """The node's last SUBSCRIBED, with the properties that the route adds."""
        self.connection = None
        self._reconnect = Reconnect(target)
        self._given = self._give()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self._given.aclose()

    def __aiter__(self):
        return self._given

    async def commit(self, name):
        """Keeps the positions under a name, on the node's disk when this comes back; `Ended` if the connection broke meanwhile."""
        await self.connection.commit(name, self.positions)

    async def _give(self):
        while True:
            goaway = None
            try:
                async with connect(self._reconnect.target) as self.connection:
                    try:
                        async for event in self._events():
                            yield event
                    finally:
                        goaway = self.connection.goaway
            except Refused as refused:
                if refused.code not in SUBSCRIBE_AGAIN:
                    raise
                await self._reconnect.after(refused, goaway)
            except OSError as error:
                await self._reconnect.after(error, goaway)

    async def _events(self):
        """What one connection gives."""
        want = dataclasses.replace(self.want, start=Start.at(self.positions)) if self.positions else self.want
        subscription = self.connection.subscribe(want, self.credit)
        self.subscribed = await subscription.subscribed()
        self._reconnect.worked()
        for group in self.subscribed.groups:
            for partition, offset in group.items():
                # What the application was given already stays so.
                self.positions.setdefault(partition, offset)
        self._on_subscribed()
        async for item in subscription:
            if isinstance(item, frames.Batch):
                for event in item.events:
                    # A batch as stored can begin before the offset that was asked for.
                    if event.offset >= self.positions[item.partition]:
                        self.positions[item.partition] = event.offset + 1
                        yield event
            if isinstance(item, frames.Lost):
                yield item
            self.positions[item.partition] = max(self.positions[item.partition], item.next_offset)
