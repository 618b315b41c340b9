// Live inputs and outputs by Cloudflare's TypeScript client, every method it has.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import Cloudflare from "cloudflare";
import { know } from "../control/scan.mjs";
import { hexId, startControl } from "../control/support.mjs";
import { assertDeclared } from "./declared.mjs";

const URL_WITH_QUERY = "rtmps://b.rtmps.youtube.com/live2?backup=1";
const KEY = "uzya-f19y-g2g9-a2ee-51j2";
know(KEY);

let control, client, account;
before(async () => {
  control = await startControl({ RATE_LIMIT_PER_MINUTE: "240" });
  account = { account_id: control.account };
  // The client as a user has it: base URL and token from the environment, nothing else.
  process.env.CLOUDFLARE_BASE_URL = new URL("/client/v4", control.url).href;
  process.env.CLOUDFLARE_API_TOKEN = control.token;
  client = new Cloudflare();
});
after(() => control.close());

test("the walk finds what is not as declared", () => {
  const right = { uid: "a", rtmps: { url: "b" }, enabled: true, status: { current: null } };
  const declared = (more) => assertDeclared({ ...right, ...more }, "stream.liveInputs.get");
  declared({});
  assert.throws(() => declared({ uid: 1 }), /get\.uid is 1/);
  assert.throws(() => declared({ rtmps: "b" }), /get\.rtmps is "b"/);
  assert.throws(() => declared({ rtmps: { url: 1 } }), /get\.rtmps is/);
  assert.throws(() => declared({ enabled: "true" }), /get\.enabled is "true"/);
  assert.throws(() => declared({ recording: { mode: "never" } }), /get\.recording is/);
});

test("a live input is created without a body, and with every field", async () => {
  const bare = await client.stream.liveInputs.create(account);
  assertDeclared(bare, "stream.liveInputs.create");
  assert.deepEqual(bare.meta, {});
  assert.ok(bare.rtmps.streamKey.endsWith(`k${bare.uid}`));
  const full = await client.stream.liveInputs.create({
    ...account,
    defaultCreator: "somebody",
    deleteRecordingAfterDays: 45,
    enabled: false,
    meta: { name: "all of them" },
    preferLowLatency: false,
    recording: { mode: "automatic", allowedOrigins: ["example.com"], timeoutSeconds: 30 },
  });
  assertDeclared(full, "stream.liveInputs.create");
  assert.deepEqual(full.meta, { name: "all of them" });
  assert.equal(full.enabled, false);
});

test("a live input is created once with a key", async () => {
  const once = { ...account, "Idempotency-Key": "one and the same" };
  const made = await client.stream.liveInputs.create(once);
  const again = await client.stream.liveInputs.create(once);
  assertDeclared(again, "stream.liveInputs.create");
  assert.equal(again.uid, made.uid);
  await client.stream.liveInputs.delete(made.uid, account);
  const statuses = [];
  const counting = new Cloudflare({ fetch: counted(statuses) });
  await assert.rejects(counting.stream.liveInputs.create(once), Cloudflare.ConflictError);
  assert.deepEqual(statuses, [409]);
});

test("live inputs are listed", async () => {
  const { uid } = await client.stream.liveInputs.create(account);
  for (const counts of [{}, { include_counts: true }, { include_counts: false }]) {
    const listed = await client.stream.liveInputs.list({ ...account, ...counts });
    assertDeclared(listed, "stream.liveInputs.list");
    assert.ok(listed.liveInputs.some((one) => one.uid === uid));
    assert.ok(listed.total >= listed.liveInputs.length);
  }
});

test("a live input is read, changed and deleted", async () => {
  const made = await client.stream.liveInputs.create(account);
  const found = await client.stream.liveInputs.get(made.uid, account);
  assertDeclared(found, "stream.liveInputs.get");
  assert.deepEqual(found, made);
  const updated = await client.stream.liveInputs.update(made.uid, {
    ...account,
    enabled: false,
    meta: { name: "renamed" },
  });
  assertDeclared(updated, "stream.liveInputs.update");
  assert.deepEqual([updated.enabled, updated.meta], [false, { name: "renamed" }]);
  const deleted = await client.stream.liveInputs.delete(made.uid, account);
  assertDeclared(deleted, "stream.liveInputs.delete");
  await assert.rejects(client.stream.liveInputs.get(made.uid, account), Cloudflare.NotFoundError);
});

