// Everything else that can be pressed, with what it does at the API.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { test } from "node:test";
import { eventually, hexId } from "../control/support.mjs";
import { atEnd, close, rig } from "./shared.mjs";

test("live inputs are made, found, filtered and leafed through", async () => {
  const all = await rig();
  await all.empty();
  for (let number = 1; number <= 30; number++) await all.createInput(`Number ${number}`);
  const tab = await all.signedIn("/");
  const link = (name) => tab.getByRole("link", { name, exact: true });
  await link("Number 30").waitFor();
  await tab.getByText("30 live inputs").waitFor();
  await tab.getByRole("button", { name: "Older" }).click();
  await link("Number 5").waitFor();
  await tab.getByRole("button", { name: "Newer" }).click();
  await link("Number 30").waitFor();
  await tab.getByLabel("Search").fill("number 7");
  await link("Number 7").waitFor();
  await link("Number 30").waitFor({ state: "detached" });
  await tab.getByLabel("Search").fill("nothing like that");
  await tab.getByText("No live input is like that.").waitFor();
  await tab.getByLabel("Search").fill("");
  await link("Number 30").waitFor();
  for (const [state, count] of [
    ["On air", 0],
    ["Waiting", 0],
    ["Off air", 0],
    ["Unknown", 0],
    ["Never on air", 30],
    ["All", 30],
  ]) {
    await tab.getByRole("button", { name: state, exact: true }).click();
    await tab.getByText(`${count} live inputs`).waitFor();
  }
  const opens = tab.getByRole("button", { name: "New live input" });
  await opens.click();
  await tab.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("dialog").waitFor({ state: "detached" });
  assert.ok(await opens.evaluate((button) => button === document.activeElement), "the focus is back");
  await opens.click();
  await tab.getByLabel("Name").fill("Fresh");
  await tab.getByRole("button", { name: "Create live input" }).click();
  await tab.getByRole("heading", { name: "Fresh" }).waitFor();
  await all.empty();
  await close(tab);
});

test("a live input is set up, changed, and deleted", async () => {
  const all = await rig();
  const input = await all.createInput("Before");
  const read = () => all.ask("GET", `/stream/live_inputs/${input.uid}`);
  const tab = await all.signedIn(`/inputs/${input.uid}`);
  const copied = () => tab.evaluate(() => navigator.clipboard.readText());
  const { url, streamKey } = input.rtmps;

  await tab.getByRole("button", { name: "FFmpeg", exact: true }).click();
  await tab.getByRole("button", { name: "Copy FFmpeg command with the key" }).click();
  assert.match(await copied(), /^ffmpeg /);
  assert.ok((await copied()).includes(`"${url}${streamKey}"`));
  await tab.getByRole("button", { name: "Hardware" }).click();
  await tab.getByRole("button", { name: "Copy URL with the key" }).click();
  assert.equal(await copied(), `${url}${streamKey}`);
  await tab.getByRole("button", { name: "OBS" }).click();

  await tab.getByRole("switch", { name: "Enabled" }).click();
  await tab.getByText("It is switched off").waitFor();
  assert.equal((await read()).enabled, false);
  await tab.getByRole("switch", { name: "Enabled" }).click();
  await eventually("it is on again", async () => (await read()).enabled);

  await tab.getByRole("button", { name: "Replace the key" }).click();
  await tab.getByRole("button", { name: "Keep the old key" }).click();
  await tab.getByRole("button", { name: "Replace the key" }).click();
  await tab.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "Replace the key" }).click();
  await tab.getByLabel("The old key ends").selectOption("600");
  await tab.getByRole("button", { name: "Replace it" }).click();
  await tab.getByText("There is a new stream key").waitFor();
  const { rtmps } = await read();
  assert.notEqual(rtmps.streamKey, streamKey);
  await tab.getByRole("button", { name: "Copy Stream key" }).click();
  assert.equal(await copied(), rtmps.streamKey);
  await tab.getByRole("button", { name: "Copy RTMPS URL" }).click();

  await tab.getByRole("link", { name: "Settings" }).click();
  const wait = tab.getByLabel("Reconnect window, in seconds");
  // The API's own words, at the field: the browser would not let it through.
  await wait.evaluate((field) => field.removeAttribute("max"));
  await wait.fill("1801");
  await tab.getByRole("button", { name: "Save settings" }).click();
  const alert = tab.getByRole("alert");
  await alert.waitFor();
  assert.ok((await wait.getAttribute("aria-describedby")).includes(await alert.getAttribute("id")));
  await wait.fill("90");
  await tab.getByLabel("Name").fill("After");
  await tab.getByLabel("When the encoder stops").selectOption("hold");
  await tab.getByLabel("When it comes back with other codecs").selectOption("continue");
  await tab.getByLabel("When a second encoder comes").selectOption("reject");
  await tab.getByRole("button", { name: "Save settings" }).click();
  await tab.getByText("Saved.").waitFor();
  await tab.getByRole("heading", { name: "After" }).waitFor();
  const saved = await read();
  assert.deepEqual(
    [saved.meta, saved.reconnectWindowSeconds, saved.onStop, saved.onFormatChange, saved.takeover],
    [{ name: "After" }, 90, "hold", "continue", "reject"],
  );
  await tab.getByRole("button", { name: "Copy ID" }).click();
  assert.equal(await copied(), input.uid);
  await tab.getByRole("switch", { name: "Enabled" }).click();
  await eventually("it is off", async () => !(await read()).enabled);

  await tab.getByRole("button", { name: "Delete this live input" }).click();
  await tab.getByRole("button", { name: "Keep it" }).click();
  await tab.getByRole("button", { name: "Delete this live input" }).click();
  await tab.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "Delete this live input" }).click();
  await tab.getByRole("button", { name: "Delete it" }).click();
  await tab.getByText("After was deleted.").waitFor();
  await assert.rejects(read());
  await close(tab, [/Failed to load resource/]);
});

