// The link between the control plane and a relay node, over a real socket.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually, hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

/** The product promises changes within a second of the answer. */
const REACTION_MS = 1000;

let nodes = 0;
function newNode() {
  nodes += 1;
  return { node: `node-${nodes}`, instance: hexId() };
}

/** An input on air at a node of its own, whose socket is open and has reported. */
async function onAir() {
  const { node, instance } = newNode();
  const input = await control.createInput();
  const link = await control.link(node, instance);
  await link.next("reconciliation");
  const { status, json } = await control.publish(node, instance, input.rtmps.streamKey);
  assert.equal(status, 200, JSON.stringify(json));
  assert.equal(json.decision, "accepted");
  const { rev, epoch } = json.snapshot;
  link.applied(input.uid, rev);
  return { input, node, instance, link, rev, epoch };
}

test("publishing", async (t) => {
  const { node, instance } = newNode();

  await t.test("a good key is answered with what the input wants", async () => {
    const input = await control.createInput();
    const wanted = await control.createOutput(input.uid);
    const off = await control.createOutput(input.uid, {
      url: "rtmps://b.example.com/app",
      streamKey: "off",
      enabled: false,
    });
    const key = ` ${input.rtmps.streamKey}\r\n`;
    const { status, json } = await control.publish(node, instance, key);
    assert.equal(status, 200);
    assert.equal(json.decision, "accepted");
    assert.equal(json.snapshot.input, input.uid);
    assert.deepEqual(json.snapshot.owner, { node, instance });
    assert.equal(json.snapshot.wish.state, "relay");
    const target = ({ url, streamKey }) => ({ kind: "rtmp", url, stream_key: streamKey });
    assert.deepEqual(json.snapshot.wish.outputs, [
      { uid: wanted.uid, enabled: true, retry: 0, target: target(wanted) },
      { uid: off.uid, enabled: false, retry: 0, target: target(off) },
    ]);
  });

  await t.test("each owner has a higher epoch and a higher rev", async () => {
    const input = await control.createInput();
    const key = input.rtmps.streamKey;
    const first = (await control.publish(node, instance, key)).json.snapshot;
    const second = (await control.publish(node, hexId(), key)).json.snapshot;
    assert.ok(second.epoch > first.epoch);
    assert.ok(second.rev > first.rev);
  });

  await t.test("a key of no input is refused, and makes no object", async () => {
    const input = await control.createInput();
    const [secretPart] = input.rtmps.streamKey.split("k");
    const wrong = secretPart.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
    const before = await control.worker.listDurableObjectIds("LiveInput");
    for (const key of [`${hexId()}k${hexId()}`, `${wrong}k${input.uid}`, "short", ""]) {
      const { status, json } = await control.publish(node, instance, key);
      assert.equal(status, 200);
      assert.deepEqual(json, { decision: "refused", reason: "unknown_key" });
    }
    assert.deepEqual(await control.worker.listDurableObjectIds("LiveInput"), before);
  });

  await t.test("a disabled input says so", async () => {
    const input = await control.createInput({ enabled: false });
    const { json } = await control.publish(node, instance, input.rtmps.streamKey);
    assert.deepEqual(json, { decision: "refused", reason: "disabled" });
  });

  await t.test("a deleted input's key is unknown", async () => {
    const input = await control.createInput();
    await control.api("DELETE", `/live_inputs/${input.uid}`);
    const { json } = await control.publish(node, instance, input.rtmps.streamKey);
    assert.deepEqual(json, { decision: "refused", reason: "unknown_key" });
  });

  await t.test("a request that is none is refused", async () => {
    for (const body of ["", "{", "[]", "{}", { version: 1, node: "A B", instance, key: "k" }]) {
      const answer = await control.request("POST", "/relay/v1/publish", {
        token: control.relayToken,
        body,
      });
      assert.equal(answer.status, 400);
      assert.equal((await answer.json()).errors[0].code, 10005);
    }
  });
});

