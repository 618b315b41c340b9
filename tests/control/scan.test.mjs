// The search for secrets finds what a Worker gives away, in its log and in its failures.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Plain, workerOptions, wrap } from "./plain.mjs";
import { fetch, know } from "./scan.mjs";
import { hexId } from "./support.mjs";

/** A Worker that says whatever it is given. */
async function leaky() {
  const worker = workerOptions("worker", `1:${randomBytes(32).toString("hex")}`);
  wrap(worker, "leaky.mjs");
  return Plain.start(worker);
}

const token = `sct_${randomBytes(32).toString("hex")}`;
const headers = { authorization: `Bearer ${token}` };

for (const [where, leak, found] of [
  ["the log", (url) => fetch(`${url}/log`, { headers }), /^the log: said: <here>, and/],
  ["a failure", (url) => fetch(`${url}/fail`, { headers }), /^GET http.*\/fail: told: <here>$/],
  [
    "the log, as half of a key that nobody knew before",
    async (url) => {
      const body = JSON.stringify({ half: `${hexId()}k${hexId()}` });
      await fetch(`${url}/half`, { method: "POST", headers, body });
    },
    /^the log: said: <here>k, and/,
  ],
  [
    "a file",
    (_, folder) => {
      know("clé-à-vendre");
      writeFileSync(join(folder, "kept"), "\0kept: clé-à-vendre");
    },
    /kept: \0kept: <here>$/,
  ],
]) {
  test(`a secret is found in ${where}, and not repeated`, async () => {
    const plain = await leaky();
    await leak(await plain.url(), plain.folder);
    await assert.rejects(plain.end(), ({ actual }) => {
      assert.equal(actual.length, 1, actual.join("\n"));
      assert.match(actual[0], found);
      assert.ok(!actual[0].includes(token));
      return true;
    });
  });
}
