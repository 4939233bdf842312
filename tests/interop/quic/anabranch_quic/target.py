"""Where a node is, how it is known, and who the client is to it.

What always holds: without a fingerprint or `insecure` the node's certificate must be signed by somebody who is trusted, and for its name.
"""
import collections.abc
import dataclasses
import ssl

from aioquic.quic.configuration import QuicConfiguration

ALPN = "anabranch/1"


@dataclasses.dataclass
class Target:
    """Where the node is, how it is known, and who the client is to it."""

    host: str
    port: int
    fingerprint: str | None = None
    """SHA-256 of the node's certificate (DER) in hexadecimal, as the node prints it: for a certificate that nobody signed."""
    ca_file: str | None = None
    insecure: bool = False
    """Talk to anybody who answers there."""
    certificate_file: str | None = None
    """The client's own certificate and key, PEM."""
    key_file: str | None = None
    token: str | collections.abc.Callable[[], str] | None = None
    """A bearer token, or a function that gives the one to connect with."""
    user: str | None = None
    password: str | None = None
    connect_timeout_s: float = 10
    idle_timeout_s: float = 30
    """A connection that is silent for so long is over."""
    tickets: list = dataclasses.field(default_factory=list)
    """What the node gave to be known by next time; each is used once. With one, HELLO and SUBSCRIBE go out with the first datagram."""

    def configuration(self):
        out = QuicConfiguration(is_client=True, alpn_protocols=[ALPN], server_name=self.host, idle_timeout=self.idle_timeout_s)
        if self.ca_file:
            out.load_verify_locations(cafile=self.ca_file)
        if self.insecure or self.fingerprint:
            # A fingerprint is looked at when the handshake is complete, before anything is sent.
            out.verify_mode = ssl.CERT_NONE
        if self.certificate_file:
            out.load_cert_chain(self.certificate_file, self.key_file)
        out.session_ticket = self.tickets.pop() if self.tickets else None
        return out
