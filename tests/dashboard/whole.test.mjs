// What only all files of this folder together can show; its name makes it the last.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { rig } from "./shared.mjs";

test("every button of every page was pressed by some test", async (t) => {
  const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.mjs"));
  const isWhole = files.every((name) => process.argv.some((given) => given.endsWith(name)));
  if (!isWhole) return t.skip("runs with all files of this folder");
  const { buttons } = await rig();
  console.log(`# ${buttons.seen.size} buttons`);
  assert.ok(buttons.seen.size > 60, `${buttons.seen.size} buttons were seen`);
  assert.deepEqual(buttons.untouched, []);
});
