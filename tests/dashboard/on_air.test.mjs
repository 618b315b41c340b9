// A real broadcast before the eyes of the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, hexId } from "../control/support.mjs";
import { atEnd, close, rig, scene } from "./shared.mjs";

/** A change that acts is seen within this. */
const SEEN_MS = 2000;

let all, input, encoder, tab;
const row = (name, page = tab) =>
  page.getByRole("listitem").filter({ has: page.getByRole("heading", { name, exact: true }) });
const state = (name, word, page = tab) => row(name, page).getByText(word, { exact: true });

/** Adds to what failed where the news of an encoder that left has got to. */
async function explain(error) {
  const { status } = await all.ask("GET", `/stream/live_inputs/${input.uid}`);
  const { exitCode, signalCode } = encoder.child;
  throw new Error(
    [
      error.message,
      `the encoder ended with ${signalCode ?? exitCode}: ${encoder.log.slice(-500)}`,
      `the API says ${JSON.stringify(status)}`,
      `the page shows ${await tab.locator("body").innerText()}`,
      `the product said ${all.said.slice(-3000)}`,
    ].join("\n"),
  );
}

const onAir = scene(async () => {
  all = await rig();
  // Keyframes come every 5 s, which the page is to say something about.
  input = await all.createInput("On air");
  for (const name of ["One", "Two"]) await all.createOutput(input.uid, name);
  tab = await all.signedIn(`/inputs/${input.uid}`);
  await tab.getByText("Never on air").waitFor();
  atEnd(() => encoder?.end());
  encoder = await all.publish(input, { gop: 150 });
  for (const name of ["One", "Two"]) await state(name, "Live").waitFor();
});

test("outputs are switched on air, and their state is seen within two seconds", async () => {
  await onAir();
  for (const [word, on] of [["Off", "false"], ["Live", "true"]]) {
    const toggle = row("One").getByRole("switch");
    const pressed = performance.now();
    await toggle.click();
    // Until the node has done it, the state may be that of before.
    await row("One").getByRole("switch", { checked: on === "true" }).waitFor();
    await state("One", word).waitFor();
    const took = performance.now() - pressed;
    assert.ok(took < SEEN_MS, `${word} after ${Math.round(took)} ms`);
    assert.equal(await toggle.getAttribute("aria-checked"), on);
    assert.ok(await state("Two", "Live").isVisible());
  }
});

test("what comes in is shown with its charts, and what to change about it", async () => {
  await onAir();
  const card = tab.locator("section").filter({ hasText: "What comes in" });
  await card.getByText("H.264 640 × 360").waitFor();
  await card.getByText("AAC 48 kHz, mono").waitFor();
  await card.getByText("RTMPS", { exact: true }).waitFor();
  await card.getByText(/Keyframes come every 5\.0 s; Facebook refuses more than 4: set the/).waitFor();
  await card.getByText("5.0 s", { exact: true }).waitFor();
  await card.getByText(/^\d\.\d Mbit\/s$/).waitFor();
  // A line is there once two seconds were heard of: the pixels of a chart are not all alike.
  await eventually("a line is drawn", () =>
    tab.evaluate(() => {
      const accent = getComputedStyle(document.body).getPropertyValue("--accent");
      const canvas = document.querySelector(".plot canvas");
      if (!canvas || !accent) return false;
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let drawn = 0;
      for (let at = 0; at < data.length; at += 4) {
        const [red, , blue, alpha] = data.subarray(at, at + 4);
        if (alpha > 200 && blue > red + 60) drawn++;
      }
      return drawn > 20;
    }),
  );
});

