// The keyring's key is replaced while the API is used: what was sealed before is read all the time,
// and in the end without the older key.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { migrated, Plain, signUp, workerOptions } from "./plain.mjs";
import { fetch } from "./scan.mjs";
import { hashed, hexId, PERMISSIONS } from "./support.mjs";

const entry = (id) => `${id}:${randomBytes(32).toString("hex")}`;
const [OLD, NEW] = [entry("1"), entry("2")];
const account = hexId();
const token = `sct_${randomBytes(32).toString("hex")}`;
const relay = `sct_${randomBytes(32).toString("hex")}`;
const bootstrap = `sco_${randomBytes(32).toString("hex")}`;
const stream = `/client/v4/accounts/${account}/stream`;
const instance = hexId();
let plain, database, url;

before(async () => {
  plain = await Plain.start(worker(OLD));
  database = await migrated(plain.runtime, "worker");
  const all = Object.values(PERMISSIONS).reduce((sum, bit) => sum + bit, 0);
  await signUp(database, account, hashed(token), all);
  const insert = "INSERT INTO tokens (id, tag, hash, kind, name, created) VALUES ('r', 'r', ?, 'relay', 'r', 0)";
  await database.prepare(insert).bind(hashed(relay)).run();
  url = await plain.url();
});
after(() => plain.end());

function worker(keyring) {
  const options = workerOptions("worker", keyring);
  options.bindings.BOOTSTRAP_TOKEN = bootstrap;
  options.bindings.OUTPUT_NETWORKS = "127.0.0.0/8";
  return options;
}

/** The Worker anew with another ring, and with the state of the one before: a deployment. */
async function deploy(keyring) {
  await plain.replace(worker(keyring));
  database = await plain.runtime.getD1Database("DB", "worker");
  url = await plain.url();
}

async function ask(method, path, { body, as = token } = {}) {
  const answer = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${as}` },
    body: body && JSON.stringify(body),
  });
  return { status: answer.status, json: await answer.json() };
}

async function result(method, path, body) {
  const { status, json } = await ask(method, path, { body });
  assert.equal(status, 200, JSON.stringify(json));
  return json.result;
}

/** Goes through all pages as an operator does, and adds up what they say. */
async function reseal() {
  const sum = { resealed: 0, unreadable: 0 };
  let page = { next: "" };
  do {
    const answer = await ask("POST", `/client/v4/keys/reseal?after=${page.next}`, { as: bootstrap });
    assert.equal(answer.status, 200, JSON.stringify(answer.json));
    page = answer.json.result;
    sum.resealed += page.resealed;
    sum.unreadable += page.unreadable;
  } while (page.next !== null);
  return { ...sum, waiting: page.waiting };
}

/** What the database holds of a key's making. */
async function madeBy(id) {
  const texts = [
    ["live_inputs", "key_sealed"],
    ["live_inputs", "key_hash"],
    ["outputs", "key_sealed"],
    ["outputs", "url"],
    ["stream_webhooks", "secret_sealed"],
  ];
  const counts = texts.map(([table, column]) => {
    const count = `SELECT count(*) AS n FROM ${table} WHERE instr(${column}, 'v1.${id}.') > 0`;
    return database.prepare(count).first("n");
  });
  return (await Promise.all(counts)).reduce((sum, n) => sum + n, 0);
}

async function mayPublish(key) {
  const body = { version: 1, node: "fra-1", instance, key };
  const { status, json } = await ask("POST", "/relay/v1/publish", { body, as: relay });
  assert.equal(status, 200, JSON.stringify(json));
  assert.equal(json.decision, "accepted", JSON.stringify(json));
  return json.snapshot.wish.outputs;
}

test("a new key takes over from an old one, and nothing is noticed", async (t) => {
  const made = await result("POST", `${stream}/live_inputs`, { meta: { name: "kept" } });
  const outputs = `${stream}/live_inputs/${made.uid}/outputs`;
  const output = { url: "rtmp://me:hunter2@a.example.com/live", streamKey: "kept-key" };
  const first = await result("POST", outputs, output);
  const webhook = await result("PUT", `${stream}/webhook`, { notificationUrl: "https://a.example/" });

  async function same(keyring) {
    const read = await result("GET", `${stream}/live_inputs/${made.uid}`);
    assert.equal(read.rtmps.streamKey, made.rtmps.streamKey, keyring);
    const { url, streamKey } = await result("GET", `${outputs}/${first.uid}`);
    assert.deepEqual({ url, streamKey }, output, keyring);
    assert.equal((await result("GET", `${stream}/webhook`)).secret, webhook.secret, keyring);
    const [wanted] = await mayPublish(made.rtmps.streamKey);
    const target = { kind: "rtmp", url: output.url, stream_key: output.streamKey };
    assert.deepEqual(wanted.target, target, keyring);
  }

  await same("the old key alone");
  assert.equal(await madeBy(1), 5);

  await t.test("known before it is used", async () => {
    await deploy(`${OLD},${NEW}`);
    await same("the old key first");
    assert.deepEqual(await reseal(), { resealed: 0, unreadable: 0, waiting: 0 });
  });

  await t.test("while the API is used", async () => {
    await deploy(`${NEW},${OLD}`);
    await same("the new key first");
    const changes = Array.from({ length: 12 }, async (_, n) => {
      const { uid } = await result("POST", outputs, { url: "rtmp://b.example.com/live", streamKey: `k${n}` });
      await result("PUT", `${outputs}/${uid}`, { streamKey: `changed${n}` });
      return [uid, `changed${n}`];
    });
    const passes = [reseal(), reseal(), reseal()];
    for (const [uid, streamKey] of await Promise.all(changes)) {
      assert.equal((await result("GET", `${outputs}/${uid}`)).streamKey, streamKey);
    }
    const sealed = (await Promise.all(passes)).reduce((sum, pass) => sum + pass.resealed, 0);
    // Whoever comes second finds nothing to do: each row was counted once.
    assert.equal(sealed, 3);
    assert.equal(await madeBy(1), 0);
    assert.deepEqual(await reseal(), { resealed: 0, unreadable: 0, waiting: 0 });
    await same("sealed anew");
  });

  await t.test("alone in the end", async () => {
    await deploy(NEW);
    await same("the new key alone");
  });

  await t.test("what is moved to another row does not open", async () => {
    const other = await result("POST", outputs, { url: "rtmp://c.example.com/live", streamKey: "other" });
    const move = "UPDATE outputs SET key_sealed = (SELECT key_sealed FROM outputs WHERE uid = ?) WHERE uid = ?";
    await database.prepare(move).bind(first.uid, other.uid).run();
    const { status, json } = await ask("GET", `${outputs}/${other.uid}`);
    assert.equal(status, 500);
    assert.doesNotMatch(JSON.stringify(json), /kept-key/);
  });
});
