// How every page looks: to those who see little, hear instead, or hold a phone.

import assert from "node:assert/strict";
import { test } from "node:test";
import axe from "axe-core";
import { hexId } from "../control/support.mjs";
import { atEnd, close, rig, scene } from "./shared.mjs";

const WIDTHS = [360, 768, 1440];

/** What may move while the page changes by itself: Google's bound for a good page is 0.1. */
const MOST_SHIFT = 0.05;

let all, input, encoder, token;
const pages = [];

const manyPages = scene(async () => {
  all = await rig();
  token = await all.newToken();
  input = await all.createInput("A live input with a rather long name, as somebody will give it one");
  await all.createOutput(input.uid, "Live");
  await all.createOutput(input.uid, "Off", { enabled: false });
  const url = all.destination.url.replace(/:\d+/, ":65535");
  await all.createOutput(input.uid, "Nobody there", { url, streamKey: hexId().repeat(4) });
  atEnd(() => encoder?.end());
  encoder = await all.publish(input, { gop: 150 });
  await all.ask("PUT", "/stream/webhook", { notificationUrl: "http://127.0.0.1:9/hook" });
  await all.ask("POST", "/stream/webhook/test");
  const body = { name: "Chat", url: "http://127.0.0.1:9/chat" };
  const { id } = await all.ask("POST", "/alerting/v3/destinations/webhooks", body);
  await all.ask("POST", "/alerting/v3/policies", {
    name: "Trouble",
    alert_type: "stream_live_notifications",
    mechanisms: { webhooks: [{ id }] },
    filters: { event_type: ["live_input.errored", "live_input.output.failed"] },
  });

  const path = `/inputs/${input.uid}`;
  const heading = (name) => (tab) => tab.getByRole("heading", { name }).first().waitFor();
  const press = (name) => (tab) => tab.getByRole("button", { name }).first().click();
  const live = (tab) => tab.getByText("Keyframes come every").waitFor({ timeout: 30_000 });
  pages.push(
    ["the list", "/", heading("Live inputs")],
    ["a new live input", "/", press("New live input"), heading("New live input")],
    ["one live input", path, live],
    ["its encoder by FFmpeg", path, heading("Outputs"), summary, press("FFmpeg")],
    ["its encoder by hardware", path, heading("Outputs"), summary, press("Hardware")],
    ["its key revealed", path, heading("Outputs"), press("Reveal Stream key")],
    ["adding outputs", path, press("Add outputs"), press("Custom RTMP server")],
    ["changing an output", path, press("Edit Off"), heading("Edit Off")],
    ["replacing its key", path, press("Replace the key"), heading("Replace the stream key?")],
    ["its history", `${path}/history`, heading("History")],
    ["its settings", `${path}/settings`, heading("Settings")],
    ["deleting it", `${path}/settings`, press("Delete this live input"), heading(/^Delete/)],
    ["webhooks", "/webhooks", (tab) => tab.getByText("Test message").first().waitFor()],
    ["a destination's deliveries", "/webhooks", press("Deliveries of Chat"), heading("Last deliveries")],
    ["a new notification", "/webhooks", press("Add a notification"), heading("New notification")],
    ["tokens", "/tokens", (tab) => tab.getByText("this page uses it").waitFor()],
    ["a new token", "/tokens", press("New token"), heading("New token")],
    ["nothing", "/inputs/x/y/z", heading("Nothing is here")],
    ["a live input that is gone", `/inputs/${hexId()}`, heading("This live input is gone")],
  );
});

const summary = (tab) => tab.getByText("Set up the encoder").click();

test("axe finds nothing to object to on any page, in both schemes", async (t) => {
  await manyPages();
  await everywhere(t, { width: 1280 }, async (tab, name) => {
    for (const scheme of ["light", "dark"]) {
      await tab.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await tab.evaluate(axe.source);
      const { violations } = await tab.evaluate(() => window.axe.run(document));
      const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
      assert.deepEqual(told, [], `${name}, ${scheme}`);
    }
  });
});

test("nothing is wider than the window, and no text is cut, on a phone, a tablet and a desk", async (t) => {
  await manyPages();
  await everywhere(t, { width: 1440 }, async (tab, name) => {
    for (const width of WIDTHS) {
      await tab.setViewportSize({ width, height: 900 });
      const { wide, cut } = await tab.evaluate(measure);
      assert.deepEqual(wide, [], `${name} at ${width}`);
      assert.deepEqual(cut, [], `${name} at ${width}`);
    }
  });
});