test("a failing destination's reason is shown, when it is tried again, and trying now", async () => {
  await onAir();
  const url = all.destination.url.replace(/:\d+/, ":65535");
  const output = await all.createOutput(input.uid, "Nobody there", { url });
  const path = `/stream/live_inputs/${input.uid}/outputs/${output.uid}`;
  await row("Nobody there").getByText(/Nothing accepts connections at the destination's port/).waitFor();
  await row("Nobody there").getByText(/connect_refused/).waitFor();
  await row("Nobody there").getByText(/next attempt (in \d+ (min|s)|now)/).waitFor();
  // Several failures make the wait long enough for a press to be told from the next attempt.
  const attempts = async () => (await all.ask("GET", path)).status.attempts;
  await eventually("some attempts", async () => (await attempts()) >= 4);
  const before = await attempts();
  await row("Nobody there").getByRole("button", { name: /^Try now/ }).click();
  await eventually("another attempt", async () => (await attempts()) > before);
  await row("Nobody there").getByText(/[4-9] failures/).waitFor();
});

test("what somebody else changes appears, and what is deleted goes", async () => {
  await onAir();
  const output = await all.createOutput(input.uid, "From elsewhere");
  await state("From elsewhere", "Live").waitFor();
  const path = `/stream/live_inputs/${input.uid}`;
  await all.ask("PUT", `${path}/outputs/${output.uid}`, { meta: { name: "Renamed" } });
  await state("Renamed", "Live").waitFor();
  await all.ask("PUT", path, { meta: { name: "On air, renamed" } });
  await tab.getByRole("heading", { name: "On air, renamed" }).waitFor();
  await all.ask("DELETE", `${path}/outputs/${output.uid}`);
  await row("Renamed").waitFor({ state: "detached" });
});

test("the list changes with the broadcast, and with what others do", async () => {
  await onAir();
  const list = await all.signedIn("/");
  const line = list.getByRole("row").filter({ hasText: input.uid });
  await line.getByText("On air", { exact: true }).waitFor();
  await line.getByText(/^2 of [23]$/).waitFor();
  const other = await all.createInput("Made elsewhere");
  await list.getByRole("link", { name: "Made elsewhere" }).waitFor();
  await all.ask("DELETE", `/stream/live_inputs/${other.uid}`);
  await list.getByRole("link", { name: "Made elsewhere" }).waitFor({ state: "detached" });
  await close(list);
});

test("the stream keys are in the page only while they are revealed", async () => {
  await onAir();
  const streamKey = hexId();
  await all.createOutput(input.uid, "Secret", { streamKey });
  const page = await all.signedIn(`/inputs/${input.uid}`);
  const isIn = async (secret) => {
    const html = await page.content();
    const values = await page.evaluate(() =>
      [...document.querySelectorAll("input")].map(({ value }) => value),
    );
    return html.includes(secret) || values.includes(secret) || page.url().includes(secret);
  };
  const key = input.rtmps.streamKey;
  await row("Secret", page).waitFor();
  assert.ok(!(await isIn(key)) && !(await isIn(streamKey)));

  await page.getByRole("button", { name: "Reveal Stream key" }).click();
  await page.getByText(key).waitFor();
  await page.getByRole("button", { name: "Hide Stream key" }).click();
  assert.ok(!(await isIn(key)), "it is gone when it is hidden");

  await page.getByRole("button", { name: "Edit Secret" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  assert.ok(!(await isIn(streamKey)), "a form does not hold what it changes");
  await dialog.getByRole("button", { name: "Reveal Present stream key" }).click();
  await dialog.getByText(streamKey).waitFor();
  await dialog.getByRole("button", { name: "Copy Present stream key" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), streamKey);
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.ok(!(await isIn(streamKey)), "nor after the form is closed");

  const kept = await page.evaluate(() => [
    JSON.stringify(localStorage),
    JSON.stringify(sessionStorage),
    document.cookie,
  ]);
  assert.ok(kept.every((text) => !text.includes(key) && !text.includes(streamKey)));
  assert.equal(kept[0], "{}");
  assert.equal(kept[2], "");
  await close(page);
});

test("an encoder that leaves and comes back is shown, and told in the history", async () => {
  await onAir();
  await encoder.end();
  await tab.getByText("Off air", { exact: true }).waitFor().catch(explain);
  await tab.getByText("The encoder ended its stream.").first().waitFor();
  await state("One", "Ready").waitFor();
  encoder = await all.publish(input);
  await tab.getByText("On air", { exact: true }).waitFor();
  await tab.getByRole("link", { name: "History" }).click();
  const lines = tab.getByRole("row");
  await lines.filter({ hasText: "The encoder ended its stream." }).waitFor();
  await lines.filter({ hasText: "One" }).filter({ hasText: "Live" }).first().waitFor();
  await lines.filter({ hasText: "Keyframes come every" }).first().waitFor();
  await close(tab);
});
