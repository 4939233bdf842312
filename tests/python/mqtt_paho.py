"""paho-mqtt against a broker: every scenario a function; any difference ends the program.

    mqtt_paho.py URL talk                        every scenario, in 3.1.1 and 5
    mqtt_paho.py URL collect NAME VERSION COUNT  a durable session on `kept/#` at QoS 1: says `ready`, then each new payload,
                                                 until there are COUNT different ones; reconnects by itself

URL is mqtt://, mqtts://, ws:// or wss://. Options: --ca FILE, --cert FILE, --key FILE, --user NAME, --password TEXT, --token TEXT
(by the authentication method CUSTOM-JWT).
"""
import argparse
import contextlib
import os
import queue
import socket
import sys
import time
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

WAIT_S = 20
ARGS = None


def properties(packet, **values):
    found = Properties(getattr(PacketTypes, packet))
    for name, value in values.items():
        setattr(found, name, value)
    return found


class Client:
    """A connected client; what happens to it comes through queues."""

    def __init__(self, name, version=5, clean=True, expiry=0, will=None, ack=True, reconnect=False, **more):
        url = urllib.parse.urlsplit(ARGS.url)
        transport = "websockets" if url.scheme.startswith("ws") else "tcp"
        is_5 = version == 5
        kind = {"clean_session": clean} if not is_5 else {}
        protocol = {3: mqtt.MQTTv31, 4: mqtt.MQTTv311, 5: mqtt.MQTTv5}[version]
        api = mqtt.CallbackAPIVersion.VERSION2
        self.inner = mqtt.Client(api, name, protocol=protocol, transport=transport, manual_ack=not ack,
                                 reconnect_on_failure=reconnect, **kind)
        self.messages, self.connected, self.subscribed = queue.Queue(), queue.Queue(), queue.Queue()
        self.gone = queue.Queue()
        self.inner.on_message = lambda client, data, message: self.messages.put(message)
        self.inner.on_connect = lambda client, data, flags, reason, props: self.connected.put((flags, reason, props))
        self.inner.on_subscribe = lambda client, data, mid, reasons, props: self.subscribed.put([r.value for r in reasons])
        self.inner.on_disconnect = lambda client, data, flags, reason, props: self.gone.put(reason)
        if url.scheme in ("mqtts", "wss"):
            self.inner.tls_set(ARGS.ca, ARGS.cert, ARGS.key)
        if ARGS.user or ARGS.password:
            self.inner.username_pw_set(ARGS.user, ARGS.password)
        if will:
            self.inner.will_set(**will)
        connecting = {}
        if is_5:
            if expiry:
                more["SessionExpiryInterval"] = expiry
            if ARGS.token:
                more["AuthenticationMethod"], more["AuthenticationData"] = "CUSTOM-JWT", ARGS.token.encode()
            connecting = {"clean_start": clean, "properties": properties("CONNECT", **more)}
        self.inner.reconnect_delay_set(1, 1)
        self.inner.connect(url.hostname, url.port, 60, **connecting)
        self.inner.loop_start()
        self.flags, self.reason, self.props = self.connected.get(timeout=WAIT_S)
        assert self.reason == 0, f"CONNACK {self.reason}"

    def subscribe(self, topic, qos=0, **more):
        self.inner.subscribe(topic, qos, **more) if not more.get("options") else self.inner.subscribe(topic, **more)
        return self.subscribed.get(timeout=WAIT_S)

    def publish(self, topic, payload, qos=0, retain=False, **values):
        props = properties("PUBLISH", **values) if values else None
        sent = self.inner.publish(topic, payload, qos, retain, properties=props)
        sent.wait_for_publish(WAIT_S)
        assert sent.is_published(), f"{topic} was not acknowledged"

    def next(self):
        return self.messages.get(timeout=WAIT_S)

    def texts(self, count):
        return [self.next().payload.decode() for _ in range(count)]

    def quiet(self, publisher):
        """Nothing has come: a marker of the same publisher is next."""
        self.subscribe("$marker", 1)
        publisher.publish("$marker", "", 1)
        found = self.next()
        assert found.topic == "$marker", f"{found.topic}: {found.payload}"

    def leave(self):
        self.inner.disconnect()
        self.inner.loop_stop()

    def vanish(self):
        """Ends the connection without DISCONNECT."""
        with socket.socket(fileno=os.dup(self.inner.socket().fileno())) as same:
            same.shutdown(socket.SHUT_RDWR)
        self.inner.loop_stop()


