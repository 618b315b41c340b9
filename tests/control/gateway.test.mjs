// The manners of the gateway: ids of requests, limits, web pages, methods that are not end points.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertRefused, eventually, hexId, ROOT, startControl } from "./support.mjs";

const LIMIT = 30;
const DASHBOARD = "https://dashboard.example.com";

let control;
before(async () => {
  control = await startControl({
    RATE_LIMIT_PER_MINUTE: String(LIMIT),
    DASHBOARD_ORIGINS: `${DASHBOARD}, http://localhost:5173`,
  });
});
after(() => control.close());

/** Waits until the minute of the clock has some seconds left, so that a test fits into it. */
async function withinMinute() {
  const left = () => 60_000 - (Date.now() % 60_000);
  if (left() < 10_000) {
    await eventually("the next minute", () => left() > 10_000);
  }
}

async function list(token, headers = {}) {
  return control.api("GET", "/live_inputs", { token, headers });
}

test("a token has so many requests a minute", async () => {
  await withinMinute();
  const token = await control.addToken({ account: control.account });
  const other = await control.addToken({ account: control.account });
  for (let n = 1; n <= LIMIT; n++) {
    const answer = await list(token);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get("ratelimit-policy"), `"default";q=${LIMIT};w=60`);
    const [, left, seconds] = answer.headers.get("ratelimit").match(/^"default";r=(\d+);t=(\d+)$/);
    assert.equal(Number(left), LIMIT - n);
    assert.ok(Number(seconds) >= 1 && Number(seconds) <= 60);
    assert.equal(answer.headers.get("retry-after"), null);
  }
  const before = await control.rows();
  const refused = await control.api("POST", "/live_inputs", { token, body: {} });
  assertRefused(refused, 429, 10429);
  const wait = Number(refused.headers.get("retry-after"));
  assert.ok(wait >= 1 && wait <= 59, `retry-after: ${wait}`);
  assert.equal(refused.headers.get("x-should-retry"), null);
  assert.equal(await control.rows(), before);
  assert.equal((await list(other)).status, 200, "each token has its own");
  assert.equal((await control.request("GET", "/health", { token: null })).status, 200);
});

test("a relay node is not limited", async () => {
  await withinMinute();
  for (let n = 0; n < 2 * LIMIT; n++) {
    const { status } = await control.publish("fra-1", hexId(), `${hexId()}k${hexId()}`);
    assert.equal(status, 200);
  }
});

