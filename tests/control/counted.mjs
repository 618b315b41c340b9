// The Worker with its bindings counted: each answer names, in the header `x-round-trips`, the calls
// of storage and objects that were made for it. Those that one waits for together are one, joined by
// a plus. One request at a time.

import Worker, * as parts from "./worker.js";

const CALLS = {
  D1Database: ["batch", "exec"],
  KvNamespace: ["get", "getWithMetadata", "list"],
  DurableObject: ["fetch"],
};

/** What no answer waits for: the account's object is told of a change beside it. */
const TOLD_LATER = /\/changed$/;

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
  // Who calls while an own call is under way waits for both; what an object calls for its caller
  // comes after the caller's call.
  const waits = { underWay: 0, last: 0 };
  return new Proxy(env, { get: (target, name) => binding(waits, name, target[name]) });
}

function binding(waits, name, value) {
  const methods = CALLS[value?.constructor?.name];
  if (methods !== undefined) {
    return watched(waits, value, (method) => methods.includes(method) && name);
  }
  const isNamespace = typeof value?.getByName === "function";
  if (!isNamespace) return value;
  // A namespace makes stubs, and those are called.
  const stub = (made) => watched(waits, made, (method) => method === "fetch" && name);
  return new Proxy(value, {
    get(target, method) {
      const found = target[method];
      if (typeof found !== "function" || method === "constructor") return found;
      const makesStub = ["get", "getByName"].includes(method);
      return (...args) => (makesStub ? stub(target[method](...args)) : target[method](...args));
    },
  });
}

function watched(waits, value, counts) {
  return new Proxy(value, {
    get(target, method) {
      const found = target[method];
      if (typeof found !== "function" || method === "constructor") return found;
      return (...args) => {
        const name = !TOLD_LATER.test(args[0]?.url ?? args[0]) && counts(method);
        const answer = target[method](...args);
        if (name) count(waits, `${name}.${method}`, answer);
        return answer;
      };
    },
  });
}

function count(waits, call, answer) {
  if (waits.underWay > 0) {
    calls[waits.last] += `+${call}`;
  } else {
    waits.last = calls.push(call) - 1;
  }
  waits.underWay += 1;
  const over = () => {
    waits.underWay -= 1;
  };
  Promise.resolve(answer).then(over, over);
}
