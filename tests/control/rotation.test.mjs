// The rotation of stream keys, as API clients and relay nodes see it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, eventually, expectResult, hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

const rotate = (uid, body) => control.api("POST", `/live_inputs/${uid}/rotate_keys`, { body });

/** What a node is told when an encoder comes with this key. */
async function decision(key) {
  return (await control.publish("fra-1", hexId(), key)).json;
}

/** A live input, on air at a node with its first key. */
async function onAir(node) {
  const input = await control.createInput();
  const instance = hexId();
  const accepted = await control.publish(node, instance, input.rtmps.streamKey);
  assert.equal(accepted.json.decision, "accepted");
  assert.equal(accepted.json.key, 0);
  const { rev } = accepted.json.snapshot;
  const link = await control.link(node, instance, { [input.uid]: rev });
  await link.next("reconciliation");
  return { input, link, rev };
}

test("a new key, and the old one is nothing at once", async () => {
  const { input, link, rev } = await onAir("ams-1");
  assert.equal("keysRotatedAt" in input, false);
  const rotated = expectResult(await rotate(input.uid));
  const { keysRotatedAt, rtmps, modified, configuration, ...rest } = rotated;
  const { rtmps: _, modified: before, configuration: off, ...unchanged } = input;
  assert.deepEqual([off, configuration], ["applied", "pending"]);
  assert.match(rtmps.streamKey, new RegExp(`^[0-9a-f]{32}k${input.uid}$`));
  assert.notEqual(rtmps.streamKey, input.rtmps.streamKey);
  assert.equal(keysRotatedAt, modified);
  assert.ok(modified > before);
  assert.deepEqual(rest, unchanged);
  assert.deepEqual(expectResult(await control.api("GET", `/live_inputs/${input.uid}`)), rotated);
  // The node cuts who came with an older key than this.
  assert.equal((await link.snapshot(input.uid, rev + 1)).oldest_key, 1);
  assert.deepEqual(await decision(input.rtmps.streamKey), {
    decision: "refused",
    reason: "unknown_key",
  });
  const accepted = await decision(rtmps.streamKey);
  assert.deepEqual([accepted.decision, accepted.key], ["accepted", 1]);
  link.close();
});

test("an overlap ends by itself, though the object is evicted in it", async () => {
  const { input, link, rev } = await onAir("ams-2");
  const rotated = expectResult(await rotate(input.uid, { gracePeriodSeconds: 2 }));
  const told = await link.snapshot(input.uid, rev + 1);
  assert.equal(told.oldest_key, 0);
  await control.evict("LiveInput", input.uid);
  const end = Date.parse(rotated.keysRotatedAt) + 2000;
  const ended = await link.snapshot(input.uid, told.rev + 1);
  assert.equal(ended.oldest_key, 1);
  assert.ok(Date.now() >= end - 50, "not before the end of the overlap");
  assert.equal((await decision(input.rtmps.streamKey)).decision, "refused");
  assert.equal((await decision(rotated.rtmps.streamKey)).decision, "accepted");
  link.close();
});

test("within an overlap both keys publish, each under its number", async () => {
  const input = await control.createInput();
  const { uid } = input;
  const second = expectResult(await rotate(uid, { gracePeriodSeconds: 3600 }));
  const old = await decision(input.rtmps.streamKey);
  assert.deepEqual([old.decision, old.key, old.snapshot.oldest_key], ["accepted", 0, 0]);
  const present = await decision(second.rtmps.streamKey);
  assert.deepEqual([present.decision, present.key], ["accepted", 1]);
  // Another rotation honours the last key before it, and none before that.
  const third = expectResult(await rotate(uid, { gracePeriodSeconds: 3600 }));
  assert.equal((await decision(input.rtmps.streamKey)).decision, "refused");
  assert.equal((await decision(second.rtmps.streamKey)).key, 1);
  assert.equal((await decision(third.rtmps.streamKey)).key, 2);
  // And one without a grace period ends all others.
  const last = expectResult(await rotate(uid, {}));
  assert.equal((await decision(second.rtmps.streamKey)).decision, "refused");
  assert.equal((await decision(third.rtmps.streamKey)).decision, "refused");
  assert.equal((await decision(last.rtmps.streamKey)).key, 3);
});

test("what cannot be done changes nothing", async () => {
  const { uid } = await control.createInput();
  const before = await control.rows();
  for (const seconds of [-1, 86401, 1.5, "60", true]) {
    const answer = await rotate(uid, { gracePeriodSeconds: seconds });
    assertRefused(answer, 400, 10005);
    assert.equal(answer.json.errors[0].source.pointer, "/gracePeriodSeconds");
  }
  assertRefused(await rotate(hexId()), 404, 10003);
  assertRefused(await rotate(uid, "nonsense"), 400, 10005);
  assert.equal(await control.rows(), before);
});

test("no key, old or new, is kept in clear", async () => {
  const input = await control.createInput();
  const rotated = expectResult(await rotate(input.uid, { gracePeriodSeconds: 60 }));
  const secrets = [input, rotated].map(({ rtmps }) => rtmps.streamKey.slice(0, 32));
  await eventually("the change is on disk", () => control.databases().length > 0);
  assert.deepEqual(control.filesWith(secrets), []);
});
