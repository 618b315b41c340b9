// What cannot be done: the documented status and code, a sentence, and nothing changed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, hexId, secret, startControl } from "./support.mjs";

let control, input, output;
before(async () => {
  control = await startControl();
  input = await control.createInput();
  output = await control.createOutput(input.uid);
});
after(() => control.close());

/** Asks, expects the refusal, and looks whether any row changed. */
async function refused(t, name, method, path, options, status, code, pointer) {
  await t.test(name, async () => {
    const before = await control.rows();
    const answer = await control.api(method, path, options);
    assertRefused(answer, status, code);
    assert.equal(answer.json.errors[0].source?.pointer, pointer);
    assert.equal(await control.rows(), before);
  });
}

test("credentials of a wrong form", async (t) => {
  for (const [name, authorization] of [
    ["no scheme", control.token],
    ["another scheme", `Basic ${control.token}`],
    ["no token", "Bearer "],
    ["a token with a blank in it", "Bearer two words"],
  ]) {
    await t.test(name, async () => {
      const answer = await control.api("GET", "/live_inputs", {
        token: null,
        headers: { authorization },
      });
      assertRefused(answer, 400, 6003);
      assert.equal(answer.json.errors[0].error_chain[0].code, 6111);
    });
  }
});

test("ids, paths and methods", async (t) => {
  const unknown = hexId();
  for (const [method, path, options] of [
    ["GET", `/live_inputs/${unknown}`],
    ["DELETE", `/live_inputs/${unknown}`],
    ["GET", `/live_inputs/${unknown}/outputs`],
    [
      "POST",
      `/live_inputs/${unknown}/outputs`,
      { body: { url: "rtmp://a.example/live", streamKey: "k" } },
    ],
    ["DELETE", `/live_inputs/${unknown}/outputs/${output.uid}`],
    ["DELETE", `/live_inputs/${input.uid}/outputs/${unknown}`],
  ]) {
    const what = `${method} ${path.replace(unknown, ":unknown")}`;
    await refused(t, what, method, path, options, 404, 10003);
  }
  for (const path of [`/live_inputs/${input.uid}/nothing`, "/nothing", ""]) {
    await refused(t, `no route: ${path.replace(input.uid, ":input")}`, "GET", path, {}, 404, 7003);
  }
  for (const path of [
    "/live_inputs/short",
    `/live_inputs/${"A".repeat(32)}`,
    "/live_inputs/short/outputs",
  ]) {
    await refused(t, `no id: ${path}`, "GET", path, {}, 404, 10003);
  }
  await t.test("an account that cannot be one", async () => {
    assertRefused(await control.api("GET", "/live_inputs", { account: "me" }), 404, 7003);
  });
  for (const [method, path] of [
    ["DELETE", "/live_inputs"],
    ["PROPFIND", "/live_inputs"],
    ["PATCH", `/live_inputs/${input.uid}`],
    ["POST", `/live_inputs/${input.uid}`],
    ["PATCH", `/live_inputs/${input.uid}/outputs`],
    ["PATCH", `/live_inputs/${input.uid}/outputs/${output.uid}`],
    ["POST", `/live_inputs/${input.uid}/videos`],
  ]) {
    const what = `wrong method: ${method} ${path.replace(input.uid, ":input").replace(output.uid, ":output")}`;
    await refused(t, what, method, path, {}, 405, 10405);
  }
  await t.test("a wrong method names the right ones", async () => {
    const answer = await control.api("DELETE", "/live_inputs");
    assert.match(answer.headers.get("allow"), /GET/);
    assert.match(answer.headers.get("allow"), /POST/);
  });
});

test("bodies of live inputs", async (t) => {
  const create = (name, body, pointer, status = 400, code = 10005) =>
    refused(t, name, "POST", "/live_inputs", { body }, status, code, pointer);
  await create("no JSON", "{meta", "");
  await create("an array", "[]", "");
  await create("a string", '"meta"', "");
  await create("meta of a wrong type", '{"meta":"name"}', "/meta");
  await create("enabled of a wrong type", '{"enabled":"yes"}', "/enabled");
  await create("meta too long", { meta: { name: "n".repeat(16 * 1024) } }, "/meta");
  await create("a body too long", `{"x":"${"y".repeat(64 * 1024)}"}`, undefined, 413, 10413);
});

test("bodies of outputs", async (t) => {
  const url = "rtmp://a.example.com/live";
  const create = (name, body, pointer, status = 400, code = 10005) =>
    refused(
      t,
      name,
      "POST",
      `/live_inputs/${input.uid}/outputs`,
      { body },
      status,
      code,
      pointer,
    );
  await create("none", undefined, "/url");
  await create("no JSON", "url=rtmp://a.example.com/live", "");
  await create("no url", { streamKey: "k" }, "/url");
  await create("no streamKey", { url }, "/streamKey");
  await create("a url of a wrong type", { url: 1, streamKey: "k" }, "/url");
  await create("a streamKey of a wrong type", { url, streamKey: {} }, "/streamKey");
  await create("enabled of a wrong type", { url, streamKey: "k", enabled: 1 }, "/enabled");
  for (const scheme of ["http", "srt", "file"]) {
    await create(scheme, { url: `${scheme}://a.example.com/live`, streamKey: "k" }, "/url");
  }
  await create("a url without application", { url: "rtmp://a", streamKey: "k" }, "/url");
  await create("a url too long", { url: `${url}/${"a".repeat(2048)}`, streamKey: "k" }, "/url");
  await create("a streamKey too long", { url, streamKey: "k".repeat(1025) }, "/streamKey");
});

test("bodies of updates", async (t) => {
  const path = `/live_inputs/${input.uid}`;
  const update = (name, where, body, pointer) =>
    refused(t, name, "PUT", where, { body }, 400, 10005, pointer);
  await update("an input: no JSON", path, "{", "");
  await update("an input: meta of a wrong type", path, { meta: [] }, "/meta");
  await update("an input: enabled of a wrong type", path, { enabled: "no" }, "/enabled");
  const one = `${path}/outputs/${output.uid}`;
  await update("an output: enabled of a wrong type", one, { enabled: "no" }, "/enabled");
  await update("an output: a url that cannot be used", one, { url: "http://b.example/a" }, "/url");
  await update("an output: a url that is no text", one, { url: null }, "/url");
  await update("an output: a key with a line end", one, { streamKey: "k\n" }, "/streamKey");
  await update("an output: meta of a wrong type", one, { meta: "name" }, "/meta");
});

test("an empty key is a key", async () => {
  const created = await control.createOutput(input.uid, {
    url: "rtmp://a.example.com/live",
    streamKey: "",
  });
  assert.equal(created.streamKey, "");
});

test("what an answer refuses, it does not repeat", async () => {
  const key = secret();
  const answer = await control.api("POST", `/live_inputs/${input.uid}/outputs`, {
    body: `{"url": "http://a.example.com/", "streamKey": "${key}"}`,
  });
  assertRefused(answer, 400, 10005);
  assert.ok(!answer.text.includes(key));
});

test("a refusal that needs no body arrives although one was sent", async () => {
  const body = JSON.stringify({ meta: { name: "x".repeat(60_000) } });
  const nowhere = "/client/v4/accounts/null/stream/live_inputs";
  for (let round = 0; round < 100; round += 1) {
    assertRefused(await control.ask("POST", nowhere, { body }), 404, 7003);
  }
  const path = `/live_inputs/${(await control.createInput()).uid}`;
  assert.equal((await control.api("DELETE", path, { body })).status, 200);
});
