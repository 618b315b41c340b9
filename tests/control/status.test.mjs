// What the API says of what goes on, as nodes tell it, and what it says when they do not.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { OnAir } from "./on_air.mjs";
import { eventually, expectResult, hexId, secret, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

/** A node that is gone is told of within this. */
const GONE_MS = 10_000;

/** One whose socket is open and says nothing, within this. */
const SILENT_MS = 40_000;

const OUTPUT = { url: "rtmp://a.example.com/live2", streamKey: secret() };

test("a broadcast from its beginning to its end", async () => {
  const onAir = await OnAir.start(control, [OUTPUT, { ...OUTPUT, enabled: false }]);
  const { input } = onAir;
  assert.equal(input.status, null);
  assert.equal(input.configuration, "applied");
  assert.equal((await onAir.read()).status, null, "no encoder yet");
  assert.equal((await onAir.read()).configuration, "pending");
  onAir.link.applied(input.uid, onAir.rev);
  await eventually("the configuration is applied", async () => {
    return (await onAir.read()).configuration === "applied";
  });

  await onAir.connects();
  const { current, history } = await onAir.becomes("connected");
  assert.deepEqual(history, []);
  assert.equal(current.reason, "connected");
  assert.equal(current.ingestProtocol, "rtmps");
  assert.equal(current.encoder, "obs");
  assert.equal(current.connectedSince, current.statusEnteredAt);
  const next = Math.floor(Date.now() / 1000 + 5) * 1_000_000;
  await onAir.output(0, "connecting");
  await onAir.output(0, "backoff", {
    reason: "connect_refused",
    message: "go away",
    attempts: 2,
    connects: 1,
    next_retry: next,
  });
  await eventually("the output waits", async () => {
    return (await onAir.readOutputs())[0].status.state === "backoff";
  });
  const [first, second] = await onAir.readOutputs();
  assert.deepEqual(
    { ...first.status, since: null },
    {
      state: "backoff",
      reason: "connect_refused",
      message: "go away",
      since: null,
      attempts: 2,
      nextRetryAt: new Date(next / 1000).toISOString().replace(/\.?0*Z$/, "Z"),
      bytes: null,
      bitrate: null,
      skippedMs: null,
      reconnects: 0,
      warnings: [],
    },
  );
  assert.equal(first.configuration, "applied");
  assert.equal(second.status.state, "disabled");

  // A change is pending until the node has it; the answer to the change says so itself.
  const path = `/live_inputs/${input.uid}`;
  const changed = await control.api("PUT", path, { body: { meta: { name: "other" } } });
  assert.equal(changed.json.result.status.current.state, "connected");
  assert.equal(changed.json.result.configuration, "pending");
  // Of outputs, only the one that changed.
  const of = (outputs) => outputs.map(({ configuration }) => configuration);
  assert.deepEqual(of(await onAir.readOutputs()), ["applied", "applied"]);
  const switched = await control.api("PUT", `${path}/outputs/${second.uid}`, { body: { enabled: true } });
  assert.equal(switched.json.result.configuration, "pending");
  assert.deepEqual(of(await onAir.readOutputs()), ["applied", "pending"]);
  const { rev } = await onAir.link.snapshot(input.uid, onAir.rev + 2);
  onAir.link.applied(input.uid, rev, { unsupported: [onAir.outputs[0].uid] });
  await eventually("the output has failed", async () => {
    return (await onAir.readOutputs())[0].status.reason === "unsupported";
  });
  assert.deepEqual(of(await onAir.readOutputs()), ["applied", "applied"]);

  await onAir.happens({ what: "away", reason: "lost" });
  await onAir.becomes("reconnecting");
  await onAir.happens({ what: "ended", reason: "lost" });
  const over = await onAir.becomes("disconnected");
  assert.equal(over.current.reason, "failed_to_reconnect");
  assert.deepEqual(
    over.history.map(({ state }) => state),
    ["reconnecting", "connected"],
  );
  const [idle] = await onAir.readOutputs();
  assert.equal(idle.status.state, "idle");
  onAir.link.close();
});

test("a node that is gone is unknown within ten seconds, and its return tells the truth", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  onAir.link.applied(onAir.input.uid, onAir.rev);
  await onAir.connects();
  await onAir.output(0, "live");
  await onAir.becomes("connected");
  onAir.link.close();
  const closed = performance.now();
  // Nobody asks: the account's object is told all the same.
  const told = async () => {
    const events = await control.accountEvents();
    return events.filter(({ input }) => input === onAir.input.uid).map(({ type }) => type);
  };
  await eventually("it is told", async () => (await told()).includes("live_input.unknown"));
  assert.ok(performance.now() - closed < GONE_MS);
  const { current } = await onAir.becomes("unknown");
  assert.equal(current.reason, "node_silent");
  const [unknown] = await onAir.readOutputs();
  assert.equal(unknown.status.state, "unknown");

  onAir.link = await control.link(onAir.node, onAir.instance, { [onAir.input.uid]: onAir.rev });
  await onAir.link.next("reconciliation");
  const back = await onAir.becomes("connected");
  assert.equal(back.current.reason, "connected");
  assert.equal(back.history[0].state, "unknown");
  const [live] = await onAir.readOutputs();
  assert.equal(live.status.state, "live");

  // One that comes back without the input has it no more.
  onAir.link.report(onAir.instance, {});
  await onAir.link.next("reconciliation");
  onAir.link.report(onAir.instance, {});
  const over = await onAir.becomes("disconnected");
  assert.equal(over.current.reason, "node_lost");
  onAir.link.close();
});

