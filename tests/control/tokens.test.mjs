// What a token is good for, and what is left of it once it is revoked.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { hashed, hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

test("a revoked token can at most read lists", async (t) => {
  const token = await control.addToken({ account: control.account });
  const input = await control.createInput();
  const output = await control.createOutput(input.uid);
  // A good look-up is remembered for a minute.
  assert.equal((await control.api("GET", "/live_inputs", { token })).status, 200);
  await control.remembers(token);
  await control.revoke(token);
  const before = await control.rows();

  assert.equal((await control.api("GET", "/live_inputs", { token })).status, 200);
  for (const [method, path, body] of [
    ["POST", "/live_inputs", "{}"],
    ["GET", `/live_inputs/${input.uid}`],
    ["GET", `/live_inputs/${input.uid}/outputs`],
    ["POST", `/live_inputs/${input.uid}/outputs`, { url: "rtmp://a.example/b", streamKey: "k" }],
    ["PUT", `/live_inputs/${input.uid}/outputs/${output.uid}`, { enabled: false }],
    ["DELETE", `/live_inputs/${input.uid}/outputs/${output.uid}`],
    ["PUT", `/live_inputs/${input.uid}`, { enabled: false }],
    ["DELETE", `/live_inputs/${input.uid}`],
  ]) {
    await t.test(`${method} ${path.replace(input.uid, ":i").replace(output.uid, ":o")}`, async () => {
      const answer = await control.api(method, path, { token, body });
      assert.equal(answer.status, 403, answer.text);
      assert.equal(answer.json.errors[0].code, 9109);
      assert.ok(!answer.text.includes(input.rtmps.streamKey));
      assert.ok(!answer.text.includes(output.streamKey));
    });
  }
  assert.equal(await control.rows(), before);
});

test("a look-up is remembered for a minute, and not longer", async () => {
  const token = await control.addToken({ account: control.account });
  const asked = Date.now();
  assert.equal((await control.api("GET", "/live_inputs", { token })).status, 200);
  await control.remembers(token);
  const until = await control.rememberedUntil(token);
  assert.ok(until > asked + 58_000, `${until - asked} ms`);
  assert.ok(until <= Date.now() + 60_000, `${until - asked} ms`);
  await control.revoke(token);
  assert.equal((await control.api("GET", "/live_inputs", { token })).status, 200);
  // To ask again is not to remember for longer.
  assert.equal(await control.rememberedUntil(token), until);

  await control.rememberUntil(token, Date.now() + 5_000);
  assert.equal((await control.api("GET", "/live_inputs", { token })).status, 200);
  await control.rememberUntil(token, Date.now() - 1);
  const answer = await control.api("GET", "/live_inputs", { token });
  assert.equal(answer.status, 403, answer.text);
  assert.equal(answer.json.errors[0].code, 9109);
});

test("a token revoked before its first use is unknown", async () => {
  const token = await control.addToken({ account: control.account });
  await control.revoke(token);
  const answer = await control.api("GET", "/live_inputs", { token });
  assert.equal(answer.status, 403);
  assert.equal(answer.json.errors[0].code, 9109);
});

test("a token that lost a permission can no longer use it", async () => {
  const token = await control.addToken({ account: control.account });
  const input = await control.createInput();
  await control.api("GET", "/live_inputs", { token });
  await control.remembers(token);
  await control.sql("UPDATE tokens SET permissions = 1 WHERE hash = ?", hashed(token));
  const before = await control.rows();
  const answer = await control.api("PUT", `/live_inputs/${input.uid}`, {
    token,
    body: { enabled: false },
  });
  assert.equal(answer.status, 403, answer.text);
  assert.equal(await control.rows(), before);
  const read = await control.api("GET", `/live_inputs/${input.uid}`, { token });
  assert.equal(read.status, 200, read.text);
});

test("a token has its time", async () => {
  const hour = 3_600_000_000;
  const now = Date.now() * 1000;
  for (const [what, status] of [
    [`not_before = ${now + hour}`, 403],
    [`expires = ${now - hour}`, 403],
    [`not_before = ${now - hour}, expires = ${now + hour}`, 200],
  ]) {
    const token = await control.addToken({ account: control.account });
    await control.sql(`UPDATE tokens SET ${what} WHERE hash = ?`, hashed(token));
    // Twice: from the database, and as it is remembered.
    for (let i = 0; i < 2; i++) {
      const answer = await control.api("GET", "/live_inputs", { token });
      assert.equal(answer.status, status, `${what}: ${answer.text}`);
      if (status !== 200) assert.equal(answer.json.errors[0].code, 9109);
      await control.remembers(token);
    }
  }
});

test("a token made after it was tried is known at once", async () => {
  const answer = await control.api("GET", "/live_inputs", { token: "y".repeat(40) });
  assert.equal(answer.status, 403);
  const token = await control.addToken({ account: control.account });
  assert.equal((await control.api("GET", "/live_inputs", { token })).status, 200);
});

test("a revoked relay token publishes nothing", async () => {
  const input = await control.createInput();
  const token = await control.addToken({ account: null });
  const instance = hexId();
  const key = input.rtmps.streamKey;
  assert.equal((await control.publish("fra-2", instance, key, token)).status, 200);
  await control.remembers(token);
  await control.revoke(token);
  const answer = await control.publish("fra-2", instance, key, token);
  assert.equal(answer.status, 403);
  assert.ok(!JSON.stringify(answer.json).includes("snapshot"));
});

test("only hashes of tokens are kept", () => {
  assert.ok(control.databases().length > 0);
  const token = control.token;
  assert.deepEqual(control.filesWith([token, control.relayToken]), []);
  assert.ok(!control.logs().includes(token));
});
