// Live inputs: the list with its filters and pages, explicit nulls, what everybody may know.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, expectResult, hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl({ MAX_INPUTS_PER_ACCOUNT: "2000" })));
after(() => control.close());

/** A new account with live inputs that have these names, in their order. */
async function accountWith(names) {
  const account = await control.addAccount();
  const token = await control.addToken({ account });
  const options = { account, token };
  const inputs = [];
  for (const name of names) {
    const body = { meta: { name } };
    inputs.push(expectResult(await control.api("POST", "/live_inputs", { ...options, body })));
  }
  return {
    options,
    inputs,
    list: (query = "", headers = {}) =>
      control.api("GET", `/live_inputs${query}`, { ...options, headers }),
    names: async (query) => {
      const answer = await control.api("GET", `/live_inputs${query}`, options);
      return expectResult(answer).map(({ meta }) => meta.name);
    },
  };
}

test("the list is an array, or what Cloudflare's clients read", async () => {
  const { list, inputs } = await accountWith(["one", "two", "three"]);
  const bare = await list();
  assert.deepEqual(
    bare.json.result.map(({ uid }) => uid),
    inputs.map(({ uid }) => uid),
  );
  assert.ok(!bare.text.includes("streamKey"));
  for (const counted of [
    await list("?include_counts=true"),
    await list("", { "X-Stainless-Lang": "python" }),
  ]) {
    const { liveInputs, range, total } = expectResult(counted);
    assert.deepEqual(liveInputs, bare.json.result);
    assert.deepEqual([range, total], [3, 3]);
  }
  const second = await list("?include_counts=true&limit=1");
  assert.deepEqual(second.json.result.range, 3);
  const { cursor } = second.json.result_info;
  const rest = await list(`?include_counts=true&cursor=${cursor}`);
  assert.deepEqual([rest.json.result.range, rest.json.result.total], [2, 3]);
});

test("the list is searched, filtered, turned round and cut in pages", async () => {
  const { list, names, inputs } = await accountWith(["Église", "stage left", "stage right", "x"]);
  assert.deepEqual(await names("?search=STAGE"), ["stage left", "stage right"]);
  assert.deepEqual(await names("?search=glise"), ["Église"]);
  assert.deepEqual(await names(`?search=${inputs[3].uid.slice(2, 12)}`), ["x"]);
  assert.deepEqual(await names("?search=%25"), []);
  assert.deepEqual(await names("?asc=false&limit=2"), ["x", "stage right"]);
  assert.deepEqual(await names("?page=2&per_page=3"), ["x"]);
  assert.deepEqual(await names("?page=3&per_page=3"), []);
  assert.deepEqual(await names(`?start=${inputs[3].created}`), ["x"]);
  assert.equal((await names(`?end=${inputs[3].created}`)).includes("x"), false);
  assert.deepEqual(await names("?creator=nobody&type=1"), await names(""));

  await control.sql(
    "UPDATE live_inputs SET state = 'connected', state_since = 1000000, outputs_up = 2 WHERE uid = ?",
    inputs[1].uid,
  );
  assert.deepEqual(await names("?status=connected"), ["stage left"]);
  assert.equal((await names("?status=null")).length, 3);
  const [shown] = (await list("?status=connected")).json.result;
  assert.deepEqual(shown.status, {
    current: { state: "connected", statusEnteredAt: "1970-01-01T00:00:01Z" },
  });
  assert.deepEqual(shown.outputs, { configured: 0, live: 2 });

  const seen = [];
  let query = "?limit=1";
  for (;;) {
    const { result, result_info } = (await list(query)).json;
    seen.push(...result.map(({ meta }) => meta.name));
    assert.equal(result_info.count, result.length);
    if (result_info.cursor === undefined) break;
    query = `?limit=1&cursor=${result_info.cursor}`;
  }
  assert.deepEqual(seen, await names(""));
});

test("a parameter that cannot be read is named", async () => {
  for (const [query, pointer] of [
    ["?limit=0", "/limit"],
    ["?limit=1001", "/limit"],
    ["?per_page=x", "/per_page"],
    ["?page=0", "/page"],
    ["?cursor=x", "/cursor"],
    ["?asc=up", "/asc"],
    ["?status=live", "/status"],
    ["?start=yesterday", "/start"],
    [`?search=${"x".repeat(257)}`, "/search"],
  ]) {
    const answer = await control.api("GET", `/live_inputs${query}`);
    assertRefused(answer, 400, 10005);
    assert.equal(answer.json.errors[0].source.pointer, pointer);
  }
});

