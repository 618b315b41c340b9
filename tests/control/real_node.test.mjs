// A real relay node at the control plane. The Durable Objects lose their memory while its socket is
// open: each change still reaches the node, and what hangs on it, within a second of the answer. It is
// killed: nothing it had on air is called live any more.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EventStream } from "./event_stream.mjs";
import { Destination, RelayNode, publish } from "./parts.mjs";
import { eventually, secret, startControl } from "./support.mjs";

const REACTION_MS = 1000;
/** What is told of a silent node: eight seconds after its connection ended, and as fast as all news. */
const SILENCE_MS = 10_000;

const NODE = "real-node";

/** The program that `cargo xtask test` has built. */
const PROGRAM = process.env.STREAM_CONNECT_RELAY_NODE;

let control, destination, node;
const encoders = [];
before(async () => {
  control = await startControl();
  destination = await Destination.start(control.state);
  node = await RelayNode.start(PROGRAM, control, NODE);
});
after(async () => {
  for (const encoder of encoders) await encoder.end();
  await node?.end();
  await destination?.end();
  await control?.close();
});

test("without the memory of the input's object a real node follows within a second", () =>
  changesTakeEffectWithout(["LiveInput"]));

test("without the memory of the node's object a real node follows within a second", () =>
  changesTakeEffectWithout(["RelayNode"]));

test("without the memory of both objects a real node follows within a second", () =>
  changesTakeEffectWithout(["LiveInput", "RelayNode"]));

test("what a killed node had on air is unknown within ten seconds, and true again when it is back", async () => {
  const killed = await RelayNode.start(PROGRAM, control, "killed-node");
  const input = await control.createInput();
  const path = `/live_inputs/${input.uid}`;
  const output = await control.createOutput(input.uid, { url: destination.url, streamKey: secret() });
  const encoder = await publish(killed.rtmp, input.rtmps.streamKey);
  encoders.push(encoder);
  const stands = async () => {
    const [one, other] = await Promise.all([path, `${path}/outputs/${output.uid}`].map(read));
    return { input: one.status?.current, output: other.status };
  };
  const becomes = async (...states) =>
    eventually(`they are ${states}`, async () => {
      const { input, output } = await stands();
      return input?.state === states[0] && output.state === states[1];
    });
  await becomes("connected", "live");

  killed.child.kill("SIGKILL");
  const at = performance.now();
  await becomes("unknown", "unknown");
  const took = performance.now() - at;
  assert.ok(took < SILENCE_MS, `it took ${Math.round(took)} ms`);
  const silent = await stands();
  assert.deepEqual([silent.input.reason, silent.output.reason], ["node_silent", "node_silent"]);
  await encoder.ended;

  // The node is started again, as systemd does, and the encoder comes back to it.
  const again = await RelayNode.start(PROGRAM, control, "killed-node");
  try {
    encoders.push(await publish(again.rtmp, input.rtmps.streamKey));
    await becomes("connected", "live");
  } finally {
    await again.end();
  }
});

async function read(path) {
  return (await control.api("GET", path)).json.result;
}

test("what a real node counts is seen once a second", async () => {
  const input = await control.createInput();
  const streamKey = secret();
  const output = await control.createOutput(input.uid, { url: destination.url, streamKey });
  const stream = await EventStream.open(control, { input: input.uid });
  assert.equal((await stream.state()).status, null);
  encoders.push(await publish(node.rtmp, input.rtmps.streamKey));
  let last = 0;
  const times = [];
  while (times.length < 8) {
    const { status, outputs } = await stream.state(({ outputs }) => outputs[0].status.bytes > last);
    last = outputs[0].status.bytes;
    times.push(performance.now());
    assert.equal(outputs[0].uid, output.uid);
    assert.equal(outputs[0].status.state, "live");
    assert.equal(status.current.video.codec, "h264");
  }
  const took = times.at(-1) - times[0];
  assert.ok(took > 5000 && took < 14_000, `7 figures in ${took} ms`);
  await encoders.at(-1).end();
  const over = await stream.state(({ status }) => status.current.state !== "connected");
  assert.ok(["disconnected", "reconnecting"].includes(over.status.current.state));
  for (const key of [input.rtmps.streamKey, streamKey, destination.url]) {
    assert.ok(!stream.said.some((text) => text.includes(key)), "a secret in a frame");
  }
  stream.close();
});

async function changesTakeEffectWithout(evicted) {
  const input = await control.createInput();
  const evict = async () => {
    for (const className of evicted) {
      await control.evict(className, className === "LiveInput" ? input.uid : NODE);
    }
  };
  const encoder = await publish(node.rtmp, input.rtmps.streamKey);
  encoders.push(encoder);
  await eventually("the broadcast begins", async () => (await broadcast(input))?.bytes > 0);
  assert.equal(await node.control(), "connected");

  await evict();
  const connections = destination.connections.length;
  const streamKey = secret();
  const output = await control.createOutput(input.uid, { url: destination.url, streamKey });
  let answered = performance.now();
  await eventually("the node connects", () => destination.connections.length > connections);
  const connection = destination.connections.at(-1);
  inTime("connecting", answered, connection.opened);
  await eventually("the output is live", async () => {
    const { outputs } = await broadcast(input);
    return outputs.some((status) => status.output === output.uid && status.state === "live");
  });
  assert.equal(connection.closed, undefined);

  await evict();
  const path = `/live_inputs/${input.uid}`;
  assert.equal((await control.api("DELETE", `${path}/outputs/${output.uid}`)).status, 200);
  answered = performance.now();
  await eventually("the node disconnects", () => connection.closed !== undefined);
  inTime("disconnecting", answered, connection.closed);
  assert.equal(encoder.connection.closed, undefined, "the encoder notices nothing");

  await evict();
  assert.equal((await control.api("DELETE", path)).status, 200);
  answered = performance.now();
  await eventually("the publisher is cut", () => encoder.connection.closed !== undefined);
  inTime("cutting the publisher", answered, encoder.connection.closed);
  await eventually("the broadcast ends", async () => (await broadcast(input)) === undefined);
  await encoder.ended;

  assert.equal(await node.control(), "connected");
  assert.equal(destination.connections.length, connections + 1, "one connection, never a second");
  for (const key of [input.rtmps.streamKey, streamKey, control.relayToken]) {
    assert.ok(!node.log.includes(key), "a secret in the node's log");
  }
}

async function broadcast(input) {
  const { broadcasts } = await node.status();
  return broadcasts.find((broadcast) => broadcast.input === input.uid);
}

/** A change may take effect before its answer has arrived. */
function inTime(what, answered, happened) {
  const took = happened - answered;
  assert.ok(took < REACTION_MS, `${what} took ${Math.round(took)} ms`);
}
