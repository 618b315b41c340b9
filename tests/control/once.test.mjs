// `Idempotency-Key`: what is asked for twice is made once, however many ask at the same time.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, expectResult, secret, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl({ MAX_INPUTS_PER_ACCOUNT: "50" })));
after(() => control.close());

const once = (key) => ({ headers: { "Idempotency-Key": key } });

async function count(table) {
  return (await control.sql(`SELECT count(*) AS n FROM ${table}`))[0].n;
}

function assertConflict(answer) {
  assertRefused(answer, 409, 10409);
  assert.equal(answer.headers.get("x-should-retry"), "false");
}

test("live inputs", async (t) => {
  const create = (key, body, more = {}) =>
    control.api("POST", "/live_inputs", { body, ...once(key), ...more });

  await t.test("twenty at once are one", async () => {
    const before = await count("live_inputs");
    const body = { meta: { name: "once" } };
    const attempts = Array.from({ length: 20 }, () => create("at once", body));
    const inputs = (await Promise.all(attempts)).map(expectResult);
    assert.equal(new Set(inputs.map(({ uid }) => uid)).size, 1);
    assert.equal(new Set(inputs.map(({ rtmps }) => rtmps.streamKey)).size, 1);
    assert.equal(await count("live_inputs"), before + 1);
  });

  await t.test("a repetition shows it as it is now", async () => {
    const input = expectResult(await create("changed", ""));
    const body = { meta: { name: "later" } };
    const changed = expectResult(await control.api("PUT", `/live_inputs/${input.uid}`, { body }));
    assert.deepEqual(expectResult(await create("changed", "")), changed);
  });

  await t.test("another request with the same key is refused", async () => {
    const input = expectResult(await create("body", { meta: {} }));
    const before = await control.rows();
    for (const body of ["", "{}", { meta: { a: 1 } }]) {
      assertConflict(await create("body", body));
    }
    const output = { url: "rtmp://a.example.com/live", streamKey: "k" };
    const path = `/live_inputs/${input.uid}/outputs`;
    assertConflict(await control.api("POST", path, { body: output, ...once("body") }));
    assert.equal(await control.rows(), before);
  });

  await t.test("what is deleted is not made again", async () => {
    const { uid } = expectResult(await create("deleted", ""));
    assert.equal((await control.api("DELETE", `/live_inputs/${uid}`)).status, 200);
    const before = await control.rows();
    assertConflict(await create("deleted", ""));
    assert.equal(await control.rows(), before);
    // After six hours the key is free.
    await control.sql("UPDATE idempotency_keys SET expires = 1 WHERE key = 'deleted'");
    assert.notEqual(expectResult(await create("deleted", "")).uid, uid);
  });

  await t.test("a key is an account's own", async () => {
    const mine = expectResult(await create("shared", ""));
    const account = await control.addAccount();
    const token = await control.addToken({ account });
    const theirs = expectResult(await create("shared", "", { account, token }));
    assert.notEqual(theirs.uid, mine.uid);
  });

  await t.test("what is refused uses no key up", async () => {
    assertRefused(await create("refused", { enabled: 1 }), 400, 10005);
    expectResult(await create("refused", { enabled: false }));
  });

  await t.test("a key has 1 to 255 visible characters", async () => {
    expectResult(await create("k".repeat(255), ""));
    for (const key of ["", "k".repeat(256), "a\tb", "\u00e9"]) {
      assertRefused(await create(key, ""), 400, 6003);
    }
  });
});

test("outputs", async (t) => {
  const { uid } = await control.createInput();
  const path = `/live_inputs/${uid}/outputs`;
  const body = { url: "rtmp://a.example.com/live", streamKey: secret() };
  const create = (key, more = {}) =>
    control.api("POST", path, { body: { ...body, ...more }, ...once(key) });

  await t.test("twenty at once are one", async () => {
    const attempts = Array.from({ length: 20 }, () => create("output at once"));
    const outputs = (await Promise.all(attempts)).map(expectResult);
    assert.equal(new Set(outputs.map((output) => output.uid)).size, 1);
    assert.equal(expectResult(await control.api("GET", path)).length, 1);
  });

  await t.test("another body, another input", async () => {
    assertConflict(await create("output at once", { streamKey: "other" }));
    const other = await control.createInput();
    const elsewhere = `/live_inputs/${other.uid}/outputs`;
    assertConflict(await control.api("POST", elsewhere, { body, ...once("output at once") }));
    assert.deepEqual(expectResult(await control.api("GET", elsewhere)), []);
  });

  await t.test("what is deleted is not made again", async () => {
    const output = expectResult(await create("output deleted", { streamKey: "b" }));
    assert.equal((await control.api("DELETE", `${path}/${output.uid}`)).status, 200);
    assertConflict(await create("output deleted", { streamKey: "b" }));
  });

  await t.test("the keys of destinations are nowhere in clear", async () => {
    assert.deepEqual(control.filesWith([body.streamKey]), []);
    assert.ok(control.databases().length > 0);
  });
});

test("a creation that fails half-way uses no key up", async () => {
  const create = () => control.api("POST", "/live_inputs", { body: "", ...once("half-way") });
  await control.sql(
    "CREATE TRIGGER half_way AFTER INSERT ON idempotency_keys BEGIN SELECT raise(ABORT, ''); END",
  );
  const before = await control.rows();
  assertRefused(await create(), 503, 10503);
  assert.equal(await control.rows(), before);
  await control.sql("DROP TRIGGER half_way");
  const { uid } = expectResult(await create());
  assert.equal(expectResult(await create()).uid, uid);
});
