// Starts a control plane and runs a program beside it: `node serve.mjs PROGRAM ARGUMENT…`.
//
// The program finds the API as Cloudflare's clients look for it, by CLOUDFLARE_BASE_URL and
// CLOUDFLARE_API_TOKEN, and at STREAM_CONNECT_OPERATOR what only an operator can do.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { startControl } from "../control/support.mjs";

// A run against the description makes many, and asks more often than one client may.
const bootstrap = `sco_${randomBytes(32).toString("hex")}`;
const control = await startControl(
  { MAX_INPUTS_PER_ACCOUNT: "10000", RATE_LIMIT_PER_MINUTE: "400" },
  { BOOTSTRAP_TOKEN: bootstrap },
);
const operator = await serveOperator(control);
const otherAccount = await control.addAccount();
try {
  const [program, ...args] = process.argv.slice(2);
  const child = spawn(program, args, {
    stdio: "inherit",
    env: {
      ...process.env,
      CLOUDFLARE_BASE_URL: new URL("/client/v4", control.url).href,
      CLOUDFLARE_API_TOKEN: control.token,
      STREAM_CONNECT_ACCOUNT: control.account,
      STREAM_CONNECT_BOOTSTRAP: bootstrap,
      STREAM_CONNECT_OTHER_ACCOUNT: otherAccount,
      STREAM_CONNECT_OPERATOR: `http://127.0.0.1:${operator.address().port}`,
    },
  });
  const [code] = await once(child, "exit");
  process.exitCode = code ?? 1;
} finally {
  operator.close();
  await control.close();
}

/** Answers `{"token": {"account", …}}` with a new token, `{"sql", "values"}` with rows. */
async function serveOperator(control) {
  const server = createServer(async (request, response) => {
    try {
      const { token, sql, values = [] } = JSON.parse(await text(request));
      const answer = token ? await control.addToken(token) : await control.sql(sql, ...values);
      response.end(JSON.stringify(answer));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
