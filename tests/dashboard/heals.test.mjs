// A page that stays open while what it speaks to goes and comes back.

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../control/support.mjs";
import { close, rig } from "./shared.mjs";

test("the Worker is restarted under an open page, which says so and heals", async () => {
  const all = await rig();
  const input = await all.createInput("Before");
  const tab = await all.signedIn(`/inputs/${input.uid}`);
  await tab.getByText("Live", { exact: true }).waitFor();

  process.kill(all.pids.control, "SIGKILL");
  await tab.getByText(/Connection lost/).waitFor();
  await eventually("another Worker runs", () => {
    const [, pid] = all.said.match(/control runs again, pid (\d+)(?![\s\S]*control runs again)/) ?? [];
    if (pid === undefined || Number(pid) === all.pids.control) return false;
    all.pids.control = Number(pid);
    return true;
  });
  // Pressed or not, it would come back; whoever cannot wait may press.
  await eventually("the API answers", async () => {
    const answer = await fetch(new URL("/health", all.url)).catch(() => undefined);
    return answer?.ok === true;
  });
  const now = tab.getByRole("button", { name: "Try now" });
  if (await now.isVisible()) await now.click({ timeout: 1000 }).catch(() => undefined);
  await tab.getByText("Live", { exact: true }).waitFor();

  // What was changed meanwhile and what is changed from now on is there, without a reload.
  await all.ask("PUT", `/stream/live_inputs/${input.uid}`, { meta: { name: "After" } });
  await tab.getByRole("heading", { name: "After" }).waitFor();
  await close(tab, [/WebSocket|Failed to load resource/]);
});

test("a page without a network says so, and comes back when there is one", async () => {
  const all = await rig();
  const input = await all.createInput("Offline");
  const tab = await all.signedIn(`/inputs/${input.uid}`);
  await tab.getByText("Live", { exact: true }).waitFor();
  let isDown = true;
  await tab.context().setOffline(true);
  await tab.routeWebSocket(/events/, (socket) => (isDown ? socket.close() : socket.connectToServer()));
  await tab.reload({ waitUntil: "commit" }).catch(() => undefined);
  await tab.context().setOffline(false);
  await tab.goto(new URL(`/inputs/${input.uid}`, all.url).href);
  await tab.getByText(/Connection lost/).waitFor();
  await tab.getByRole("heading", { name: "Offline" }).waitFor();
  isDown = false;
  await tab.getByRole("button", { name: "Try now" }).click();
  await tab.getByText("Live", { exact: true }).waitFor();
  // What was being loaded when the network went is told of in words of its own.
  const cut = /WebSocket|ERR_INTERNET_DISCONNECTED|Failed to (load|fetch)|Unable to preload/;
  await close(tab, [cut]);
});

test("a page that could not be read is read when somebody tries again", async () => {
  const all = await rig();
  const input = await all.createInput("Read at last");
  const tab = await all.signedIn("/");
  for (const [path, reads] of [
    ["/", /\/live_inputs\?/],
    [`/inputs/${input.uid}`, new RegExp(`/live_inputs/${input.uid}(/outputs)?$`)],
  ]) {
    // With its stream of events a page would come back by itself.
    await tab.routeWebSocket(/events/, (socket) => socket.close());
    await tab.route(reads, (route) => route.abort());
    await tab.goto(new URL(path, all.url).href);
    const again = tab.getByRole("button", { name: "Try again" });
    await again.waitFor();
    await tab.unroute(reads);
    await again.click();
    await tab.getByText("Read at last").first().waitFor();
    await again.waitFor({ state: "detached" });
  }
  await close(tab, [/WebSocket|Failed to (load|fetch)/]);
});

test("what the Worker wants confirmed is sent back", async () => {
  const all = await rig();
  const input = await all.createInput("Confirmed");
  const tab = await all.signedIn(`/inputs/${input.uid}`);
  const echo = '{"type":"echo","echo":"64 kB later"}';
  let isConfirmed = false;
  await tab.routeWebSocket(/events/, (page) => {
    const worker = page.connectToServer();
    worker.onMessage((frame) => {
      page.send(frame);
      // It comes with the first frame, for want of 64 kB.
      if (JSON.parse(frame).type === "ready") page.send(echo);
    });
    page.onMessage((frame) => {
      if (frame === echo) isConfirmed = true;
      else worker.send(frame);
    });
  });
  await tab.reload();
  await eventually("the page confirms", () => isConfirmed);
  await tab.getByText("Live", { exact: true }).waitFor();
  await close(tab);
});

test("a token that is taken away ends the session, and says why", async () => {
  const all = await rig();
  const { id, value: token } = await all.createToken();
  const tab = await all.signedIn("/", { token });
  await tab.getByRole("button", { name: /live input$/ }).waitFor();
  await all.ask("DELETE", `/tokens/${id}`);
  // The page may have found out by itself, and then the link is gone.
  const link = tab.getByRole("link", { name: "API tokens" });
  await link.click({ timeout: 2000 }).catch(() => undefined);
  await tab.getByText(/You were signed out/).waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
  await close(tab, [/Failed to load resource/, /WebSocket/]);
});

test("signing in refuses what is wrong, and lasts for the tab alone", async () => {
  const all = await rig();
  const tab = await all.tab();
  await tab.getByLabel("Account ID").fill(all.account);
  await tab.getByLabel("API token").fill("sct_nobody");
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.getByRole("alert").waitFor();
  await tab.getByLabel("API token").fill(await all.newToken());
  await tab.getByRole("button", { name: "Sign in" }).click();
  await tab.getByRole("navigation", { name: "Pages" }).waitFor();
  await tab.reload();
  await tab.getByRole("navigation", { name: "Pages" }).waitFor();
  const other = await tab.context().newPage();
  await other.goto(all.url);
  await other.getByLabel("API token").waitFor();
  await tab.getByRole("button", { name: "Sign out" }).click();
  await tab.getByLabel("API token").waitFor();
  assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
  await close(tab, [/Failed to load resource/]);
});
