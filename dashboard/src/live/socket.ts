// An event stream that comes back whenever it is lost, and misses nothing meanwhile.

import { signal } from "@preact/signals";
import { delay } from "./backoff";
import { parseFrame, type Frame } from "./frames";
import type { Session } from "../session";

/** How an event stream stands. */
export type Link =
  | { state: "connecting" }
  | { state: "open" }
  /** `next`: when it is tried again, in milliseconds of the clock. */
  | { state: "lost"; next: number };

/** How often it is asked whether it is there: a connection can die without a word. */
const PING_MS = 20_000;

/** It answers within this, and is ready within this after it was asked for. */
const ANSWER_MS = 10_000;

/** The control plane's close code for a token that is not good, or not any more. */
const NOT_AUTHORISED = 4401;

interface Handlers {
  onFrame(frame: Frame): void;
  /** The token was refused. */
  onRefused(): void;
}

export class EventSocket {
  /** For the page to show. */
  readonly link = signal<Link>({ state: "connecting" });

  #socket: WebSocket | null = null;
  #lastEvent: string | null = null;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ended = false;

  constructor(
    private readonly path: string,
    private readonly who: Session,
    private readonly handlers: Handlers,
  ) {
    window.addEventListener("online", this.retry);
    document.addEventListener("visibilitychange", this.#onVisible);
    this.#open();
  }

  /** Tries at once instead of at the next attempt's time. */
  readonly retry = (): void => {
    if (this.#ended || this.#socket !== null) return;
    this.#open();
  };

  close(): void {
    this.#ended = true;
    window.removeEventListener("online", this.retry);
    document.removeEventListener("visibilitychange", this.#onVisible);
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null;
  }

  readonly #onVisible = (): void => {
    if (document.visibilityState === "visible") this.retry();
  };

  #open(): void {
    clearTimeout(this.#timer);
    const url = new URL(`/client/v4/accounts/${this.who.account}${this.path}`, location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      // In a frame, since a URL is logged.
      const since = this.#lastEvent === null ? {} : { since: this.#lastEvent };
      socket.send(JSON.stringify({ token: this.who.token, ...since }));
    };
    socket.onmessage = ({ data }) => this.#take(socket, String(data));
    socket.onclose = ({ code }) => this.#lost(socket, code);
    this.#expect(socket);
  }

  #take(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return;
    const frame = parseFrame(text);
    if (frame?.type === "ready") {
      this.#failures = 0;
      this.link.value = { state: "open" };
      if (frame.lastEventId !== null) this.#lastEvent ??= frame.lastEventId;
      if (!frame.resumed && frame.lastEventId !== null) this.#lastEvent = frame.lastEventId;
    }
    if (frame?.type === "event") this.#lastEvent = frame.id;
    if (this.link.peek().state === "open") this.#alive(socket);
    if (frame?.type === "echo") socket.send(text);
    else if (frame !== null) this.handlers.onFrame(frame);
  }

  /** It has said something: ask again later whether it is there. */
  #alive(socket: WebSocket): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      socket.send('{"type":"ping"}');
      this.#expect(socket);
    }, PING_MS);
  }

  /** Gives it up unless it says something soon. */
  #expect(socket: WebSocket): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      socket.onclose = null;
      socket.close();
      this.#lost(socket, 0);
    }, ANSWER_MS);
  }

  #lost(socket: WebSocket, code: number): void {
    if (this.#ended || socket !== this.#socket) return;
    this.#socket = null;
    this.#failures += 1;
    clearTimeout(this.#timer);
    const wait = delay(this.#failures, Math.random);
    this.link.value = { state: "lost", next: Date.now() + wait };
    this.#timer = setTimeout(() => this.#open(), wait);
    if (code === NOT_AUTHORISED) this.handlers.onRefused();
  }
}
