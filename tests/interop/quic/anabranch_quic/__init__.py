"""A client of `anabranch/1`, Anabranch's protocol over QUIC, on aioquic. Written from the specification, docs/quic.md, alone.

    target = Target("localhost", 4433, fingerprint="5f3a…")
    async with Subscriber(target, Want(filter="temp > 70", start=Start.earliest())) as subscriber:
        async for event in subscriber:
            print(event.key, event.data)
            await subscriber.commit("billing")

    async with Publisher(target) as publisher:
        await publisher.send(b'{"temp":71}', key=b"d1", headers=[("ce_type", b"reading")])
        await publisher.flush()

From the bottom up: `wire` (numbers and frames), `records` (events), `frames` (each frame), `target` and `connection` (one connection over
aioquic), `subscriber` and `publisher` (which outlive connections), `__main__` (the command line). Needs Python 3.11 and `pip install aioquic`.
"""
from .connection import Connection, Ended, Refused, connect
from .frames import Lost, Start, Want
from .publisher import Publisher
from .records import Event
from .subscriber import Subscriber
from .target import Target
from .wire import Code

__all__ = ["Code", "Connection", "Ended", "Event", "Lost", "Publisher", "Refused", "Start", "Subscriber", "Target", "Want", "connect"]
