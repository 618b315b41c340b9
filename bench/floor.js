// The floor of the API: for each end point the calls of storage and objects that the Worker makes, in
// their order, and nothing else. No check of what came, no key sealed or opened, no rule. What nobody
// waits for is called as well: a change is told to the account's object, and a destination that was made
// is sent a test message. What the Worker's objects know while they are awake, those of the floor know.
//
// The statements are the Worker's own, handed over in STATEMENTS with examples where a request puts
// its values. Which end point is asked stands in a header.

import { DurableObject } from "cloudflare:workers";

let statements;

export default {
  async fetch(request, env) {
    statements ??= JSON.parse(env.STATEMENTS);
    const key = request.headers.get("x-end-point");
    if (key === null) return Response.json({ status: "ok" });
    const { path, steps, batch } = statements.end_points[key];
    const values = fresh(path, new URL(request.url).pathname);
    if (request.body !== null) {
      const body = await request.text();
      // A policy names its destination in the body.
      if (path.endsWith("/policies") || path.endsWith("/:policy")) {
        values.destinations = JSON.stringify(JSON.parse(body).mechanisms.webhooks.map(({ id }) => id));
      }
    }
    if (steps !== "public") await env.TOKENS.get(env.TOKEN_KEY);
    const run = () => runBatch(env, batch, values);
    switch (steps) {
      case "token":
        return Response.json({});
      case "public":
      case "batch":
        return made(values, path, await run());
      case "batch_and_input": {
        const object = env.FLOOR.getByName(values.input);
        const [rows] = await Promise.all([run(), ask(object, "/view", {})]);
        return made(values, path, rows);
      }
      case "batch_and_account": {
        const [rows] = await Promise.all([run(), ask(ofAccount(env), "/own", { key, values })]);
        return made(values, path, rows);
      }
      case "batch_then_account": {
        const rows = await run();
        await ask(ofAccount(env), "/later", { key, values });
        return made(values, path, rows);
      }
      default: {
        const answer = await ask(env.FLOOR.getByName(values.input), "/change", { key, values });
        return made(values, path, answer);
      }
    }
  },
};

/** A live input's object, or an account's. */
export class Floor extends DurableObject {
  async fetch(request) {
    statements ??= JSON.parse(this.env.STATEMENTS);
    const { key, values } = await request.json();
    switch (new URL(request.url).pathname) {
      case "/view":
        return Response.json(await this.known());
      case "/own":
        return Response.json(await this.own(key, values));
      case "/later":
        this.ctx.waitUntil(this.own(key, values));
        return Response.json(null);
      case "/changed":
        this.makeTables();
        return Response.json(null);
      default: {
        const rows = await this.change(key, values);
        this.ctx.waitUntil(ask(ofAccount(this.env), "/changed", {}));
        return Response.json(rows);
      }
    }
  }

  /** The state, read once while the object is awake. */
  async known() {
    this.state ??= JSON.parse((await this.ctx.storage.get("state")) ?? '{"rev":0}');
    return this.state;
  }

  /** What an account's object does by itself: statements, alarms, messages. */
  async own(key, values) {
    const { storage } = this.ctx;
    this.makeTables();
    const rows = [];
    for (const step of statements.end_points[key].own) {
      if (step.send !== undefined) {
        await fetch(step.send.url, { method: "POST", ...step.send }).catch(() => {});
      } else if (step.alarm !== undefined) {
        await (step.alarm ? storage.setAlarm(Date.now() + 60_000) : storage.deleteAlarm());
      } else {
        const found = storage.sql.exec(step.sql, ...bound(step, values)).toArray();
        values.number = found[0]?.number ?? values.number;
        rows.push(found);
      }
    }
    return rows;
  }

  makeTables() {
    if (this.hasTables) return;
    for (const sql of statements.schema) this.ctx.storage.sql.exec(sql);
    this.hasTables = true;
  }

  /** Stores what it is about to do, does it, stores that it is done. */
  async change(key, values) {
    const { storage } = this.ctx;
    const state = await this.known();
    state.rev += 1;
    await storage.setAlarm(Date.now() + 2000);
    await storage.put("state", JSON.stringify(state));
    const { batch } = statements.end_points[key];
    const rows = await runBatch(this.env, batch, { ...values, rev: state.rev });
    await storage.deleteAlarm();
    if (key.startsWith("DELETE") && key.endsWith(":input")) {
      await storage.deleteAll();
      this.state = undefined;
    } else await storage.put("state", JSON.stringify(state));
    return rows;
  }

  alarm() {}
}

/** What the path names, and ids for what may be made. */
function fresh(template, path) {
  // What has no other content than before would not be written.
  const values = { id: hexId(), hash: hexId() + hexId(), now: Date.now() * 1000 };
  values.sealed = `${values.hash}${values.hash}`.slice(0, statements.sealed);
  for (const name of ["account", "input", "output", "token", "destination", "policy"]) {
    values[name] = hexId();
  }
  const segments = path.replace("/client/v4", "").split("/");
  template.split("/").forEach((segment, index) => {
    if (segment.startsWith(":")) values[segment.slice(1)] = segments[index];
  });
  return values;
}

/** The answer, with the id of what may have been made. */
function made(values, path, rows) {
  const kinds = { live_inputs: "input", outputs: "output", tokens: "token", webhooks: "destination" };
  const kind = { ...kinds, policies: "policy" }[path.split("/").at(-1)];
  return Response.json({ result: { id: values[kind] }, rows });
}

const ofAccount = (env) => env.FLOOR.getByName("account");

async function ask(object, path, question) {
  const body = JSON.stringify(question);
  const answer = await object.fetch(`https://object${path}`, { method: "POST", body });
  return answer.json();
}

async function runBatch(env, batch, values) {
  const prepared = batch.map((statement) =>
    env.DB.prepare(statement.sql).bind(...bound(statement, values)),
  );
  return (await env.DB.batch(prepared)).map(({ results }) => results);
}

function bound({ params }, values) {
  return params.map((param) => values[statements.examples[param]] ?? param);
}

function hexId() {
  return crypto.randomUUID().replaceAll("-", "");
}
