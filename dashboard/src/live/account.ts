// What goes on in the whole account, for the pages that show more than one live input.

import type { Session } from "../session";
import type { Frame } from "./frames";
import { listen } from "./links";

type Listener = (frame: Frame) => void;

const listeners = new Set<Listener>();

/** Hears the account's event stream; the answer ends that. */
export function onAccount(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Opens the account's event stream for as long as somebody is signed in. */
export function openAccount(who: Session): () => void {
  return listen("/stream/live_inputs/events", who, (frame) => {
    for (const listener of listeners) listener(frame);
  });
}
