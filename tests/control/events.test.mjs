// The event streams: what a client is told, when it is closed, and what an object that loses its
// memory owes it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http from "node:http";
import { after, before, test } from "node:test";
import { EventStream } from "./event_stream.mjs";
import { OnAir } from "./on_air.mjs";
import { assertRefused, eventually, hashed, hexId, secret, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

const OUTPUT = { url: "rtmp://a.example.com/live2", streamKey: secret() };

/** For so long a client may say nothing at first. */
const FIRST_FRAME_MS = 5000;

/** Within so long a stream is closed whose token was taken away. */
const REVOKED_MS = 60_000;

/** Clients of an object, and sockets that have not said who they are. */
const [MAX_CLIENTS, MAX_WAITING] = [64, 16];

/** What a client may leave unconfirmed. */
const WINDOW = 256 * 1024;

/** What a change of the configuration and an event take to arrive. */
const REACTION_MS = 1000;

const kinds = (frames) => frames.map((frame) => frame.event.type);

async function take(stream, count) {
  const frames = [];
  while (frames.length < count) frames.push(await stream.nextOf("event"));
  return frames;
}

test("ready, the state, then each transition once and in order", async () => {
  const onAir = await OnAir.start(control, [OUTPUT, { ...OUTPUT, enabled: false }]);
  const input = onAir.input.uid;
  const stream = await EventStream.open(control, { input });
  const ready = await stream.next();
  assert.deepEqual(ready, { type: "ready", lastEventId: `${input}-0`, resumed: false });
  const state = await stream.next();
  assert.equal(state.type, "state");
  assert.equal(state.status, null);
  assert.equal(state.configuration, "pending");
  const [first, second] = await onAir.readOutputs();
  assert.deepEqual(state.outputs, [first, second].map(({ uid, enabled, status, configuration }) => (
    { uid, enabled, status, configuration }
  )));
  await onAir.connects();
  await onAir.output(0, "connecting");
  await onAir.output(0, "live", { connects: 1 });
  const events = await take(stream, 3);
  assert.deepEqual(kinds(events), [
    "live_input.connected",
    "live_input.output.connecting",
    "live_input.output.live",
  ]);
  assert.deepEqual(events.map(({ id }) => id), [1, 2, 3].map((n) => `${input}-${n}`));
  assert.deepEqual(events.map(({ id, event }) => event.id === id), [true, true, true]);
  const live = await stream.state(({ outputs }) => outputs[0].status.state === "live");
  assert.equal(live.status.current.state, "connected");
  assert.equal(live.outputs[1].status.state, "disabled");
  const text = stream.said.join("");
  for (const hidden of [OUTPUT.streamKey, OUTPUT.url, onAir.input.rtmps.streamKey, control.token]) {
    assert.ok(!text.includes(hidden));
  }
  stream.close();
});

test("figures come once a second while the input is on air and somebody looks", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  await onAir.connects();
  const stream = await EventStream.open(control, { input: onAir.input.uid });
  const counting = setInterval(() => {
    if (onAir.link.watch === undefined) return;
    count += 1;
    const { instance, input, epoch } = onAir;
    const ingest = { bytes: count, bitrate: count };
    const figures = { input: input.uid, epoch, ingest, outputs: [] };
    onAir.link.send({ type: "figures", instance, inputs: [figures] });
  }, 200);
  let count = 0;
  try {
    const bitrates = [];
    const started = performance.now();
    while (bitrates.length < 12) {
      const { status } = await stream.state(({ status }) => status?.current.bitrate > 0);
      bitrates.push(status.current.bitrate);
    }
    const seconds = (performance.now() - started) / 1000;
    assert.ok(seconds > 8 && seconds < 20, `12 figures in ${seconds} s`);
    assert.ok(bitrates.every((rate, at) => at === 0 || rate > bitrates[at - 1]), `${bitrates}`);
  } finally {
    clearInterval(counting);
    stream.close();
  }
});