test("the socket", async (t) => {
  await t.test("answers pings", async () => {
    const { node, instance } = newNode();
    const link = await control.link(node, instance);
    await link.next("reconciliation");
    link.send("ping");
    assert.equal((await link.nextText()).data, "pong");
    link.close();
  });

  await t.test("a report is answered with what is newer", async () => {
    const { input, instance, link, rev } = await onAir();
    link.report(instance, { [input.uid]: rev });
    assert.deepEqual((await link.next("reconciliation")).snapshots, []);
    link.report(instance, { [input.uid]: rev - 1 });
    const { version, snapshots } = await link.next("reconciliation");
    assert.equal(version, 1);
    assert.deepEqual(
      snapshots.map((snapshot) => [snapshot.input, snapshot.rev]),
      [[input.uid, rev]],
    );
    link.close();
  });

  await t.test("each change is pushed within a second of its answer", async () => {
    const { input, link, rev } = await onAir();
    const path = `/live_inputs/${input.uid}/outputs`;

    const output = await control.createOutput(input.uid);
    let answered = performance.now();
    const added = await link.snapshot(input.uid, rev + 1);
    assert.ok(added.at - answered < REACTION_MS);
    assert.deepEqual(
      added.wish.outputs.map((wanted) => wanted.uid),
      [output.uid],
    );
    assert.equal(added.wish.outputs[0].target.stream_key, output.streamKey);
    link.applied(input.uid, added.rev);

    await control.api("DELETE", `${path}/${output.uid}`);
    answered = performance.now();
    const removed = await link.snapshot(input.uid, added.rev + 1);
    assert.ok(removed.at - answered < REACTION_MS);
    assert.deepEqual(removed.wish.outputs, []);
    link.applied(input.uid, removed.rev);

    await control.api("DELETE", `/live_inputs/${input.uid}`);
    answered = performance.now();
    const deleted = await link.snapshot(input.uid, removed.rev + 1);
    assert.ok(deleted.at - answered < REACTION_MS);
    assert.deepEqual(deleted.wish, { state: "deleted" });
    link.applied(input.uid, deleted.rev);
    link.close();
  });

  await t.test("switching off and on is pushed like any change", async () => {
    const { input, node, instance, link, rev } = await onAir();
    const path = `/live_inputs/${input.uid}`;
    const output = await control.createOutput(input.uid);
    const added = await link.snapshot(input.uid, rev + 1);
    link.applied(input.uid, added.rev);

    const body = { enabled: false };
    await control.api("PUT", `${path}/outputs/${output.uid}`, { body });
    let answered = performance.now();
    const silent = await link.snapshot(input.uid, added.rev + 1);
    assert.ok(silent.at - answered < REACTION_MS);
    assert.equal(silent.wish.outputs[0].enabled, false);
    link.applied(input.uid, silent.rev);

    await control.api("PUT", path, { body });
    answered = performance.now();
    const off = await link.snapshot(input.uid, silent.rev + 1);
    assert.ok(off.at - answered < REACTION_MS);
    assert.deepEqual(off.wish, { state: "disabled" });
    link.applied(input.uid, off.rev);
    const refused = await control.publish(node, instance, input.rtmps.streamKey);
    assert.equal(refused.json.reason, "disabled");

    await control.api("PUT", path, { body: { enabled: true } });
    const accepted = await control.publish(node, instance, input.rtmps.streamKey);
    assert.equal(accepted.json.decision, "accepted");
    assert.ok(accepted.json.snapshot.rev > off.rev);
    link.close();
  });

  await t.test("of changes made at once none is lost, and revs only rise", async () => {
    const { input, link, rev } = await onAir();
    const create = () => control.createOutput(input.uid);
    const outputs = await Promise.all(Array.from({ length: 20 }, create));
    let known = rev;
    for (let seen = 0; seen < outputs.length; ) {
      const frame = await link.snapshot(input.uid);
      if (frame.rev > known) seen = frame.wish.outputs.length;
      known = Math.max(known, frame.rev);
    }
    link.applied(input.uid, known);
    link.close();
  });

  await t.test("an object that has lost its memory goes on above the database", async () => {
    const { input, link, rev } = await onAir();
    await control.sql("UPDATE live_inputs SET rev = ? WHERE uid = ?", rev + 100, input.uid);
    const output = await control.createOutput(input.uid);
    const frame = await link.snapshot(input.uid, rev + 101);
    assert.equal(frame.wish.outputs[0].uid, output.uid);
    link.applied(input.uid, frame.rev);
    link.close();
  });

  await t.test("a snapshot is sent again until it is acknowledged", async () => {
    const { input, link, rev } = await onAir();
    await control.createOutput(input.uid);
    const first = await link.snapshot(input.uid, rev + 1);
    const again = await link.snapshot(input.uid, first.rev);
    assert.equal(again.rev, first.rev);
    assert.deepEqual(again.wish, first.wish);
    link.applied(input.uid, first.rev);
    link.close();
  });

  await t.test("the newest connection of a node is the one that is told", async () => {
    const { input, node, instance, link, rev } = await onAir();
    const second = await control.link(node, instance, { [input.uid]: rev });
    await second.next("reconciliation");
    await link.closed;
    await control.createOutput(input.uid);
    assert.ok((await second.snapshot(input.uid, rev + 1)).rev > rev);
    second.close();
  });

  await t.test("frames of newer and of broken nodes are survived", async () => {
    const { input, instance, link, rev } = await onAir();
    link.send({ type: "weather", rain: true });
    link.send("no json");
    link.send("[]");
    link.send({ type: "applied" });
    link.report(instance, { [input.uid]: rev });
    await link.next("reconciliation");
    link.close();
  });

  await t.test("changes made while the socket was down come with the next report", async () => {
    const { input, node, instance, link, rev } = await onAir();
    link.close();
    await link.closed;
    const output = await control.createOutput(input.uid);
    const second = await control.link(node, instance, { [input.uid]: rev });
    const { snapshots } = await second.next("reconciliation");
    assert.equal(snapshots.length, 1);
    assert.equal(snapshots[0].wish.outputs[0].uid, output.uid);
    second.close();
  });
});

