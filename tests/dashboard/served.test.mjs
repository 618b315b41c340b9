// How the page is served: beside the API, never instead of it, and under a strict policy.

import assert from "node:assert/strict";
import { test } from "node:test";
import { rig } from "./shared.mjs";

const NAVIGATION = { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
const ID = "66be4bf738797e01e1fca35a7bdecdcd";

test("the paths of the page have its document, with the headers of the policy", async () => {
  const { url } = await rig();
  for (const path of ["/", "/webhooks", "/tokens", `/inputs/${ID}`, `/inputs/${ID}/history`]) {
    const answer = await fetch(new URL(path, url), { headers: NAVIGATION });
    assert.equal(answer.status, 200, path);
    assert.match(answer.headers.get("content-type"), /^text\/html/, path);
    const policy = answer.headers.get("content-security-policy");
    assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/, path);
    assert.match(policy, /frame-ancestors 'none'/, path);
    assert.doesNotMatch(policy, /unsafe|\*|data:/, path);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff", path);
    assert.equal(answer.headers.get("referrer-policy"), "no-referrer", path);
    assert.equal(answer.headers.get("cross-origin-opener-policy"), "same-origin", path);
    const document = await answer.text();
    assert.doesNotMatch(document, /<script(?![^>]* src=)|<style| on\w+=| style=/, path);
  }
});

test("the scripts are kept by browsers, the document is asked for each time", async () => {
  const { url } = await rig();
  const document = await fetch(url);
  assert.match(document.headers.get("cache-control"), /max-age=0|no-cache/);
  const [, script] = (await document.text()).match(/src="(\/assets\/[^"]+\.js)"/);
  const answer = await fetch(new URL(script, url));
  assert.match(answer.headers.get("content-type"), /javascript/);
  assert.match(answer.headers.get("cache-control"), /immutable/);
  assert.equal(answer.headers.get("content-security-policy").includes("default-src 'none'"), true);
});

test("the paths of the API reach the Worker, even from a browser's address bar", async () => {
  const { url, account } = await rig();
  for (const [path, status] of [
    ["/health", 200],
    ["/openapi.json", 200],
    [`/${ID}/lifecycle`, 404],
    [`/client/v4/${ID}/lifecycle`, 404],
    ["/accounts", 405],
    [`/accounts/${account}/stream/live_inputs`, 400],
    [`/client/v4/accounts/${account}/stream/live_inputs`, 400],
    [`/client/v4/accounts/${account}/tokens`, 400],
    ["/user/tokens/verify", 400],
    ["/client/v4/user/tokens/verify", 400],
    ["/relay/v1/nodes/fra-1/link", 400],
    ["/relay/v1/publish", 405],
    ["/client/v4", 404],
    ["/nonsense", 404],
    ["/inputs", 404],
    ["/assets", 404],
  ]) {
    const answer = await fetch(new URL(path, url), { headers: NAVIGATION });
    assert.equal(answer.status, status, path);
    assert.match(answer.headers.get("content-type"), /^application\/json/, path);
    assert.ok(answer.headers.get("cf-ray"), path);
    await answer.json();
  }
});