test("a token in the first frame", async () => {
  const { uid: input } = await control.createInput();
  const reader = await control.addToken({ account: control.account, permissions: ["Stream Read"] });
  for (const of of [{ input }, {}]) {
    const stream = await EventStream.open(control, { ...of, token: null });
    stream.send({ token: reader });
    assert.equal((await stream.next()).type, "ready");
    stream.send({ type: "ping" });
    assert.equal((await stream.nextOf("pong")).type, "pong");
    stream.send('{ "type": "ping" }');
    assert.equal((await stream.nextOf("pong")).type, "pong");
    stream.close();
  }
});

test("whoever says nothing, or the wrong thing, is closed with 4401", async () => {
  const { uid: input } = await control.createInput();
  const stranger = await control.addToken({ account: await control.addAccount() });
  const without = await control.addToken({ account: control.account, permissions: ["Notifications Write"] });
  const revoked = await control.addToken({ account: control.account });
  await control.revoke(revoked);
  const expired = await control.addToken({ account: control.account });
  await control.sql("UPDATE tokens SET expires = 1 WHERE hash = ?", hashed(expired));
  for (const of of [{ input }, {}]) {
    // Its time begins before this end knows that it is open.
    const opened = performance.now();
    const silent = await EventStream.open(control, { ...of, token: null });
    for (const token of [stranger, without, revoked, expired, control.relayToken, "x".repeat(40), "x"]) {
      const stream = await EventStream.open(control, { ...of, token: null });
      stream.send({ token });
      assert.equal(await stream.closes(), 4401);
      assert.deepEqual(stream.said, []);
    }
    for (const frame of ["", "{}", "[]", '{"type":"hello"}', `{"token":"${"x".repeat(3000)}"}`]) {
      const stream = await EventStream.open(control, { ...of, token: null });
      stream.send(frame);
      assert.equal(await stream.closes(), 4401, frame);
    }
    assert.equal(await silent.closes(), 4401);
    assert.ok(performance.now() - opened > FIRST_FRAME_MS, "it had its time");
    assert.deepEqual(silent.said, []);
  }
});

/** What the runtime sends over a connection first, and when: it ends one seconds after it closed it. */
function firstBytes(path) {
  const { promise, resolve, reject } = Promise.withResolvers();
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-key": randomBytes(16).toString("base64"),
    "sec-websocket-version": "13",
  };
  const request = http.get(new URL(path, control.url), { headers });
  request.once("error", reject);
  request.once("upgrade", (_, socket) => {
    const opened = performance.now();
    socket.once("data", (bytes) => {
      resolve({ bytes, after: performance.now() - opened });
      socket.destroy();
    });
  });
  return promise;
}

test("whoever says nothing is closed after 5 s", async () => {
  const { uid: input } = await control.createInput();
  const stream = `/accounts/${control.account}/stream/live_inputs`;
  const closed = [`${stream}/events`, `${stream}/${input}/events`].map(firstBytes);
  for (const { bytes, after } of await Promise.all(closed)) {
    assert.equal(bytes[0], 0x88, "a close frame");
    assert.equal(bytes.readUInt16BE(2), 4401);
    assert.ok(after > FIRST_FRAME_MS - 100 && after < FIRST_FRAME_MS + REACTION_MS, `${after} ms`);
  }
});

test("what is not understood is closed with 1008", async () => {
  for (const frame of ["nonsense", '{"type":"hello"}', `{"type":"ping","x":"${"x".repeat(3000)}"}`]) {
    const stream = await EventStream.open(control);
    await stream.nextOf("ready");
    stream.send(frame);
    assert.equal(await stream.closes(), 1008);
  }
  const stream = await EventStream.open(control);
  stream.socket.send(new Uint8Array([1, 2, 3]));
  assert.equal(await stream.closes(), 1008);
});

