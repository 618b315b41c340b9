// What crosses between Wasm and JavaScript for nearly every request, in one step each. A crossing costs
// more than most of what the Worker computes: values go as JSON, in one text.

// Without it futures are polled from a promise, which costs the runtime less. A trap in one is told as
// the shim wants to hear of it, which then makes a new instance.
globalThis.queueMicrotask = undefined;
addEventListener("unhandledrejection", ({ reason }) => {
  if (reason instanceof WebAssembly.RuntimeError) reportError(reason);
});

const utf8 = new TextEncoder();

/**
 * Runs statements, `[[sql, parameters], …]`, as one batch of D1, and returns the rows of each in a line.
 * They go as bytes: a string would be copied a character at a time.
 */
export async function batch(env, statements) {
  const { DB } = env;
  const bound = JSON.parse(statements).map(([sql, parameters]) => DB.prepare(sql).bind(...parameters));
  const lines = (await DB.batch(bound)).map(({ results }) => JSON.stringify(results));
  return utf8.encode(lines.join("\n"));
}

/** What nearly every answer looks at, of a request. */
export function head(request) {
  const { headers, method, url } = request;
  const length = headers.get("content-length");
  return JSON.stringify({
    method,
    url,
    body: length !== null || (method !== "GET" && method !== "HEAD") || headers.has("transfer-encoding"),
    length,
    authorization: headers.get("authorization"),
    origin: headers.get("origin"),
    ray: headers.get("cf-ray"),
  });
}

/** What is remembered under a key; null for nothing. */
export function remembered(env, key) {
  return env.TOKENS.get(key);
}

/** Asks an object, and returns its answer; null where it failed. */
export async function ask(env, binding, name, url, ray, question) {
  const headers = ray === undefined ? {} : { "cf-ray": ray };
  const object = env[binding].getByName(name);
  const answer = await object.fetch(url, { method: "POST", headers, body: question });
  const text = await answer.text();
  return answer.status === 200 ? text : null;
}

/** What an object is asked: the caller's ray, empty where there is none, the path, the question. */
export async function asked(request) {
  const { pathname } = new URL(request.url);
  return `${request.headers.get("cf-ray") ?? ""}\n${pathname}\n${await request.text()}`;
}

/** An answer whose headers are an object in JSON. */
export function answer(status, headers, body) {
  // Wasm's memory moves under what only looks at it.
  return new Response(body?.slice(), { status, headers: JSON.parse(headers) });
}

/**
 * Runs statements, `[[sql, parameters], …]`, in an object's own database, and returns the rows of each in
 * a line.
 */
export function rows(sql, statements) {
  const run = ([text, parameters]) => JSON.stringify(sql.exec(text, ...parameters).toArray());
  return JSON.parse(statements).map(run).join("\n");
}
