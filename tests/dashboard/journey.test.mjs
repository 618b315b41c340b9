// The first time: from a token to a live broadcast on three platforms.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, hexId } from "../control/support.mjs";
import { close, rig } from "./shared.mjs";

/** What a person does, counted: a field filled in, or something pressed. */
const MOST_ACTIONS = 12;

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
    for (const platform of ["YouTube", "Twitch", "Facebook"]) {
      await fill(tab.getByRole("group", { name: platform }).getByLabel("Stream key"), hexId());
    }
    await press(/^Add$/);
    await tab.getByRole("button", { name: "Add outputs" }).waitFor();
    for (const platform of ["YouTube", "Twitch", "Facebook"]) {
      await eventually(`${platform} is live`, async () => {
        await tab.reload();
        await tab.getByRole("heading", { name: platform }).waitFor();
        const row = tab.getByRole("listitem").filter({ hasText: platform });
        return row.getByText("Live", { exact: true }).isVisible();
      });
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
  await close(tab, [/WebSocket/]);
});

/** Lets the platforms' names lead to a server of this machine; all else is as the page sent it. */
async function platformsHere(tab, { destination }) {
  await tab.route("**/outputs", (route) => {
    if (route.request().method() !== "POST") return route.continue();
    const body = route.request().postDataJSON();
    body.url = destination.url;
    return route.continue({ postData: JSON.stringify(body) });
  });
}