test("an upgrade is refused where a request would be, and makes nothing", async () => {
  const { uid: input } = await control.createInput();
  const other = await control.addAccount();
  const stranger = await control.addToken({ account: other });
  const before = control.databases().length;
  const unknown = hexId();
  for (const [of, why] of [
    [{ input: unknown, token: null }, "no such input"],
    [{ input, account: other, token: null }, "another account's input"],
    [{ account: unknown, token: null }, "no such account"],
    [{ input: unknown }, "no such input, with a token"],
    [{ input, token: stranger }, "another account's token"],
    [{ input, token: "x".repeat(40) }, "an unknown token"],
  ]) {
    await assert.rejects(EventStream.open(control, of), /refused/, why);
  }
  assert.equal(control.databases().length, before);
  for (const path of ["/live_inputs/events", `/live_inputs/${input}/events`]) {
    assertRefused(await control.api("GET", path), 426, 10005);
    assertRefused(await control.api("GET", path, { token: null }), 400, 9106);
  }
});

test("a token that was taken away just now opens nothing", async () => {
  const { uid: input } = await control.createInput();
  const token = await control.addToken({ account: control.account });
  await control.api("GET", "/live_inputs", { token });
  await control.remembers(token);
  await control.revoke(token);
  await assert.rejects(EventStream.open(control, { input, token }), /refused/);
});

test("a stream is taken up where it was left", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const input = onAir.input.uid;
  const whole = await EventStream.open(control, { input });
  await whole.nextOf("ready");
  await onAir.connects();
  await onAir.output(0, "connecting");
  const [first] = await take(whole, 2);
  await onAir.output(0, "live", { connects: 1 });
  for (const open of [
    () => EventStream.open(control, { input, since: first.id }),
    async () => {
      const stream = await EventStream.open(control, { input, token: null });
      stream.send({ token: control.token, since: first.id });
      return stream;
    },
  ]) {
    const stream = await open();
    assert.deepEqual(await stream.next(), { type: "ready", lastEventId: first.id, resumed: true });
    assert.equal((await stream.next()).type, "state");
    assert.deepEqual(kinds(await take(stream, 2)), [
      "live_input.output.connecting",
      "live_input.output.live",
    ]);
    stream.close();
  }
  for (const since of [`${input}-4`, `${hexId()}-1`, "nonsense"]) {
    const stream = await EventStream.open(control, { input, since });
    assert.deepEqual(await stream.next(), { type: "ready", lastEventId: `${input}-3`, resumed: false });
    stream.close();
  }
  whole.close();
});

test("the account's stream tells of all inputs, each in order", async () => {
  const account = await control.addAccount();
  const token = await control.addToken({ account });
  const of = { account, token };
  const other = Object.assign(Object.create(control), { account, token });
  const stream = await EventStream.open(control, of);
  assert.deepEqual(await stream.next(), { type: "ready", lastEventId: null, resumed: false });
  const one = await OnAir.start(other);
  const two = await OnAir.start(other, [OUTPUT]);
  const created = (onAir) => ({ type: "changed", input: onAir.input.uid, change: "created" });
  assert.deepEqual(await stream.next(), created(one));
  assert.deepEqual(await stream.next(), created(two));
  assert.deepEqual(await stream.next(), { ...created(two), change: "updated" });
  await one.connects();
  await two.connects();
  await two.output(0, "connecting");
  const events = await take(stream, 3);
  const told = (onAir) => kinds(events.filter(({ event }) => event.input === onAir.input.uid));
  assert.deepEqual(told(one), ["live_input.connected"]);
  assert.deepEqual(told(two), ["live_input.connected", "live_input.output.connecting"]);
  stream.close();

  const again = await EventStream.open(control, { ...of, since: events[0].id });
  assert.deepEqual(await again.next(), { type: "ready", lastEventId: events[0].id, resumed: true });
  assert.deepEqual(await take(again, 2), events.slice(1));
  const uid = one.input.uid;
  await control.api("DELETE", `/live_inputs/${uid}`, of);
  const more = [await again.next(), await again.next()].sort((a, b) => (a.type < b.type ? -1 : 1));
  assert.deepEqual(more[0], { type: "changed", input: uid, change: "deleted" });
  assert.equal(more[1].event.type, "live_input.disconnected");
  again.close();
});

