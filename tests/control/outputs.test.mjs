// Outputs: read and changed one by one, and whatever people type as a URL or a key.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, expectResult, hexId, secret, startControl } from "./support.mjs";

let control, input, path;
before(async () => {
  // No networks of the operator's, as it is by default.
  control = await startControl({
    OUTPUT_NETWORKS: "",
    INGEST_RTMPS_URL: "rtmps://ingest.example.com:443/live/",
    MAX_OUTPUTS_PER_INPUT: "1000",
  });
  input = await control.createInput();
  path = `/live_inputs/${input.uid}/outputs`;
});
after(() => control.close());

test("one output is read as in the list", async () => {
  const body = { url: "rtmp://a.example.com/live", streamKey: secret(), meta: { name: "A" } };
  const output = await control.createOutput(input.uid, body);
  const { status, configuration, ...rest } = output;
  assert.deepEqual(rest, { uid: output.uid, enabled: true, ...body });
  assert.deepEqual([status.state, configuration], ["idle", "applied"]);
  const one = await control.api("GET", `${path}/${output.uid}`);
  assert.deepEqual(expectResult(one), output);
  const listed = expectResult(await control.api("GET", path));
  assert.deepEqual(
    listed.find(({ uid }) => uid === output.uid),
    output,
  );
  assertRefused(await control.api("GET", `${path}/${hexId()}`), 404, 10003);
  const other = await control.createInput();
  const elsewhere = `/live_inputs/${other.uid}/outputs/${output.uid}`;
  assertRefused(await control.api("GET", elsewhere), 404, 10003);
});

test("url, key and name are changed in place", async () => {
  const output = await control.createOutput(input.uid);
  const one = `${path}/${output.uid}`;
  let expected = output;
  for (const change of [
    { url: "rtmps://b.example.com:4443/app?x=1" },
    { streamKey: secret() },
    { meta: { name: "B", tags: [1, null] } },
    { enabled: false },
    { url: "rtmp://c.example.com/live", streamKey: "", meta: {}, enabled: true },
    {},
  ]) {
    expected = { ...expected, ...change };
    const state = expected.enabled ? "idle" : "disabled";
    expected.status = { ...expected.status, state };
    assert.deepEqual(expectResult(await control.api("PUT", one, { body: change })), expected);
    assert.deepEqual(expectResult(await control.api("GET", one)), expected);
  }
  const cleared = expectResult(await control.api("PUT", one, { body: { meta: null } }));
  assert.deepEqual(cleared, { ...expected, meta: {} });
});

test("the node of a broadcast is told of a changed destination", async () => {
  const { uid, rtmps } = await control.createInput();
  const output = await control.createOutput(uid);
  const instance = hexId();
  const accepted = await control.publish("fra-1", instance, rtmps.streamKey);
  const { rev } = accepted.json.snapshot;
  const link = await control.link("fra-1", instance, { [uid]: rev });
  await link.next("reconciliation");
  const change = { url: "rtmps://d.example.com/app", streamKey: secret() };
  const one = `/live_inputs/${uid}/outputs/${output.uid}`;
  expectResult(await control.api("PUT", one, { body: change }));
  const told = await link.snapshot(uid, rev + 1);
  assert.deepEqual(told.wish.outputs[0].target, {
    kind: "rtmp",
    url: change.url,
    stream_key: change.streamKey,
  });
  link.close();
});

test("two outputs with the same url and key get a remark", async () => {
  const { uid } = await control.createInput();
  const outputs = `/live_inputs/${uid}/outputs`;
  const streamKey = secret();
  const create = (url, key) =>
    control.api("POST", outputs, { body: { url, streamKey: key }, headers: {} });
  const first = await create("rtmps://a.example.com/live", streamKey);
  assert.deepEqual(first.json.messages, []);
  const otherKey = await create("rtmps://a.example.com/live", secret());
  assert.deepEqual(otherKey.json.messages, []);
  const same = await create("rtmps://A.example.com:443/live/", streamKey);
  assert.equal(same.status, 200);
  assert.equal(same.json.messages.length, 1);
  assert.equal(same.json.messages[0].code, 10200);
  assert.ok(same.json.messages[0].message.includes(first.json.result.uid));
  assert.ok(!JSON.stringify(same.json.messages).includes(streamKey));
  const update = (output, body) =>
    control.api("PUT", `${outputs}/${output.json.result.uid}`, { body });
  const changed = await update(otherKey, { streamKey });
  assert.equal(changed.json.messages.length, 2);
  const apart = await update(otherKey, { url: "rtmps://b.example.com/live" });
  assert.deepEqual(apart.json.messages, []);
});

