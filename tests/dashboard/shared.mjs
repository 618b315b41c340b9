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

const endings = [];

/** Does something when all files are done, whatever came of them. */
export function atEnd(work) {
  endings.push(work);
}

/**
 * What several tests of a file look at, made for the first of them. A hook would not do: the files
 * share one process, in which hooks belong to all of them.
 */
export function scene(make) {
  let made;
  return () => (made ??= make());
}

after(async () => {
  for (const work of endings) await work();
  if (started !== undefined) await (await started).end();
});

/**
 * Closes a tab, in which nothing may have gone wrong (an exception, a refused script, a line of error
 * in the console) but what is expected. That a socket was lost is told by the page itself, and looked
 * for by the tests of that.
 */
export async function close(tab, expected = []) {
  const allowed = [/^WebSocket connection/, ...expected];
  const wrongs = tab.wrongs.filter((wrong) => !allowed.some((pattern) => pattern.test(wrong)));
  await tab.context().close();
  assert.deepEqual(wrongs, []);
}
