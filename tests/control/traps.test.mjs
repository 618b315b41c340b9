// What a trap in the Wasm costs: the request that met it, and no other.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { migrated, Plain, workerOptions } from "./plain.mjs";
import { fetch } from "./scan.mjs";

let plain, url;

before(async () => {
  const worker = workerOptions("worker", `1:${randomBytes(32).toString("hex")}`);
  worker.modules = worker.modules.map((module) =>
    module.type === "ESModule" ? { ...module, contents: trapping(module.path) } : module,
  );
  plain = await Plain.start(worker);
  await migrated(plain.runtime, "worker");
  url = await plain.url();
});

after(() => plain.end());

test("a trap fails one request, and the next ones are answered", async () => {
  const ask = async (headers) => (await fetch(`${url}/client/v4/user/tokens/verify`, { headers })).status;
  const bearer = (letter) => ({ authorization: `Bearer ${letter.repeat(40)}` });
  assert.equal(await ask(bearer("a")), 403);
  assert.equal(await ask({ ...bearer("b"), "x-trap": "once" }), 500);
  for (const letter of "cde") assert.equal(await ask(bearer(letter)), 403);
});

/** The module, in which the first look at the clock traps that comes after a request says so. */
function trapping(path) {
  const trap = 'if(globalThis.trap){globalThis.trap=false;throw new WebAssembly.RuntimeError("trap")}';
  let patched = 0;
  const after = (code) => (found) => {
    patched += 1;
    return found + code;
  };
  const text = readFileSync(path, "utf8")
    .replace(/__wbg_now_\w+:\s*function\(\w*\)\s*\{/g, after(trap))
    .replace(/async fetch\((\w+),\s*\w+,\s*\w+\)\s*\{/, (found, request) =>
      after(`globalThis.trap=${request}.headers.has("x-trap");`)(found),
    );
  assert.ok(patched >= 2, "the build names what it imports otherwise");
  return text;
}
