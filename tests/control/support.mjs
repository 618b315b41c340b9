// The control plane in the real Workers runtime, for one test file.
//
// The Worker is the one that `cargo xtask build-worker` left in control-worker/build; accounts and
// tokens are rows that the test inserts, as an operator would.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { createTestHarness } from "wrangler";
import { end, fetch, files, filesWith, know, knowSettings, learn, stateFolder } from "./scan.mjs";

/** The permissions of tokens, and their numbers in the database. */
export const PERMISSIONS = {
  "Stream Read": 1,
  "Stream Write": 2,
  "Account API Tokens Read": 4,
  "Account API Tokens Write": 8,
  "Notifications Read": 16,
  "Notifications Write": 32,
};

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where tests send. */
const LOOPBACK = "127.0.0.0/8,::1/128";

/**
 * Starts a control plane with one account, its API token and a relay token. A test asks more often
 * in a minute than anybody may, so there is no limit unless `vars` say so.
 */
export async function startControl(vars = {}, secrets = {}, configPath = "wrangler.toml") {
  // Where the runtime keeps its state: a folder of its own, so that a test can search it.
  const state = stateFolder();
  const all = { KEY_ENCRYPTION_KEYS: `1:${randomBytes(32).toString("hex")}`, ...secrets };
  knowSettings(all);
  const harness = createTestHarness({
    root: ROOT,
    workers: [
      {
        configPath,
        prebuiltWorkerDir: join(ROOT, "control-worker/build"),
        // Destinations are on this machine, where any are dialled.
        vars: { OUTPUT_NETWORKS: LOOPBACK, WEBHOOK_NETWORKS: LOOPBACK, RATE_LIMIT_PER_MINUTE: "0", ...vars },
        secrets: all,
      },
    ],
  });
  const { url } = await harness.listen();
  const worker = harness.getWorker();
  await worker.applyD1Migrations("DB");
  const { DB } = await worker.getEnv();
  const control = new Control(harness, worker, DB, url, state);
  control.account = await control.addAccount();
  control.token = await control.addToken({ account: control.account });
  control.relayToken = await control.addToken({ account: null });
  return control;
}

class Control {
  #harness;

  constructor(harness, worker, db, url, state) {
    this.#harness = harness;
    this.worker = worker;
    this.db = db;
    this.url = url;
    this.state = state;
  }

  async addAccount() {
    const id = hexId();
    await this.sql("INSERT INTO accounts (id, name, created) VALUES (?, 'test', 0)", id);
    return id;
  }

  /**
   * A token of an account with all permissions, or those named; or, where the account is null, a
   * relay node's.
   */
  async addToken({ account, permissions = Object.keys(PERMISSIONS) }) {
    const token = `sct_${randomBytes(32).toString("hex")}`;
    know(token);
    await this.sql(
      "INSERT INTO tokens (id, tag, hash, account_id, kind, name, created, permissions) VALUES (?1, ?1, ?2, ?3, ?4, 'test', 0, ?5)",
      hexId(),
      hashed(token),
      account,
      account === null ? "relay" : "api",
      account === null ? 0 : permissions.reduce((set, name) => set + PERMISSIONS[name], 0),
    );
    return token;
  }

  async revoke(token) {
    await this.sql("UPDATE tokens SET revoked = 1 WHERE hash = ?", hashed(token));
  }

  /** Waits until the look-up of a token is remembered, which happens beside its first answer. */
  async remembers(token) {
    const { TOKENS } = await this.worker.getEnv();
    await eventually("the look-up is remembered", async () => {
      const { keys } = await TOKENS.list();
      return keys.some(({ name }) => name.endsWith(hashed(token)));
    });
  }

  /** When a look-up of a token will be forgotten, in milliseconds: read from the runtime's files. */
  rememberedUntil(token) {
    const read = "SELECT expiration FROM _mf_entries WHERE key = ?";
    return this.#remembered((entries) => entries.prepare(read).get(cacheKey(token)).expiration);
  }

  /** Moves that time, as if it came sooner. */
  rememberUntil(token, time) {
    const move = "UPDATE _mf_entries SET expiration = ? WHERE key = ?";
    this.#remembered((entries) => entries.prepare(move).run(Math.floor(time), cacheKey(token)));
  }