test("the runtime's limiter counts where it is bound", async () => {
  const folder = mkdtempSync(join(tmpdir(), "stream-connect-limiter-"));
  const text = readFileSync(join(ROOT, "wrangler.toml"), "utf8")
    .replaceAll(/"(control-worker|dashboard)\//g, `"${ROOT}$1/`)
    .replaceAll(/^# (?=\[\[ratelimits|name = "RATE|namespace_id|simple = )/gm, "")
    .replace("limit = 240", `limit = ${LIMIT}`);
  assert.match(text, /^\[\[ratelimits\]\]$/m);
  const path = join(folder, "wrangler.toml");
  writeFileSync(path, text);
  const limited = await startControl({ RATE_LIMIT_PER_MINUTE: String(LIMIT) }, {}, path);
  try {
    await withinMinute();
    const answers = [];
    for (let n = 0; n <= LIMIT; n++) answers.push(await limited.api("GET", "/live_inputs"));
    assert.deepEqual(answers.map(({ status }) => status), [...Array(LIMIT).fill(200), 429]);
    assert.equal(answers[0].headers.get("ratelimit"), null, "it does not say how many are left");
    assert.match(answers[0].headers.get("ratelimit-policy"), /q=30/);
    assertRefused(answers[LIMIT], 429, 10429);
    assert.match(answers[LIMIT].headers.get("retry-after"), /^\d+$/);
  } finally {
    await limited.close();
    rmSync(folder, { recursive: true });
  }
});

test("only the dashboard's pages may ask", async (t) => {
  for (const [origin, allowed] of [
    [DASHBOARD, true],
    ["http://localhost:5173", true],
    ["https://dashboard.example.com.evil.example", false],
    ["https://evil.example", false],
    ["null", false],
  ]) {
    await t.test(origin, async () => {
      const asked = await control.request("OPTIONS", `/accounts/${control.account}/tokens`, {
        token: null,
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization, x-stainless-lang",
        },
      });
      assert.equal(asked.status, 204);
      assert.equal(await asked.text(), "");
      assert.equal(asked.headers.get("content-type"), null);
      assert.equal(asked.headers.get("access-control-allow-origin"), allowed ? origin : null);
      const methods = asked.headers.get("access-control-allow-methods");
      assert.equal(methods, allowed ? "GET, POST" : null);
      const named = asked.headers.get("access-control-allow-headers") ?? "";
      assert.equal(named.includes("x-stainless-lang"), allowed);
      assert.equal(asked.headers.get("access-control-allow-credentials"), null);

      // A failure can be read as well.
      for (const path of ["/health", "/nothing"]) {
        const { headers } = await control.request("GET", path, { token: null, headers: { origin } });
        assert.equal(headers.get("access-control-allow-origin"), allowed ? origin : null);
        assert.match(headers.get("vary"), /origin/i);
      }
    });
  }
});

test("OPTIONS says what a path has", async () => {
  const path = `/client/v4/accounts/${control.account}/stream/live_inputs`;
  const answer = await control.request("OPTIONS", path, { token: null });
  assert.equal(answer.status, 204);
  assert.equal(answer.headers.get("allow"), "GET, POST");
  assertRefused(await control.ask("OPTIONS", "/nothing", { token: null }), 404, 7003);
});

test("HEAD is GET without a body", async () => {
  const health = await control.request("HEAD", "/health", { token: null });
  assert.equal(health.status, 200);
  assert.equal(await health.text(), "");
  const path = `/client/v4/accounts/${control.account}/stream/live_inputs`;
  assert.equal((await control.request("HEAD", path, { token: null })).status, 400);
  const token = await control.addToken({ account: control.account });
  assert.equal((await control.request("HEAD", path, { token })).status, 200);
});

test("the platform's id of a request is kept, and its log lines have it", async () => {
  const ray = "8f2a0c4b9d1e6f37";
  const { headers } = await control.request("GET", "/health", {
    token: null,
    headers: { "cf-ray": `${ray}-FRA` },
  });
  assert.equal(headers.get("cf-ray"), `${ray}-FRA`);
  const other = await control.request("GET", "/health", {
    token: null,
    headers: { "cf-ray": "made up" },
  });
  assert.match(other.headers.get("cf-ray"), /^[0-9a-f]{16}-XXX$/);
});

test("what an object logs names the request on whose behalf it was asked", async () => {
  const token = await control.addToken({ account: control.account });
  const made = await control.api("POST", "/live_inputs", { token, body: {} });
  const { uid } = made.json.result;
  await control.sql(
    "CREATE TRIGGER fails BEFORE UPDATE ON live_inputs BEGIN SELECT raise(ABORT, 'broken'); END",
  );
  try {
    const body = { enabled: false };
    const answer = await control.api("PUT", `/live_inputs/${uid}`, { token, body });
    assert.ok(answer.status >= 500, answer.text);
    const ray = answer.headers.get("cf-ray");
    const lines = control.logs();
    assert.ok(lines.includes(`${ray}: a live input's batch failed`), "the object's line");
    assert.ok(lines.includes(`${ray}: answering a request failed`), "the Worker's line");
  } finally {
    await control.sql("DROP TRIGGER fails");
  }
});

// The last: for the rest of its minute no other token would be looked up.
test("who guesses tokens soon asks the database no more", async () => {
  await withinMinute();
  const statuses = [];
  for (let n = 0; n <= 2 * LIMIT; n++) {
    const token = `${String(n).padStart(4, "0")}${"g".repeat(40)}`;
    statuses.push((await list(token)).status);
  }
  assert.ok(statuses.includes(403), String(statuses));
  assert.equal(statuses.at(-1), 429, String(statuses));
});