test("outputs are added by preset and by hand, edited, removed, and had back", async () => {
  const all = await rig();
  const input = await all.createInput("Outputs");
  const read = () => all.ask("GET", `/stream/live_inputs/${input.uid}/outputs`);
  const tab = await all.signedIn(`/inputs/${input.uid}`);
  const add = tab.getByRole("button", { name: "Add", exact: true });
  await add.click();
  await tab.getByText("Paste a stream key first.").waitFor();
  const hosts = {
    YouTube: "a.rtmps.youtube.com",
    Twitch: "ingest.global-contribute.live-video.net",
    Facebook: "live-api-s.facebook.com",
    Kick: "fa723fc1b171.global-contribute.live-video.net",
  };
  for (const platform of Object.keys(hosts)) {
    const group = tab.getByRole("group", { name: platform });
    const key = group.getByLabel("Stream key");
    assert.equal(await key.getAttribute("type"), "password");
    await key.fill(`key-${platform}`);
    await group.getByRole("button", { name: /^Change URL/ }).click();
    assert.match(await group.getByLabel("URL").inputValue(), new RegExp(hosts[platform]));
  }
  await tab.getByRole("button", { name: "Custom RTMP server" }).click();
  const own = tab.getByRole("group", { name: "Custom" });
  await own.getByLabel("Name").fill("Ours");
  await own.getByLabel("URL").fill("http://not.rtmp.example.com/live");
  await own.getByLabel("Stream key").fill("own-key");
  await add.click();
  // What was refused says so at its field, and what was good is there.
  const alert = own.getByRole("alert");
  await alert.waitFor();
  const described = await own.getByLabel("URL").getAttribute("aria-describedby");
  assert.ok(described.includes(await alert.getAttribute("id")));
  await own.getByLabel("URL").fill("rtmp://rtmp.example.com/live");
  await add.click();
  await tab.getByRole("heading", { name: "Ours" }).waitFor();
  const made = await read();
  assert.deepEqual(
    made.map(({ meta, streamKey }) => [meta.name, streamKey]),
    [...Object.keys(hosts).map((name) => [name, `key-${name}`]), ["Ours", "own-key"]],
  );
  for (const { url, meta } of made) {
    if (hosts[meta.name]) assert.ok(url.startsWith(`rtmps://${hosts[meta.name]}`), url);
  }

  // The same place with the same key is allowed, and warned of.
  await tab.getByRole("button", { name: "Add outputs" }).click();
  await tab.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "Add outputs" }).click();
  await tab.getByRole("group", { name: "YouTube" }).getByLabel("Stream key").fill("key-YouTube");
  await add.click();
  await tab.getByText(/most platforms/i).waitFor();

  await tab.getByRole("button", { name: "Edit Ours" }).click();
  const dialog = tab.getByRole("dialog");
  await dialog.getByLabel("URL").fill("ftp://x");
  await dialog.getByRole("button", { name: "Save" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("URL").fill("rtmp://rtmp.example.com/other");
  await dialog.getByLabel("Name").fill("Renamed");
  await dialog.getByLabel("New stream key").fill("another-key");
  await dialog.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("heading", { name: "Renamed" }).waitFor();
  const renamed = (await read()).find(({ meta }) => meta.name === "Renamed");
  assert.deepEqual(
    [renamed.url, renamed.streamKey],
    ["rtmp://rtmp.example.com/other", "another-key"],
  );
  await tab.getByRole("button", { name: "Edit Renamed" }).click();
  await dialog.getByRole("button", { name: "Reveal Present stream key" }).click();
  await dialog.getByRole("button", { name: "Hide Present stream key" }).click();
  await dialog.getByRole("button", { name: "Copy Present stream key" }).click();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "Edit Renamed" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();

  // Removed, it sends nothing at once; undone, it does as before, with its key.
  await tab.getByRole("button", { name: "Remove Renamed" }).click();
  await tab.getByRole("heading", { name: "Renamed" }).waitFor({ state: "detached" });
  const one = async () => (await read()).find(({ uid }) => uid === renamed.uid);
  assert.equal((await one()).enabled, false);
  await tab.getByRole("button", { name: "Undo" }).click();
  await tab.getByRole("heading", { name: "Renamed" }).waitFor();
  await eventually("it is on again", async () => (await one()).enabled);
  assert.equal((await one()).streamKey, "another-key");

  // Not undone, it goes; also when the page is left before that.
  await tab.getByRole("button", { name: "Remove Renamed" }).click();
  await eventually("it is gone", async () => (await one()) === undefined);
  await tab.getByRole("button", { name: "Remove Kick" }).click();
  await tab.getByText("Kick was removed.").waitFor();
  await tab.goto("about:blank");
  await eventually("Kick is gone", async () => !(await read()).some(({ meta }) => meta.name === "Kick"));
  await close(tab, [/Failed to load resource/]);
});

