// The rig that all files of this folder share: they run in one process, one after the other.

import assert from "node:assert/strict";
import { after } from "node:test";
import { Rig } from "./rig.mjs";

let started;

/** The rig, started by whoever asks first. */
export function rig() {
  started ??= Rig.start();
  return started;
}

after(async () => {
  if (started !== undefined) await (await started).end();
});

/**
 * Closes a tab, in which nothing may have gone wrong (an exception, a refused script, a line of error
 * in the console) but what is expected.
 */
export async function close(tab, expected = []) {
  const wrongs = tab.wrongs.filter((wrong) => !expected.some((pattern) => pattern.test(wrong)));
  await tab.context().close();
  assert.deepEqual(wrongs, []);
}
