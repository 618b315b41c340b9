// Every example of the product document (Stream Connect), word for word but for host, token and
// ids: its requests, as curl sends them, and its answers, key by key.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { secret, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

/** Keys that an answer may have beyond the document's; docs/api.md lists them. */
const FURTHER_INPUT_KEYS = [
  "enabled",
  "reconnectWindowSeconds",
  "onStop",
  "onFormatChange",
  "takeover",
  "status",
  "configuration",
];
const FURTHER_LISTED_KEYS = ["uid", "enabled", "status", "outputs"];
const FURTHER_OUTPUT_KEYS = ["enabled", "meta", "status", "configuration"];

const HEX_32 = /^[0-9a-f]{32}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,5}[1-9])?Z$/;

function assertKeys(value, documented, further) {
  const keys = Object.keys(value);
  for (const key of documented) assert.ok(keys.includes(key), `${key} is missing`);
  for (const key of keys) {
    assert.ok([...documented, ...further].includes(key), `${key} is not documented`);
  }
}

function assertSuccess(answer) {
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assertKeys(answer.json, ["result", "success", "errors", "messages"], []);
  assert.equal(answer.json.success, true);
  assert.deepEqual(answer.json.errors, []);
  assert.deepEqual(answer.json.messages, []);
}

function assertInput(input, meta) {
  assertKeys(input, ["uid", "meta", "created", "modified", "rtmps"], FURTHER_INPUT_KEYS);
  assert.match(input.uid, HEX_32);
  assert.deepEqual(input.meta, meta);
  assert.match(input.created, TIME);
  assert.match(input.modified, TIME);
  assertKeys(input.rtmps, ["url", "streamKey"], []);
  assert.match(input.rtmps.url, /^rtmps:\/\/[^/]+:\d+\/live\/$/);
  assert.match(input.rtmps.streamKey, /^[0-9a-f]{32}k[0-9a-f]{32}$/);
  assert.ok(input.rtmps.streamKey.endsWith(`k${input.uid}`));
  assert.equal(input.enabled, true);
}

function assertOutput(output, url, streamKey) {
  assertKeys(output, ["uid", "url", "streamKey"], FURTHER_OUTPUT_KEYS);
  assert.match(output.uid, HEX_32);
  assert.equal(output.url, url);
  assert.equal(output.streamKey, streamKey);
  assert.equal(output.enabled, true);
}

test("the document's quick start and its details", async (t) => {
  let input, first, second;
  const url = "rtmp://a.rtmp.youtube.com/live2";
  const key = secret();

  await t.test("create a live input", async () => {
    const answer = await control.api("POST", "/live_inputs", {
      body: '{"meta": {"name":"test stream 1"}}',
    });
    assertSuccess(answer);
    assertInput(answer.json.result, { name: "test stream 1" });
    input = answer.json.result;
  });

  await t.test("add an output", async () => {
    const answer = await control.api("POST", `/live_inputs/${input.uid}/outputs`, {
      body: `{"url": "${url}","streamKey": "${key}"}`,
    });
    assertSuccess(answer);
    assertOutput(answer.json.result, url, key);
    first = answer.json.result;
  });

  await t.test("get details on a live input", async () => {
    const answer = await control.api("GET", `/live_inputs/${input.uid}`);
    assertSuccess(answer);
    assertInput(answer.json.result, { name: "test stream 1" });
    assert.equal(answer.json.result.rtmps.streamKey, input.rtmps.streamKey);
    assert.equal(answer.json.result.created, input.created);
  });

  await t.test("list live inputs", async () => {
    const bare = await control.createInput("");
    const answer = await control.api("GET", "/live_inputs");
    assertSuccess(answer);
    assert.deepEqual(
      answer.json.result.map(({ uid }) => uid),
      [input.uid, bare.uid],
      "the oldest first, as in the example",
    );
    for (const listed of answer.json.result) {
      assertKeys(listed, ["id", "created", "modified", "meta"], FURTHER_LISTED_KEYS);
      assert.equal(listed.uid, listed.id);
      assert.match(listed.created, TIME);
      assert.match(listed.modified, TIME);
    }
    const metas = Object.fromEntries(answer.json.result.map(({ id, meta }) => [id, meta]));
    assert.deepEqual(metas, { [input.uid]: { name: "test stream 1" }, [bare.uid]: {} });
  });

  await t.test("list outputs for an input, two of them alike", async () => {
    second = await control.createOutput(input.uid, { url, streamKey: key });
    const answer = await control.api("GET", `/live_inputs/${input.uid}/outputs`);
    assertSuccess(answer);
    assert.deepEqual(
      answer.json.result.map(({ uid }) => uid),
      [first.uid, second.uid],
    );
    for (const output of answer.json.result) assertOutput(output, url, key);
  });

  await t.test("delete an output", async () => {
    const path = `/live_inputs/${input.uid}/outputs/${first.uid}`;
    const answer = await control.api("DELETE", path);
    assertSuccess(answer);
    assert.equal(answer.json.result, null);
    const left = await control.api("GET", `/live_inputs/${input.uid}/outputs`);
    assert.deepEqual(
      left.json.result.map(({ uid }) => uid),
      [second.uid],
    );
    assert.equal((await control.api("DELETE", path)).status, 404);
  });

  await t.test("delete a live input, and its outputs with it", async () => {
    const answer = await control.api("DELETE", `/live_inputs/${input.uid}`);
    assertSuccess(answer);
    assert.equal(answer.json.result, null);
    assert.equal((await control.api("GET", `/live_inputs/${input.uid}`)).status, 404);
    assert.equal((await control.api("GET", `/live_inputs/${input.uid}/outputs`)).status, 404);
    assert.deepEqual(await control.sql("SELECT * FROM outputs"), []);
  });
});

