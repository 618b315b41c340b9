// The time of day, for what counts up or down on the page.

import { signal } from "@preact/signals";

/** Milliseconds, anew each second while the page is seen. */
export const now = signal(Date.now());

setInterval(() => {
  if (document.visibilityState === "visible") now.value = Date.now();
}, 1000);
document.addEventListener("visibilitychange", () => (now.value = Date.now()));
