// Who may take which end point: each of those that the Worker serves, tried with every token that
// must not open it. The list is the one that the core's tests hold against its routes.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { EventStream } from "./event_stream.mjs";
import { assertRefused, expectResult, hexId, PERMISSIONS, ROOT, startControl } from "./support.mjs";

const END_POINTS = JSON.parse(
  readFileSync(`${ROOT}/control-worker/core/src/route/end_points.json`, "utf8"),
);

/** Bodies of the end points that look for what the path names only after the body is good. */
const BODIES = {
  "PUT /accounts/:account/alerting/v3/destinations/webhooks/:destination": {
    name: "n",
    url: "https://example.com/",
  },
  "POST /accounts/:account/stream/live_inputs/:input/outputs": {
    url: "rtmp://a.example.com/live",
    streamKey: "k",
  },
};

const POLICIES = (account) => [
  {
    effect: "allow",
    resources: { [`com.cloudflare.api.account.${account}`]: "*" },
    permission_groups: [{ id: "de21485a24744b76a004aa153898f7fe" }],
  },
];

let control, other, ids, tokens;
before(async () => {
  control = await startControl();
  other = await control.addAccount();
  const input = await control.createInput();
  const output = await control.createOutput(input.uid);
  const body = { name: "t", policies: POLICIES(control.account) };
  const path = `/client/v4/accounts/${control.account}/tokens`;
  const token = expectResult(await control.ask("POST", path, { body }));
  const alerting = (path, body) =>
    control.ask("POST", `/client/v4/accounts/${control.account}/alerting/v3/${path}`, { body });
  const receiver = { name: "n", url: "http://127.0.0.1:9/" };
  const destination = (await alerting("destinations/webhooks", receiver)).json.result;
  const policy = expectResult(
    await alerting("policies", {
      name: "n",
      alert_type: "stream_live_notifications",
      mechanisms: { webhooks: [destination] },
    }),
  );
  expectResult(
    await control.ask("PUT", `/client/v4/accounts/${control.account}/stream/webhook`, {
      body: { notificationUrl: receiver.url },
    }),
  );
  ids = {
    account: control.account,
    input: input.uid,
    output: output.uid,
    node: "fra-1",
    token: token.id,
    destination: destination.id,
    policy: policy.id,
  };
  tokens = { stranger: await control.addToken({ account: other }) };
  for (const name of Object.keys(PERMISSIONS)) {
    const permissions = Object.keys(PERMISSIONS).filter((one) => !grants(one, name));
    tokens[name] = await control.addToken({ account: control.account, permissions });
  }
});
after(() => control.close());

/** Whether a token with one permission may do what needs the other: who may write may read. */
function grants(has, needs) {
  return has === needs || has === needs.replace("Read", "Write");
}

function fill(template, replaced = {}) {
  const path = template.replace(/:(\w+)/g, (_, name) => {
    const id = { ...ids, ...replaced }[name];
    assert.ok(id, `no example of :${name}: add one to \`ids\``);
    return id;
  });
  return path.startsWith("/accounts/") ? `/client/v4${path}` : path;
}

async function refused(method, template, token, status, code, replaced) {
  const before = await control.rows();
  const body = method === "GET" ? undefined : (BODIES[`${method} ${template}`] ?? {});
  const answer = await control.ask(method, fill(template, replaced), { token, body });
  assertRefused(answer, status, code);
  assert.equal(await control.rows(), before);
}

for (const [method, template, who] of END_POINTS) {
  if (who === "anybody") continue;
  test(`${method} ${template}`, async (t) => {
    const refusal = (name, token, status, code) =>
      t.test(name, () => refused(method, template, token, status, code));
    await refusal("no credentials", null, 400, 9106);
    if (who === "operator") {
      await refusal("an unknown secret", "x".repeat(40), 403, 10000);
      await refusal("an account's token", control.token, 403, 10000);
      await refusal("a relay node's token", control.relayToken, 403, 10000);
      return;
    }
    await refusal("an unknown token", "x".repeat(40), 403, 9109);
    if (who === "relay") {
      await refusal("an account's token", control.token, 403, 10000);
      return;
    }
    if (who === "holder") {
      await refusal("a relay node's token", control.relayToken, 403, 10000);
      if (!template.includes(":account")) return;
      await refusal("another account's token", tokens.stranger, 403, 10000);
      return;
    }
    await refusal("another account's token", tokens.stranger, 403, 10000);
    await refusal("a relay node's token", control.relayToken, 403, 10000);
    await refusal(`without ${who}`, tokens[who], 403, 10000);
    if (template.split(":").length > 2) {
      await t.test("what belongs to another account does not exist", () =>
        refused(method, template, tokens.stranger, 404, 10003, { account: other }),
      );
    }
  });
}

test("each permission opens what it is for", async () => {
  for (const [method, template, who] of END_POINTS) {
    if (!(who in PERMISSIONS) || method !== "GET") continue;
    for (const name of Object.keys(PERMISSIONS).filter((one) => grants(one, who))) {
      const token = await control.addToken({ account: control.account, permissions: [name] });
      if (template.endsWith("/events")) {
        const stream = await EventStream.open(control, { input: template.includes(":input") ? ids.input : undefined, token });
        assert.equal((await stream.next()).type, "ready");
        stream.close();
        continue;
      }
      const answer = await control.ask(method, fill(template), { token });
      assert.equal(answer.status, 200, `${method} ${template} with ${name}: ${answer.text}`);
    }
  }
});

test("a token that may read sees stream keys", async () => {
  const token = await control.addToken({ account: control.account, permissions: ["Stream Read"] });
  const input = await control.createInput();
  const read = await control.api("GET", `/live_inputs/${input.uid}`, { token });
  assert.deepEqual(read.json.result, input);
});

test("an account's end points are nothing without one", async () => {
  const unknown = hexId();
  await refused("GET", "/accounts/:account/stream/live_inputs", control.token, 403, 10000, {
    account: unknown,
  });
});
