// Pictures of every page in both schemes, of a real broadcast: `cargo xtask screenshots`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../control/support.mjs";
import { Rig } from "./rig.mjs";

const [folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const rig = await Rig.start();
const encoders = [];
try {
  const first = await rig.tab();
  await shoot("sign-in", first);
  await first.context().close();
  const fresh = await rig.signedIn("/");
  await fresh.getByText("Create a live input").waitFor();
  await shoot("first", fresh);
  await fresh.context().close();

  const names = ["Town council", "Choir rehearsal", "Studio B", "Conference, hall 2"];
  for (const name of names) await rig.createInput(name);
  const input = await rig.createInput("Sunday service");
  for (const name of ["YouTube", "Twitch", "Parish website"]) await rig.createOutput(input.uid, name);
  await rig.createOutput(input.uid, "Kick", { enabled: false });
  await rig.createOutput(input.uid, "Facebook", { url: rig.destination.url.replace(/:\d+/, ":9") });
  encoders.push(await rig.publish(input, { gop: 150, size: "1280x720" }));
  await eventually("outputs are live", async () => {
    const outputs = await rig.ask("GET", `/stream/live_inputs/${input.uid}/outputs`);
    return outputs.filter(({ status }) => status.state === "live").length === 3;
  });
  const path = `/inputs/${input.uid}`;
  const pages = { inputs: "/", input: path, history: `${path}/history`, settings: `${path}/settings` };
  for (const [name, at] of Object.entries({ ...pages, webhooks: "/webhooks", tokens: "/tokens" })) {
    const tab = await rig.signedIn(at, { height: 1000 });
    await tab.waitForTimeout(name === "input" ? Number(process.env.SECONDS_ON_AIR ?? 12) * 1000 : 2000);
    await shoot(name, tab);
    await tab.context().close();
  }
} finally {
  for (const encoder of encoders) await encoder.end();
  await rig.end();
}

async function shoot(name, tab) {
  for (const scheme of ["light", "dark"]) {
    await tab.emulateMedia({ colorScheme: scheme });
    for (const [width, suffix] of [[1280, ""], [390, "-phone"]]) {
      await tab.setViewportSize({ width, height: 900 });
      await tab.waitForTimeout(150);
      await tab.screenshot({ path: join(folder, `${name}-${scheme}${suffix}.png`), fullPage: true });
    }
  }
}
