// Pictures of every page in both schemes, of a real broadcast: `cargo xtask screenshots`.

import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { join } from "node:path";
import { eventually } from "../control/support.mjs";
import { Rig } from "./rig.mjs";

/** Until the charts have a line to show. */
const ON_AIR_MS = Number(process.env.STREAM_CONNECT_ON_AIR_MS ?? 90_000);

/** As wide as a laptop's window, and as a phone. */
const DESK = { width: 1200, height: 750 };
const PHONE = { width: 390, height: 780 };

const [folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const rig = await Rig.start();
const receiver = createServer((request, response) => {
  request.resume().on("end", () => response.writeHead(request.url === "/down" ? 503 : 204).end());
}).listen(0, "127.0.0.1");
let encoder;
try {
  await once(receiver, "listening");
  const out = await rig.tab(DESK);
  await shoot("sign-in", out);
  await out.context().close();
  const fresh = await rig.signedIn("/", DESK);
  await fresh.getByText("Create a live input").waitFor();
  await shoot("first", fresh);
  await fresh.context().close();

  const input = await prepare(`http://127.0.0.1:${receiver.address().port}`);
  const path = `/inputs/${input.uid}`;
  const broadcast = await rig.signedIn(path, DESK);
  encoder = await rig.publish(input, { gop: 150, size: "1280x720" });
  await eventually("outputs are live", async () => {
    const outputs = await rig.ask("GET", `/stream/live_inputs/${input.uid}/outputs`);
    return outputs.filter(({ status }) => status.state === "live").length === 3;
  });
  await broadcast.waitForTimeout(ON_AIR_MS);
  await shoot("broadcast", broadcast);
  await shoot("broadcast-phone", broadcast, PHONE);
  await broadcast.setViewportSize(DESK);
  await broadcast.getByRole("link", { name: "History" }).click();
  await shoot("history", broadcast);
  await broadcast.getByRole("link", { name: "Settings" }).click();
  await shoot("settings", broadcast);
  await broadcast.getByRole("link", { name: "Broadcast" }).click();
  await broadcast.getByRole("button", { name: "Add outputs" }).click();
  await shoot("add-outputs", broadcast);
  await broadcast.context().close();

  for (const [name, at, seen] of [
    ["inputs", "/", "Sunday service"],
    ["webhooks", "/webhooks", "Delivered"],
    ["tokens", "/tokens", "this page uses it"],
  ]) {
    const tab = await rig.signedIn(at, DESK);
    await tab.getByText(seen).first().waitFor();
    await shoot(name, tab);
    if (name === "inputs") await shoot("inputs-phone", tab, PHONE);
    await tab.context().close();
  }
} finally {
  await encoder?.end();
  receiver.close();
  receiver.closeAllConnections();
  await rig.end();
}

/** What a parish may have; the live input that goes on air is the answer. */
async function prepare(base) {
  for (const name of ["Town council", "Choir rehearsal", "Studio B", "Conference, hall 2"]) {
    await rig.createInput(name);
  }
  const input = await rig.createInput("Sunday service");
  for (const name of ["YouTube", "Twitch", "Parish website"]) await rig.createOutput(input.uid, name);
  await rig.createOutput(input.uid, "Kick", { enabled: false });
  const url = rig.destination.url.replace(/:\d+/, ":65535");
  await rig.createOutput(input.uid, "Facebook", { url });
  await rig.ask("PUT", "/stream/webhook", { notificationUrl: `${base}/stream-events` });
  await rig.ask("POST", "/stream/webhook/test");
  const chat = { name: "On-call chat", url: `${base}/chat` };
  const { id } = await rig.ask("POST", "/alerting/v3/destinations/webhooks", chat);
  await rig.ask("POST", "/alerting/v3/policies", {
    name: "Trouble on air",
    alert_type: "stream_live_notifications",
    mechanisms: { webhooks: [{ id }] },
    filters: { event_type: ["live_input.errored", "live_input.output.failed"] },
  });
  await rig.newToken("Stream Read");
  return input;
}

/** Light and dark, the whole page, as WebP: a third of what PNG takes. */
async function shoot(name, tab, size) {
  if (size) await tab.setViewportSize(size);
  for (const scheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme: scheme });
    await tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 200))));
    const input = await tab.screenshot({ fullPage: true });
    const path = join(folder, `${name}-${scheme}.webp`);
    const webp = ["-c:v", "libwebp", "-quality", "85", "-compression_level", "6", "-y", path];
    execFileSync("ffmpeg", ["-v", "error", "-f", "png_pipe", "-i", "-", ...webp], { input });
  }
}
