// The limits hold under concurrency, and are configuration.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { secret, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl({ MAX_INPUTS_PER_ACCOUNT: "7" })));
after(() => control.close());

function tally(answers) {
  const counts = {};
  for (const { status, json } of answers) {
    const outcome = status === 200 ? "created" : `${status}/${json.errors[0].code}`;
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  return counts;
}

test("100 outputs at once leave exactly 50", async () => {
  const { uid } = await control.createInput();
  const body = { url: "rtmp://a.example.com/live", streamKey: secret() };
  const path = `/live_inputs/${uid}/outputs`;
  const create = () => control.api("POST", path, { body });
  const answers = await Promise.all(Array.from({ length: 100 }, create));
  assert.deepEqual(tally(answers), { created: 50, "403/10011": 50 });
  const listed = (await control.api("GET", path)).json.result;
  assert.equal(listed.length, 50);
  assert.equal(new Set(listed.map((output) => output.uid)).size, 50);

  assert.equal((await control.api("DELETE", `${path}/${listed[0].uid}`)).status, 200);
  assert.equal((await create()).status, 200);
  assert.deepEqual(tally([await create()]), { "403/10011": 1 });
});

test("as many inputs at once leave exactly the limit of each account", async () => {
  const account = await control.addAccount();
  const token = await control.addToken({ account });
  const create = () => control.api("POST", "/live_inputs", { account, token, body: "" });
  const answers = await Promise.all(Array.from({ length: 20 }, create));
  assert.deepEqual(tally(answers), { created: 7, "403/10011": 13 });
  const list = () => control.api("GET", "/live_inputs", { account, token });
  const listed = (await list()).json.result;
  assert.equal(listed.length, 7);

  const path = `/live_inputs/${listed[0].uid}`;
  assert.equal((await control.api("DELETE", path, { account, token })).status, 200);
  assert.equal((await create()).status, 200);
  assert.equal((await list()).json.result.length, 7);
});

test("changes of one input at once are all there", async () => {
  const { uid } = await control.createInput();
  const path = `/live_inputs/${uid}/outputs`;
  const outputs = await Promise.all(Array.from({ length: 20 }, () => control.createOutput(uid)));
  const removed = outputs.filter((_, index) => index % 2 === 0);
  await Promise.all([
    ...removed.map((output) => control.api("DELETE", `${path}/${output.uid}`)),
    ...Array.from({ length: 10 }, () => control.createOutput(uid)),
  ]);
  const left = (await control.api("GET", path)).json.result.map((output) => output.uid);
  assert.equal(left.length, 20);
  for (const output of removed) assert.ok(!left.includes(output.uid));
});