test("a thousand live inputs are one answer", async () => {
  const { list, inputs, options } = await accountWith(["first"]);
  await control.sql(
    `INSERT INTO live_inputs
      (uid, account_id, meta, enabled, key_hash, key_sealed, rev, created, modified)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    SELECT lower(hex(randomblob(16))), account_id, meta, 1, '', '', 1, created + i, created
    FROM live_inputs, n WHERE uid = ?`,
    inputs[0].uid,
  );
  const whole = await list();
  assert.equal(whole.json.result.length, 1000);
  // The next one is not hidden: the answer says that it is a part.
  assert.equal(whole.json.result_info.count, 1000);
  const rest = await list(`?cursor=${whole.json.result_info.cursor}`);
  assert.equal(rest.json.result.length, 1);
  const path = `/live_inputs/${rest.json.result[0].uid}`;
  assert.equal((await control.api("DELETE", path, options)).status, 200);
  assert.equal((await list()).json.result_info, undefined);
});

test("explicit nulls reset what they name", async () => {
  const input = await control.createInput({ meta: { name: "n" }, enabled: false });
  const body = {
    meta: null,
    recording: null,
    deleteRecordingAfterDays: null,
    defaultCreator: null,
    preferLowLatency: null,
  };
  const path = `/live_inputs/${input.uid}`;
  const changed = expectResult(await control.api("PUT", path, { body }));
  assert.deepEqual(changed, { ...input, meta: {}, modified: changed.modified });
});

test("there are no videos, and that of no input is not found", async () => {
  const { uid } = await control.createInput();
  assert.deepEqual(expectResult(await control.api("GET", `/live_inputs/${uid}/videos`)), []);
  assertRefused(await control.api("GET", `/live_inputs/${hexId()}/videos`), 404, 10003);
});

test("everybody may know whether a live input is on air", async () => {
  const { uid } = await control.createInput();
  const lifecycle = (base = "") => control.ask("GET", `${base}/${uid}/lifecycle`, { token: null });
  for (const [state, live] of [
    [null, false],
    ["connected", true],
    ["reconnecting", true],
    ["disconnected", false],
    ["unknown", false],
  ]) {
    await control.sql("UPDATE live_inputs SET state = ? WHERE uid = ?", state, uid);
    for (const base of ["", "/client/v4"]) {
      const answer = await lifecycle(base);
      assert.equal(answer.status, 200);
      assert.deepEqual(answer.json, { isInput: true, videoUID: null, live });
    }
  }
  assert.equal((await control.api("DELETE", `/live_inputs/${uid}`)).status, 200);
  assertRefused(await lifecycle(), 404, 10003);
});

test("two updates at once leave the state of one of them, under two new revs", async () => {
  const { uid } = await control.createInput();
  const rev = async () => (await control.sql("SELECT rev FROM live_inputs WHERE uid = ?", uid))[0].rev;
  const before = await rev();
  const bodies = [
    { meta: { name: "a" }, enabled: false },
    { meta: { name: "b" }, enabled: true },
  ];
  const path = `/live_inputs/${uid}`;
  const answers = await Promise.all(bodies.map((body) => control.api("PUT", path, { body })));
  const told = answers.map((answer) => expectResult(answer));
  for (const [index, { meta, enabled }] of told.entries()) {
    assert.deepEqual({ meta, enabled }, bodies[index]);
  }
  const last = expectResult(await control.api("GET", path));
  assert.ok(told.some((one) => JSON.stringify(one) === JSON.stringify(last)));
  assert.equal(await rev(), before + 2);
});

test("a change of which one statement fails is not made at all", async () => {
  const input = await control.createInput();
  const output = await control.createOutput(input.uid);
  const path = `/live_inputs/${input.uid}/outputs`;
  // The second statement of these changes moves the input's rev.
  await control.sql(
    `CREATE TRIGGER half_way BEFORE UPDATE ON live_inputs WHEN old.uid = '${input.uid}'
    BEGIN SELECT raise(ABORT, 'half way'); END`,
  );
  const before = await control.rows();
  for (const [method, where, body] of [
    ["POST", path, { url: "rtmp://b.example.com/live", streamKey: "k" }],
    ["PUT", `${path}/${output.uid}`, { enabled: false }],
    ["DELETE", `${path}/${output.uid}`],
  ]) {
    const answer = await control.api(method, where, { body });
    assertRefused(answer, 503, 10503);
    assert.equal(await control.rows(), before, method);
  }
  await control.sql("DROP TRIGGER half_way");
  const again = await control.api("PUT", `${path}/${output.uid}`, { body: { enabled: false } });
  assert.equal(expectResult(again).enabled, false);
});
