// A client of WebSockets (RFC 6455) that says at once when it is told to close. That of Node.js says
// it when the connection has ended as well, which the runtime does once it has dropped the memory of
// the object: while others are connected there, that may take a minute.

import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import http from "node:http";

const [TEXT, BINARY, CLOSE, PING, PONG] = [1, 2, 8, 9, 10];

/** Emits `open` or `refused`, then `message` with each text, and `close` with a code and a reason. */
export class WebSocketClient extends EventEmitter {
  #connection;
  #received = Buffer.alloc(0);
  #isClosed = false;

  constructor(url, headers = {}) {
    super();
    const upgrade = {
      connection: "upgrade",
      upgrade: "websocket",
      "sec-websocket-key": randomBytes(16).toString("base64"),
      "sec-websocket-version": "13",
    };
    const request = http.get(url, { headers: { ...headers, ...upgrade } });
    request.once("error", () => this.emit("refused"));
    request.once("response", (response) => {
      response.resume();
      this.emit("refused");
    });
    request.once("upgrade", (_, connection, head) => {
      this.#connection = connection;
      // A connection that breaks ends.
      connection.on("error", () => {});
      connection.once("close", () => this.#closes(1006, ""));
      connection.on("data", (bytes) => this.#take(bytes));
      this.emit("open");
      this.#take(head);
    });
  }

  send(data) {
    this.#write(typeof data === "string" ? TEXT : BINARY, Buffer.from(data));
  }

  close() {
    this.#write(CLOSE, Buffer.from([1000 >> 8, 1000 & 0xff]));
  }

  #take(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) {
      const { kind, payload } = frame;
      if (kind === TEXT) this.emit("message", payload.toString());
      if (kind === PING) this.#write(PONG, payload);
      if (kind === CLOSE) {
        const code = payload.length < 2 ? 1005 : payload.readUInt16BE();
        if (!this.#isClosed) this.#write(CLOSE, payload.subarray(0, 2));
        this.#connection.end();
        this.#closes(code, payload.subarray(2).toString());
      }
    }
  }

  /** The next frame that is here whole; a server's are not masked, and the runtime's not divided. */
  #next() {
    const received = this.#received;
    if (received.length < 2) return undefined;
    const short = received[1] & 0x7f;
    const begins = { 126: 4, 127: 10 }[short] ?? 2;
    if (received.length < begins) return undefined;
    const lengths = { 126: () => received.readUInt16BE(2), 127: () => Number(received.readBigUInt64BE(2)) };
    const ends = begins + (lengths[short]?.() ?? short);
    if (received.length < ends) return undefined;
    this.#received = received.subarray(ends);
    return { kind: received[0] & 0x0f, payload: received.subarray(begins, ends) };
  }

  #write(kind, payload) {
    if (this.#isClosed) return;
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 2 : 4);
    head[0] = 0x80 | kind;
    head[1] = 0x80 | (length < 126 ? length : 126);
    if (length >= 126) head.writeUInt16BE(length, 2);
    const mask = randomBytes(4);
    const masked = payload.map((byte, at) => byte ^ mask[at % 4]);
    this.#connection.write(Buffer.concat([head, mask, masked]));
  }

  #closes(code, reason) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.emit("close", { code, reason });
  }
}
