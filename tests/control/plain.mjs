// The Worker in workerd without wrangler's proxy before it: for what must be seen from close by,
// times and counts.

import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { unstable_getMiniflareWorkerOptions, unstable_splitSqlQuery } from "wrangler";
import { end, knowSettings, stateFolder } from "./scan.mjs";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const MIGRATIONS = `${ROOT}/control-worker/migrations`;

/** A socket that leads straight to a Worker. */
export const DIRECT = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };

/** The Worker in a runtime of its own, whose log is kept. */
export class Plain {
  #log = [];

  static async start(worker) {
    const plain = new Plain();
    plain.folder = stateFolder();
    plain.runtime = new Miniflare(plain.#options(worker));
    await plain.runtime.ready;
    return plain;
  }

  /** Another Worker with the state of the one before. */
  async replace(worker) {
    await this.runtime.setOptions(this.#options(worker));
  }

  #options(worker) {
    const { KEY_ENCRYPTION_KEYS, BOOTSTRAP_TOKEN = "" } = worker.bindings;
    knowSettings({ KEY_ENCRYPTION_KEYS, BOOTSTRAP_TOKEN });
    const handleStructuredLogs = ({ message }) => this.#log.push(message);
    return convertV4MiniflareOptions({ workers: [worker], handleStructuredLogs });
  }

  async url() {
    return (await this.runtime.unsafeGetDirectURL("worker")).origin;
  }

  /** Ends it, and fails if a secret of any test was kept or said. */
  async end() {
    await end(this.folder, () => this.runtime.dispose(), () => this.#log.join("\n"));
  }
}

/** The options of the Worker as wrangler.toml has it, in the form of Miniflare's version 4. */
export function workerOptions(name, keyring) {
  process.env.KEY_ENCRYPTION_KEYS = keyring;
  const { workerOptions } = unstable_getMiniflareWorkerOptions(`${ROOT}/wrangler.toml`);
  return {
    ...workerOptions,
    ...DIRECT,
    name,
    modules: [
      module("ESModule", "control-worker/build/index.js"),
      module("CompiledWasm", "control-worker/build/index_bg.wasm"),
    ],
    modulesRoot: `${ROOT}/control-worker/build`,
    // No limit of a client's.
    bindings: {
      ...workerOptions.bindings,
      KEY_ENCRYPTION_KEYS: keyring,
      RATE_LIMIT_PER_MINUTE: "0",
    },
    d1Databases: { DB: name },
    kvNamespaces: { TOKENS: name },
  };
}

/**
 * Puts a script of this folder between the runtime and the Worker: its default export serves, and its
 * `object` makes the class of each Durable Object by name.
 */
export function wrap(worker, script) {
  const objects = Object.values(worker.durableObjects).map(({ className }) => className);
  const exported = objects.map((name) => `export const ${name} = object("${name}");`);
  const main = `import Worker, { object } from "./wrapper.js";\nexport default Worker;\n`;
  const build = `${ROOT}/control-worker/build`;
  worker.modules = [
    { type: "ESModule", path: `${build}/main.js`, contents: main + exported.join("\n") },
    {
      type: "ESModule",
      path: `${build}/wrapper.js`,
      contents: readFileSync(new URL(script, import.meta.url), "utf8"),
    },
    module("ESModule", "control-worker/build/worker.js"),
    ...worker.modules,
  ];
}

export function module(type, path) {
  return { type, path: `${ROOT}/${path}` };
}

/** Makes the tables of a Worker's database, and returns it. */
export async function migrated(miniflare, name) {
  const database = await miniflare.getD1Database("DB", name);
  for (const file of readdirSync(MIGRATIONS).sort()) {
    for (const sql of unstable_splitSqlQuery(readFileSync(`${MIGRATIONS}/${file}`, "utf8"))) {
      await database.prepare(sql).run();
    }
  }
  return database;
}

/** An account with a token of these permissions. */
export async function signUp(database, account, hash, permissions) {
  const run = (sql, ...values) => database.prepare(sql).bind(...values).run();
  await run("INSERT INTO accounts (id, name, created) VALUES (?, 'plain', 0)", account);
  await run(
    "INSERT INTO tokens (id, tag, hash, account_id, kind, name, created, permissions) VALUES ('t', ?, ?, ?, 'api', 'plain', 0, ?)",
    randomBytes(16).toString("hex"),
    hash,
    account,
    permissions,
  );
}
