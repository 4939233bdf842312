"""Numbers, texts and frames of `anabranch/1`: what every stream is made of.

What always holds: foreign bytes end in a `Fault` with the code that the specification gives them, never in another exception, and
nothing larger than its bound is kept.
"""
import enum


class Code(enum.IntEnum):
    """One space for frames and for the end of connections."""

    NONE = 0x00
    INTERNAL = 0x01
    MALFORMED = 0x02
    FRAME_TOO_LARGE = 0x03
    PROTOCOL = 0x04
    UNKNOWN_FRAME = 0x05
    EARLY_DATA = 0x06
    LIMIT = 0x07
    TIMEOUT = 0x08
    GOING_AWAY = 0x09
    BUSY = 0x0A
    UNAUTHENTICATED = 0x10
    AUTH_EXPIRED = 0x11
    FORBIDDEN = 0x12
    FILTER_INVALID = 0x20
    NO_SUCH_ROUTE = 0x21
    NO_SUCH_PARTITION = 0x22
    OFFSET_BEYOND_END = 0x23
    SOURCE_CHANGED = 0x24
    CURSORS_FAILED = 0x30
    SUBSCRIBER_INVALID = 0x31
    LOG_FAILED = 0x40
    OUT_OF_ORDER = 0x41
    EVENT_INVALID = 0x42
    EVENT_TOO_LARGE = 0x43
    WRONG_PARTITION = 0x44
    OVERLOADED = 0x45

    @staticmethod
    def name_of(code):
        """A code in words, also one that this client does not know."""
        return Code(code).name.lower() if code in Code._value2member_map_ else f"code 0x{code:02x}"


class Type(enum.IntEnum):
    """Types of frames."""

    HELLO = 0x01
    WELCOME = 0x03
    SUBSCRIBE = 0x05
    SUBSCRIBED = 0x07
    REFUSED = 0x09
    UNSUBSCRIBE = 0x0B
    ENDED = 0x0D
    CREDIT = 0x0F
    COMMIT = 0x11
    COMMITTED = 0x13
    ACK = 0x15
    NACK = 0x17
    GOAWAY = 0x19
    DATA = 0x21
    BATCH = 0x23
    POSITION = 0x25
    LOST = 0x27
    PRODUCER = 0x31
    PUBLISH = 0x33


CONTROL_BYTES_MAX = 65_536
BATCH_BYTES_MAX = 1_120_320
OTHER_BYTES_MAX = 1_024


class Fault(Exception):
    """The other side sent what it must not; the connection is closed with the code."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def number(value):
    """A number in its shortest form."""
    for bits, form in ((6, 0), (14, 1), (30, 2), (62, 3)):
        if value < 1 << bits:
            size = 1 << form
            return (value | form << (8 * size - 2)).to_bytes(size, "big")
    raise ValueError(f"{value} is above 2^62 - 1")


def prefixed(value):
    """Bytes, or a text, behind their length."""
    value = value.encode() if isinstance(value, str) else value
    return number(len(value)) + value


def offsets(positions):
    """A list of (partition, offset): partitions ascend."""
    return b"".join(number(partition) + number(offset) for partition, offset in sorted(positions.items()))


def optional(fields):
    """Optional fields from {tag: number, text or bytes}; `None` is left out. Values have no length of their own inside."""
    out = b""
    for tag, value in sorted(fields.items()):
        if value is not None:
            out += number(tag) + prefixed(number(value) if isinstance(value, int) else value)
    return out


def frame(kind, body):
    return number(kind) + prefixed(body)


class Reader:
    """Reads fields from the body of a frame."""

    def __init__(self, data):
        self.data, self.at = memoryview(data), 0

    def __bool__(self):
        return self.at < len(self.data)

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Fault(Code.MALFORMED, f"{size} bytes are wanted at {self.at}, {len(self.data) - self.at} are left")
        self.at += size
        return self.data[self.at - size : self.at]

    def rest(self):
        return self.take(len(self.data) - self.at)

    def number(self):
        size = 1 << (self.take(1)[0] >> 6)
        self.at -= 1
        return int.from_bytes(self.take(size), "big") & ((1 << (8 * size - 2)) - 1)

    def bytes(self):
        return self.take(self.number())

    def text(self):
        return as_text(self.bytes())

    def list(self):
        """A reader of a list's elements."""
        return Reader(self.bytes())

    def offsets(self, ascending=True):
        """All that is left as a list of (partition, offset)."""
        found, last = {}, -1
        while self:
            partition, offset = self.number(), self.number()
            if partition in found or (ascending and partition < last):
                raise Fault(Code.MALFORMED, f"partition {partition} comes twice or after {last}")
            found[partition], last = offset, partition
        return found

    def optional(self, repeated=()):
        """All that is left as optional fields: {tag: Reader of its value}, or for a repeated tag a list of those."""
        found, last = {}, -1
        while self:
            tag, value = self.number(), self.list()
            if tag < last or (tag == last and tag not in repeated):
                raise Fault(Code.MALFORMED, f"tag {tag} comes behind tag {last}")
            last = tag
            if tag in repeated:
                found.setdefault(tag, []).append(value)
            else:
                found[tag] = value
        return found

    def only_number(self):
        """A number that is all there is: the value of an optional field."""
        value = self.number()
        if self:
            raise Fault(Code.MALFORMED, "there is more behind a number")
        return value

    def only_text(self):
        return as_text(self.rest())


def as_text(data):
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise Fault(Code.MALFORMED, "a text is not UTF-8") from None


class Frames:
    """Cuts what arrives on one stream into frames. `bound` says how long the body of a type may be."""

    def __init__(self, bound):
        self.bound, self.buffer = bound, bytearray()

    def feed(self, data, is_end=False):
        """The (type, body) that are whole now. Frames of unknown even types are passed over."""
        self.buffer += data
        found, at = [], 0
        while (head := self._head(at)) is not None:
            kind, length, body_at = head
            if length > self.bound(kind):
                raise Fault(Code.FRAME_TOO_LARGE, f"frame 0x{kind:02x} of {length} bytes, at most {self.bound(kind)}")
            if len(self.buffer) - body_at < length:
                break
            if kind in Type._value2member_map_:
                found.append((Type(kind), bytes(self.buffer[body_at : body_at + length])))
            elif kind % 2:
                raise Fault(Code.UNKNOWN_FRAME, f"frame 0x{kind:02x}")
            at = body_at + length
        del self.buffer[:at]
        if is_end and self.buffer:
            raise Fault(Code.MALFORMED, "a stream ends in the middle of a frame")
        return found

    def _head(self, at):
        """Type, length, and where the body begins; `None` if that has not arrived yet."""
        values = []
        for _ in range(2):
            if at >= len(self.buffer) or at + (size := 1 << (self.buffer[at] >> 6)) > len(self.buffer):
                return None
            values.append(int.from_bytes(self.buffer[at : at + size], "big") & ((1 << (8 * size - 2)) - 1))
            at += size
        return (*values, at)