test("webhooks are set, tested and removed, and their deliveries are shown", async () => {
  const all = await rig();
  const received = [];
  const server = createServer((request, response) => {
    received.push(request.url);
    request.resume().on("end", () => response.writeHead(request.url === "/bad" ? 500 : 200).end());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  atEnd(() => (server.close(), server.closeAllConnections()));
  const base = `http://127.0.0.1:${server.address().port}`;
  await all.ask("DELETE", "/stream/webhook").catch(() => undefined);
  const tab = await all.signedIn("/webhooks");
  const card = tab.locator("section").filter({ hasText: "Webhook of the account" });
  await card.getByLabel("URL").fill("ftp://example.com/");
  await card.getByRole("button", { name: "Save" }).click();
  await card.getByRole("alert").waitFor();
  await card.getByLabel("URL").fill(`${base}/hook`);
  await card.getByRole("button", { name: "Save" }).click();
  await tab.getByText("The webhook is set.").waitFor();
  await card.getByRole("button", { name: /^Send a test/ }).click();
  await card.getByRole("row").filter({ hasText: "Test message" }).getByText("Delivered").waitFor();
  assert.deepEqual(received, ["/hook"]);
  const { secret } = await all.ask("GET", "/stream/webhook");
  assert.ok(!(await tab.content()).includes(secret));
  await card.getByRole("button", { name: "Reveal Signing secret" }).click();
  await card.getByText(secret).waitFor();
  await card.getByRole("button", { name: "Hide Signing secret" }).click();
  await card.getByRole("button", { name: "Copy Signing secret" }).click();
  assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), secret);

  await tab.getByRole("button", { name: "Add a destination" }).click();
  const dialog = tab.getByRole("dialog");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "Add a destination" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "Add a destination" }).click();
  await dialog.getByLabel("Name").fill("Pager");
  await dialog.getByLabel("URL").fill(`${base}/bad`);
  await dialog.getByLabel("Secret").fill("hush");
  await dialog.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("heading", { name: "Pager" }).waitFor();
  await tab.getByRole("button", { name: "Deliveries of Pager" }).click();
  await tab.getByRole("button", { name: "Send a test to Pager" }).click();
  await tab.getByText(/HTTP 500/).first().waitFor();
  await tab.getByRole("button", { name: "Hide deliveries of Pager" }).click();
  await tab.getByRole("button", { name: "Edit Pager" }).click();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "Edit Pager" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "Edit Pager" }).click();
  await dialog.getByLabel("Name").fill("Beeper");
  await dialog.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("heading", { name: "Beeper", exact: true }).waitFor();

  await tab.getByRole("button", { name: "Add a notification" }).click();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "Add a notification" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "Add a notification" }).click();
  await dialog.getByLabel("Name").fill("Trouble at night");
  await dialog.getByLabel("Beeper").check();
  await dialog.getByLabel("Output failed").check();
  await dialog.getByRole("button", { name: "Save" }).click();
  await tab.getByRole("heading", { name: "Trouble at night" }).waitFor();
  const policy = async () =>
    (await all.ask("GET", "/alerting/v3/policies")).find(({ name }) => name === "Trouble at night");
  assert.ok((await policy()).filters.event_type.includes("live_input.output.failed"));
  await tab.getByRole("switch", { name: "Notify Trouble at night" }).click();
  await eventually("it is off", async () => (await policy()).enabled === false);
  await tab.getByRole("button", { name: "Edit Trouble at night" }).click();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "Edit Trouble at night" }).click();
  await dialog.getByLabel("Output live").check();
  await dialog.getByRole("button", { name: "Save" }).click();
  await eventually("it is more", async () =>
    (await policy()).filters.event_type.includes("live_input.output.live"),
  );
  await tab.getByRole("button", { name: "Delete Trouble at night" }).click();
  await tab.getByRole("heading", { name: "Trouble at night" }).waitFor({ state: "detached" });
  assert.equal(await policy(), undefined);

  await tab.getByRole("button", { name: "Delete Beeper" }).click();
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await tab.getByRole("button", { name: "Delete Beeper" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "Delete Beeper" }).click();
  await dialog.getByRole("button", { name: "Delete it" }).click();
  await tab.getByRole("heading", { name: "Beeper", exact: true }).waitFor({ state: "detached" });

  await card.getByRole("button", { name: /^Remove/ }).click();
  await tab.getByRole("button", { name: "Undo" }).click();
  await card.getByRole("button", { name: /^Remove/ }).waitFor();
  assert.equal((await all.ask("GET", "/stream/webhook")).notificationUrl, `${base}/hook`);
  await card.getByRole("button", { name: /^Remove/ }).click();
  await card.getByRole("button", { name: /^Remove/ }).waitFor({ state: "detached" });
  await close(tab, [/Failed to load resource/]);
});

