// A client of the event streams.

import assert from "node:assert/strict";
import { learn, says } from "./scan.mjs";
import { withLimit } from "./support.mjs";
import { WebSocketClient } from "./websocket.mjs";

export class EventStream {
  #frames = [];
  #waiting = [];

  /**
   * Opens a stream of the account, or of a live input where one is named. Without a token none is
   * sent; `since` goes into the query.
   */
  static async open(control, { input, account = control.account, token = control.token, since, echoes = true } = {}) {
    const of = input === undefined ? "" : `/${input}`;
    const path = `/client/v4/accounts/${account}/stream/live_inputs${of}/events`;
    const url = new URL(path, control.url);
    if (since !== undefined) url.searchParams.set("since", since);
    const headers = token === null ? {} : { authorization: `Bearer ${token}` };
    const stream = new EventStream(new WebSocketClient(url, headers), echoes);
    await withLimit("the stream", stream.opened);
    return stream;
  }

  constructor(socket, echoes) {
    this.socket = socket;
    /** All that came, as text. */
    this.said = [];
    this.opened = new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("refused", () => reject(new Error("the upgrade was refused")));
    });
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("message", (data) => {
      this.said.push(data);
      says("an event stream", data);
      const frame = JSON.parse(data);
      if (frame.type === "echo" && echoes) {
        socket.send(data);
        return;
      }
      const waiting = this.#waiting.shift();
      waiting === undefined ? this.#frames.push(frame) : waiting(frame);
    });
  }

  send(frame) {
    const text = typeof frame === "string" ? frame : JSON.stringify(frame);
    learn(text);
    this.socket.send(text);
  }

  /** The next frame; fails when none comes for a long while. */
  async next() {
    const frame = this.#frames.shift();
    if (frame !== undefined) return frame;
    return withLimit("a frame", new Promise((resolve) => this.#waiting.push(resolve)));
  }

  /** The next frame of a type. Others of the types in `past` pass by. */
  async nextOf(type, past = ["state"]) {
    for (;;) {
      const frame = await this.next();
      if (frame.type === type) return frame;
      assert.ok(past.includes(frame.type), `expected ${type}, got ${JSON.stringify(frame)}`);
    }
  }

  /** The next state for which the condition holds; whatever else comes before it passes by. */
  state(condition = () => true) {
    const search = async () => {
      for (;;) {
        const frame = await this.nextOf("state", ["ready", "event", "changed"]);
        if (condition(frame)) return frame;
      }
    };
    return withLimit("such a state", search());
  }

  /** The code by which it is closed; `what` says whose close did not come. */
  async closes(what = "a stream") {
    return (await withLimit(`a close of ${what}`, this.closed)).code;
  }

  close() {
    this.socket.close();
  }
}
