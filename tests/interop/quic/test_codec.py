"""The codec against the examples of the specification, which are read from its page, and against what must be refused.

    python -m unittest discover tests/interop/quic
"""
import pathlib
import random
import re
import unittest

from anabranch_quic import frames, records, wire
from anabranch_quic.wire import Code, Fault, Frames, Reader, Type, number

PAGE = pathlib.Path(__file__).parents[3] / "docs/quic.md"


def examples():
    """{name: bytes} of the frames under the heading Examples."""
    text = PAGE.read_text(encoding="utf-8").split("## Examples", 1)[1].split("```")[1]
    found = {}
    for name, digits in re.findall(r"^# (.+)\n((?:[0-9a-f ]+\n)+)", text, re.MULTILINE):
        found[name] = bytes.fromhex(digits)
    return found


EXAMPLES = examples()
TWO = (
    records.Event(25, 15_000, 0, b"d1", b'{"temp":71}', (("ce_type", b"t"),)),
    records.Event(25, 15_001, 0, None, b"{}", ()),
)


def body_of(example):
    """The body of the one frame that an example is."""
    [(_, body)] = Frames(lambda _: wire.BATCH_BYTES_MAX).feed(EXAMPLES[example], is_end=True)
    return body


def masked(mask):
    """The example BATCH masked, which stops before its records, made whole with those of BATCH whole."""
    batch = body_of("BATCH whole")[4:]
    return body_of("BATCH whole")[:3] + b"\1" + wire.prefixed(mask) + batch


