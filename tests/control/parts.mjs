// What stands round the control plane when a test needs the real thing: the relay node, an encoder,
// a destination. All of it on loopback, each process ended by its id.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { says } from "./scan.mjs";
import { eventually } from "./support.mjs";

/** More than the 5 s that the node promises. */
const GRACE_MS = 8000;

/** A process, and what it has said. */
export class Running {
  log = "";

  constructor(program, args, env = {}) {
    this.child = spawn(program, args, {
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.log += text));
    }
    this.ended = new Promise((resolve) => {
      this.child.once("close", resolve);
      this.child.once("error", (error) => {
        this.log += `${program} cannot be started: ${error.message}\n`;
        resolve();
      });
    });
  }

  get lives() {
    return this.child.pid !== undefined && this.child.exitCode === null && !this.child.signalCode;
  }

  async end() {
    if (!this.lives) return;
    this.child.kill("SIGTERM");
    const kill = setTimeout(() => this.child.kill("SIGKILL"), GRACE_MS);
    await this.ended;
    clearTimeout(kill);
  }
}

/** A relay node whose control plane is the harness's. */
export class RelayNode extends Running {
  static async start(program, control, name) {
    if (program === undefined) {
      throw new Error("STREAM_CONNECT_RELAY_NODE is not set: run the tests by `cargo xtask test`");
    }
    const file = join(mkdtempSync(join(control.state, "relay-node-")), "relay-node.toml");
    const lines = [
      `node = "${name}"`,
      `control.url = "${control.url}"`,
      'rtmp.listen = "127.0.0.1:0"',
      'admin.listen = "127.0.0.1:0"',
      "outputs.allow_loopback = true",
    ];
    writeFileSync(file, lines.join("\n"));
    const node = new RelayNode(program, [file], {
      STREAM_CONNECT_TOKEN: control.relayToken,
      RUST_LOG: process.env.RUST_LOG ?? "info",
    });
    node.ended.then(() => says("the relay node's log", node.log));
    // It chooses its ports itself.
    const port = (pattern) => Number(node.log.match(pattern)?.[1]);
    try {
      await eventually("the relay node listens", () => {
        node.rtmp = port(/ rtmp=\[127\.0\.0\.1:(\d+)\]/);
        node.admin = port(/ admin=\[127\.0\.0\.1:(\d+)\]/);
        if (!node.lives) throw new Error(`the relay node ended: ${node.log}`);
        return node.rtmp && node.admin;
      });
      await eventually("the link is there", async () => (await node.control()) === "connected");
    } catch (error) {
      await node.end();
      throw error;
    }
    return node;
  }

  /** How changes reach it. */
  async control() {
    return (await this.#get("/health")).control;
  }

  async status() {
    return this.#get("/status");
  }

  async #get(path) {
    const text = await (await fetch(`http://127.0.0.1:${this.admin}${path}`)).text();
    says(`the relay node's ${path}`, text);
    return JSON.parse(text);
  }
}

/** FFmpeg with a test pattern that never ends, publishing to the node at that port. */
export async function publish(port, key) {
  const tap = await Tap.start(port);
  const picture = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=15"];
  const sound = ["-f", "lavfi", "-i", "sine=sample_rate=44100"];
  const video = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "15", "-pix_fmt", "yuv420p"];
  const encoder = new Running("ffmpeg", [
    ...["-hide_banner", "-nostats", "-re", ...picture, "-re", ...sound],
    ...[...video, "-c:a", "aac", "-f", "flv", `rtmp://127.0.0.1:${tap.port}/live/${key}`],
  ]);
  encoder.ended.then(() => tap.close());
  await eventually("the encoder connects", () => {
    if (!encoder.lives) throw new Error(`ffmpeg ended: ${encoder.log}`);
    return tap.connections.length > 0;
  });
  encoder.connection = tap.connections[0];
  return encoder;
}

/** nginx with its RTMP module, behind a tap. */
export class Destination extends Running {
  static async start(state) {
    const folder = mkdtempSync(join(state, "nginx-"));
    const port = await freePort();
    const file = join(folder, "nginx.conf");
    writeFileSync(
      file,
      `load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr info;
events {}
rtmp { access_log off; server { listen 127.0.0.1:${port}; application live { live on; } } }
`,
    );
    const arguments_ = ["-e", "stderr", "-p", folder, "-c", file];
    const destination = new Destination("/usr/sbin/nginx", arguments_);
    await eventually("nginx listens", () => {
      if (!destination.lives) throw new Error(`nginx ended: ${destination.log}`);
      return connects(port);
    });
    destination.tap = await Tap.start(port);
    return destination;
  }

  get url() {
    return `rtmp://127.0.0.1:${this.tap.port}/live`;
  }

  /** The connections that were ever made, with their times. */
  get connections() {
    return this.tap.connections;
  }

  async end() {
    this.tap?.close();
    await super.end();
  }
}

/** Passes TCP connections on to a port, and notes when they come and go. */
class Tap {
  connections = [];
  #sockets = new Set();

  static async start(port) {
    const tap = new Tap();
    tap.server = net.createServer({ allowHalfOpen: true }, (from) => tap.#pass(from, port));
    tap.server.listen(0, "127.0.0.1");
    await once(tap.server, "listening");
    tap.port = tap.server.address().port;
    return tap;
  }

  #pass(from, port) {
    const connection = { opened: performance.now(), closed: undefined };
    this.connections.push(connection);
    const to = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    for (const [socket, other] of [[from, to], [to, from]]) {
      this.#sockets.add(socket);
      const over = () => (connection.closed ??= performance.now());
      socket.on("end", over);
      // A reset is an end as well.
      socket.on("error", over);
      socket.on("close", () => {
        over();
        this.#sockets.delete(socket);
        if (socket.errored) other.destroy();
      });
      socket.pipe(other);
    }
  }

  close() {
    this.server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

function connects(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