test("figures are asked for, and shown while they are fresh", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const { input, instance, epoch, link } = onAir;
  await onAir.connects();
  await onAir.output(0, "live");
  await onAir.becomes("connected");
  const ingest = { bytes: 9, bitrate: 2_500_000, idle_ms: 40, video: { codec: "h264", width: 1280 } };
  const outputs = [{ output: onAir.outputs[0].uid, bytes: 8, bitrate: 2_400_000, connects: 1 }];
  const figures = { type: "figures", instance, inputs: [{ input: input.uid, epoch, ingest, outputs }] };
  // The reads above asked for figures already; nobody answered, and they were answered all the same.
  assert.equal(link.watch.seconds, 10);
  link.send(figures);
  await eventually("the figures are shown", async () => {
    return (await onAir.read()).status.current.bitrate === ingest.bitrate;
  });
  const { current } = (await onAir.read()).status;
  assert.equal(current.idleMs, 40);
  assert.deepEqual(current.video, {
    codec: "h264",
    width: 1280,
    height: null,
    frameRate: null,
    keyframeIntervalMs: null,
  });
  const [output] = await onAir.readOutputs();
  assert.equal(output.status.bytes, 8);
  assert.equal(output.status.bitrate, 2_400_000);
  link.close();
});

test("a retry reaches the node within a second", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const path = `/live_inputs/${onAir.input.uid}/outputs/${onAir.outputs[0].uid}/retry`;
  const result = expectResult(await control.api("POST", path));
  const answered = performance.now();
  assert.equal(result.uid, onAir.outputs[0].uid);
  const frame = await onAir.link.snapshot(onAir.input.uid, onAir.rev + 1);
  assert.ok(frame.at - answered < 1000);
  assert.equal(frame.wish.outputs[0].retry > 0, true);
  const missing = path.replace(onAir.outputs[0].uid, hexId());
  assert.equal((await control.api("POST", missing)).status, 404);
  onAir.link.close();
});

test("lists know what goes on without asking", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const listed = async () => {
    const all = expectResult(await control.api("GET", "/live_inputs"));
    return all.find(({ uid }) => uid === onAir.input.uid);
  };
  assert.equal((await listed()).status, null);
  await onAir.connects();
  await onAir.output(0, "live");
  // The second of these within ten seconds waits for its turn.
  await eventually("the list says so", async () => {
    const { status, outputs } = await listed();
    return status?.current.state === "connected" && outputs.live === 1;
  });
  onAir.link.close();
});

test("a node that polls is heard", async () => {
  const onAir = await OnAir.start(control);
  onAir.link.close();
  const { input, node, instance, rev } = onAir;
  const poll = (events) => {
    const report = { version: 1, instance, revs: { [input.uid]: rev }, events };
    return control.poll(node, report);
  };
  const connected = onAir.event({ what: "connected", protocol: "rtmp" });
  const { json } = await poll([connected]);
  assert.equal(json.events_through, 1);
  await onAir.becomes("connected");
  assert.equal((await onAir.read()).configuration, "applied", "a report acknowledges");
  // Past the time after which one that does not would be gone.
  const until = performance.now() + GONE_MS;
  await eventually("the time is over", async () => {
    assert.equal((await poll([])).json.events_through, 1);
    assert.equal((await onAir.read()).status.current.state, "connected");
    return performance.now() > until;
  });
});

