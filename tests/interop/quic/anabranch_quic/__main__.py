"""The command line.

    python -m anabranch_quic HOST:PORT sub [--filter TEXT] [--from earliest] …    each event as a line of JSON
    python -m anabranch_quic HOST:PORT pub < events.ndjson                        each line an object with key, headers and data

`sub --positions` says where it is when it has subscribed, and at the end, in a form that `--from` takes. `pub` says each
acknowledgement, each refusal, and at the end what became of all. Exit code 1: the reason is on the standard error.
"""
import argparse
import asyncio
import base64
import contextlib
import datetime
import json
import sys

from . import Ended, Event, Publisher, Refused, Start, Subscriber, Target, Want
from .frames import EARLIEST, LATEST


def say(**fields):
    print(json.dumps(fields, ensure_ascii=False, separators=(",", ":")), flush=True)


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def shown(name, value):
    """Bytes as a field of JSON: text if they are, else base64 under another name."""
    if value is None:
        return {name: None}
    try:
        return {name: value.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


def shown_data(value):
    """Data as JSON if it is, else as any bytes."""
    try:
        return {"data": json.loads(value or b"null", parse_constant=no_constant)}
    except ValueError:
        return shown("data", value)


def shown_event(event, properties):
    headers = {}
    for name, value in event.headers:
        headers |= shown(name, value)
    for name, value in properties:
        headers[name] = value
    time = datetime.datetime.fromtimestamp(event.time_ms / 1_000, datetime.UTC)
    time = time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    say(partition=event.partition, offset=event.offset, **shown("key", event.key), time=time, headers=headers, **shown_data(event.data))


def start_of(text, otherwise):
    """`latest`, `earliest`, a time with its zone, `cursor:NAME`, or `PARTITION:OFFSET,…`."""
    if text in ("latest", "earliest"):
        return Start.latest() if text == "latest" else Start.earliest()
    if text.startswith("cursor:"):
        return Start.cursor(text.removeprefix("cursor:"), EARLIEST if otherwise == "earliest" else LATEST)
    if "T" in text:
        return Start.time(round(datetime.datetime.fromisoformat(text).timestamp() * 1_000))
    return Start.at({int(partition): int(offset) for partition, offset in (pair.split(":") for pair in text.split(","))})


async def sub(target, args):
    start = start_of(getattr(args, "from"), args.otherwise)
    want = Want(args.filter, args.dialect, args.route, tuple(args.partition) or None, start, args.groups, args.encodings)
    seen = 0

    def say_positions():
        if args.positions:
            say(positions=",".join(f"{partition}:{offset}" for partition, offset in sorted(subscriber.positions.items())))

    async with Subscriber(target, want, args.credit, say_positions) as subscriber:
        async for event in subscriber:
            if isinstance(event, Event):
                shown_event(event, subscriber.subscribed.properties)
                seen += 1
            else:
                say(lost={"partition": event.partition, "from": event.begin, "to": event.end})
            if args.commit and seen % args.commit_every == 0:
                # If the connection breaks, the next commit says this one's positions too.
                with contextlib.suppress(Ended):
                    await subscriber.commit(args.commit)
            if seen == args.count:
                break
        if args.commit:
            await subscriber.commit(args.commit)
        say_positions()


async def pub(target, args):
    def on_refused(key, data, headers, nack):
        say(refused={"code": nack.code, "text": nack.text, "advice": nack.advice, **shown("key", key), **shown_data(data)})

    def on_ack(partition, next_sequence, end_offset):
        say(acknowledged=publisher.acknowledged, partition=partition, end_offset=end_offset or None)

    def on_lost(partition, count):
        say(lost={"partition": partition, "acknowledged_events": count})

    loop = asyncio.get_running_loop()
    async with Publisher(target, on_refused, on_ack, on_lost) as publisher:
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            event = json.loads(line)
            key, headers = event.get("key"), event.get("headers", {})
            data = json.dumps(event["data"], ensure_ascii=False, separators=(",", ":")).encode()
            await publisher.send(data, key and key.encode(), [(name, value.encode()) for name, value in headers.items()])
        await publisher.flush()
        say(done={"acknowledged": publisher.acknowledged, "refused": publisher.refused})


def arguments():
    parser = argparse.ArgumentParser("anabranch_quic", description="A client of anabranch/1, over QUIC.")
    parser.add_argument("address", help="HOST:PORT")
    known = parser.add_argument_group("how the node is known, and the client to it")
    known.add_argument("--fingerprint", help="SHA-256 of the node's certificate, hexadecimal")
    known.add_argument("--ca", help="file with the certificate that signs the node's")
    known.add_argument("--insecure", action="store_true", help="talk to anybody who answers there")
    for option in ("cert", "key", "token", "user", "password"):
        known.add_argument(f"--{option}")
    parser.add_argument("--idle-timeout-s", type=float, default=30)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("sub", help="print events")
    for option in ("filter", "dialect", "route"):
        one.add_argument(f"--{option}")
    one.add_argument("--partition", type=int, action="append", default=[])
    one.add_argument("--from", default="latest", help="latest, earliest, a time, cursor:NAME or PARTITION:OFFSET,…")
    one.add_argument("--otherwise", choices=("latest", "earliest"), default="latest", help="for partitions without a commit")
    one.add_argument("--groups", type=int)
    one.add_argument("--encodings", type=int)
    one.add_argument("--credit", type=int, default=4 << 20, help="bytes")
    one.add_argument("--count", type=int, help="end after so many events")
    one.add_argument("--commit", metavar="NAME", help="keep positions under this name")
    one.add_argument("--commit-every", type=int, default=1_000, metavar="EVENTS")
    one.add_argument("--positions", action="store_true", help="say where it is, at the beginning and at the end")
    commands.add_parser("pub", help="publish events")
    return parser.parse_args()


def main():
    args = arguments()
    host, _, port = args.address.rpartition(":")
    target = Target(host.strip("[]"), int(port), args.fingerprint, args.ca, args.insecure, args.cert, args.key, args.token, args.user,
                    args.password, idle_timeout_s=args.idle_timeout_s)
    if args.insecure:
        print("insecure: whoever answers is believed to be the node", file=sys.stderr)
    try:
        asyncio.run({"sub": sub, "pub": pub}[args.command](target, args))
    except (Refused, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
