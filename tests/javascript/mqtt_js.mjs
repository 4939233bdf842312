// mqtt.js against a broker: every scenario a function; any difference ends the program.
//
//   node mqtt_js.mjs MODULE URL talk                        every scenario, in 3.1.1 and 5
//   node mqtt_js.mjs MODULE URL collect NAME VERSION COUNT  a durable session on `kept/#` at QoS 1: says `ready`, then each new payload,
//                                                           until there are COUNT different ones; reconnects by itself
//
// MODULE is the folder of mqtt.js. URL is mqtt://, mqtts://, ws:// or wss://. The environment has CA, CERT, KEY (files), USER_NAME, PASSWORD.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";

const [module, url, what, ...rest] = process.argv.slice(2);
const mqtt = createRequire(import.meta.url)(module);
const file = (name) => (process.env[name] ? fs.readFileSync(process.env[name]) : undefined);

class Client {
  static async new(clientId, version, options = {}) {
    const client = new Client();
    client.messages = [];
    client.waiting = [];
    client.inner = mqtt.connect(url, {
      clientId,
      protocolVersion: version,
      reconnectPeriod: options.reconnectPeriod ?? 0,
      ca: file("CA"),
      cert: file("CERT"),
      key: file("KEY"),
      username: process.env.USER_NAME,
      password: process.env.PASSWORD,
      ...options,
    });
    client.inner.on("message", (topic, payload, packet) => {
      const waiting = client.waiting.shift();
      waiting ? waiting(packet) : client.messages.push(packet);
    });
    client.connack = await new Promise((resolve, reject) => {
      client.inner.once("connect", resolve);
      client.inner.once("error", reject);
    });
    client.inner.on("error", () => {});
    return client;
  }

  next() {
    const here = this.messages.shift();
    return here ? Promise.resolve(here) : new Promise((resolve) => this.waiting.push(resolve));
  }

  async texts(count) {
    const found = [];
    while (found.length < count) found.push((await this.next()).payload.toString());
    return found;
  }

  async quiet(publisher) {
    await this.inner.subscribeAsync("$marker", { qos: 1 });
    await publisher.inner.publishAsync("$marker", "", { qos: 1 });
    assert.equal((await this.next()).topic, "$marker");
  }

  subscribe(topic, options) {
    return this.inner.subscribeAsync(topic, options);
  }

  publish(topic, payload, options) {
    return this.inner.publishAsync(topic, payload, options);
  }

  leave() {
    return this.inner.endAsync();
  }

  vanish() {
    this.inner.stream.destroy();
  }
}

async function allQos(version) {
  const [subscriber, publisher] = [await Client.new("subscriber", version), await Client.new("publisher", version)];
  for (const granted of [0, 1, 2]) {
    const answer = await subscriber.subscribe("all/+/qos", { qos: granted });
    assert.equal(answer[0].qos, granted);
    for (const qos of [0, 1, 2]) {
      const payload = Buffer.from([...Array(256).keys()]);
      await publisher.publish("all/the/qos", payload, { qos });
      const found = await subscriber.next();
      assert.deepEqual([found.topic, found.qos], ["all/the/qos", Math.min(qos, granted)]);
      assert.ok(payload.equals(found.payload));
    }
  }
  const wanted = [...Array(100).keys()].map(String);
  for (const qos of [0, 1, 2]) {
    // The library does not heed a receive maximum, so ten at a time.
    for (let at = 0; at < wanted.length; at += 10) {
      await Promise.all(wanted.slice(at, at + 10).map((text) => publisher.publish("all/many/qos", text, { qos })));
    }
    assert.deepEqual(await subscriber.texts(100), wanted);
  }
  await subscriber.leave();
  await publisher.leave();
}

async function wills(version) {
  const watch = await Client.new("watch", version);
  await watch.subscribe("will/+", { qos: 2 });
  for (const qos of [0, 1, 2]) {
    const gone = await Client.new("gone", version, { will: { topic: "will/t", payload: Buffer.from("gone"), qos } });
    gone.vanish();
    const found = await watch.next();
    assert.deepEqual([found.payload.toString(), found.qos], ["gone", qos]);
  }
  const calm = await Client.new("calm", version, { will: { topic: "will/t", payload: Buffer.from("no"), qos: 1 } });
  await calm.leave();
  const other = await Client.new("other", version);
  await watch.quiet(other);
  await Promise.all([watch.leave(), other.leave()]);
}

async function retained(version) {
  const publisher = await Client.new("publisher", version);
  await publisher.publish("kept/a", "old", { qos: 1, retain: true });
  await publisher.publish("kept/a", "new", { qos: 2, retain: true });
  await publisher.publish("kept/b", "gone", { qos: 1, retain: true });
  await publisher.publish("kept/b", "", { qos: 1, retain: true });
  const late = await Client.new("late", version);
  await late.subscribe("kept/#", { qos: 2 });
  const found = await late.next();
  assert.deepEqual([found.topic, found.payload.toString(), found.qos, found.retain], ["kept/a", "new", 2, true]);
  await late.quiet(publisher);
  await publisher.publish("kept/a", "", { qos: 1, retain: true });
  await Promise.all([late.leave(), publisher.leave()]);
}