test("what is configured anew is told, and the end of it all", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const input = onAir.input.uid;
  await onAir.connects();
  const stream = await EventStream.open(control, { input });
  await stream.nextOf("ready");
  await stream.nextOf("state");
  const started = performance.now();
  const made = await control.createOutput(input);
  const changed = await stream.nextOf("changed");
  assert.ok(performance.now() - started < REACTION_MS);
  assert.ok(changed.rev > 0);
  const state = await stream.state(({ outputs }) => outputs.length === 2);
  assert.equal(state.outputs[1].uid, made.uid);
  await control.api("PUT", `/live_inputs/${input}/outputs/${made.uid}`, { body: { enabled: false } });
  const next = await stream.nextOf("changed");
  assert.ok(next.rev > changed.rev);
  const off = await stream.state(({ outputs }) => !outputs[1].enabled);
  assert.equal(off.outputs.length, 2);
  await control.api("DELETE", `/live_inputs/${input}/outputs/${made.uid}`);
  await stream.nextOf("changed");
  await stream.state(({ outputs }) => outputs.length === 1);
  const waiting = await EventStream.open(control, { input, token: null });
  await control.api("DELETE", `/live_inputs/${input}`);
  const end = await stream.nextOf("event", ["state", "changed"]);
  assert.equal(end.event.status.reason, "deleted");
  assert.deepEqual(await stream.nextOf("deleted", ["state", "changed"]), { type: "deleted" });
  assert.equal(await stream.closes(), 1000);
  assert.equal(await waiting.closes(), 1000);
  assert.deepEqual(waiting.said, []);
});

test("objects that lose their memory tell each transition once", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const input = onAir.input.uid;
  const [stream, account] = [await EventStream.open(control, { input }), await EventStream.open(control)];
  await stream.nextOf("state", ["ready"]);
  await account.nextOf("ready");
  const expected = [];
  for (let broadcast = 0; broadcast < 3; broadcast += 1) {
    if (broadcast > 0) await onAir.publish();
    await onAir.connects();
    await onAir.output(0, "live", { connects: 1 });
    await onAir.happens({ what: "ended", reason: "goodbye" });
    // Both objects sleep between broadcasts, with their sockets.
    await control.evict("LiveInput", input);
    await control.evict("Webhook", control.account);
    for (const kind of ["connected", "output.live", "disconnected", "output.idle"]) {
      expected.push(`live_input.${kind}`);
    }
  }
  for (const one of [stream, account]) {
    const events = await take(one, expected.length);
    assert.deepEqual(kinds(events), expected);
    assert.deepEqual(events.map(({ id }) => id), expected.map((_, at) => `${input}-${at + 1}`));
    one.close();
  }
});

test("an object takes so many clients, and a few that say nothing", async () => {
  const { uid: input } = await control.createInput();
  const account = await control.addAccount();
  const token = await control.addToken({ account });
  for (const of of [{ input }, { account, token }]) {
    const streams = [];
    const opens = async (more) => {
      const stream = await EventStream.open(control, { ...of, ...more });
      streams.push(stream);
      return stream;
    };
    for (let n = 0; n < MAX_CLIENTS; n += 1) {
      assert.equal((await (await opens()).next()).type, "ready");
    }
    const whose = of.input === undefined ? "of an account" : "of an input";
    assert.equal(await (await opens()).closes(`one too many ${whose}`), 1013);
    const first = await opens({ token: null });
    first.send({ token: of.token ?? control.token });
    assert.equal(await first.closes(`one too many by its first frame ${whose}`), 1013);
    const silent = [];
    for (let n = 0; n <= MAX_WAITING; n += 1) silent.push(await opens({ token: null }));
    assert.equal(await silent[0].closes(`the oldest silent one ${whose}`), 1013, "the oldest makes room");
    const code = await silent[1].closes(`the second silent one ${whose}`);
    assert.equal(code, 4401, "the others have their time");
    // Who goes makes room.
    streams[0].close();
    await eventually("there is room", async () => {
      const stream = await opens();
      const first = await Promise.race([stream.next(), stream.closed]);
      return first.type === "ready";
    });
    for (const stream of streams) stream.close();
  }
});