def all_qos(version):
    subscriber, publisher = Client("subscriber", version), Client("publisher", version)
    for granted in range(3):
        assert subscriber.subscribe("all/+/qos", granted) == [granted]
        for qos in range(3):
            payload = f"{granted} {qos} ü €".encode() + bytes(range(256))
            publisher.publish("all/the/qos", payload, qos)
            found = subscriber.next()
            assert (found.payload, found.qos, found.topic) == (payload, min(qos, granted), "all/the/qos"), found
    for qos in range(3):
        for n in range(200):
            publisher.inner.publish("all/many/qos", str(n), qos)
        assert subscriber.texts(200) == [str(n) for n in range(200)]
    subscriber.leave(), publisher.leave()


def wills(version):
    watch = Client("watch", version)
    watch.subscribe("will/+", 2)
    for qos in range(3):
        Client("gone", version, will={"topic": "will/t", "payload": f"gone {qos}", "qos": qos}).vanish()
        found = watch.next()
        assert (found.payload.decode(), found.qos) == (f"gone {qos}", qos)
    Client("calm", version, will={"topic": "will/t", "payload": "no"}).leave()
    other = Client("other", version)
    watch.quiet(other)
    watch.leave(), other.leave()


def retained(version):
    publisher = Client("publisher", version)
    for qos in range(3):
        publisher.publish(f"kept/{qos}", f"old {qos}", 1, True)
        publisher.publish(f"kept/{qos}", f"new {qos}", qos, True)
    publisher.publish("kept/1", b"", 1, True)
    late = Client("late", version)
    late.subscribe("kept/#", 2)
    found = sorted((m.topic, m.payload.decode(), m.qos, m.retain) for m in (late.next(), late.next()))
    assert found == [("kept/0", "new 0", 0, True), ("kept/2", "new 2", 2, True)], found
    late.quiet(publisher)
    for qos in (0, 2):
        publisher.publish(f"kept/{qos}", b"", 1, True)
    late.leave(), publisher.leave()


def sessions(version):
    expiry = {"expiry": 600} if version == 5 else {}
    publisher = Client("publisher", version)
    first = Client("durable", version, clean=False, **expiry)
    assert not first.flags.session_present
    first.subscribe("durable/#", 2)
    first.vanish()
    for n in range(50):
        publisher.publish("durable/t", str(n), 1)
    again = Client("durable", version, clean=False, **expiry)
    assert again.flags.session_present
    assert again.texts(50) == [str(n) for n in range(50)]
    again.quiet(publisher)
    again.leave()
    fresh = Client("durable", version, clean=True)
    assert not fresh.flags.session_present
    fresh.leave(), publisher.leave()


def shared(version):
    publisher = Client("publisher", version)
    group = [Client(f"g{n}", version) for n in range(3)]
    for member in group:
        member.subscribe("$share/g/shared/+", 1)
    for n in range(30):
        publisher.publish("shared/t", str(n), 1)
    # What a group gets and what a member gets by itself have no order between them, so a marker would not show the end.
    found, until = [[], [], []], time.monotonic() + WAIT_S
    while sum(map(len, found)) < 30:
        assert time.monotonic() < until, f"not in time: {found}"
        for member, part in zip(group, found):
            with contextlib.suppress(queue.Empty):
                part.append(int(member.messages.get(timeout=0.01).payload))
    assert all(part == sorted(part) and part for part in found), found
    assert sorted(sum(found, [])) == list(range(30)), found
    for member in group:
        member.quiet(publisher)
    for member in group + [publisher]:
        member.leave()


