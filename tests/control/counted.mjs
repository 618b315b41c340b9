// The Worker with its bindings counted: each answer names, in the header `x-round-trips`, the calls
// of storage and objects that were made for it. One request at a time.

import Worker, * as parts from "./index.js";

const CALLS = {
  D1Database: ["batch", "exec"],
  KvNamespace: ["get", "getWithMetadata", "list"],
  DurableObject: ["fetch"],
};

let calls = [];

export default class extends Worker {
  constructor(context, env) {
    super(context, counted(env));
  }

  async fetch(request) {
    calls = [];
    const answer = await super.fetch(request);
    const headers = new Headers(answer.headers);
    headers.set("x-round-trips", calls.join(" "));
    return new Response(answer.body, { status: answer.status, headers });
  }
}

/** An object that is given counted bindings. */
export function object(name) {
  return class extends parts[name] {
    constructor(state, env) {
      super(state, counted(env));
    }
  };
}

function counted(env) {
  return new Proxy(env, { get: (target, name) => binding(name, target[name]) });
}

function binding(name, value) {
  const methods = CALLS[value?.constructor?.name];
  if (methods !== undefined) return watched(value, (method) => methods.includes(method) && name);
  const isNamespace = typeof value?.getByName === "function";
  if (!isNamespace) return value;
  // A namespace makes stubs, and those are called.
  const stub = (made) => watched(made, (method) => method === "fetch" && name);
  return new Proxy(value, {
    get(target, method) {
      const found = target[method];
      if (typeof found !== "function" || method === "constructor") return found;
      const makesStub = ["get", "getByName"].includes(method);
      return (...args) => (makesStub ? stub(target[method](...args)) : target[method](...args));
    },
  });
}

function watched(value, counts) {
  return new Proxy(value, {
    get(target, method) {
      const found = target[method];
      if (typeof found !== "function" || method === "constructor") return found;
      return (...args) => {
        const name = counts(method);
        if (name) calls.push(`${name}.${method}`);
        return target[method](...args);
      };
    },
  });
}
