// What is deployed: the Worker as an object. The build makes a class of it, which the runtime would
// construct for each request, behind proxies that look after a broken Wasm instance.

import Worker, { LiveInput, RelayNode, Webhook } from "./worker.js";

export { LiveInput, RelayNode, Webhook };

// A trap leaves the instance broken: from then on the class serves, and makes a new one.
let isBroken = false;

function look(error) {
  isBroken ||= error instanceof WebAssembly.RuntimeError;
}

addEventListener("error", ({ error }) => look(error));

export default {
  async fetch(request, env, ctx) {
    if (isBroken) return new Worker(ctx, env).fetch(request);
    try {
      return await Worker.prototype.fetch.call({ env, ctx }, request);
    } catch (error) {
      look(error);
      throw error;
    }
  },
};
