// Removing an output: it sends nothing more at once, and is gone for good when nobody has undone
// that for a few seconds.

import { signal } from "@preact/signals";
import { ApiError } from "../../api/client";
import { changeOutput, deleteOutput, deleteOutputAtLast } from "../../api/inputs";
import type { Output } from "../../api/types";
import type { InputLive } from "../../live/input";
import { toast, TOAST_MS } from "../../ui/toast";

const removed = signal<ReadonlySet<string>>(new Set());

/** Whether it is about to be removed, and not shown any more. */
export function isRemoved(uid: string): boolean {
  return removed.value.has(uid);
}

export async function removeOutput(live: InputLive, output: Output, name: string): Promise<void> {
  if (output.enabled) await changeOutput(live.uid, output.uid, { enabled: false });
  mark(output.uid, true);
  const leave = () => deleteOutputAtLast(live.uid, output.uid);
  window.addEventListener("pagehide", leave);
  const finish = () => {
    clearTimeout(timer);
    window.removeEventListener("pagehide", leave);
  };
  const timer = setTimeout(async () => {
    finish();
    try {
      await deleteOutput(live.uid, output.uid);
      live.dropOutput(output.uid);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status !== 404) toast(`${name} could not be removed: ${error.message}`);
    }
    mark(output.uid, false);
  }, TOAST_MS);
  const away = toast(`${name} was removed.`, async () => {
    finish();
    away();
    mark(output.uid, false);
    try {
      if (output.enabled) {
        const { result } = await changeOutput(live.uid, output.uid, { enabled: true });
        live.putOutput(result);
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      toast(`${name} is there again, but switched off: ${error.message}`);
    }
  });
}

function mark(uid: string, isGone: boolean): void {
  const next = new Set(removed.peek());
  if (isGone) next.add(uid);
  else next.delete(uid);
  removed.value = next;
}
