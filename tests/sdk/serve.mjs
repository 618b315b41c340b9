// Starts a control plane and runs a program beside it: `node serve.mjs PROGRAM ARGUMENT…`.
//
// The program finds the API as Cloudflare's clients look for it, by CLOUDFLARE_BASE_URL and
// CLOUDFLARE_API_TOKEN, and what only an operator has (the database) in the further variables.

import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { startControl } from "../control/support.mjs";

const control = await startControl();
const database = await serveDatabase(control);
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
      STREAM_CONNECT_OTHER_ACCOUNT: otherAccount,
      STREAM_CONNECT_RELAY_TOKEN: control.relayToken,
      STREAM_CONNECT_DATABASE: `http://127.0.0.1:${database.address().port}`,
    },
  });
  const [code] = await once(child, "exit");
  process.exitCode = code ?? 1;
} finally {
  database.close();
  await control.close();
}

/** Answers a statement, `{"sql", "values"}`, with its rows: for tests that break the database. */
async function serveDatabase(control) {
  const server = createServer(async (request, response) => {
    try {
      const { sql, values = [] } = JSON.parse(await text(request));
      response.end(JSON.stringify(await control.sql(sql, ...values)));
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
