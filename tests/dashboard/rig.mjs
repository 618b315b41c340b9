// The whole system with a browser before it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Destination, Running } from "../control/parts.mjs";
import { hexId } from "../control/support.mjs";
import { Buttons } from "./buttons.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Debian's, whose version the set-up does not choose: Playwright speaks to it as it would to its own. */
const CHROMIUM = "/usr/bin/chromium";

/** Tests ask more often in a minute than anybody may by one token. */
const TOKENS = 8;

/** The set-up and the builds are done: what remains is wrangler's start. */
const START_MS = 150_000;

export class Rig {
  asked = 0;

  /** All buttons that any page has shown, and those that were pressed. */
  buttons = new Buttons();

  static async start() {
    const rig = new Rig();
    rig.folder = mkdtempSync(join(tmpdir(), "stream-connect-page-"));
    try {
      await rig.#startProduct();
      rig.destination = await Destination.start(rig.folder);
      rig.browser = await chromium.launch({
        executablePath: CHROMIUM,
        // Whoever runs the tests may be root, for whom the browser has no sandbox.
        chromiumSandbox: process.getuid() !== 0,
        args: ["--disable-dev-shm-usage", "--disable-gpu"],
      });
    } catch (error) {
      await rig.end();
      throw error;
    }
    return rig;
  }

  async #startProduct() {
    const program = process.env.STREAM_CONNECT_XTASK;
    assert.ok(program, "STREAM_CONNECT_XTASK is not set: run the tests by `cargo xtask test`");
    const base = await freeTen();
    this.product = spawn(program, ["dev", "--json", "--fresh", "--port-base", String(base)], {
      cwd: ROOT,
      env: { ...process.env, RUST_LOG: "info" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.said = "";
    this.product.stderr.setEncoding("utf8").on("data", (text) => (this.said += text));
    this.ended = new Promise((resolve) => this.product.once("close", resolve));
    const lines = createInterface(this.product.stdout);
    const line = new Promise((resolve, reject) => {
      lines.once("line", resolve);
      this.ended.then(() => reject(new Error(`dev ended: ${this.said}`)));
      setTimeout(() => reject(new Error(`dev prints nothing: ${this.said}`)), START_MS).unref();
    });
    Object.assign(this, JSON.parse(await line));
    this.url = new URL("/", this.api).href;
    this.tokens = [this.token];
    while (this.tokens.length < TOKENS) this.tokens.push(await this.newToken());
  }

  async end() {
    await this.browser?.close();
    await this.destination?.end();
    if (this.product?.exitCode === null) {
      this.product.kill("SIGTERM");
      await this.ended;
    }
    if (this.state_dir) rmSync(this.state_dir, { recursive: true, force: true });
    if (this.folder) rmSync(this.folder, { recursive: true, force: true });
  }

  /** Asks the API, as somebody else would who changes something beside the page. */
  async ask(method, path, body, token = this.tokens[this.asked++ % this.tokens.length]) {
    const answer = await fetch(`${this.api}/accounts/${this.account}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const { result, success, errors } = await answer.json();
    if (!success) throw new Error(`${method} ${path}: ${JSON.stringify(errors)}`);
    return result;
  }

  /** A token of its own for each test: requests are limited for each. */
  async newToken(...names) {
    return (await this.createToken(...names)).value;
  }

  async createToken(...names) {
    const groups = await this.ask("GET", "/tokens/permission_groups");
    const chosen = groups.filter(({ name }) => names.length === 0 || names.includes(name));
    const resources = { [`com.cloudflare.api.account.${this.account}`]: "*" };
    const permission_groups = chosen.map(({ id }) => ({ id }));
    const policies = [{ effect: "allow", resources, permission_groups }];
    return this.ask("POST", "/tokens", { name: "a test", policies });
  }

  async createInput(name, more = {}) {
    return this.ask("POST", "/stream/live_inputs", { meta: { name }, ...more });
  }

  async createOutput(input, name, more = {}) {
    const body = { url: this.destination.url, streamKey: hexId(), meta: { name }, ...more };
    return this.ask("POST", `/stream/live_inputs/${input}/outputs`, body);
  }

  /** Deletes all live inputs. */
  async empty() {
    for (const { uid } of await this.ask("GET", "/stream/live_inputs")) {
      await this.ask("DELETE", `/stream/live_inputs/${uid}`);
    }
  }

  /** FFmpeg over RTMPS with a test picture that never ends; `gop` is in frames at 30 a second. */
  async publish({ rtmps }, { gop = 60, size = "640x360" } = {}) {
    const picture = ["-re", "-f", "lavfi", "-i", `testsrc2=size=${size}:rate=30`];
    const sound = ["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"];
    const video = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency"];
    const shape = ["-g", String(gop), "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-b:v", "1500k"];
    const target = `${rtmps.url}${rtmps.streamKey}`;
    const trust = ["-tls_verify", "1", "-ca_file", this.ca_certificate];
    return new Running("ffmpeg", [
      ...["-hide_banner", "-nostats", ...picture, ...sound, ...video, ...shape],
      ...["-c:a", "aac", ...trust, "-f", "flv", target],
    ]);
  }

  /** A tab of a browser profile of its own, where nobody is signed in; it notes what goes wrong. */
  async tab({ width = 1280, height = 900, scheme = "light", ...more } = {}) {
    const context = await this.browser.newContext({
      viewport: { width, height },
      colorScheme: scheme,
      permissions: ["clipboard-read", "clipboard-write"],
      ...more,
    });
    await this.buttons.watch(context);
    const tab = await context.newPage();
    tab.setDefaultTimeout(15_000);
    tab.wrongs = [];
    tab.on("pageerror", (error) => tab.wrongs.push(String(error)));
    tab.on("console", (message) => {
      if (message.type() === "error") tab.wrongs.push(message.text());
    });
    await tab.goto(this.url);
    return tab;
  }

  /** A tab in which somebody is signed in, at that path. */
  async signedIn(path = "/", options = {}) {
    const tab = await this.tab(options);
    const token = options.token ?? (await this.newToken());
    await tab.getByLabel("Account ID").fill(this.account);
    await tab.getByLabel("API token").fill(token);
    await tab.getByRole("button", { name: "Sign in" }).click();
    await tab.getByRole("navigation", { name: "Pages" }).waitFor();
    if (path !== "/") await tab.goto(new URL(path, this.url).href);
    return tab;
  }
}

/** Ten ports in a row that nobody uses, below those that the kernel gives to clients. */
async function freeTen() {
  for (let base = 20_000 + 10 * (process.pid % 100); base < 22_000; base += 10) {
    const ports = Array.from({ length: 10 }, (_, offset) => base + offset);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
  throw new Error("no ten free ports in a row");
}

function isFree(port) {
  return new Promise((resolve) => {
    const server = net.createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