test("who confirms nothing is sent no more, and loses nothing", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const input = onAir.input.uid;
  const fields = { what: "output", output: onAir.outputs[0].uid, state: "backoff" };
  const message = "x".repeat(900);
  const COUNT = 500;
  for (let n = 0; n < COUNT; n += 100) {
    const attempts = Array.from({ length: 100 }, (_, at) => n + at + 1);
    await onAir.happens(...attempts.map((attempts) => ({ ...fields, message, attempts })));
  }
  await onAir.happens({ what: "ended", reason: "goodbye" });
  await eventually("the account has them", async () => {
    return (await control.accountEvents()).some(({ id }) => id === `${input}-${COUNT}`);
  });
  const since = (await control.accountEvents()).find((event) => event.input === input).id;
  for (const of of [{ input, since: `${input}-1` }, { since }]) {
    const stream = await EventStream.open(control, { ...of, echoes: false });
    // The answer to a ping comes behind all that was sent.
    await eventually("it is sent no more", async () => {
      const before = stream.said.length;
      stream.send({ type: "ping" });
      await eventually("a pong", () => stream.said.some((text, at) => at >= before && text.includes("pong")));
      return stream.said.length === before + 1;
    });
    const bytes = stream.said.join("").length;
    assert.ok(bytes > 0.9 * WINDOW && bytes < 1.1 * WINDOW, `${bytes} bytes`);
    const confirm = () => stream.said.filter((text) => text.includes('"echo"')).at(-1);
    let sent;
    await eventually("the rest comes", () => {
      const asked = confirm();
      if (asked !== sent) stream.send((sent = asked));
      return stream.said.filter((text) => text.includes(`"${input}-`)).some((text) => text.includes(`"${input}-${COUNT}"`));
    });
    const ids = stream.said.map((text) => JSON.parse(text)).filter(({ type, id }) => type === "event" && id.startsWith(input));
    const numbers = ids.map(({ id }) => Number(id.split("-")[1]));
    assert.deepEqual(numbers.slice(0, COUNT - 1), Array.from({ length: COUNT - 1 }, (_, at) => at + 2));
    stream.close();
  }
});

test("a token that is taken away is noticed within a minute, also by objects that sleep", async () => {
  const { uid: input } = await control.createInput();
  const gone = {
    revoked: (hash) => control.sql("UPDATE tokens SET revoked = 1 WHERE hash = ?", hash),
    deleted: (hash) => control.sql("DELETE FROM tokens WHERE hash = ?", hash),
    expired: (hash) => control.sql("UPDATE tokens SET expires = ? WHERE hash = ?", Date.now() * 1000, hash),
    lessened: (hash) => control.sql("UPDATE tokens SET permissions = 16 WHERE hash = ?", hash),
  };
  const kept = [await EventStream.open(control, { input }), await EventStream.open(control)];
  const opened = [];
  for (const [name, take] of Object.entries(gone)) {
    const token = await control.addToken({ account: control.account });
    for (const of of [{ input }, {}]) {
      const stream = await EventStream.open(control, { ...of, token });
      await stream.nextOf("ready");
      opened.push({ name, take, token, stream });
    }
  }
  await control.evict("LiveInput", input);
  await control.evict("Webhook", control.account);
  const started = performance.now();
  for (const { take, token } of opened) await take(hashed(token));
  for (const { name, stream } of opened) {
    const { code } = await stream.closed;
    assert.equal(code, 4401, name);
    assert.ok(performance.now() - started < REVOKED_MS, name);
  }
  for (const stream of kept) {
    stream.send({ type: "ping" });
    await stream.nextOf("pong", ["ready", "state", "event", "changed"]);
    stream.close();
  }
});
