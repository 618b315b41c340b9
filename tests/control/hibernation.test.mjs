// The Durable Objects lose their memory at any moment; the node's socket stays, and the next
// change reaches it as quickly as any.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

const REACTION_MS = 1000;

async function onAir(node) {
  const instance = hexId();
  const input = await control.createInput();
  const link = await control.link(node, instance);
  await link.next("reconciliation");
  const { json } = await control.publish(node, instance, input.rtmps.streamKey);
  link.applied(input.uid, json.snapshot.rev);
  return { ...json.snapshot, input, instance, link };
}

test("without the memory of the input's object the next change arrives within a second", () =>
  changesArriveWithout(["LiveInput"]));

test("without the memory of the node's object the next change arrives within a second", () =>
  changesArriveWithout(["RelayNode"]));

test("without the memory of both objects the next change arrives within a second", () =>
  changesArriveWithout(["LiveInput", "RelayNode"]));

async function changesArriveWithout(evicted) {
  const node = `node-${evicted.join("-").toLowerCase()}`;
  const { input, instance, link, rev, epoch } = await onAir(node);
  const evict = async () => {
    for (const className of evicted) {
      await control.evict(className, className === "LiveInput" ? input.uid : node);
    }
  };

  let known = rev;
  for (let change = 0; change < 3; change += 1) {
    await evict();
    const output = await control.createOutput(input.uid);
    const answered = performance.now();
    const frame = await link.snapshot(input.uid, known + 1);
    assert.ok(frame.at - answered < REACTION_MS);
    assert.equal(frame.epoch, epoch);
    assert.deepEqual(frame.owner, { node, instance });
    assert.equal(frame.wish.outputs.at(-1).uid, output.uid);
    link.applied(input.uid, frame.rev);
    known = frame.rev;
  }

  await evict();
  link.send("ping");
  assert.equal((await link.nextText()).data, "pong");
  link.report(instance, { [input.uid]: known });
  assert.deepEqual((await link.next("reconciliation")).snapshots, []);
  link.close();
}

test("what was not acknowledged before an eviction is sent again after it", async () => {
  const node = "node-resend";
  const { input, link, rev } = await onAir(node);
  await control.createOutput(input.uid);
  const first = await link.snapshot(input.uid, rev + 1);
  await control.evict("RelayNode", node);
  const again = await link.snapshot(input.uid, first.rev);
  assert.equal(again.rev, first.rev);
  link.close();
});