test("both prefixes serve the same", async () => {
  const { uid } = await control.createInput();
  const path = `/accounts/${control.account}/stream/live_inputs/${uid}`;
  for (const prefix of ["", "/client/v4"]) {
    const answer = await control.request("GET", prefix + path);
    assert.equal((await answer.json()).result.uid, uid);
  }
});

test("a curl command names no JSON, and a program may", async () => {
  for (const type of ["application/x-www-form-urlencoded", "application/json", "text/plain"]) {
    const answer = await control.api("POST", "/live_inputs", {
      body: '{"meta":{"name":"typed"}}',
      headers: { "content-type": type },
    });
    assertSuccess(answer);
  }
});

test("meta comes back as it was sent", async () => {
  const meta = '{"name":"é\\u0041","n":1.50,"nested":{"b":[1,2,null],"a":{}}}';
  const { uid } = await control.createInput(`{"meta":${meta}}`);
  const answer = await control.api("GET", `/live_inputs/${uid}`);
  assert.ok(answer.text.includes(`"meta":${meta}`), answer.text);
});

test("an update changes what it names, and nothing else", async () => {
  const input = await control.createInput('{"meta":{"name":"before"}}');
  const path = `/live_inputs/${input.uid}`;
  const off = await control.api("PUT", path, { body: { enabled: false } });
  assertSuccess(off);
  assert.deepEqual({ ...off.json.result, modified: null }, {
    ...input,
    enabled: false,
    modified: null,
  });
  const renamed = await control.api("PUT", path, { body: { meta: { name: "after" } } });
  assertSuccess(renamed);
  assert.deepEqual(renamed.json.result.meta, { name: "after" });
  assert.equal(renamed.json.result.enabled, false);
  assert.deepEqual((await control.api("GET", path)).json, renamed.json);

  const output = await control.createOutput(input.uid);
  const silent = await control.api("PUT", `${path}/outputs/${output.uid}`, {
    body: { enabled: false },
  });
  assertSuccess(silent);
  assert.deepEqual(silent.json.result, {
    ...output,
    enabled: false,
    status: { ...output.status, state: "disabled" },
  });
});

test("no answer may be kept by a cache, and each has an id", async () => {
  const ids = new Set();
  for (const path of ["/live_inputs", "/nothing", `/live_inputs/${"0".repeat(32)}`]) {
    const { headers } = await control.api("GET", path);
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    const ray = headers.get("cf-ray");
    assert.match(ray, /^[0-9a-f]{16}-[A-Z]{3}$/);
    ids.add(ray);
  }
  assert.equal(ids.size, 3);
});