class Numbers(unittest.TestCase):
    def test_every_form_is_read_and_the_shortest_is_written(self):
        for value in (0, 63, 64, 16_383, 16_384, (1 << 30) - 1, 1 << 30, (1 << 62) - 1):
            self.assertEqual(Reader(number(value)).only_number(), value)
        # RFC 9000, appendix A.1.
        for digits, value in (("c2197c5eff14e88c", 151_288_809_941_952_652), ("9d7f3e7d", 494_878_333), ("7bbd", 15_293), ("4025", 37)):
            self.assertEqual(Reader(bytes.fromhex(digits)).only_number(), value)
        self.assertEqual(number(37).hex(), "25")
        with self.assertRaises(ValueError):
            number(1 << 62)

    def test_kafkas_varints(self):
        for value, digits in ((0, "00"), (-1, "01"), (1, "02"), (63, "7e"), (-64, "7f"), (64, "8001"), (300, "d804")):
            self.assertEqual(records.varint(value).hex(), digits)
            self.assertEqual(records._Records(bytes.fromhex(digits)).varint(), value)

    def test_crc32c_of_the_check_string(self):
        self.assertEqual(records.crc32c(b"123456789"), 0xE3069283)

    def test_murmur2_and_partitions_of_the_specification(self):
        rows = re.findall(r"^\| (.+?) \| 0x([0-9a-f]{8}) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(len(rows), 4)
        for shown, digits, partition in rows:
            key = b"" if shown == "(no bytes)" else shown.strip("`").encode()
            self.assertEqual(records.murmur2(key), int(digits, 16), shown)
            self.assertEqual(records.partition_of(key, 32), int(partition), shown)

    def test_the_codes_are_those_of_the_specification(self):
        rows = re.findall(r"^\| 0x([0-9a-f]{2}) \| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual({name.upper(): int(digits, 16) for digits, name in rows}, {code.name: code.value for code in Code})
        self.assertEqual(Code.name_of(0x33), "code 0x33")


class FromTheClient(unittest.TestCase):
    def check(self, example, made):
        self.assertEqual(made.hex(" "), EXAMPLES[example].hex(" "))

    def test_examples(self):
        want = frames.Want(filter="temp > 70")
        self.check("HELLO", frames.hello(agent="demo/1", token="abc"))
        self.check("SUBSCRIBE latest", frames.subscribe(1, 1 << 20, want))
        cursor = frames.Start.cursor("billing", frames.EARLIEST)
        self.check("SUBSCRIBE cursor", frames.subscribe(1, 1 << 20, frames.Want(filter="temp > 70", start=cursor)))
        start = frames.Start.at({25: 15_000, 0: 40})
        self.check("SUBSCRIBE offsets", frames.subscribe(1, 1 << 20, frames.Want(filter="temp > 70", start=start, groups=2)))
        self.check("UNSUBSCRIBE", frames.unsubscribe(1))
        self.check("CREDIT", frames.credit(1, 1 << 19))
        self.check("COMMIT", frames.commit(5, "billing", {0: 40, 25: 15_000}))
        self.check("PRODUCER", frames.producer(1, bytes(range(0, 0x100, 0x11))))
        self.check("PUBLISH", frames.publish(25, 100, [(event.key, event.data, event.headers) for event in TWO]))


class FromTheNode(unittest.TestCase):
    def test_examples(self):
        welcome = frames.Welcome(0, 32, 16 << 20, 64, 8, 0x110FC3, 7, 2, "n1", "anabranch/0", "ann")
        self.assertEqual(frames.Welcome.read(body_of("WELCOME")), welcome)
        subscribed = frames.Subscribed(1, ({0: 40}, {25: 15_000}), (("site", "hh"),))
        self.assertEqual(frames.Subscribed.read(body_of("SUBSCRIBED")), subscribed)
        self.assertEqual(frames.Answer.read(body_of("REFUSED")), frames.Answer(1, Code.FILTER_INVALID, "no", "mend"))
        self.assertEqual(frames.Answer.read(body_of("ENDED")), frames.Answer(1, Code.NONE))
        self.assertEqual(frames.Answer.read(body_of("COMMITTED")), frames.Answer(5, Code.NONE))
        self.assertEqual(frames.Data.read(body_of("DATA")), frames.Data(1, 1))
        self.assertEqual(frames.Position.read(body_of("POSITION")), frames.Position(25, 16_000))
        self.assertEqual(frames.Lost.read(body_of("LOST")), frames.Lost(25, 16_000, 17_000))
        self.assertEqual(frames.Ack.read(body_of("ACK")), frames.Ack(1, ((25, 102, 15_002),)))
        self.assertEqual(frames.Nack.read(body_of("NACK")), frames.Nack(1, 25, 100, Code.OUT_OF_ORDER, expected=98))
        self.assertEqual(frames.Goaway.read(body_of("GOAWAY")), frames.Goaway(Code.GOING_AWAY, 1_000, "restart"))

    def test_batch_whole(self):
        body = body_of("BATCH whole")
        self.assertEqual(frames.Batch.read(body), frames.Batch(25, 15_002, TWO, len(body)))

    def test_batch_masked(self):
        """The example stops before the batch: its head must be that of the masked body made here."""
        body = masked(b"\2")
        head = wire.number(Type.BATCH) + wire.number(len(body)) + body
        self.assertEqual(head[: len(EXAMPLES["BATCH masked, up to its records"])], EXAMPLES["BATCH masked, up to its records"])
        self.assertEqual(frames.Batch.read(body).events, TWO[1:])

    def test_batch_packed_with_gaps(self):
        """The second event alone: the base stays, the count and the checksum are of what is left."""
        whole = body_of("BATCH whole")[4:]
        record = records.record(1, None, b"{}", ())
        tail = whole[21:57] + (1).to_bytes(4, "big") + record
        length = len(tail) + 9
        packed = whole[:8] + length.to_bytes(4, "big") + whole[12:17] + records.crc32c(tail).to_bytes(4, "big") + tail
        self.assertEqual(frames.Batch.read(body_of("BATCH whole")[:3] + b"\2" + packed).events, TWO[1:])

    def test_unknown_tags_are_skipped(self):
        refused = frames.Answer.read(body_of("REFUSED") + b"\x3f\3xyz")
        self.assertEqual(refused, frames.Answer(1, Code.FILTER_INVALID, "no", "mend"))


class Refused(unittest.TestCase):
    def faults(self, code, function, *args):
        with self.assertRaises(Fault) as caught:
            function(*args)
        self.assertEqual(caught.exception.code, code)

    def test_tags_that_do_not_ascend(self):
        self.faults(Code.MALFORMED, frames.Answer.read, b"\1\x20\2\1a\1\1b")
        self.faults(Code.MALFORMED, frames.Answer.read, b"\1\x20\1\1a\1\1b")

    def test_partitions_that_do_not_ascend(self):
        self.faults(Code.MALFORMED, frames.Subscribed.read, b"\1\5\4\2\0\1\0")

    def test_a_wrong_checksum(self):
        body = bytearray(body_of("BATCH whole"))
        body[-2] ^= 1
        self.faults(Code.MALFORMED, frames.Batch.read, bytes(body))

    def test_a_mask_of_another_length(self):
        self.faults(Code.MALFORMED, frames.Batch.read, masked(b""))
        self.faults(Code.MALFORMED, frames.Batch.read, masked(b"\1\0"))

    def test_every_shorter_body(self):
        readers = {"WELCOME": frames.Welcome, "SUBSCRIBED": frames.Subscribed, "ACK": frames.Ack, "NACK": frames.Nack,
                   "GOAWAY": frames.Goaway, "DATA": frames.Data, "BATCH whole": frames.Batch, "POSITION": frames.Position,
                   "LOST": frames.Lost, "REFUSED": frames.Answer}
        for name, kind in readers.items():
            body = body_of(name)
            for length in range(len(body)):
                try:
                    kind.read(body[:length])
                except Fault as fault:
                    self.assertEqual(fault.code, Code.MALFORMED)
                else:
                    # Without its optional fields, or some of them, a body is still one.
                    self.assertIn(name, ("WELCOME", "SUBSCRIBED", "NACK", "GOAWAY", "REFUSED"))

    def test_chance_ends_in_nothing_but_faults(self):
        chance = random.Random(7)
        for _ in range(3_000):
            body = bytearray(body_of("BATCH whole"))
            for _ in range(chance.randrange(1, 4)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            # With a right checksum, so that the records are looked at.
            body[21:25] = records.crc32c(bytes(body[25:])).to_bytes(4, "big")
            try:
                frames.Batch.read(bytes(body))
            except Fault:
                pass


class Cutting(unittest.TestCase):
    def test_any_cut_gives_the_same_frames(self):
        stream = EXAMPLES["DATA"] + EXAMPLES["BATCH whole"] + EXAMPLES["POSITION"]
        for step in (1, 2, 3, 7, 1_000):
            cutter, found = Frames(lambda _: wire.BATCH_BYTES_MAX), []
            for at in range(0, len(stream), step):
                found += cutter.feed(stream[at : at + step], at + step >= len(stream))
            self.assertEqual([kind for kind, _ in found], [Type.DATA, Type.BATCH, Type.POSITION])
            self.assertEqual(found[1][1], body_of("BATCH whole"))

    def test_unknown_types(self):
        cutter = Frames(lambda _: 1_024)
        self.assertEqual(cutter.feed(b"\x40\x02\3abc" + EXAMPLES["DATA"]), [(Type.DATA, b"\1\1")])
        with self.assertRaises(Fault) as caught:
            cutter.feed(b"\x3f\0")
        self.assertEqual(caught.exception.code, Code.UNKNOWN_FRAME)

    def test_bounds_hold_before_the_body_has_come(self):
        with self.assertRaises(Fault) as caught:
            Frames(lambda _: 1_024).feed(number(Type.POSITION) + number(1_025))
        self.assertEqual(caught.exception.code, Code.FRAME_TOO_LARGE)

    def test_an_end_inside_a_frame(self):
        with self.assertRaises(Fault) as caught:
            Frames(lambda _: 1_024).feed(EXAMPLES["POSITION"][:-1], is_end=True)
        self.assertEqual(caught.exception.code, Code.MALFORMED)


if __name__ == "__main__":
    unittest.main()