  /** Uses the runtime's file of all look-ups. */
  #remembered(use) {
    const file = this.databases().find((path) => /\/kv\/.*KVNamespace/.test(path));
    assert.ok(file, "the namespace has a file");
    const database = new DatabaseSync(file);
    try {
      return use(database);
    } finally {
      database.close();
    }
  }

  /** Forgets every look-up, as a minute does. */
  async remembersNothing() {
    const { TOKENS } = await this.worker.getEnv();
    const { keys } = await TOKENS.list();
    await Promise.all(keys.map(({ name }) => TOKENS.delete(name)));
  }

  async sql(statement, ...values) {
    return (await this.db.prepare(statement).bind(...values).all()).results;
  }

  /**
   * Every row of the tables that requests may change, to show that one changed nothing. Without
   * `rev`, the objects' own bookkeeping: a refused change may use one up.
   */
  async rows() {
    const inputs = await this.sql(
      `SELECT uid, account_id, meta, enabled, reconnect_window, on_stop, on_format_change,
        takeover, key_hash, key_sealed, key_number, old_key_hash,
        old_key_until, created, modified FROM live_inputs ORDER BY uid`,
    );
    const outputs = await this.sql("SELECT * FROM outputs ORDER BY uid");
    const keys = await this.sql("SELECT * FROM idempotency_keys ORDER BY account_id, key");
    const accounts = await this.sql("SELECT * FROM accounts ORDER BY id");
    const tokens = await this.sql("SELECT * FROM tokens ORDER BY id");
    const webhooks = await this.sql("SELECT * FROM stream_webhooks ORDER BY account_id");
    const destinations = await this.sql("SELECT * FROM webhook_destinations ORDER BY id");
    const policies = await this.sql("SELECT * FROM notification_policies ORDER BY id");
    const notifications = { webhooks, destinations, policies };
    return JSON.stringify({ inputs, outputs, keys, accounts, tokens, notifications });
  }

  /** Sends a request as curl would: no JSON content type. */
  async request(method, path, { token = this.token, body, headers = {} } = {}) {
    const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
    const form = body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" };
    const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
    return fetch(new URL(path, this.url), {
      method,
      headers: { ...authorization, ...form, ...headers },
      body: text,
    });
  }

  /** The answer of any end point, taken apart. */
  async ask(method, path, options = {}) {
    const answer = await this.request(method, path, options);
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, json: JSON.parse(text) };
  }

  /** The answer of an end point under the account's `/stream`. */
  async api(method, path, options = {}) {
    const account = options.account ?? this.account;
    return this.ask(method, `/client/v4/accounts/${account}/stream${path}`, options);
  }

  async createInput(body = { meta: { name: "test" } }) {
    return expectResult(await this.api("POST", "/live_inputs", { body }));
  }

  async createOutput(input, body = { url: "rtmp://a.example.com/live2", streamKey: secret() }) {
    return expectResult(await this.api("POST", `/live_inputs/${input}/outputs`, { body }));
  }

  /** Asks as a relay node whether a key may publish. */
  async publish(node, instance, key, token = this.relayToken) {
    const answer = await this.request("POST", "/relay/v1/publish", {
      token,
      body: { version: 1, node, instance, key },
    });
    return { status: answer.status, json: await answer.json() };
  }

  async poll(node, report, token = this.relayToken) {
    const path = `/relay/v1/nodes/${node}/poll`;
    const answer = await this.request("POST", path, { token, body: report });
    return { status: answer.status, json: await answer.json() };
  }

  /** Opens a node's socket and sends its first report. */
  async link(node, instance, revs = {}) {
    const link = await Link.open(this, node);
    link.report(instance, revs);
    return link;
  }

  async evict(className, name) {
    await this.worker.evictDurableObject(className, { name, webSockets: "hibernate" });
  }

  /** What an object keeps, by the keys: read from the runtime's files. */
  async storedKeys(binding, name) {
    const rows = await this.storedRows(binding, name, "_cf_KV", "SELECT key FROM _cf_KV");
    return rows.map(({ key }) => key);
  }

  /** Rows of an object's own database; none where it has no such table. */
  async storedRows(binding, name, table, statement) {
    const env = await this.worker.getEnv();
    const id = env[binding].idFromName(name).toString();
    const file = this.databases().find((path) => path.endsWith(`${id}.sqlite`));
    if (file === undefined) return [];
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      const tables = database.prepare("SELECT name FROM sqlite_master").all();
      if (!tables.some(({ name }) => name === table)) return [];
      return database.prepare(statement).all();
    } finally {
      database.close();
    }
  }

  /** The events that the account's object keeps, in the order in which they came. */
  async accountEvents(account = this.account) {
    const statement = "SELECT json FROM events ORDER BY number";
    const rows = await this.storedRows("WEBHOOK", account, "events", statement);
    return rows.map(({ json }) => JSON.parse(json));
  }

  logs() {
    return JSON.stringify(this.#harness.getLogs());
  }

  /** The files of D1, KV and the Durable Objects that hold any of the texts. */
  filesWith(texts) {
    return filesWith(this.state, texts);
  }

  /** How many files the runtime keeps, to show that a search of them means something. */
  databases() {
    return files(this.state).filter((file) => file.endsWith(".sqlite"));
  }

  /** Ends it, and fails if a secret of any test was kept or said. */
  async close() {
    const messages = () => this.#harness.getLogs().map(({ message }) => message);
    await end(this.state, () => this.#harness.close(), () => messages().join("\n"));
  }
}

/** A relay node's end of the link. */
class Link {
  #frames = [];
  #waiting = [];

  static async open(control, node) {
    const url = new URL(`/relay/v1/nodes/${node}/link`, control.url);
    url.protocol = "ws:";
    const headers = { authorization: `Bearer ${control.relayToken}` };
    const link = new Link(new WebSocket(url, { headers }));
    await link.opened;
    return link;
  }

  constructor(socket) {
    this.socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve, { once: true });
      socket.addEventListener("error", () => reject(new Error("the upgrade was refused")), {
        once: true,
      });
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", resolve, { once: true });
    });
    socket.addEventListener("message", ({ data }) => {
      learn(data);
      // Whoever reads a status makes the control plane ask for figures.
      if (data.startsWith('{"type":"watch"')) {
        this.watch = JSON.parse(data);
        return;
      }
      const frame = { data, at: performance.now() };
      const waiting = this.#waiting.shift();
      waiting === undefined ? this.#frames.push(frame) : waiting(frame);
    });
  }

  send(frame) {
    this.socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  report(instance, revs = {}, events = []) {
    this.send({ type: "report", version: 1, instance, revs, events });
  }

  applied(input, rev, more = {}) {
    this.send({ type: "applied", input, rev, ...more });
  }

  /** The next frame's text, and when it came; fails when none comes for a long while. */
  async nextText() {
    const frame = this.#frames.shift();
    if (frame !== undefined) return frame;
    return withLimit("a frame", new Promise((resolve) => this.#waiting.push(resolve)));
  }

  /** The next frame, of which `type` is expected. */
  async next(type) {
    const { data, at } = await this.nextText();
    const frame = JSON.parse(data);
    if (frame.type !== type) throw new Error(`expected a ${type}, got ${data}`);
    return { ...frame, at };
  }

  /** The next snapshot of the input with at least this `rev`; repetitions of older ones pass by. */
  async snapshot(input, rev = 0) {
    for (;;) {
      const frame = await this.next("snapshot");
      if (frame.input === input && frame.rev >= rev) return frame;
    }
  }

  close() {
    this.socket.close();
  }
}

/** Long beyond any time that a test expects. */
const LIMIT_MS = 30_000;

export async function withLimit(what, promise) {
  let timer;
  const limit = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come`)), LIMIT_MS);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls until the condition holds. */
export async function eventually(what, condition) {
  const started = performance.now();
  while (!(await condition())) {
    if (performance.now() - started > LIMIT_MS) throw new Error(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** That an answer is a refusal in the envelope, with this status and code. */
export function assertRefused(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers.get("content-type"), /^application\/json/);
  assert.deepEqual(Object.keys(answer.json).sort(), ["errors", "messages", "result", "success"]);
  assert.equal(answer.json.success, false);
  assert.equal(answer.json.result, null);
  assert.equal(answer.json.errors.length, 1);
  assert.equal(answer.json.errors[0].code, code, answer.text);
  assert.ok(answer.json.errors[0].message.length > 10, answer.text);
}

export function expectResult(answer) {
  if (answer.status !== 200 || !answer.json.success) throw new Error(answer.text);
  return answer.json.result;
}

/** What `uid`s and instances look like. */
export function hexId() {
  return randomBytes(16).toString("hex");
}

/** A destination's stream key that can be told from all others. */
export function secret() {
  return `live_${randomBytes(12).toString("hex")}`;
}

/** What the database keeps of a token. */
export function hashed(token) {
  return createHash("sha256").update(token).digest("hex");
}

/** Where a token's look-up is remembered. */
function cacheKey(token) {
  return `token:${hashed(token)}`;
}