test("urls and keys come back to the letter", async (t) => {
  const url = "rtmp://a.example.com/live";
  for (const [name, body] of [
    ["a query", { url: "rtmps://a.example.com/live2?backup=1&a=%20b", streamKey: "k" }],
    ["a port", { url: "rtmp://a.example.com:65535/live", streamKey: "k" }],
    ["a slash at the end", { url: "rtmp://a.example.com/live/", streamKey: "k" }],
    ["a path of several parts", { url: "rtmp://a.example.com/a/b//c", streamKey: "k" }],
    ["IPv4", { url: "rtmp://8.8.8.8/live", streamKey: "k" }],
    ["IPv6", { url: "rtmp://[2600:1f00::1]:1935/live", streamKey: "k" }],
    ["a name in capitals", { url: "RTMP://A.Example.COM/Live", streamKey: "k" }],
    ["an internationalised name", { url: "rtmp://bücher.example/live", streamKey: "k" }],
    ["a name in Japanese", { url: "rtmp://例え.テスト/live", streamKey: "k" }],
    ["a user name and a password", { url: "rtmps://me:p%40ss@a.example.com/live", streamKey: "k" }],
    ["a longest url", { url: `${url}/${"a".repeat(2048 - url.length - 1)}`, streamKey: "k" }],
    ["a key with ?, /, & and =", { url, streamKey: "a?b=c&d=/e#f%20" }],
    ["a key with blanks at its ends", { url, streamKey: "  key  " }],
    ["a key of blanks", { url, streamKey: "   " }],
    ["a key with quotes", { url, streamKey: "'\"\\;--`$(id)" }],
    ["a key beyond ASCII", { url, streamKey: "ключ-🔑-鍵" }],
    ["a longest key", { url, streamKey: "k".repeat(1024) }],
    ["a longest key of other letters", { url, streamKey: "é".repeat(512) }],
    ["meta of any JSON", { url, streamKey: "k", meta: { a: [1.5, null, { b: "\u0000é🔑" }] } }],
  ]) {
    await t.test(name, async () => {
      const { uid } = await control.createOutput(input.uid, body);
      const read = expectResult(await control.api("GET", `${path}/${uid}`));
      const { status, configuration, ...rest } = read;
      assert.deepEqual(rest, { uid, enabled: true, meta: {}, ...body });
      const changed = await control.api("PUT", `${path}/${uid}`, { body });
      assert.deepEqual(expectResult(changed), read);
    });
  }
});

