// How long the control plane waits for others, in the runtime alone: no proxy stands before it or
// behind it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { migrated, Plain, signUp, workerOptions, wrap } from "./plain.mjs";
import { Receiver } from "./receiver.mjs";
import { fetch } from "./scan.mjs";
import { eventually, hashed, hexId, PERMISSIONS } from "./support.mjs";

const account = hexId();
const token = `sct_${randomBytes(32).toString("hex")}`;
let plain, url;

before(async () => {
  const worker = workerOptions("worker", `1:${randomBytes(32).toString("hex")}`);
  worker.bindings.WEBHOOK_NETWORKS = "127.0.0.0/8";
  wrap(worker, "slow.mjs");
  plain = await Plain.start(worker);
  const all = Object.values(PERMISSIONS).reduce((sum, bit) => sum + bit, 0);
  await signUp(await migrated(plain.runtime, "worker"), account, hashed(token), all);
  url = await plain.url();
});
after(async () => {
  await Receiver.closeAll();
  await plain.end();
});

/** Asks, and takes the time. */
async function ask(method, path, body) {
  const begun = performance.now();
  const answer = await fetch(`${url}/accounts/${account}/stream${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: body && JSON.stringify(body),
  });
  const { result, errors } = await answer.json();
  assert.deepEqual(errors, []);
  return { result, took: performance.now() - begun };
}

/** A timer's milliseconds may end a little early by another clock; what follows takes its time. */
function assertTook(took, promised) {
  assert.ok(took > promised - 20 && took < promised + 2000, `${Math.round(took)} ms`);
}

test("a read waits two seconds for what goes on, and gives what it knows", async () => {
  const { result: input } = await ask("POST", "/live_inputs", { meta: { name: "slow" } });
  const path = `/live_inputs/${input.uid}`;
  const streamKey = "k";
  const made = await ask("POST", `${path}/outputs`, { url: "rtmp://a.example.com/live", streamKey });
  assert.ok(made.took < 2000, "a change does not ask for it");

  const [one, outputs] = await Promise.all([ask("GET", path), ask("GET", `${path}/outputs`)]);
  for (const { took } of [one, outputs]) assertTook(took, 2000);
  const { status, configuration, ...rest } = one.result;
  const { status: _, configuration: applied, ...known } = input;
  assert.deepEqual(rest, known);
  assert.deepEqual([status.current.state, status.current.reason], ["unknown", "status_unavailable"]);
  assert.deepEqual([applied, configuration], ["applied", "pending"]);
  const [output] = outputs.result;
  assert.deepEqual([output.uid, output.streamKey], [made.result.uid, streamKey]);
  assert.deepEqual([output.status.state, output.configuration], ["unknown", "pending"]);
});

test("an attempt at a webhook whose time is over hangs up", async () => {
  const receiver = await Receiver.start(() => {});
  await ask("PUT", "/webhook", { notificationUrl: receiver.url });
  const { result, took } = await ask("POST", "/webhook/test");
  assertTook(took, 10_000);
  assert.equal(result.state, "failed");
  assert.match(result.error, /did not answer within 10 s/);
  await eventually("its connection is closed", () => receiver.left === 1);
  assert.equal(receiver.arrived.length, 1);
});
