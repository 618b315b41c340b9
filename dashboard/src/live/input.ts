// One live input as it is now: read once, then kept by its event stream.

import { batch, signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { readInput, readOutputs } from "../api/inputs";
import type { LiveInput, Output } from "../api/types";
import type { Session } from "../session";
import type { ApiEvent, Frame, StateFrame } from "./frames";
import { listen } from "./links";
import { withSample, type Sample } from "./samples";

/** What is read even when the event stream does not get ready: the page is better old than empty. */
const READ_ANYWAY_MS = 1000;

/** Changes that come together are read together. */
const GATHER_MS = 60;

/** Events that a page keeps, beside the history that the API has. */
const MOST_EVENTS = 200;

export class InputLive {
  readonly input = signal<LiveInput | null>(null);
  readonly outputs = signal<readonly Output[]>([]);
  readonly samples = signal<readonly Sample[]>([]);
  /** The newest first. */
  readonly events = signal<readonly ApiEvent[]>([]);
  readonly error = signal<ApiError | null>(null);
  readonly deleted = signal(false);

  #timer: ReturnType<typeof setTimeout> | undefined;
  #reads = 0;
  #reading = false;
  readonly #close: () => void;

  constructor(
    readonly uid: string,
    who: Session,
  ) {
    this.#readIn(READ_ANYWAY_MS);
    this.#close = listen(`/stream/live_inputs/${uid}/events`, who, (frame) => this.#take(frame));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#reads += 1;
    this.#close();
  }

  /** Reads all of it again. */
  async read(): Promise<void> {
    clearTimeout(this.#timer);
    const mine = ++this.#reads;
    this.#reading = true;
    try {
      const [input, outputs] = await Promise.all([readInput(this.uid), readOutputs(this.uid)]);
      if (mine !== this.#reads) return;
      batch(() => {
        this.input.value = input;
        this.outputs.value = outputs;
        this.error.value = null;
      });
    } catch (error) {
      if (mine === this.#reads && error instanceof ApiError) this.error.value = error;
    } finally {
      if (mine === this.#reads) this.#reading = false;
    }
  }

  /** Puts in what the API answered about the input. */
  put(input: LiveInput): void {
    this.#supersede();
    this.input.value = input;
  }

  /** Puts in what the API answered about an output, new or changed. */
  putOutput(output: Output): void {
    this.#supersede();
    const known = this.outputs.peek();
    const isKnown = known.some(({ uid }) => uid === output.uid);
    this.outputs.value = isKnown
      ? known.map((one) => (one.uid === output.uid ? output : one))
      : [...known, output];
  }

  /** Takes an output out that was removed. */
  dropOutput(uid: string): void {
    this.#supersede();
    this.outputs.value = this.outputs.peek().filter((one) => one.uid !== uid);
  }

  /** What is being read may be older than what was just answered: it is read again. */
  #supersede(): void {
    if (!this.#reading) return;
    this.#reads += 1;
    this.#reading = false;
    this.#readIn(GATHER_MS);
  }

  #readIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.read(), ms);
  }

  #take(frame: Frame): void {
    switch (frame.type) {
      case "ready":
        void this.read();
        break;
      case "changed":
        this.#readIn(GATHER_MS);
        break;
      case "state":
        this.#state(frame);
        break;
      case "event":
        this.#event(frame.event);
        break;
      case "deleted":
        this.deleted.value = true;
        break;
      case "pong":
        break;
    }
  }

  #state({ status, configuration, outputs }: StateFrame): void {
    const stands = new Map(outputs.map((output) => [output.uid, output]));
    batch(() => {
      const input = this.input.peek();
      if (input !== null) this.input.value = { ...input, status, configuration };
      this.outputs.value = this.outputs.peek().map((output) => {
        const { status, configuration, enabled } = stands.get(output.uid) ?? output;
        return { ...output, status, configuration, enabled };
      });
      this.samples.value = withSample(this.samples.peek(), status?.current, Date.now());
    });
  }

  #event(event: ApiEvent): void {
    const known = this.events.peek();
    if (known.some(({ id }) => id === event.id)) return;
    this.events.value = [event, ...known].slice(0, MOST_EVENTS);
  }
}