test("tokens are made, shown once, rolled, switched and deleted", async () => {
  const all = await rig();
  const tab = await all.signedIn("/tokens");
  const name = `Camera ${hexId().slice(0, 6)}`;
  const dialog = tab.getByRole("dialog");
  await tab.getByRole("button", { name: "New token" }).click();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await tab.getByRole("button", { name: "New token" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: "New token" }).click();
  await dialog.getByLabel("Name").fill(name);
  await dialog.getByRole("button", { name: "Make the token" }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByLabel("Stream Read").check();
  await dialog.getByRole("button", { name: "Make the token" }).click();
  const fresh = async () => {
    await dialog.getByText("it is not shown again").waitFor();
    await dialog.getByRole("button", { name: "Copy Token" }).click();
    return tab.evaluate(() => navigator.clipboard.readText());
  };
  const first = await fresh();
  assert.match(first, /^sct_/);
  assert.ok(!(await tab.content()).includes(first));
  await dialog.getByRole("button", { name: "Reveal Token" }).click();
  await dialog.getByText(first).waitFor();
  await dialog.getByRole("button", { name: "Hide Token" }).click();
  await dialog.getByRole("button", { name: "Done" }).click();
  await all.ask("GET", "/stream/live_inputs", undefined, first);
  const line = tab.getByRole("row").filter({ hasText: name });
  await line.getByText("Stream Read", { exact: true }).waitFor();

  await tab.getByRole("button", { name: `Roll ${name}` }).click();
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await tab.getByRole("button", { name: `Roll ${name}` }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: `Roll ${name}` }).click();
  await dialog.getByRole("button", { name: "Roll it" }).click();
  const second = await fresh();
  assert.notEqual(second, first);
  await dialog.getByRole("button", { name: "Close" }).click();
  await all.ask("GET", "/stream/live_inputs", undefined, second);

  await line.getByRole("switch").click();
  await line.getByText("Off", { exact: true }).waitFor();
  await line.getByRole("switch").click();
  await line.getByText("Active", { exact: true }).waitFor();
  await tab.getByRole("button", { name: `Delete ${name}` }).click();
  await dialog.getByRole("button", { name: "Keep it" }).click();
  await tab.getByRole("button", { name: `Delete ${name}` }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await tab.getByRole("button", { name: `Delete ${name}` }).click();
  await dialog.getByRole("button", { name: "Delete it" }).click();
  await line.waitFor({ state: "detached" });
  await close(tab, [/Failed to load resource/]);
});
