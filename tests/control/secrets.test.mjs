// Keys and tokens are found in answers whose purpose they are, and nowhere else.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { eventually, hexId, secret, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

test("no key and no token is kept or logged in clear", async () => {
  const instance = hexId();
  const link = await control.link("node-1", instance);
  await link.next("reconciliation");
  const input = await control.createInput();
  const streamKey = secret();
  const query = secret();
  const url = `rtmps://a.example.com/live?token=${query}`;
  await control.createOutput(input.uid, { url, streamKey });
  const { json } = await control.publish("node-1", instance, input.rtmps.streamKey);
  assert.equal(json.decision, "accepted");
  const second = secret();
  await control.createOutput(input.uid, { url, streamKey: second });
  const frame = await link.snapshot(input.uid, json.snapshot.rev + 1);
  assert.equal(frame.wish.outputs[1].target.stream_key, second);

  const secrets = [
    input.rtmps.streamKey,
    input.rtmps.streamKey.slice(0, 32),
    streamKey,
    second,
    control.token,
    control.relayToken,
  ];
  assert.ok(control.databases().length >= 3, "D1 and both objects keep something");
  assert.ok(control.filesWith([input.uid]).length > 0, "what is kept can be searched");
  assert.deepEqual(control.filesWith(secrets), []);
  for (const text of [...secrets, query]) assert.ok(!control.logs().includes(text));
  link.close();
});

test("a setting that cannot be read is named in the log, and not shown", async () => {
  const key = randomBytes(31).toString("hex");
  const misconfigured = await startControl({}, { KEY_ENCRYPTION_KEYS: `1:${key}` });
  try {
    const answer = await misconfigured.api("POST", "/live_inputs", { body: "{}" });
    assert.equal(answer.status, 500);
    assert.equal(answer.json.errors[0].code, 10500);
    assert.equal(answer.headers.get("x-should-retry"), "false");
    await eventually("the log names it", () => misconfigured.logs().includes("KEY_ENCRYPTION_KEYS"));
    assert.ok(misconfigured.logs().includes(answer.headers.get("cf-ray")));
    for (const text of [answer.text, misconfigured.logs()]) assert.ok(!text.includes(key));
  } finally {
    await misconfigured.close();
  }
});