test("nothing jumps while pages are read, and while a broadcast comes and goes", async () => {
  await manyPages();
  for (const width of [390, 1280]) {
    const other = await all.createInput("Steady");
    for (const name of ["One", "Two", "Three"]) await all.createOutput(other.uid, name);
    const url = all.destination.url.replace(/:\d+/, ":65535");
    await all.createOutput(other.uid, "Nobody there", { url });
    const tab = await all.signedIn("/", { width, token: await all.newToken() });
    await tab.addInitScript(observe);
    const broadcast = `/inputs/${other.uid}`;
    for (const [path, seen] of [
      ["/", tab.getByRole("link", { name: "Steady" })],
      ["/webhooks", tab.getByText("Last deliveries").first()],
      ["/tokens", tab.getByText("this page uses it")],
      [`/inputs/${input.uid}/history`, tab.getByRole("heading", { name: "History" })],
      [`/inputs/${input.uid}/settings`, tab.getByRole("heading", { name: "Settings" })],
      [broadcast, tab.getByText("Never on air")],
    ]) {
      await tab.goto(new URL(path, all.url).href);
      await seen.first().waitFor();
      await settled(tab);
      if (path === broadcast) {
        const sender = await all.publish(other, { gop: 150 });
        await tab.getByText("Live", { exact: true }).nth(3).waitFor();
        await tab.getByText("Keyframes come every").waitFor({ timeout: 30_000 });
        await sender.end();
        await tab.getByText("Off air", { exact: true }).waitFor();
        await settled(tab);
      }
      const shift = await tab.evaluate(() => window.shift);
      const from = await tab.evaluate(() => window.shifted.join("; "));
      console.log(`# ${path.replace(/[0-9a-f]{32}/, "…")} at ${width}: shift ${shift.toFixed(4)}`);
      assert.ok(shift < MOST_SHIFT, `${path} at ${width}: ${shift} by ${from}`);
    }
    await all.ask("DELETE", `/stream/live_inputs/${other.uid}`);
    await close(tab, [/Failed to load resource/, /WebSocket/]);
  }
});

test("motion is still where the system asks for that", async () => {
  await manyPages();
  for (const [reducedMotion, moves] of [["reduce", false], ["no-preference", true]]) {
    const tab = await all.signedIn("/", { reducedMotion, token });
    await tab.getByRole("button", { name: "New live input" }).waitFor();
    const durations = await tab.evaluate(() =>
      [...document.querySelectorAll("*")].flatMap((element) => {
        const { transitionDuration, animationDuration } = getComputedStyle(element);
        return [transitionDuration, animationDuration].map(parseFloat).filter((time) => time > 0);
      }),
    );
    assert.equal(durations.length > 0, moves, reducedMotion);
    await close(tab);
  }
});

/** Looks at every page, those where nobody is signed in included. */
async function everywhere(t, options, look) {
  const out = await all.tab(options);
  await t.test("signing in", () => look(out, "signing in"));
  await close(out);
  for (const [name, path, ...steps] of pages) {
    const tab = await all.signedIn(path, { ...options, token });
    await t.test(name, async () => {
      for (const step of steps) await step(tab);
      await look(tab, name);
    });
    await close(tab, [/Failed to load resource/]);
  }
}

/** Runs in the page: what reaches beyond the window, and what text is cut off. */
function measure() {
  const label = (element) => `${element.tagName} ${element.className} ${element.textContent.slice(0, 40)}`;
  const wide = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) wide.push(`the page by ${scrollWidth - clientWidth}`);
  const cut = [];
  for (const element of document.querySelectorAll("body *")) {
    const isText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!isText || element.closest(".heard, .skip, noscript, option, thead")) continue;
    if (!element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(element);
    const { left, right } = range.getBoundingClientRect();
    if (right > innerWidth + 1 || left < -1) cut.push(`outside: ${label(element)}`);
    for (let box = element; box !== document.body; box = box.parentElement) {
      const hides = getComputedStyle(box).overflowX !== "visible";
      const scrolls = box.tagName === "DIALOG";
      if (hides && box.scrollWidth > box.clientWidth + 1) cut.push(`in ${label(box)}`);
      if (hides && !scrolls && box.scrollHeight > box.clientHeight + 1) cut.push(`below ${label(box)}`);
    }
  }
  return { wide, cut };
}

/** Runs in the page: sums up what moves though nobody has done anything. */
function observe() {
  window.shift = 0;
  window.shifted = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      window.shift += entry.value;
      for (const { node } of entry.sources) {
        const name = node?.className || node?.nodeName || "?";
        window.shifted.push(`${entry.value.toFixed(4)} ${name}`);
      }
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** Waits until two frames were drawn, so that all that moved is told. */
function settled(tab) {
  return tab.evaluate(
    () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))),
  );
}
