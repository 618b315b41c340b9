// What crosses between Wasm and JavaScript for nearly every request, in one step each. A crossing costs
// more than most of what the Worker computes: values go as JSON, in one text.

// Without it futures are polled from a promise, which costs the runtime less. A trap in one is told as
// the shim wants to hear of it, which then makes a new instance.
globalThis.queueMicrotask = undefined;
addEventListener("unhandledrejection", ({ reason }) => {
  if (reason instanceof WebAssembly.RuntimeError) reportError(reason);
});

const utf8 = new TextEncoder();

let told;

/** What promises come to is told this function, in bytes: a string would be copied a character at a time. */
export function listen(callback) {
  told = callback;
}

async function tell(place, start) {
  // This instance's, whichever there is when it is over.
  const tell = told;
  let value, error;
  try {
    value = await start();
  } catch (thrown) {
    error = `${thrown}`;
  }
  tell(place, typeof value === "string" ? utf8.encode(value) : value, error);
}

/** Runs statements, `[[sql, parameters], …]`, as one batch of D1. It comes to the rows of each in a line. */
export function batch(place, env, statements) {
  tell(place, () => run(env.DB, JSON.parse(statements)));
}

async function run(database, statements) {
  const bound = statements.map(([sql, parameters]) => database.prepare(sql).bind(...parameters));
  const answers = await database.batch(bound);
  return answers.map(({ results }) => JSON.stringify(results)).join("\n");
}

/**
 * What nearly every answer looks at, of a request: method, path, query, whether there is a body, its length,
 * two headers. The runtime has put the URL in its one form: behind `scheme://host` comes a slash, and a
 * fragment is never sent.
 */
export function head(request) {
  const { body, headers, method, url } = request;
  const path = url.indexOf("/", url.indexOf(":") + 3);
  const query = url.indexOf("?", path);
  const end = query < 0 ? url.length : query;
  return JSON.stringify([
    method,
    url.slice(path, end),
    url.slice(end + 1),
    body !== null,
    body && headers.get("content-length"),
    headers.get("authorization"),
    headers.get("cf-ray"),
  ]);
}

/** What is remembered under a key; null for nothing. */
export function remembered(place, env, key) {
  tell(place, () => env.TOKENS.get(key));
}

/** Asks an object. It comes to its answer; to null where it failed. */
export function ask(place, env, binding, name, url, ray, question) {
  tell(place, () => answered(env[binding].getByName(name), url, ray, question));
}

async function answered(object, url, ray, question) {
  const headers = ray === undefined ? {} : { "cf-ray": ray };
  const answer = await object.fetch(url, { method: "POST", headers, body: question });
  const text = await answer.text();
  return answer.status === 200 ? text : null;
}

/** What an object is asked: the caller's ray, empty where there is none, the path, the question. */
export function asked(place, request) {
  tell(place, async () => {
    const { headers, url } = request;
    const path = url.slice(url.indexOf("/", url.indexOf(":") + 3));
    return `${headers.get("cf-ray") ?? ""}\n${path}\n${await request.text()}`;
  });
}

/** The body of a request, whole. */
export function body(place, request) {
  tell(place, async () => new Uint8Array(await request.arrayBuffer()));
}

/** An object's answer. */
export function answer_of_object(text) {
  return new Response(text);
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
