// The Worker with live inputs' objects that take long to say what goes on.

import Worker, * as parts from "./worker.js";

export default Worker;

/** Longer than anybody waits, and not for ever: what waits for nothing is ended by the runtime. */
const LONG_MS = 30_000;

export function object(name) {
  if (name !== "LiveInput") return parts[name];
  return class extends parts[name] {
    async fetch(request) {
      if (new URL(request.url).pathname === "/view") await scheduler.wait(LONG_MS);
      return super.fetch(request);
    }
  };
}
