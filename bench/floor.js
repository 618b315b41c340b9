// The floor of the API: for each end point the storage calls that the Worker makes, in their order,
// and nothing else. No check of what came, no key sealed or opened, no rule.
//
// The statements are the Worker's own, handed over in STATEMENTS with examples where a request puts
// its values.

import { DurableObject } from "cloudflare:workers";

let statements;

export default {
  async fetch(request, env) {
    statements ??= JSON.parse(env.STATEMENTS);
    const { pathname } = new URL(request.url);
    if (pathname === "/health") return Response.json({ status: "ok" });
    const values = { input: pathname.split("/")[7], output: pathname.split("/")[9] };
    const what = endPoint(request.method, pathname);
    await env.TOKENS.get(env.TOKEN_KEY);
    if (what === "list_inputs" || what === "input_details" || what === "list_outputs") {
      return Response.json(await run(env, what, values));
    }
    const body = request.method === "DELETE" ? "" : await request.text();
    if (what === "create_input") values.input = hexId();
    if (what === "create_output") values.output = hexId();
    const object = env.FLOOR.getByName(values.input);
    const change = JSON.stringify({ what, values, body });
    return object.fetch("https://object/change", { method: "POST", body: change });
  },
};

/** A live input's object: stores what it is about to do, does it, stores that it is done. */
export class Floor extends DurableObject {
  async fetch(request) {
    statements ??= JSON.parse(this.env.STATEMENTS);
    const { what, values } = await request.json();
    const { storage } = this.ctx;
    const state = JSON.parse((await storage.get("state")) ?? '{"rev":0}');
    state.rev += 1;
    await storage.setAlarm(Date.now() + 2000);
    await storage.put("state", JSON.stringify(state));
    const rows = await run(this.env, what, { ...values, rev: state.rev });
    await storage.deleteAlarm();
    if (what === "delete_input") await storage.deleteAll();
    else await storage.put("state", JSON.stringify(state));
    return Response.json({ result: { uid: values.output ?? values.input }, rows });
  }

  alarm() {}
}

async function run(env, what, values) {
  const bound = statements[what].map(({ sql, params }) => {
    const real = params.map((param) => {
      const name = statements.examples[param];
      return name === undefined ? param : values[name];
    });
    return env.DB.prepare(sql).bind(...real);
  });
  return (await env.DB.batch(bound)).map(({ results }) => results);
}

function endPoint(method, path) {
  const depth = path.split("/").length;
  const named = {
    6: { GET: "list_inputs", POST: "create_input" },
    7: { GET: "input_details", PUT: "update_input", DELETE: "delete_input" },
    8: { GET: "list_outputs", POST: "create_output" },
    9: { PUT: "update_output", DELETE: "delete_output" },
  };
  return named[depth - 1]?.[method];
}

function hexId() {
  return crypto.randomUUID().replaceAll("-", "");
}
