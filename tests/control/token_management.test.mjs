// Tokens by the API: made, read, changed, rolled and taken away, and what the operator does first.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, expectResult, hexId, startControl } from "./support.mjs";

const BOOTSTRAP = `sco_${"b".repeat(40)}`;
const STREAM_READ = "de21485a24744b76a004aa153898f7fe";
const STREAM_WRITE = "714f9c13a5684c2885a793f5edb36f59";
const TOKENS_WRITE = "5bc3f8b21c554832afc660159ab75fa4";

let control;
before(async () => (control = await startControl({}, { BOOTSTRAP_TOKEN: BOOTSTRAP })));
after(() => control.close());

function policies(account, ...groups) {
  return [
    {
      effect: "allow",
      resources: { [`com.cloudflare.api.account.${account}`]: "*" },
      permission_groups: groups.map((id) => ({ id })),
    },
  ];
}

function tokens(method, path, options = {}) {
  const account = options.account ?? control.account;
  return control.ask(method, `/client/v4/accounts/${account}/tokens${path}`, options);
}

async function create(...groups) {
  const body = { name: "made", policies: policies(control.account, ...groups) };
  return expectResult(await tokens("POST", "", { body }));
}

async function opens(token) {
  return (await control.api("GET", "/live_inputs", { token })).status;
}

