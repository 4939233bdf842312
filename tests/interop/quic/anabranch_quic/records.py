"""Events as records of a Kafka RecordBatch v2, the checksum of batches and the partition of a key.

What always holds: a batch whose checksum is wrong gives no event.
"""
import dataclasses
import struct

from .wire import Code, Fault, as_text

HEADERS_MAX = 256
HEAD = struct.Struct(">qiibIhiqqqhii")


@dataclasses.dataclass(frozen=True)
class Event:
    """An event as the log has it."""

    partition: int
    offset: int
    time_ms: int
    """Time of acceptance, milliseconds since 1970."""
    key: bytes | None
    data: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def murmur2(key):
    """Kafka's hash of keys."""
    wide, low = 0xFFFFFFFF, len(key) & 3
    h = 0x9747B28C ^ len(key)
    for at in range(0, len(key) - low, 4):
        k = int.from_bytes(key[at : at + 4], "little") * 0x5BD1E995 & wide
        k = (k ^ k >> 24) * 0x5BD1E995 & wide
        h = (h * 0x5BD1E995 & wide) ^ k
    if low:
        h = (h ^ int.from_bytes(key[-low:], "little")) * 0x5BD1E995 & wide
    h = (h ^ h >> 13) * 0x5BD1E995 & wide
    return h ^ h >> 15


def partition_of(key, partitions):
    """The partition in which events with this key must be."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


CRC_TABLE = _crc_table()


def crc32c(data):
    """CRC-32C (Castagnoli). A byte at a time: where speed matters, a package such as `google-crc32c` does the same."""
    crc, table = 0xFFFFFFFF, CRC_TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def varint(value):
    """Kafka's signed number: zigzag, seven bits a byte, lowest first."""
    value = (value << 1) ^ (value >> 63)
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def nullable(value):
    return varint(-1) if value is None else varint(len(value)) + value


def record(offset_delta, key, data, headers):
    """An event as a record of PUBLISH. `headers` are (name, value or None)."""
    body = b"\0\0" + varint(offset_delta) + nullable(key) + nullable(data) + varint(len(headers))
    for name, value in headers:
        body += nullable(name.encode()) + nullable(value)
    return varint(len(body)) + body


class _Records:
    """Reads Kafka's fields."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def varint(self):
        value = shift = 0
        while True:
            if self.at >= len(self.data) or shift > 63:
                raise Fault(Code.MALFORMED, "a varint in a record does not end")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value >> 1 ^ -(value & 1)

    def take(self, size):
        if not 0 <= size <= len(self.data) - self.at:
            raise Fault(Code.MALFORMED, f"a field of {size} bytes in a record with {len(self.data) - self.at} left")
        self.at += size
        return self.data[self.at - size : self.at]

    def nullable(self):
        size = self.varint()
        return None if size == -1 else bytes(self.take(size))

    def record(self):
        """(timestampDelta, offsetDelta, key, data, headers)"""
        inner = _Records(self.take(self.varint()))
        inner.take(1)
        time_delta, offset_delta, key, data = inner.varint(), inner.varint(), inner.nullable(), inner.nullable()
        count = inner.varint()
        if not 0 <= count <= HEADERS_MAX:
            raise Fault(Code.MALFORMED, f"{count} headers, at most {HEADERS_MAX}")
        headers = tuple((as_text(inner.take(inner.varint())), inner.nullable()) for _ in range(count))
        if inner.at != len(inner.data):
            raise Fault(Code.MALFORMED, "there is more behind a record's headers")
        return time_delta, offset_delta, key, data, headers


def events_of(partition, batch):
    """All events of a RecordBatch v2, as it came in BATCH."""
    if len(batch) < HEAD.size:
        raise Fault(Code.MALFORMED, f"a batch of {len(batch)} bytes")
    base, length, _, magic, crc, attributes, _, base_ms, _, _, _, _, count = HEAD.unpack_from(batch)
    if magic != 2 or attributes != 0 or length != len(batch) - 12:
        raise Fault(Code.MALFORMED, f"a batch with magic {magic}, attributes {attributes} and length {length} of {len(batch) - 12}")
    if crc32c(batch[21:]) != crc:
        raise Fault(Code.MALFORMED, f"the checksum of the batch at offset {base} of partition {partition} is wrong")
    records, found = _Records(memoryview(batch)[HEAD.size :]), []
    for _ in range(count):
        time_delta, offset_delta, key, data, headers = records.record()
        found.append(Event(partition, base + offset_delta, base_ms + time_delta, key, data, headers))
    if records.at != len(records.data):
        raise Fault(Code.MALFORMED, "there is more behind the records of a batch")
    return found
