// How often an answer waits for storage: a read two times at most, a change three times.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { migrated, Plain, ROOT, signUp, workerOptions, wrap } from "./plain.mjs";
import { fetch } from "./scan.mjs";
import { hashed, hexId, PERMISSIONS } from "./support.mjs";

const END_POINTS = JSON.parse(
  readFileSync(`${ROOT}/control-worker/core/src/route/end_points.json`, "utf8"),
);

/** Bodies of the end points that need one. */
const OUTPUT = { url: "rtmp://a.example.com/live2", streamKey: "k" };
const account = hexId();
const TOKEN = {
  name: "made",
  policies: [
    {
      effect: "allow",
      resources: { [`com.cloudflare.api.account.${account}`]: "*" },
      permission_groups: [{ id: "de21485a24744b76a004aa153898f7fe" }],
    },
  ],
};
/** What the operator's secret opens. */
const OPERATORS = END_POINTS.filter(([, , who]) => who === "operator").map(([, template]) => template);
const ALERTING = "/accounts/:account/alerting/v3";
const RECEIVER = { name: "made", url: "https://hooks.example/" };
const POLICY = { name: "made", alert_type: "stream_live_notifications" };
const WEBHOOK = { notificationUrl: RECEIVER.url };
const BODIES = {
  "POST /accounts": { name: "made" },
  "PUT /accounts/:account/stream/webhook": WEBHOOK,
  [`POST ${ALERTING}/destinations/webhooks`]: RECEIVER,
  [`PUT ${ALERTING}/destinations/webhooks/:destination`]: RECEIVER,
  [`POST ${ALERTING}/policies`]: ({ destination }) => ({
    ...POLICY,
    mechanisms: { webhooks: [{ id: destination }] },
  }),
  "POST /accounts/:account/tokens": TOKEN,
  "POST /accounts/:account/stream/live_inputs/:input/outputs": OUTPUT,
};

const token = `sct_${randomBytes(32).toString("hex")}`;
const bootstrap = `sco_${randomBytes(32).toString("hex")}`;
let plain, url;

before(async () => {
  const worker = workerOptions("worker", `1:${randomBytes(32).toString("hex")}`);
  worker.bindings.BOOTSTRAP_TOKEN = bootstrap;
  wrap(worker, "counted.mjs");
  plain = await Plain.start(worker);
  const all = Object.values(PERMISSIONS).reduce((sum, bit) => sum + bit, 0);
  await signUp(await migrated(plain.runtime, "worker"), account, hashed(token), all);
  url = await plain.url();
  // The first request finds out who asks; the next ones know.
  await ask("GET", "/accounts/:account/stream/live_inputs", {});
  const tokens = await plain.runtime.getKVNamespace("TOKENS", "worker");
  while ((await tokens.list()).keys.length === 0) await ask("GET", "/health", {});
});
after(() => plain.end());

async function ask(method, template, ids) {
  const path = template.replace(/:(\w+)/g, (_, name) => {
    const id = { account, ...ids }[name];
    assert.ok(id, `no example of :${name}: make one in \`examples\``);
    return id;
  });
  const given = BODIES[`${method} ${template}`];
  const body = typeof given === "function" ? given(ids) : given;
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${OPERATORS.includes(template) ? bootstrap : token}` },
    body: body && JSON.stringify(body),
  });
  const { result, success } = await answer.json();
  const trips = answer.headers.get("x-round-trips").split(" ").filter(Boolean);
  return { success, result, trips };
}

/** What the paths name, made anew. */
async function examples() {
  const inputs = "/accounts/:account/stream/live_inputs";
  const input = (await ask("POST", inputs, {})).result.uid;
  const output = (await ask("POST", `${inputs}/:input/outputs`, { input })).result.uid;
  const made = (await ask("POST", "/accounts/:account/tokens", {})).result.id;
  const webhooks = `${ALERTING}/destinations/webhooks`;
  // An account takes 20.
  for (const { id } of (await ask("GET", webhooks, {})).result) {
    await ask("DELETE", `${webhooks}/:destination`, { destination: id });
  }
  const destination = (await ask("POST", webhooks, {})).result.id;
  const policies = `${ALERTING}/policies`;
  for (const { id } of (await ask("GET", policies, {})).result) {
    await ask("DELETE", `${policies}/:policy`, { policy: id });
  }
  const policy = (await ask("POST", policies, { destination })).result.id;
  await ask("PUT", "/accounts/:account/stream/webhook", {});
  return { input, output, token: made, destination, policy };
}

for (const [method, template, who] of END_POINTS) {
  if (who === "relay") continue;
  test(`${method} ${template}`, async () => {
    const { success, trips } = await ask(method, template, await examples());
    // Two answer without an envelope; streams say how to ask for them, after all has been read.
    assert.equal(success === false, template.endsWith("/events"));
    assert.ok(trips.length <= (method === "GET" ? 2 : 3), trips.join(", "));
    // Who asks is looked up: nothing has escaped the count.
    assert.ok(trips.length > 0 || who === "anybody");
  });
}

test("the count sees each kind of call", async () => {
  const inputs = "/accounts/:account/stream/live_inputs";
  const read = await ask("GET", inputs, {});
  assert.deepEqual(read.trips, ["TOKENS.get", "DB.batch"]);
  const made = await ask("POST", inputs, {});
  assert.deepEqual(made.trips, ["TOKENS.get", "LIVE_INPUT.fetch", "DB.batch"]);
  const { uid: input } = made.result;
  const { trips } = await ask("GET", `${inputs}/:input`, { input });
  assert.deepEqual(trips, ["TOKENS.get", "DB.batch+LIVE_INPUT.fetch"], "both at once");
});
