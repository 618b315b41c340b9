// The first time: from a token to a live broadcast on three platforms.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, hexId } from "../control/support.mjs";
import { close, rig } from "./shared.mjs";

/** What a person does, counted: a field filled in, or something pressed. */
const MOST_ACTIONS = 12;

const PLATFORMS = ["YouTube", "Twitch", "Facebook"];

test("from a token to a live broadcast on three platforms in at most 12 actions", async () => {
  const all = await rig();
  await all.empty();
  const token = await all.newToken();
  const tab = await all.tab();
  await platformsHere(tab, all);
  let actions = 0;
  const fill = async (field, text) => (actions++, field.fill(text));
  const press = async (name) => (actions++, tab.getByRole("button", { name }).click());

  await fill(tab.getByLabel("Account ID"), all.account);
  await fill(tab.getByLabel("API token"), token);
  await press("Sign in");

  await fill(tab.getByLabel("Name"), "Sunday service");
  await press("Create live input");

  await tab.getByRole("heading", { name: "Sunday service" }).waitFor();
  await press("Copy RTMPS URL");
  const url = await tab.evaluate(() => navigator.clipboard.readText());
  await press("Copy Stream key");
  const streamKey = await tab.evaluate(() => navigator.clipboard.readText());
  actions++;
  const encoder = await all.publish({ rtmps: { url, streamKey } });
  try {
    for (const platform of PLATFORMS) {
      await fill(tab.getByRole("group", { name: platform }).getByLabel("Stream key"), hexId());
    }
    await press(/^Add$/);

    for (const platform of PLATFORMS) {
      const row = tab.getByRole("listitem").filter({ hasText: platform });
      await row.getByText("Live", { exact: true }).waitFor();
    }
    await tab.getByText("On air", { exact: true }).waitFor();
    console.log(`# ${actions} actions`);
    assert.ok(actions <= MOST_ACTIONS, `${actions} actions`);
    const [input] = await all.ask("GET", "/stream/live_inputs");
    await eventually("the API has three outputs live", async () => {
      const outputs = await all.ask("GET", `/stream/live_inputs/${input.uid}/outputs`);
      return outputs.length === 3 && outputs.every(({ status }) => status.state === "live");
    });
  } finally {
    await encoder.end();
  }
  await close(tab);
});

test("the same by keyboard alone", async () => {
  const all = await rig();
  await all.empty();
  const tab = await all.tab();
  await platformsHere(tab, all);
  const type = async (label, text) => {
    await reach(tab, label);
    await tab.keyboard.type(text);
  };
  const press = async (name, key = "Enter") => {
    await reach(tab, name);
    await tab.keyboard.press(key);
  };

  await type(/^Account ID/, all.account);
  await type(/^API token/, await all.newToken());
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "Send one live feed to every platform" }).waitFor();
  await type(/^Name/, "By keyboard");
  await tab.keyboard.press("Enter");
  await tab.getByRole("heading", { name: "By keyboard" }).waitFor();

  await press(/^Copy\s+RTMPS URL/);
  const url = await tab.evaluate(() => navigator.clipboard.readText());
  await press(/^Copy\s+Stream key/, "Space");
  const streamKey = await tab.evaluate(() => navigator.clipboard.readText());
  const encoder = await all.publish({ rtmps: { url, streamKey } });
  try {
    for (const platform of PLATFORMS) {
      await reach(tab, /^Stream key/, platform);
      await tab.keyboard.type(hexId());
    }
    await press(/^Add$/);
    const row = (name) => tab.getByRole("listitem").filter({ hasText: name });
    const state = (name, word) => row(name).getByText(word, { exact: true });
    for (const platform of PLATFORMS) await state(platform, "Live").waitFor();

    await press(/^Send to Twitch/, "Space");
    await state("Twitch", "Off").waitFor();
    await tab.keyboard.press("Space");
    await state("Twitch", "Live").waitFor();

    await press(/^Edit\s+Facebook/);
    await tab.getByRole("dialog").waitFor();
    await reach(tab, /^Name/);
    await tab.keyboard.press("Control+A");
    await tab.keyboard.type("Meta");
    await tab.keyboard.press("Enter");
    await tab.getByRole("heading", { name: "Meta", exact: true }).waitFor();

    await press(/^Remove\s+Meta/);
    await row("Meta").waitFor({ state: "detached" });
    await press(/^Undo/);
    await state("Meta", "Live").waitFor();
    await press(/^History/);
    await tab.getByRole("heading", { name: "History" }).waitFor();
    await press(/^Live inputs/);
    await tab.getByRole("link", { name: "By keyboard" }).waitFor();
  } finally {
    await encoder.end();
  }
  await close(tab);
});

/** The most stops of the Tab key on any page. */
const MOST_STOPS = 80;

/**
 * Goes by the Tab key to what is called so, in a group where one is named: from where the focus is, as
 * a person would. Wherever it stops on the way, it must be seen that it does.
 */
async function reach(tab, name, group) {
  for (let stops = 0; stops < MOST_STOPS; stops++) {
    await tab.keyboard.press("Tab");
    const stop = await tab.evaluate(() => {
      const element = document.activeElement;
      const label = element.labels?.[0]?.textContent ?? "";
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const group = element.closest("fieldset")?.querySelector("legend")?.textContent;
      const isSeen = element === document.body || (outlineStyle !== "none" && outlineWidth !== "0px");
      return { name: (label || element.textContent).trim(), group, isSeen };
    });
    assert.ok(stop.isSeen, `the focus on "${stop.name}" cannot be seen`);
    if (name.test(stop.name) && (group === undefined || stop.group === group)) return;
  }
  throw new Error(`the Tab key never comes to ${name} ${group ?? ""}`);
}

/** Lets the platforms' names lead to a server of this machine; all else is as the page sent it. */
async function platformsHere(tab, { destination }) {
  await tab.route("**/outputs", (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const body = route.request().postDataJSON();
    body.url = destination.url;
    return route.continue({ postData: JSON.stringify(body) });
  });
}