test("an open socket is heard by its pings alone", async () => {
  const [pinging, mute] = [await OnAir.start(control), await OnAir.start(control)];
  for (const onAir of [pinging, mute]) {
    onAir.link.applied(onAir.input.uid, onAir.rev);
    await onAir.connects();
    await onAir.becomes("connected");
  }
  const started = performance.now();
  const ping = setInterval(() => pinging.link.send("ping"), 5000);
  try {
    let state;
    while (state !== "unknown") {
      assert.ok(performance.now() - started < SILENT_MS, "it never fell silent");
      await new Promise((resolve) => setTimeout(resolve, 250));
      state = (await mute.read()).status.current.state;
      assert.equal((await pinging.read()).status.current.state, "connected");
    }
    assert.ok(performance.now() - started > SILENT_MS / 2);
  } finally {
    clearInterval(ping);
  }
  // As long again as an alarm may be late.
  assert.equal((await pinging.read()).status.current.state, "connected");
  for (const { link } of [pinging, mute]) link.close();
});

test("whatever is evicted, each event reaches the account once and in order", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const { uid } = onAir.input;
  const classes = [
    ["RelayNode", onAir.node],
    ["LiveInput", uid],
    ["Webhook", control.account],
  ];
  await onAir.connects();
  for (const state of ["connecting", "live", "stalled", "live"]) {
    for (const [name, of] of classes) await control.evict(name, of);
    await onAir.output(0, state);
  }
  for (const [name, of] of classes) await control.evict(name, of);
  await onAir.happens({ what: "ended", reason: "goodbye" });
  const expected = [
    "live_input.connected",
    "live_input.output.connecting",
    "live_input.output.live",
    "live_input.output.stalled",
    "live_input.output.live",
    "live_input.disconnected",
    "live_input.output.idle",
  ];
  const events = async () => (await control.accountEvents()).filter(({ input }) => input === uid);
  await eventually("all are there", async () => (await events()).length >= expected.length);
  const found = await events();
  assert.deepEqual(found.map(({ type }) => type), expected);
  assert.deepEqual(found.map(({ id }) => id), expected.map((_, index) => `${uid}-${index + 1}`));
  onAir.link.close();
});

test("an input that is deleted on air says so, and leaves nothing", async () => {
  const onAir = await OnAir.start(control, [OUTPUT]);
  const { uid } = onAir.input;
  await onAir.connects();
  await onAir.becomes("connected");
  assert.equal((await control.api("DELETE", `/live_inputs/${uid}`)).status, 200);
  const gone = await onAir.link.snapshot(uid, onAir.rev + 1);
  onAir.link.applied(uid, gone.rev);
  await onAir.happens({ what: "ended", reason: "deleted" });
  await eventually("it is told", async () => {
    const events = (await control.accountEvents()).filter(({ input }) => input === uid);
    return events.some(({ type, status }) => {
      return type === "live_input.disconnected" && status.reason === "deleted";
    });
  });
  const left = async () => [
    ...(await control.storedKeys("LIVE_INPUT", uid)),
    ...(await control.storedRows("LIVE_INPUT", uid, "events", "SELECT number FROM events")),
    ...(await control.storedRows("LIVE_INPUT", uid, "status", "SELECT key FROM status")),
  ];
  await eventually("nothing is left", async () => (await left()).length === 0);
  onAir.link.close();
});

test("to read what is not there stores nothing", async () => {
  const uid = hexId();
  for (const path of [`/live_inputs/${uid}`, `/live_inputs/${uid}/outputs`]) {
    assert.equal((await control.api("GET", path)).status, 404);
  }
  assert.deepEqual(await control.storedKeys("LIVE_INPUT", uid), []);
  const tables = "SELECT name FROM sqlite_master WHERE name IN ('status', 'events')";
  assert.deepEqual(await control.storedRows("LIVE_INPUT", uid, "_cf_KV", tables), []);
});

test("no key is in what is kept of what went on", async () => {
  const onAir = await OnAir.start(control, [{ ...OUTPUT, streamKey: secret() }]);
  await onAir.connects();
  await onAir.output(0, "live");
  await onAir.becomes("connected");
  const keys = [onAir.input.rtmps.streamKey, onAir.outputs[0].streamKey];
  assert.deepEqual(control.filesWith(keys), []);
  const logs = control.logs();
  for (const key of keys) assert.ok(!logs.includes(key));
  onAir.link.close();
});
