// The Stream webhook and live notifications by Cloudflare's TypeScript client, every method it has.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Cloudflare from "cloudflare";
import { startControl } from "../control/support.mjs";
import { assertDeclared } from "./declared.mjs";

const URL_OF_HOOK = "https://hooks.example.com/stream";

let control, client, account;
before(async () => {
  control = await startControl();
  account = { account_id: control.account };
  process.env.CLOUDFLARE_BASE_URL = new URL("/client/v4", control.url).href;
  process.env.CLOUDFLARE_API_TOKEN = control.token;
  client = new Cloudflare();
});
after(() => control.close());

test("the Stream webhook is set, read and taken away", async () => {
  const { webhooks } = client.stream;
  for (const name of ["notificationUrl", "notification_url"]) {
    const made = await webhooks.update({ ...account, [name]: URL_OF_HOOK });
    assertDeclared(made, "stream.webhooks.update");
    assert.equal(made.notificationUrl, URL_OF_HOOK);
  }
  assertDeclared(await webhooks.get(account), "stream.webhooks.get");
  assertDeclared(await webhooks.delete(account), "stream.webhooks.delete");
  await assert.rejects(webhooks.get(account), Cloudflare.NotFoundError);
});

test("a destination is made, read, changed and deleted", async () => {
  const { webhooks } = client.alerting.destinations;
  const made = await webhooks.create({ ...account, name: "hooks", url: URL_OF_HOOK, secret: "s" });
  assertDeclared(made, "alerting.destinations.webhooks.create");
  const found = await webhooks.get(made.id, account);
  assertDeclared(found, "alerting.destinations.webhooks.get");
  assert.deepEqual([found.name, found.url], ["hooks", URL_OF_HOOK]);
  const page = await webhooks.list(account);
  assertDeclared(page, "alerting.destinations.webhooks.list", "result");
  const changed = await webhooks.update(made.id, { ...account, name: "renamed", url: URL_OF_HOOK });
  assertDeclared(changed, "alerting.destinations.webhooks.update");
  assert.equal((await webhooks.get(made.id, account)).name, "renamed");
  const deleted = await webhooks.delete(made.id, account);
  assertDeclared(deleted, "alerting.destinations.webhooks.delete");
  await assert.rejects(webhooks.get(made.id, account), Cloudflare.NotFoundError);
});

test("a policy is made, read, changed and deleted", async () => {
  const { uid } = await client.stream.liveInputs.create(account);
  const hook = { ...account, name: "hooks", url: URL_OF_HOOK };
  const { id } = await client.alerting.destinations.webhooks.create(hook);
  const { policies } = client.alerting;
  const made = await policies.create({
    ...account,
    name: "live",
    enabled: true,
    alert_type: "stream_live_notifications",
    mechanisms: { webhooks: [{ id }] },
    filters: { input_id: [uid] },
  });
  assertDeclared(made, "alerting.policies.create");
  const found = await policies.get(made.id, account);
  assertDeclared(found, "alerting.policies.get");
  assert.deepEqual(found.mechanisms.webhooks.map((one) => one.id), [id]);
  assert.deepEqual(found.filters.input_id, [uid]);
  const page = await policies.list(account);
  assertDeclared(page, "alerting.policies.list", "result");
  const changed = await policies.update(made.id, { ...account, enabled: false });
  assertDeclared(changed, "alerting.policies.update");
  assert.equal((await policies.get(made.id, account)).enabled, false);
  assertDeclared(await policies.delete(made.id, account), "alerting.policies.delete");
  await assert.rejects(policies.get(made.id, account), Cloudflare.NotFoundError);
});
