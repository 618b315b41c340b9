// A webhook's receiver on loopback, which does as the test says.

import { createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { says } from "./scan.mjs";
import { eventually } from "./support.mjs";

export class Receiver {
  static #all = [];

  /** What arrived: headers, body and when. */
  arrived = [];

  /** How many of those who asked went away without an answer. */
  left = 0;

  /** Answers 200, unless told otherwise: `answer` is given the request's number and its response. */
  static async start(answer = (_, response) => response.end()) {
    const receiver = new Receiver();
    receiver.answer = answer;
    receiver.server = createServer(async (request, response) => {
      let body = "";
      for await (const chunk of request.setEncoding("utf8")) body += chunk;
      const { method, url, headers } = request;
      says("a message of a webhook", body);
      response.once("close", () => (receiver.left += response.writableFinished ? 0 : 1));
      receiver.arrived.push({ method, url, headers, body, at: performance.now() });
      receiver.answer(receiver.arrived.length, response);
    });
    receiver.server.listen(0, "127.0.0.1");
    await once(receiver.server, "listening");
    Receiver.#all.push(receiver);
    return receiver;
  }

  get url() {
    return `http://127.0.0.1:${this.server.address().port}/hook?token=1`;
  }

  /** The ids of the events that arrived. */
  get events() {
    return this.arrived.flatMap(({ headers }) => headers["webhook-event-id"] ?? []);
  }

  async has(count) {
    await eventually(`${count} messages arrive`, () => this.arrived.length >= count);
    return this.arrived.slice(0, count);
  }

  /** Whoever comes from now on finds nobody. */
  async close() {
    if (!this.server.listening) return;
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  static async closeAll() {
    for (const receiver of Receiver.#all) await receiver.close();
  }
}

/** Checks a signature as Cloudflare's guide does. */
export function isSignedWith(secret, { headers, body }) {
  const parts = headers["webhook-signature"].split(",").map((part) => part.split("="));
  const { time, sig1 } = Object.fromEntries(parts);
  const age = Date.now() / 1000 - Number(time);
  const expected = createHmac("sha256", secret).update(`${time}.${body}`).digest();
  return Math.abs(age) < 60 && timingSafeEqual(expected, Buffer.from(sig1, "hex"));
}