test("polling", async (t) => {
  await t.test("brings what is newer, also a deletion", async () => {
    const { input, node, instance, link, rev } = await onAir();
    link.close();
    const poll = async (known) => {
      const report = { version: 1, instance, revs: { [input.uid]: known } };
      const { status, json } = await control.poll(node, report);
      assert.equal(status, 200, JSON.stringify(json));
      assert.equal(json.version, 1);
      return json.snapshots;
    };
    assert.deepEqual(await poll(rev), []);
    const output = await control.createOutput(input.uid);
    const [added] = await poll(rev);
    assert.equal(added.wish.outputs[0].uid, output.uid);
    assert.deepEqual(await poll(added.rev), []);
    await control.api("DELETE", `/live_inputs/${input.uid}`);
    const [deleted] = await poll(added.rev);
    assert.deepEqual(deleted.wish, { state: "deleted" });
  });

  await t.test("a body that is no report is refused", async () => {
    const { status, json } = await control.poll("fra-1", { version: 1 });
    assert.equal(status, 400);
    assert.equal(json.errors[0].code, 10005);
  });
});

test("the end of a broadcast", async (t) => {
  await t.test("once told, an input that is off air is no longer pushed", async () => {
    const { input, instance, link, epoch } = await onAir();
    const event = { sequence: 1, input: input.uid, epoch, what: "ended" };
    link.report(instance, {}, [event]);
    assert.equal((await link.next("reconciliation")).events_through, 1);
    await eventually("the input goes off air", async () => {
      await control.createOutput(input.uid);
      link.report(instance, {}, []);
      const frame = JSON.parse((await link.nextText()).data);
      return frame.type === "reconciliation" && frame.snapshots.length === 0;
    });
    link.close();
  });

  await t.test("an event of an epoch that is over changes nothing", async () => {
    const { input, node, instance, link, epoch } = await onAir();
    const { json } = await control.publish(node, instance, input.rtmps.streamKey);
    assert.ok(json.snapshot.epoch > epoch);
    const event = { sequence: 1, input: input.uid, epoch, what: "ended" };
    link.report(instance, { [input.uid]: json.snapshot.rev }, [event]);
    await link.next("reconciliation");
    await control.createOutput(input.uid);
    assert.deepEqual((await link.snapshot(input.uid, json.snapshot.rev + 1)).owner, {
      node,
      instance,
    });
    link.close();
  });
});

test("a deleted input leaves nothing behind", async () => {
  const { input, node, instance, link, rev } = await onAir();
  assert.notDeepEqual(await control.storedKeys("LIVE_INPUT", input.uid), []);
  await control.api("DELETE", `/live_inputs/${input.uid}`);
  const deleted = await link.snapshot(input.uid, rev + 1);
  link.applied(input.uid, deleted.rev);
  await eventually("the object is emptied", async () => {
    return (await control.storedKeys("LIVE_INPUT", input.uid)).length === 0;
  });

  // Whoever comes late brings nothing back: neither a change, nor a publisher, nor a report.
  assert.equal((await control.api("DELETE", `/live_inputs/${input.uid}`)).status, 404);
  const path = `/live_inputs/${input.uid}/outputs`;
  const body = { url: "rtmp://a.example.com/live", streamKey: "k" };
  assert.equal((await control.api("POST", path, { body })).status, 404);
  const late = await control.publish(node, instance, input.rtmps.streamKey);
  assert.equal(late.json.reason, "unknown_key");
  link.report(instance, { [input.uid]: rev });
  const { snapshots } = await link.next("reconciliation");
  assert.deepEqual(
    snapshots.map((snapshot) => snapshot.wish),
    [{ state: "deleted" }],
  );
  link.applied(input.uid, snapshots[0].rev);
  await eventually("the object stays empty", async () => {
    return (await control.storedKeys("LIVE_INPUT", input.uid)).length === 0;
  });
  link.close();
});

test("a node that does not know a wish is logged once, and told what follows", async () => {
  const { input, node, link, rev } = await onAir();
  const mentions = () => control.logs().split(`the relay node ${node} does not know`).length - 1;
  await control.createOutput(input.uid);
  const first = await link.snapshot(input.uid, rev + 1);
  for (let time = 0; time < 2; time += 1) {
    link.applied(input.uid, first.rev, { unknown_wish: true });
  }
  await eventually("it is logged", () => mentions() > 0);
  await control.createOutput(input.uid);
  const second = await link.snapshot(input.uid, first.rev + 1);
  link.applied(input.uid, second.rev);
  assert.equal(mentions(), 1);
  link.close();
});