test("what cannot be used is refused with its field, and changes nothing", async (t) => {
  const output = await control.createOutput(input.uid);
  const url = "rtmp://a.example.com/live";
  for (const [name, body, pointer] of [
    ["a user name alone", { url: "rtmp://me@a.example.com/live" }, "/url"],
    ["a user name and an empty password", { url: "rtmp://me:@a.example.com/live" }, "/url"],
    ["a password with an @", { url: "rtmp://me:p@ss@a.example.com/live" }, "/url"],
    ["an empty user name", { url: "rtmp://@a.example.com/live" }, "/url"],
    ["port 0", { url: "rtmp://a.example.com:0/live" }, "/url"],
    ["port 70000", { url: "rtmp://a.example.com:70000/live" }, "/url"],
    ["a port of letters", { url: "rtmp://a.example.com:rtmp/live" }, "/url"],
    ["a fragment", { url: "rtmp://a.example.com/live#a" }, "/url"],
    ["a blank", { url: "rtmp://a.example.com/li ve" }, "/url"],
    ["a blank at the end", { url: `${url} ` }, "/url"],
    ["a line end", { url: `${url}\n` }, "/url"],
    ["a zero", { url: `${url}\u0000` }, "/url"],
    ["no application", { url: "rtmp://a.example.com" }, "/url"],
    ["a query alone", { url: "rtmp://a.example.com/?a=b" }, "/url"],
    ["no host", { url: "rtmp:///live" }, "/url"],
    ["an escaped host", { url: "rtmp://%31%32%37.0.0.1/live" }, "/url"],
    ["a decimal host", { url: "rtmp://2130706433/live" }, "/url"],
    ["an octal host", { url: "rtmp://0177.0.0.1/live" }, "/url"],
    ["a hexadecimal host", { url: "rtmp://0x7f000001/live" }, "/url"],
    ["a short address", { url: "rtmp://127.1/live" }, "/url"],
    ["loopback", { url: "rtmp://127.0.0.1/live" }, "/url"],
    ["loopback, IPv6", { url: "rtmp://[::1]/live" }, "/url"],
    ["loopback, mapped", { url: "rtmp://[::ffff:127.0.0.1]/live" }, "/url"],
    ["loopback in wide digits", { url: "rtmp://１２７.0.0.1/live" }, "/url"],
    ["localhost", { url: "rtmp://LocalHost/live" }, "/url"],
    ["below localhost", { url: "rtmp://a.localhost./live" }, "/url"],
    ["a name of the local network", { url: "rtmp://printer.local/live" }, "/url"],
    ["a private address", { url: "rtmp://192.168.1.1/live" }, "/url"],
    ["a link-local address", { url: "rtmp://169.254.169.254/live" }, "/url"],
    ["a unique local address", { url: "rtmp://[fd00::1]/live" }, "/url"],
    ["a multicast address", { url: "rtmp://224.0.0.1/live" }, "/url"],
    ["no address", { url: "rtmp://0.0.0.0/live" }, "/url"],
    ["the relay's own ingest", { url: "rtmps://ingest.example.com/live" }, "/url"],
    ["the same, plain", { url: "rtmp://INGEST.example.com.:443/live" }, "/url"],
    ["a url too long", { url: `${url}/${"a".repeat(2048 - url.length)}` }, "/url"],
    ["a key with a line end", { streamKey: "key\n" }, "/streamKey"],
    ["a key with a zero", { streamKey: "k\u0000" }, "/streamKey"],
    ["a key with a control character", { streamKey: "k\u0085" }, "/streamKey"],
    ["a key too long", { streamKey: "k".repeat(1025) }, "/streamKey"],
    ["a key too long in bytes", { streamKey: "é".repeat(513) }, "/streamKey"],
    ["a key that is a number", { streamKey: 12345 }, "/streamKey"],
    ["meta that is no object", { meta: [] }, "/meta"],
    ["meta too long", { meta: { name: "n".repeat(16 * 1024) } }, "/meta"],
  ]) {
    await t.test(name, async () => {
      const before = await control.rows();
      for (const [method, where] of [
        ["POST", path],
        ["PUT", `${path}/${output.uid}`],
      ]) {
        const whole = method === "POST" ? { url, streamKey: "k", ...body } : body;
        const answer = await control.api(method, where, { body: whole });
        assertRefused(answer, 400, 10005);
        assert.equal(answer.json.errors[0].source.pointer, pointer, answer.text);
      }
      assert.equal(await control.rows(), before);
    });
  }
});

test("JSON nested too deep, or with half a character, is refused", async () => {
  const before = await control.rows();
  const rest = '"url":"rtmp://a.example.com/live","streamKey":"k"';
  for (const meta of [
    `{"a":${"[".repeat(200)}${"]".repeat(200)}}`,
    '{"a":"\\ud800"}',
    '{"a":1e999}',
    '{"a":NaN}',
  ]) {
    const answer = await control.api("POST", path, { body: `{${rest},"meta":${meta}}` });
    assertRefused(answer, 400, 10005);
  }
  assert.equal(await control.rows(), before);
});

test("an operator's networks are allowed, and no others", async () => {
  const within = await startControl({
    OUTPUT_NETWORKS: "10.1.0.0/16, 127.0.0.1",
    OUTPUT_PORTS: "25",
    INGEST_RTMPS_URL: "rtmps://localhost:1936/live/",
  });
  try {
    const { uid } = await within.createInput();
    const create = async (host) => {
      const body = { url: `rtmp://${host}/live`, streamKey: "k" };
      return (await within.api("POST", `/live_inputs/${uid}/outputs`, { body })).status;
    };
    for (const host of ["10.1.2.3", "127.0.0.1", "localhost", "studio.local", "8.8.8.8", "10.1.2.3:25"]) {
      assert.equal(await create(host), 200, host);
    }
    for (const host of ["10.2.0.1", "127.0.0.2", "[::1]", "192.168.0.1", "localhost:1936", "10.1.2.3:22", "8.8.8.8:6379"]) {
      assert.equal(await create(host), 400, host);
    }
  } finally {
    await within.close();
  }
});
