// The Worker and its floor in one workerd, each with storage of its own and a socket that leads
// straight to it. Prints one line of JSON once both answer, and ends when its standard input does.

import { randomBytes } from "node:crypto";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { DIRECT, migrated, module, ROOT, signUp, workerOptions } from "../tests/control/plain.mjs";
import { hashed, PERMISSIONS } from "../tests/control/support.mjs";

const account = process.env.STREAM_CONNECT_ACCOUNT;
const token = `sct_${randomBytes(32).toString("hex")}`;
const operator = `sco_${randomBytes(32).toString("hex")}`;
const worker = workerOptions("worker", `1:${randomBytes(32).toString("hex")}`);
// A measurement makes more of everything than anybody may.
worker.bindings.MAX_INPUTS_PER_ACCOUNT = "1000000";
worker.bindings.MAX_OUTPUTS_PER_INPUT = "1000000";
// Test messages to receivers that are made go nowhere.
worker.bindings.WEBHOOK_NETWORKS = "127.0.0.0/8";
worker.bindings.BOOTSTRAP_TOKEN = operator;
// With assets, Miniflare puts two Workers of its own before ours, which the floor would not have.
delete worker.assets;

const floor = {
  ...DIRECT,
  name: "floor",
  compatibilityDate: worker.compatibilityDate,
  modules: [module("ESModule", "bench/floor.js")],
  modulesRoot: `${ROOT}/bench`,
  bindings: {
    STATEMENTS: process.env.STREAM_CONNECT_STATEMENTS,
    TOKEN_KEY: `token:${hashed(token)}`,
  },
  d1Databases: { DB: "floor" },
  kvNamespaces: { TOKENS: "floor" },
  durableObjects: { FLOOR: { className: "Floor", useSQLite: true } },
};
const miniflare = new Miniflare(convertV4MiniflareOptions({ workers: [worker, floor] }));
await miniflare.ready;
const all = Object.values(PERMISSIONS).reduce((sum, bit) => sum + bit, 0);
for (const name of ["worker", "floor"]) {
  await signUp(await migrated(miniflare, name), account, hashed(token), all);
}
// The Worker puts what it has looked up there itself.
const tokens = await miniflare.getKVNamespace("TOKENS", "floor");
await tokens.put(floor.bindings.TOKEN_KEY, JSON.stringify({ id: "t", account_id: account }));

const url = async (name) => (await miniflare.unsafeGetDirectURL(name)).origin;
const [ours, other] = [await url("worker"), await url("floor")];
console.log(JSON.stringify({ worker: ours, floor: other, token, operator }));
process.stdin.resume().once("end", () => miniflare.dispose());