test("a token's life", async () => {
  const made = await create(STREAM_READ);
  assert.match(made.value, /^[0-9A-Za-z_-]{40,80}$/);
  assert.equal(made.status, "active");
  assert.match(made.issued_on, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(made.policies[0].permission_groups[0].name, "Stream Read");

  // A read token reads, keys included, and changes nothing.
  const input = await control.createInput();
  const token = made.value;
  const read = await control.api("GET", `/live_inputs/${input.uid}`, { token });
  assert.equal(read.json.result.rtmps.streamKey, input.rtmps.streamKey);
  const before = await control.rows();
  assertRefused(await control.api("POST", "/live_inputs", { token, body: {} }), 403, 10000);
  assertRefused(await tokens("GET", "", { token }), 403, 10000);
  assert.equal(await control.rows(), before);

  // The secret is shown this once.
  const { value, ...shown } = made;
  const one = await tokens("GET", `/${made.id}`);
  assert.deepEqual(one.json.result, shown);
  assert.ok(!one.text.includes(value));
  assert.ok(!(await tokens("GET", "")).text.includes(value));

  const body = { name: "writer", policies: policies(control.account, STREAM_WRITE) };
  const changed = expectResult(await tokens("PUT", `/${made.id}`, { body }));
  assert.equal(changed.name, "writer");
  assert.equal(changed.issued_on, made.issued_on);
  // The look-up may be remembered, with what the token could do before.
  await control.remembersNothing();
  expectResult(await control.api("POST", "/live_inputs", { token, body: {} }));

  const gone = await tokens("DELETE", `/${made.id}`);
  assert.deepEqual(gone.json.result, { id: made.id });
  assertRefused(await control.api("POST", "/live_inputs", { token, body: {} }), 403, 9109);
  assertRefused(await tokens("GET", `/${made.id}`), 404, 10003);
  assertRefused(await tokens("DELETE", `/${made.id}`), 404, 10003);
});

test("a rolled token's old secret changes nothing at once", async () => {
  const made = await create(STREAM_WRITE);
  assert.equal(await opens(made.value), 200);
  await control.remembers(made.value);
  const answer = await tokens("PUT", `/${made.id}/value`, { body: {} });
  const value = expectResult(answer);
  assert.match(value, /^[0-9A-Za-z_-]{40,80}$/);
  assert.notEqual(value, made.value);
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const before = await control.rows();
  const old = await control.api("POST", "/live_inputs", { token: made.value, body: {} });
  assertRefused(old, 403, 9109);
  assert.equal(await control.rows(), before);
  expectResult(await control.api("POST", "/live_inputs", { token: value, body: {} }));
  assert.equal((await tokens("GET", `/${made.id}`)).json.result.id, made.id);
});

test("a token may not end its own right to manage tokens", async () => {
  const made = await create(TOKENS_WRITE);
  const token = made.value;
  const body = { name: "less", policies: policies(control.account, STREAM_READ) };
  const before = await control.sql("SELECT * FROM tokens ORDER BY id");
  assertRefused(await tokens("PUT", `/${made.id}`, { token, body }), 403, 10000);
  assertRefused(
    await tokens("PUT", `/${made.id}`, { token, body: { status: "disabled" } }),
    403,
    10000,
  );
  assertRefused(await tokens("DELETE", `/${made.id}`, { token }), 403, 10000);
  assert.deepEqual(await control.sql("SELECT * FROM tokens ORDER BY id"), before);
  // But it may get a new secret, which the answer shows.
  const value = expectResult(await tokens("PUT", `/${made.id}/value`, { token, body: {} }));
  expectResult(await tokens("GET", `/${made.id}`, { token: value }));
  expectResult(await tokens("DELETE", `/${made.id}`));
});

test("a token that is switched off or expires", async () => {
  const made = await create(STREAM_READ);
  const off = await tokens("PUT", `/${made.id}`, { body: { status: "disabled" } });
  assert.equal(expectResult(off).status, "disabled");
  assertRefused(await control.api("GET", "/live_inputs", { token: made.value }), 403, 9109);
  await tokens("PUT", `/${made.id}`, { body: { status: "active" } });
  assert.equal(await opens(made.value), 200);

  const path = `/${made.id}`;
  for (const expires_on of ["2001-01-01T00:00:00Z", "soon", 5]) {
    const answer = await tokens("PUT", path, { body: { expires_on } });
    assertRefused(answer, 400, 10005);
    assert.equal(answer.json.errors[0].source.pointer, "/expires_on");
  }
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const limited = expectResult(await tokens("PUT", path, { body: { expires_on: later } }));
  assert.equal(Date.parse(limited.expires_on), Date.parse(later));
  const unlimited = expectResult(await tokens("PUT", path, { body: { expires_on: null } }));
  assert.equal(unlimited.expires_on, undefined);

  const condition = { request_ip: { in: ["192.0.2.0/24"] } };
  const answer = await tokens("PUT", path, { body: { condition } });
  assertRefused(answer, 400, 10005);
  assert.equal(answer.json.errors[0].source.pointer, "/condition");
});

test("lists come in pages, and of one account", async () => {
  const account = await control.addAccount();
  const token = await control.addToken({ account });
  for (const name of ["one", "two", "three"]) {
    const body = { name, policies: policies(account, STREAM_READ) };
    expectResult(await tokens("POST", "", { account, token, body }));
  }
  const list = async (query) => {
    const { json } = await tokens("GET", query, { account, token });
    return { names: json.result.map(({ name }) => name), info: json.result_info };
  };
  const first = await list("?page=1&per_page=3");
  assert.equal(first.names.length, 3);
  const info = { page: 1, per_page: 3, count: 3, total_count: 4 };
  assert.deepEqual(first.info, info);
  const second = await list("?page=2&per_page=3");
  const names = [...first.names, ...second.names];
  assert.deepEqual([...names].sort(), ["one", "test", "three", "two"]);
  assert.deepEqual((await list("?page=3&per_page=3")).names, []);
  assert.deepEqual((await list("?direction=desc")).names.at(-1), names[0]);
  for (const query of ["?page=0", "?per_page=101", "?direction=up"]) {
    assertRefused(await tokens("GET", query, { account, token }), 400, 10005);
  }
});

test("permission groups have Cloudflare's ids", async () => {
  const all = expectResult(await tokens("GET", "/permission_groups"));
  assert.deepEqual(all.find(({ name }) => name === "Stream Write"), {
    id: STREAM_WRITE,
    name: "Stream Write",
    scopes: ["com.cloudflare.api.account"],
    category: "media",
    is_selectable: true,
  });
  const one = expectResult(await tokens("GET", "/permission_groups?name=Stream%20Read"));
  assert.deepEqual(one.map(({ id }) => id), [STREAM_READ]);
});

test("a token asks whether it is good", async () => {
  const made = await create(STREAM_READ);
  const everywhere = ["/user/tokens/verify", `/accounts/${control.account}/tokens/verify`];
  for (const path of everywhere) {
    const { json } = await control.ask("GET", `/client/v4${path}`, { token: made.value });
    assert.deepEqual(json, {
      result: { id: made.id, status: "active" },
      success: true,
      errors: [],
      messages: [{ code: 10000, message: "This API Token is valid and active" }],
    });
  }
  // Not even for the minute in which its look-up is remembered.
  await control.remembers(made.value);
  await tokens("DELETE", `/${made.id}`);
  for (const path of everywhere) {
    const answer = await control.ask("GET", `/client/v4${path}`, { token: made.value });
    assertRefused(answer, 403, 9109);
  }
});

test("bodies that cannot be accepted make no token", async (t) => {
  const good = () => ({ name: "n", policies: policies(control.account, STREAM_READ) });
  for (const [name, change, pointer] of [
    ["no name", (body) => delete body.name, "/name"],
    ["no policies", (body) => delete body.policies, "/policies"],
    ["another account", (body) => (body.policies = policies(hexId(), STREAM_READ)), "/policies/0/resources"],
    ["an unknown group", (body) => (body.policies[0].permission_groups[0].id = "x"), "/policies/0/permission_groups/0/id"],
    ["a name too long", (body) => (body.name = "n".repeat(257)), "/name"],
  ]) {
    await t.test(name, async () => {
      const body = good();
      change(body);
      const before = await control.sql("SELECT count(*) AS n FROM tokens");
      const answer = await tokens("POST", "", { body });
      assertRefused(answer, 400, 10005);
      assert.equal(answer.json.errors[0].source.pointer, pointer);
      assert.deepEqual(await control.sql("SELECT count(*) AS n FROM tokens"), before);
    });
  }
});

test("the operator makes accounts, many at once", async () => {
  const names = Array.from({ length: 20 }, (_, n) => `account ${n}`);
  const made = await Promise.all(
    names.map(async (name) => {
      const answer = await control.ask("POST", "/client/v4/accounts", {
        token: BOOTSTRAP,
        body: { name },
      });
      assert.equal(answer.headers.get("cache-control"), "no-store");
      return expectResult(answer);
    }),
  );
  assert.deepEqual(made.map(({ name }) => name), names);
  assert.equal(new Set(made.map(({ id }) => id)).size, names.length);
  assert.equal(new Set(made.map(({ token }) => token.value)).size, names.length);
  const [first, second] = made;
  const token = first.token.value;
  const body = { name: "next", policies: policies(first.id, STREAM_READ) };
  expectResult(await tokens("POST", "", { account: first.id, token, body }));
  expectResult(await control.api("POST", "/live_inputs", { account: first.id, token, body: {} }));
  assertRefused(await control.api("GET", "/live_inputs", { account: second.id, token }), 403, 10000);
  assert.deepEqual(control.filesWith([token, BOOTSTRAP]), []);
});

test("nobody else makes accounts", async () => {
  const before = await control.sql("SELECT count(*) AS n FROM accounts");
  const body = { name: "mine" };
  for (const [token, status, code] of [
    [control.token, 403, 10000],
    [control.relayToken, 403, 10000],
    [`${BOOTSTRAP}b`, 403, 10000],
    ["x".repeat(40), 403, 10000],
    [null, 400, 9106],
  ]) {
    assertRefused(await control.ask("POST", "/client/v4/accounts", { token, body }), status, code);
  }
  const nameless = await control.ask("POST", "/accounts", { token: BOOTSTRAP, body: {} });
  assertRefused(nameless, 400, 10005);
  assertRefused(await control.api("GET", "/live_inputs", { token: BOOTSTRAP }), 403, 9109);
  assert.deepEqual(await control.sql("SELECT count(*) AS n FROM accounts"), before);
});