test("outputs are created, listed, changed and deleted", async () => {
  const { uid } = await client.stream.liveInputs.create(account);
  const { outputs } = client.stream.liveInputs;
  const made = [];
  for (const more of [{}, { enabled: false }, { streamKey: "" }]) {
    const body = { ...account, url: URL_WITH_QUERY, streamKey: KEY, ...more };
    made.push(await outputs.create(uid, body));
    assertDeclared(made.at(-1), "stream.liveInputs.outputs.create");
  }
  assert.deepEqual(made.map(({ enabled }) => enabled), [true, false, true]);
  assert.deepEqual(made.map(({ streamKey }) => streamKey), [KEY, KEY, ""]);

  const page = await outputs.list(uid, account);
  assertDeclared(page, "stream.liveInputs.outputs.list", "result");
  const listed = [];
  for await (const output of outputs.list(uid, account)) listed.push(output);
  assert.deepEqual(listed, made);

  const where = { ...account, live_input_identifier: uid };
  const updated = await outputs.update(made[0].uid, { ...where, enabled: false });
  assertDeclared(updated, "stream.liveInputs.outputs.update");
  // What goes on changes with it.
  const { status, configuration } = updated;
  assert.equal(status.state, "disabled");
  assert.deepEqual(updated, { ...made[0], enabled: false, status, configuration });
  const deleted = await outputs.delete(made[0].uid, where);
  assertDeclared(deleted, "stream.liveInputs.outputs.delete");
  assert.equal((await outputs.list(uid, account)).result.length, 2);
});

test("each class of errors is the client's own", async () => {
  const { uid } = await client.stream.liveInputs.create(account);
  const { liveInputs } = client.stream;
  const refused = async (call, type, code) => {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof type, String(error));
      assert.equal(error.errors[0].code, code);
      return true;
    });
  };
  const body = { ...account, url: "srt://example.com:9000", streamKey: "k" };
  await refused(liveInputs.outputs.create(uid, body), Cloudflare.BadRequestError, 10005);
  const malformed = new Cloudflare({ apiToken: "short" });
  await refused(malformed.stream.liveInputs.get(uid, account), Cloudflare.BadRequestError, 6003);
  const unknown = new Cloudflare({ apiToken: "x".repeat(40) });
  const denied = Cloudflare.PermissionDeniedError;
  await refused(unknown.stream.liveInputs.get(uid, account), denied, 9109);
  const other = await control.addToken({ account: await control.addAccount() });
  const stranger = new Cloudflare({ apiToken: other });
  await refused(stranger.stream.liveInputs.get(uid, account), denied, 10000);
  const { NotFoundError } = Cloudflare;
  await refused(liveInputs.get(hexId(), account), NotFoundError, 10003);
  await refused(liveInputs.outputs.list(hexId(), account), NotFoundError, 10003);
  await refused(client.stream.keys.get(account), NotFoundError, 7003);
});

test("who asks too often is told when to ask again", async () => {
  const apiToken = await control.addToken({ account: control.account });
  const impatient = new Cloudflare({ apiToken, maxRetries: 0 });
  const ask = () => impatient.user.tokens.verify();
  const limited = async () => {
    // Beside each other, so that a slow machine gets there within the minute; more than two minutes'.
    for (let n = 0; n < 512; n += 32) await Promise.all(Array.from({ length: 32 }, ask));
  };
  await assert.rejects(limited, (error) => {
    assert.ok(error instanceof Cloudflare.RateLimitError, String(error));
    const seconds = Number(error.headers.get("retry-after"));
    return seconds >= 1 && seconds <= 60;
  });
});

test("a failure of ours is not repeated unless the answer says so", async () => {
  const statuses = [];
  const counting = new Cloudflare({ fetch: counted(statuses) });
  await control.sql(
    "CREATE TRIGGER broken BEFORE INSERT ON live_inputs BEGIN SELECT RAISE(ABORT, 'broken'); END",
  );
  try {
    const failed = await counting.stream.liveInputs.create(account).catch((error) => error);
    assert.ok(failed instanceof Cloudflare.InternalServerError, String(failed));
    const again = failed.headers.get("x-should-retry") !== "false";
    assert.equal(statuses.length, again ? 3 : 1);
    if (again) assert.equal(failed.headers.get("retry-after"), "1");
  } finally {
    await control.sql("DROP TRIGGER broken");
  }
});

/** A `fetch` that notes the statuses: how often a client tries shows whether it was told not to. */
function counted(statuses) {
  return async (...request) => {
    const answer = await fetch(...request);
    statuses.push(answer.status);
    return answer;
  };
}
