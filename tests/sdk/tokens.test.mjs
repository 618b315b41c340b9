// Tokens by Cloudflare's TypeScript client, every method it has.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Cloudflare from "cloudflare";
import { startControl } from "../control/support.mjs";
import { assertDeclared } from "./declared.mjs";

const STREAM_READ = "de21485a24744b76a004aa153898f7fe";
const STREAM_WRITE = "714f9c13a5684c2885a793f5edb36f59";

let control, client, account;
before(async () => {
  control = await startControl();
  account = { account_id: control.account };
  process.env.CLOUDFLARE_BASE_URL = new URL("/client/v4", control.url).href;
  client = new Cloudflare({ apiToken: control.token });
});
after(() => control.close());

function body(group) {
  const resources = { [`com.cloudflare.api.account.${control.account}`]: "*" };
  const policy = { effect: "allow", resources, permission_groups: [{ id: group }] };
  return { ...account, name: "made by a client", policies: [policy] };
}

test("a token is made, read, changed, rolled and deleted", async () => {
  const { tokens } = client.accounts;
  const made = await tokens.create(body(STREAM_READ));
  assertDeclared(made, "accounts.tokens.create");
  const own = new Cloudflare({ apiToken: made.value });
  const verified = await own.accounts.tokens.verify(account);
  assertDeclared(verified, "accounts.tokens.verify");
  assert.deepEqual(verified, { id: made.id, status: "active" });
  assert.equal((await own.user.tokens.verify()).id, made.id);
  await assert.rejects(own.stream.liveInputs.create(account), Cloudflare.PermissionDeniedError);

  const found = await tokens.get(made.id, account);
  assertDeclared(found, "accounts.tokens.get");
  assert.equal(found.policies[0].permission_groups[0].name, "Stream Read");
  const changed = await tokens.update(made.id, { ...body(STREAM_WRITE), name: "changed" });
  assertDeclared(changed, "accounts.tokens.update");
  assert.equal(changed.name, "changed");

  const value = await tokens.value.update(made.id, account);
  assertDeclared(value, "accounts.tokens.value.update");
  await assert.rejects(own.user.tokens.verify(), Cloudflare.PermissionDeniedError);
  const again = new Cloudflare({ apiToken: value });
  assert.equal((await again.user.tokens.verify()).id, made.id);

  const deleted = await tokens.delete(made.id, account);
  assertDeclared(deleted, "accounts.tokens.delete");
  assert.equal(deleted.id, made.id);
  await assert.rejects(tokens.get(made.id, account), Cloudflare.NotFoundError);
});

test("lists turn their pages to the end", async () => {
  const { tokens } = client.accounts;
  const made = [];
  for (let n = 0; n < 3; n++) made.push((await tokens.create(body(STREAM_READ))).id);
  const page = await tokens.list({ ...account, per_page: 2 });
  assertDeclared(page, "accounts.tokens.list", "result");
  const listed = [];
  for await (const token of tokens.list({ ...account, per_page: 2 })) listed.push(token.id);
  assert.ok(made.every((id) => listed.includes(id)));
  assert.equal(new Set(listed).size, listed.length);
});

test("permission groups are listed, and found by their name", async () => {
  const { permissionGroups } = client.accounts.tokens;
  const page = await permissionGroups.list(account);
  assertDeclared(page, "accounts.tokens.permissionGroups.list", "result");
  assert.ok(page.result.some(({ id }) => id === STREAM_READ));
  const [named] = await permissionGroups.get({ ...account, name: "Stream%20Write" });
  assert.equal(named.id, STREAM_WRITE);
});