def properties_5():
    subscriber, publisher = Client("subscriber", TopicAliasMaximum=5), Client("publisher")
    subscriber.subscribe("props/+", options=SubscribeOptions(qos=1), properties=properties("SUBSCRIBE", SubscriptionIdentifier=77))
    user = [("b", "1"), ("a", "2"), ("b", "3"), ("ü", "")]
    publisher.publish("props/t", '{"a":1}', 1, ContentType="application/json", PayloadFormatIndicator=1, ResponseTopic="answer/here",
                      CorrelationData=b"\x00\xff", UserProperty=user, MessageExpiryInterval=100)
    found = subscriber.next().properties
    assert found.UserProperty == user and found.ContentType == "application/json", found
    assert found.ResponseTopic == "answer/here" and found.CorrelationData == b"\x00\xff", found
    assert found.PayloadFormatIndicator == 1 and 90 <= found.MessageExpiryInterval <= 100, found
    assert found.SubscriptionIdentifier == [77], found
    # Aliases, both ways: paho resolves those of the broker itself.
    for topic, alias in (("props/a", 1), ("", 1), ("props/b", 2), ("", 1), ("", 2)):
        publisher.publish(topic, "x", 1, TopicAlias=alias)
    subscriber.leave(), publisher.leave()


def expiry_5():
    publisher = Client("publisher")
    away = Client("away", clean=False, expiry=600)
    away.subscribe("expiry/+", 1)
    away.leave()
    publisher.publish("expiry/t", "short", 1, MessageExpiryInterval=1)
    publisher.publish("expiry/t", "long", 1, MessageExpiryInterval=100)
    time.sleep(2.1)
    away = Client("away", clean=False, expiry=600)
    found = away.next()
    assert found.payload == b"long" and found.properties.MessageExpiryInterval <= 99, found.properties
    away.leave(), publisher.leave()


def options_5():
    client, other = Client("client"), Client("other")
    other.publish("options/t", "kept", 1, True)
    client.subscribe("options/+", options=SubscribeOptions(qos=1, noLocal=True, retainAsPublished=True, retainHandling=2))
    client.publish("options/t", "mine", 1)
    other.publish("options/t", "theirs", 1, True)
    found = client.next()
    assert found.payload == b"theirs" and found.retain
    client.quiet(other)
    other.publish("options/t", b"", 1, True)
    client.leave(), other.leave()


def flow_5():
    subscriber, publisher = Client("slow", ReceiveMaximum=3, ack=False), Client("publisher")
    subscriber.subscribe("flow/t", 1)
    for n in range(20):
        publisher.publish("flow/t", str(n), 1)
    held = [subscriber.next() for _ in range(3)]
    for n in range(20):
        message = held.pop(0)
        assert message.payload == str(n).encode()
        # Another packet is answered meanwhile, and no fourth message has come.
        if n == 0:
            subscriber.subscribe("flow/other", 0)
            assert subscriber.messages.empty()
        subscriber.inner.ack(message.mid, message.qos)
        if n < 17:
            held.append(subscriber.next())
    subscriber.leave(), publisher.leave()


def refusals_5():
    first = Client("same")
    second = Client("same")
    reason = first.gone.get(timeout=WAIT_S)
    assert reason.value == 0x8E, reason
    first.inner.loop_stop()
    assert second.subscribe("$share/nothing") == [0x8F]
    second.leave()


def talk():
    for version in (4, 5):
        for scenario in (all_qos, wills, retained, sessions, shared):
            print(f"{scenario.__name__} in {version}", flush=True)
            scenario(version)
    print("all_qos in 3", flush=True)
    all_qos(3)
    for scenario in (properties_5, expiry_5, options_5, flow_5, refusals_5):
        print(scenario.__name__, flush=True)
        scenario()


def collect(name, version, count):
    expiry = {"expiry": 3600} if version == 5 else {}
    client = Client(name, version, clean=False, reconnect=True, **expiry)
    client.subscribe("kept/#", 1)
    print("ready", flush=True)
    seen = set()
    while len(seen) < count:
        text = client.messages.get(timeout=60).payload.decode()
        if text not in seen:
            seen.add(text)
            print(text, flush=True)
    client.leave()


def main():
    global ARGS
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("what", nargs="+")
    for option in ("ca", "cert", "key", "user", "password", "token"):
        parser.add_argument(f"--{option}")
    ARGS = parser.parse_args()
    if ARGS.what[0] == "talk":
        talk()
    else:
        collect(ARGS.what[1], int(ARGS.what[2]), int(ARGS.what[3]))
    sys.exit(0)


main()
