// All event streams of the page as one: what the header shows.

import { computed, signal } from "@preact/signals";
import { read } from "../api/client";
import { session, type Session } from "../session";
import { EventSocket, type Link } from "./socket";
import type { Frame } from "./frames";

const sockets = signal<readonly EventSocket[]>([]);

/** The worst of them. */
export const link = computed<Link>(() => {
  const links = sockets.value.map((socket) => socket.link.value);
  const lost = links.filter((one) => one.state === "lost");
  const [first] = lost.sort((a, b) => a.next - b.next);
  return first ?? links.find((one) => one.state === "connecting") ?? { state: "open" };
});

/** Opens an event stream of the account; the answer closes it. */
export function listen(path: string, who: Session, onFrame: (frame: Frame) => void): () => void {
  const socket = new EventSocket(path, who, { onFrame, onRefused });
  sockets.value = [...sockets.peek(), socket];
  return () => {
    socket.close();
    sockets.value = sockets.peek().filter((one) => one !== socket);
  };
}

/** Tries all at once that wait for their next attempt. */
export function retryNow(): void {
  for (const socket of sockets.peek()) socket.retry();
}

/** A request tells why, and signs out if the token is no good any more. */
function onRefused(): void {
  if (session.peek() !== null) void read("/tokens/verify").catch(() => undefined);
}
