// The list of live inputs, read once, then kept by the account's event stream.

import { batch, signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { listInputs } from "../api/inputs";
import type { InputState, ListedInput } from "../api/types";
import { onAccount } from "./account";
import type { ApiEvent, Frame } from "./frames";

/** What of the list is shown. */
export interface Filter {
  search: string;
  status: string;
  page: number;
}

/** Live inputs of one page. */
export const PER_PAGE = 25;

/** Changes that come together are read together. */
const GATHER_MS = 150;

/** States are shown at once; how many outputs are live is read soon after events and changes, and
 * again when the list knows: what it says of outputs is up to ten seconds old. */
const AFTER_EVENT_MS = 1500;
const SETTLED_MS = 11_000;
const SETTLED = "settled";

const STATES: Record<string, InputState> = {
  "live_input.connected": "connected",
  "live_input.reconnecting": "reconnecting",
  "live_input.disconnected": "disconnected",
  "live_input.unknown": "unknown",
};

export class InputList {
  /** Null until they are read. */
  readonly items = signal<readonly ListedInput[] | null>(null);
  readonly total = signal(0);
  readonly error = signal<ApiError | null>(null);
  readonly filter = signal<Filter>({ search: "", status: "", page: 1 });

  #timers = new Map<string, ReturnType<typeof setTimeout>>();
  #reads = 0;
  /** When the list knows all that has happened, in Unix milliseconds. */
  #settledAt = 0;
  readonly #close = onAccount((frame) => this.#take(frame));

  constructor() {
    void this.read();
    this.#readSettled();
  }

  close(): void {
    this.#close();
    this.#reads += 1;
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }

  choose(filter: Filter): void {
    this.filter.value = filter;
    void this.read();
  }

  turn(page: number): void {
    this.choose({ ...this.filter.peek(), page });
  }

  async read(): Promise<void> {
    const mine = ++this.#reads;
    try {
      const { result, info } = await listInputs({ ...this.filter.peek(), perPage: PER_PAGE });
      if (mine !== this.#reads) return;
      batch(() => {
        this.items.value = result;
        this.total.value = info?.total_count ?? result.length;
        this.error.value = null;
      });
    } catch (error) {
      if (mine === this.#reads && error instanceof ApiError) this.error.value = error;
    }
  }

  #take(frame: Frame): void {
    if (frame.type === "ready" || frame.type === "changed") {
      this.#readIn(GATHER_MS);
      this.#readSettled();
    }
    if (frame.type === "event") this.#event(frame.event);
  }

  #event(event: ApiEvent): void {
    const state = STATES[event.type];
    if (state !== undefined) {
      const status = { current: { state, statusEnteredAt: event.at } };
      this.items.value =
        this.items.peek()?.map((one) => (one.uid === event.input ? { ...one, status } : one)) ?? null;
    }
    this.#readIn(AFTER_EVENT_MS);
    this.#readSettled();
  }

  /** Reads when the list knows what has happened until now. */
  #readSettled(): void {
    this.#settledAt = Date.now() + SETTLED_MS;
    if (!this.#timers.has(SETTLED)) this.#awaitSettled(this.#settledAt);
  }

  /** Again for what happens meanwhile, which neither delays this reading nor is left out. */
  #awaitSettled(at: number): void {
    const read = () => {
      this.#timers.delete(SETTLED);
      void this.read();
      if (this.#settledAt > at) this.#awaitSettled(this.#settledAt);
    };
    this.#timers.set(SETTLED, setTimeout(read, at - Date.now()));
  }

  /** Reads after a while; one timer for each length, so that a busy account still is read. */
  #readIn(ms: number): void {
    const key = String(ms);
    if (this.#timers.has(key)) return;
    this.#timers.set(
      key,
      setTimeout(() => {
        this.#timers.delete(key);
        void this.read();
      }, ms),
    );
  }
}
