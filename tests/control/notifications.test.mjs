// Where an account's events go: destinations, policies, the webhook; and what receivers do to them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Receiver, isSignedWith } from "./receiver.mjs";
import { eventually, expectResult, hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(async () => {
  await Receiver.closeAll();
  await control.close();
});

const ALERTING = "alerting/v3";

/** An account of its own for a test. */
async function account() {
  const account = await control.addAccount();
  const token = await control.addToken({ account });
  const ask = async (method, path, body) => {
    const url = `/client/v4/accounts/${account}/${path}`;
    const answer = await control.request(method, url, { token, body });
    const text = await answer.text();
    return { status: answer.status, text, json: JSON.parse(text) };
  };
  const make = async (path, body) => {
    const answer = await ask("POST", `${ALERTING}/${path}`, body);
    assert.ok(answer.json.success, answer.text);
    return answer.json.result.id;
  };
  return {
    account,
    token,
    ask,
    /** A destination, and a policy that sends it everything. */
    async subscribe(url, more = {}) {
      const id = await make("destinations/webhooks", { name: "receiver", url, ...more });
      await make("policies", {
        name: "everything",
        enabled: true,
        alert_type: "stream_live_notifications",
        mechanisms: { webhooks: [{ id }] },
      });
      return id;
    },
    async deliveries(id) {
      return expectResult(await ask("GET", `${ALERTING}/destinations/webhooks/${id}/deliveries`));
    },
    /** Hands events to the account's object, as the object of a live input does. */
    async emit(...events) {
      const { WEBHOOK } = await control.worker.getEnv();
      const answer = await WEBHOOK.get(WEBHOOK.idFromName(account)).fetch("https://object/events", {
        method: "POST",
        body: JSON.stringify({ account, events }),
      });
      assert.equal(answer.status, 200);
    },
  };
}

function connected(input, number) {
  return {
    id: `${input}-${number}`,
    type: "live_input.connected",
    at: "2026-01-13T11:43:41.85571Z",
    input,
  };
}

test("a destination is tested, told of events, and can tell who sends", async () => {
  const receiver = await Receiver.start();
  const { ask, deliveries, emit, subscribe } = await account();
  const id = await subscribe(receiver.url, { secret: "open sesame" });
  const [hello] = await receiver.has(1);
  assert.deepEqual(Object.keys(JSON.parse(hello.body)), ["text"]);
  const shown = expectResult(await ask("GET", `${ALERTING}/destinations/webhooks/${id}`));
  assert.match(shown.signing_secret, /^[0-9a-f]{32}$/);
  assert.ok(isSignedWith(shown.signing_secret, hello));
  assert.ok(!isSignedWith("0".repeat(32), hello));

  const input = hexId();
  await emit(connected(input, 1));
  const [, message] = await receiver.has(2);
  assert.equal(message.method, "POST");
  assert.equal(message.url, "/hook?token=1");
  assert.ok(isSignedWith(shown.signing_secret, message));
  assert.equal(message.headers["cf-webhook-auth"], "open sesame");
  assert.equal(message.headers["webhook-event-id"], `${input}-1`);
  assert.equal(message.headers["content-type"], "application/json");
  const updated_at = "2026-01-13T11:43:41.855710000Z";
  const [event_type, notification_name] = ["live_input.connected", "Stream Live Input"];
  const text = `Notification type: ${notification_name}\nInput ID: ${input}\nEvent type: ${event_type}\nUpdated at: ${updated_at}`;
  assert.deepEqual(JSON.parse(message.body), {
    name: "everything",
    text,
    data: { notification_name, input_id: input, event_type, updated_at },
    ts: 1768304621,
  });

  await eventually("both are delivered", async () =>
    (await deliveries(id)).every(({ state }) => state === "delivered"),
  );
  const [event, first] = await deliveries(id);
  assert.deepEqual([event.id, event.type, event.attempts, event.status], [`${input}-1`, event_type, 1, 200]);
  assert.deepEqual([first.id, first.type], [null, "test"]);
  const listed = expectResult(await ask("GET", `${ALERTING}/destinations/webhooks`));
  assert.equal(listed.length, 1);
  assert.ok(listed[0].last_success >= listed[0].created_at);
  assert.ok(!("last_failure" in listed[0]));
  assert.ok(!JSON.stringify(listed).includes("open sesame"));
});

test("a slow and a dead receiver delay nobody", async () => {
  const [well, slow] = [await Receiver.start(), await Receiver.start(() => {})];
  const dead = await Receiver.start();
  const { deliveries, emit, subscribe } = await account();
  const slowId = await subscribe(slow.url);
  const deadId = await subscribe(dead.url);
  await subscribe(well.url);
  await well.has(1);
  await dead.close();
  const inputs = [hexId(), hexId(), hexId()];
  for (const input of inputs) {
    const before = performance.now();
    await emit(connected(input, 1));
    assert.ok(performance.now() - before < 1000, "the live input's object waits for nobody");
    const all = await well.has(2 + inputs.indexOf(input));
    assert.ok(all.at(-1).at - before < 1000, "nor does another receiver");
  }
  assert.deepEqual(well.events, inputs.map((input) => `${input}-1`));
  await eventually("the slow one's time is over", async () =>
    (await deliveries(slowId)).some(({ error }) => error?.includes("did not answer within 10 s")),
  );
  const missed = (await deliveries(deadId)).filter(({ type }) => type !== "test");
  assert.equal(missed.length, 3);
  for (const { state, error } of missed) assert.equal(state, "pending", error);
  assert.ok(missed.some(({ error }) => error !== null));
});

test("a receiver that answers 500 for a while gets everything, in order, across an eviction", async () => {
  const receiver = await Receiver.start((number, response) => {
    // The test message, then one refusal.
    response.statusCode = number === 2 ? 500 : 200;
    response.end();
  });
  const { account: id, deliveries, emit, subscribe } = await account();
  const destination = await subscribe(receiver.url);
  await receiver.has(1);
  const input = hexId();
  await emit(connected(input, 1), connected(input, 2));
  await eventually("the refusal is noted", async () =>
    (await deliveries(destination)).some(({ status }) => status === 500),
  );
  assert.deepEqual(receiver.events, [`${input}-1`]);
  await control.evict("Webhook", id);
  await receiver.has(4);
  assert.deepEqual(receiver.events, [`${input}-1`, `${input}-1`, `${input}-2`]);
  const [, first] = receiver.arrived;
  assert.ok(receiver.arrived[2].at - first.at > 2000, "after a pause");
});

test("a redirect is not followed", async () => {
  const elsewhere = await Receiver.start();
  const receiver = await Receiver.start((_, response) => {
    response.writeHead(307, { location: elsewhere.url });
    response.end();
  });
  const { ask, subscribe } = await account();
  const id = await subscribe(receiver.url);
  await receiver.has(1);
  const path = `${ALERTING}/destinations/webhooks/${id}/test`;
  const tested = expectResult(await ask("POST", path));
  // Which status is noted depends on what stands between this runtime and the network.
  assert.equal(tested.state, "failed");
  assert.notEqual(tested.error, null);
  assert.equal(receiver.arrived.length, 2);
  assert.equal(elsewhere.arrived.length, 0);
});

test("the account's webhook", async () => {
  const receiver = await Receiver.start();
  const { ask, emit } = await account();
  const path = "stream/webhook";
  for (const [method, at] of [["GET", path], ["DELETE", path], ["GET", `${path}/deliveries`], ["POST", `${path}/test`]]) {
    const unset = await ask(method, at);
    assert.deepEqual([unset.status, unset.json.errors[0].code], [404, 10003], `${method} ${at}`);
  }
  const set = expectResult(await ask("PUT", path, { notificationUrl: "http://127.0.0.1:9/other" }));
  assert.deepEqual(Object.keys(set).sort(), ["modified", "notificationUrl", "secret"]);
  assert.match(set.secret, /^[0-9a-f]{32}$/);
  const again = expectResult(await ask("PUT", path, { notification_url: receiver.url }));
  assert.equal(again.secret, set.secret, "the secret stays");
  assert.deepEqual(expectResult(await ask("GET", path)), again);
  assert.equal(again.notificationUrl, receiver.url);

  const input = hexId();
  await emit(connected(input, 1));
  const [message] = await receiver.has(1);
  assert.ok(isSignedWith(set.secret, message));
  assert.equal(JSON.parse(message.body).data.event_type, "live_input.connected");
  const tested = expectResult(await ask("POST", `${path}/test`));
  assert.equal(tested.state, "delivered");
  await eventually("it is delivered", async () => {
    const [last, first] = expectResult(await ask("GET", `${path}/deliveries`));
    return last.type === "test" && first.state === "delivered";
  });

  assert.equal(expectResult(await ask("DELETE", path)), "ok");
  assert.equal((await ask("GET", path)).status, 404);
  const anew = expectResult(await ask("PUT", path, { notificationUrl: receiver.url }));
  assert.notEqual(anew.secret, set.secret);
});

test("destinations and policies are made, shown, changed and deleted", async () => {
  const { ask } = await account();
  const [destinations, policies] = [`${ALERTING}/destinations/webhooks`, `${ALERTING}/policies`];
  const made = await ask("POST", destinations, { name: "one", url: "http://127.0.0.1:9/", secret: "s" });
  assert.equal(made.status, 201, made.text);
  const { id, ...rest } = made.json.result;
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.deepEqual(rest, {});
  const update = { name: "two", url: "https://example.com/hook" };
  assert.deepEqual(expectResult(await ask("PUT", `${destinations}/${id}`, update)), { id });
  const shown = expectResult(await ask("GET", `${destinations}/${id}`));
  assert.deepEqual([shown.name, shown.url, shown.type], ["two", update.url, "generic"]);

  const body = {
    name: "policy",
    alert_type: "stream_live_notifications",
    enabled: true,
    mechanisms: { webhooks: [{ id }] },
    filters: { input_id: [hexId()], event_type: ["live_input.connected", "live_input.output.*"] },
  };
  const policy = expectResult(await ask("POST", policies, body)).id;
  const { created, modified, ...policyShown } = expectResult(await ask("GET", `${policies}/${policy}`));
  assert.equal(created, modified);
  assert.deepEqual(policyShown, { id: policy, description: "", ...body });
  expectResult(await ask("PUT", `${policies}/${policy}`, { enabled: false, description: "why" }));
  const [changed] = expectResult(await ask("GET", policies));
  assert.deepEqual([changed.enabled, changed.description, changed.name], [false, "why", "policy"]);
  assert.deepEqual(changed.filters, body.filters);
  assert.ok(changed.modified > changed.created);

  expectResult(await ask("DELETE", `${destinations}/${id}`));
  const [without] = expectResult(await ask("GET", policies));
  assert.deepEqual(without.mechanisms, { webhooks: [] }, "gone from the policies that named it");
  expectResult(await ask("DELETE", `${policies}/${policy}`));
  assert.deepEqual(expectResult(await ask("GET", policies)), []);
  assert.deepEqual(expectResult(await ask("GET", destinations)), []);
  for (const [method, path] of [
    ["GET", `${destinations}/${id}`],
    ["PUT", `${destinations}/${id}`],
    ["DELETE", `${destinations}/${id}`],
    ["GET", `${destinations}/${id}/deliveries`],
    ["POST", `${destinations}/${id}/test`],
    ["GET", `${policies}/${policy}`],
    ["PUT", `${policies}/${policy}`],
    ["DELETE", `${policies}/${policy}`],
    ["GET", `${policies}/nonsense`],
  ]) {
    const gone = await ask(method, path, method === "PUT" ? { ...update } : undefined);
    assert.deepEqual([gone.status, gone.json.errors[0].code], [404, 10003], `${method} ${path}`);
  }
});

test("what cannot be is refused by its field, and changes nothing", async () => {
  const { ask } = await account();
  const other = await account();
  const foreign = await other.subscribe("http://127.0.0.1:9/");
  const [destinations, policies] = [`${ALERTING}/destinations/webhooks`, `${ALERTING}/policies`];
  const id = expectResult({
    ...(await ask("POST", destinations, { name: "one", url: "http://127.0.0.1:9/" })),
    status: 200,
  }).id;
  const policy = {
    name: "p",
    alert_type: "stream_live_notifications",
    mechanisms: { webhooks: [{ id }] },
  };
  const url = "https://example.com/";
  for (const [method, path, body, pointer] of [
    ["PUT", "stream/webhook", {}, "/notificationUrl"],
    ["PUT", "stream/webhook", { notificationUrl: "https://10.0.0.1/" }, "/notificationUrl"],
    ["PUT", "stream/webhook", { notification_url: "ftp://example.com" }, "/notification_url"],
    ["PUT", "stream/webhook", { notificationUrl: "https://example.com:8443" }, "/notificationUrl"],
    ["POST", destinations, { url }, "/name"],
    ["POST", destinations, { name: "", url }, "/name"],
    ["POST", destinations, { name: "n" }, "/url"],
    ["POST", destinations, { name: "n", url: "http://169.254.169.254/" }, "/url"],
    ["POST", destinations, { name: "n", url, secret: "a\nb" }, "/secret"],
    ["POST", destinations, { name: "n", url, secret: 1 }, "/secret"],
    ["POST", policies, { ...policy, alert_type: "billing_usage_alert" }, "/alert_type"],
    ["POST", policies, { ...policy, alert_type: undefined }, "/alert_type"],
    ["POST", policies, { ...policy, name: undefined }, "/name"],
    ["POST", policies, { ...policy, mechanisms: undefined }, "/mechanisms"],
    ["POST", policies, { ...policy, mechanisms: {} }, "/mechanisms/webhooks"],
    ["POST", policies, { ...policy, mechanisms: { email: [{ id: "me@example.com" }] } }, "/mechanisms/email"],
    ["POST", policies, { ...policy, filters: { zones: ["a"] } }, "/filters/zones"],
    ["POST", policies, { ...policy, filters: { event_type: ["live_input.nonsense"] } }, "/filters/event_type"],
    ["POST", policies, { ...policy, filters: { input_id: ["nonsense"] } }, "/filters/input_id"],
  ]) {
    const answer = await ask(method, path, body);
    assert.equal(answer.status, 400, `${method} ${path} ${JSON.stringify(body)}: ${answer.text}`);
    assert.equal(answer.json.errors[0].source.pointer, pointer);
  }
  for (const unknown of [hexId(), foreign]) {
    const body = { ...policy, mechanisms: { webhooks: [{ id }, { id: unknown }] } };
    const answer = await ask("POST", policies, body);
    assert.deepEqual([answer.status, answer.json.errors[0].code], [404, 10003]);
    assert.equal(answer.json.errors[0].source.pointer, "/mechanisms/webhooks");
  }
  assert.equal((await ask("GET", "stream/webhook")).status, 404);
  assert.equal(expectResult(await ask("GET", destinations)).length, 1);
  assert.deepEqual(expectResult(await ask("GET", policies)), []);
  for (const [method, path] of [["GET", foreign], ["DELETE", foreign], ["GET", `${foreign}/deliveries`], ["POST", `${foreign}/test`]]) {
    assert.equal((await ask(method, `${destinations}/${path}`)).status, 404, "another account's");
  }
});

test("limits hold under concurrency", async () => {
  const { ask } = await account();
  const make = () => ask("POST", `${ALERTING}/destinations/webhooks`, { name: "n", url: "http://127.0.0.1:9/" });
  const answers = await Promise.all(Array.from({ length: 30 }, make));
  const statuses = answers.map(({ status }) => status).sort();
  assert.deepEqual(statuses, [...Array(20).fill(201), ...Array(10).fill(403)]);
  const refused = answers.find(({ status }) => status === 403);
  assert.equal(refused.json.errors[0].code, 10011);
});

test("a revoked token shows and changes nothing, and no secret is kept in clear", async () => {
  const { account: id, ask, token } = await account();
  const secret = `hunter${hexId()}`;
  const made = await ask("POST", `${ALERTING}/destinations/webhooks`, { name: "n", url: "http://127.0.0.1:9/", secret });
  const { signing_secret } = expectResult(await ask("GET", `${ALERTING}/destinations/webhooks/${made.json.result.id}`));
  const webhook = expectResult(await ask("PUT", "stream/webhook", { notificationUrl: "http://127.0.0.1:9/" }));
  await control.remembers(token);
  await control.revoke(token);
  const one = `${ALERTING}/destinations/webhooks/${made.json.result.id}`;
  for (const [method, path, body] of [
    ["GET", "stream/webhook"],
    ["PUT", "stream/webhook", { notificationUrl: "http://127.0.0.1:9/" }],
    ["DELETE", "stream/webhook"],
    ["GET", "stream/webhook/deliveries"],
    ["POST", "stream/webhook/test"],
    ["GET", `${ALERTING}/destinations/webhooks`],
    ["POST", `${ALERTING}/destinations/webhooks`, { name: "n", url: "http://127.0.0.1:9/" }],
    ["GET", one],
    ["PUT", one, { name: "n", url: "http://127.0.0.1:9/" }],
    ["DELETE", one],
    ["GET", `${one}/deliveries`],
    ["POST", `${one}/test`],
    ["GET", `${ALERTING}/policies`],
  ]) {
    const answer = await ask(method, path, body);
    assert.deepEqual([answer.status, answer.json.errors[0].code], [403, 9109], `${method} ${path}`);
  }
  assert.ok(control.filesWith([id]).length > 0);
  const secrets = [secret, signing_secret, webhook.secret];
  assert.deepEqual(control.filesWith(secrets), []);
  for (const one of secrets) assert.ok(!control.logs().includes(one));
});