async function sessions(version) {
  const kept = { clean: false, ...(version === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}) };
  const publisher = await Client.new("publisher", version);
  const first = await Client.new("durable", version, kept);
  assert.equal(first.connack.sessionPresent, false);
  await first.subscribe("durable/#", { qos: 2 });
  await first.leave();
  const wanted = [...Array(50).keys()].map(String);
  for (const text of wanted) await publisher.publish("durable/t", text, { qos: 1 });
  const again = await Client.new("durable", version, kept);
  assert.equal(again.connack.sessionPresent, true);
  assert.deepEqual(await again.texts(50), wanted);
  await again.quiet(publisher);
  await again.leave();
  await (await Client.new("durable", version, { clean: true })).leave();
  await publisher.leave();
}

async function shared(version) {
  const publisher = await Client.new("publisher", version);
  const group = await Promise.all([0, 1, 2].map((n) => Client.new(`g${n}`, version)));
  for (const member of group) await member.subscribe("$share/g/shared/+", { qos: 1 });
  // What a group gets and what a member gets by itself have no order between them, so a marker would not show the end.
  const found = [];
  const all = new Promise((resolve) => {
    for (const member of group) {
      member.inner.on("message", (_topic, payload) => {
        found.push(Number(payload));
        if (found.length === 30) resolve();
      });
    }
  });
  for (let n = 0; n < 30; n++) await publisher.publish("shared/t", String(n), { qos: 1 });
  await all;
  assert.deepEqual(found.sort((a, b) => a - b), [...Array(30).keys()]);
  for (const member of group) {
    const part = (await member.texts(member.messages.length)).map(Number);
    assert.deepEqual(part, part.toSorted((a, b) => a - b));
    await member.quiet(publisher);
  }
  await Promise.all([...group, publisher].map((client) => client.leave()));
}

async function properties5() {
  const subscriber = await Client.new("subscriber", 5, { properties: { topicAliasMaximum: 5 } });
  const publisher = await Client.new("publisher", 5, { autoAssignTopicAlias: true });
  await subscriber.subscribe("props/+", { qos: 1, properties: { subscriptionIdentifier: 77 } });
  const properties = {
    contentType: "application/json",
    payloadFormatIndicator: true,
    responseTopic: "answer/here",
    correlationData: Buffer.from([0, 255]),
    userProperties: { b: ["1", "3"], a: "2" },
    messageExpiryInterval: 100,
  };
  await publisher.publish("props/t", "{}", { qos: 1, properties });
  const found = (await subscriber.next()).properties;
  assert.deepEqual({ ...found.userProperties }, properties.userProperties);
  assert.equal(found.contentType, "application/json");
  assert.equal(found.responseTopic, "answer/here");
  assert.deepEqual([...found.correlationData], [0, 255]);
  assert.equal(found.payloadFormatIndicator, true);
  assert.ok(found.messageExpiryInterval > 90 && found.messageExpiryInterval <= 100);
  assert.equal(found.subscriptionIdentifier, 77);
  // Aliases of both sides are used and resolved by the library.
  const topics = ["props/a", "props/b", "props/a", "props/a", "props/b", "props/c"];
  for (const topic of topics) {
    await publisher.publish(topic, topic, { qos: 1 });
    const packet = await subscriber.next();
    assert.equal(packet.payload.toString(), topic);
  }
  await Promise.all([subscriber.leave(), publisher.leave()]);
}

async function options5() {
  const [client, other] = [await Client.new("client", 5), await Client.new("other", 5)];
  await other.publish("options/t", "kept", { qos: 1, retain: true });
  await client.subscribe("options/+", { qos: 1, nl: true, rap: true, rh: 2 });
  await client.publish("options/t", "mine", { qos: 1 });
  await other.publish("options/t", "theirs", { qos: 1, retain: true });
  const found = await client.next();
  assert.deepEqual([found.payload.toString(), found.retain], ["theirs", true]);
  await client.quiet(other);
  await other.publish("options/t", "", { qos: 1, retain: true });
  await Promise.all([client.leave(), other.leave()]);
}

async function talk() {
  for (const version of [4, 5]) {
    for (const scenario of [allQos, wills, retained, sessions, shared]) {
      console.log(`${scenario.name} in ${version}`);
      await scenario(version);
    }
  }
  for (const scenario of [properties5, options5]) {
    console.log(scenario.name);
    await scenario();
  }
}

async function collect(name, version, count) {
  const kept = { clean: false, reconnectPeriod: 100, ...(version === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {}) };
  const client = await Client.new(name, version, kept);
  await client.subscribe("kept/#", { qos: 1 });
  console.log("ready");
  const seen = new Set();
  while (seen.size < count) {
    const text = (await client.next()).payload.toString();
    if (!seen.has(text)) console.log(text);
    seen.add(text);
  }
  await client.leave();
}

// Whatever hangs is an error.
setTimeout(() => {
  console.error("not in time");
  process.exit(1);
}, 50_000).unref();
try {
  await (what === "talk" ? talk() : collect(rest[0], Number(rest[1]), Number(rest[2])));
} catch (error) {
  console.error(error);
  process.exit(1);
}
process.exit(0);
