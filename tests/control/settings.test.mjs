// How a live input's encoder is treated: kept, changed one by one, told to the node.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertRefused, expectResult, hexId, startControl } from "./support.mjs";

let control;
before(async () => (control = await startControl()));
after(() => control.close());

const DEFAULTS = {
  reconnectWindowSeconds: 60,
  onStop: "end",
  onFormatChange: "reconnect",
  takeover: "newest",
};
const OTHERS = {
  reconnectWindowSeconds: 1800,
  onStop: "hold",
  onFormatChange: "continue",
  takeover: "reject",
};

function settingsOf(input) {
  return Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, input[name]]));
}

test("settings have defaults, change one by one, and go back by null", async () => {
  const input = await control.createInput();
  assert.deepEqual(settingsOf(input), DEFAULTS);
  const path = `/live_inputs/${input.uid}`;
  const expected = { ...DEFAULTS };
  for (const [name, value] of Object.entries(OTHERS)) {
    expected[name] = value;
    const changed = expectResult(await control.api("PUT", path, { body: { [name]: value } }));
    assert.deepEqual(settingsOf(changed), expected);
  }
  const renamed = await control.api("PUT", path, { body: { meta: {} } });
  assert.deepEqual(settingsOf(expectResult(renamed)), OTHERS);
  const nulls = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, null]));
  const reset = await control.api("PUT", path, { body: nulls });
  assert.deepEqual(settingsOf(expectResult(reset)), DEFAULTS);
  assert.deepEqual(settingsOf(await control.createInput(OTHERS)), OTHERS);
});

test("the node is told", async () => {
  const { uid, rtmps } = await control.createInput(OTHERS);
  const instance = hexId();
  const { snapshot } = (await control.publish("fra-1", instance, rtmps.streamKey)).json;
  assert.deepEqual(snapshot.wish.settings, {
    reconnect_window: 1800,
    on_stop: "hold",
    on_format_change: "continue",
    takeover: "reject",
  });
  const link = await control.link("fra-1", instance, { [uid]: snapshot.rev });
  await link.next("reconciliation");
  const body = { reconnectWindowSeconds: 0 };
  expectResult(await control.api("PUT", `/live_inputs/${uid}`, { body }));
  const told = await link.snapshot(uid, snapshot.rev + 1);
  assert.deepEqual(told.wish.settings, { ...snapshot.wish.settings, reconnect_window: 0 });
  link.close();
});

test("what they may not be is refused with its name", async () => {
  const { uid } = await control.createInput();
  const before = await control.rows();
  for (const [name, value] of [
    ["reconnectWindowSeconds", -1],
    ["reconnectWindowSeconds", 1801],
    ["reconnectWindowSeconds", 0.5],
    ["reconnectWindowSeconds", "60"],
    ["onStop", "stop"],
    ["onFormatChange", true],
    ["takeover", ""],
  ]) {
    for (const [method, path] of [
      ["POST", "/live_inputs"],
      ["PUT", `/live_inputs/${uid}`],
    ]) {
      const answer = await control.api(method, path, { body: { [name]: value } });
      assertRefused(answer, 400, 10005);
      assert.equal(answer.json.errors[0].source.pointer, `/${name}`);
    }
  }
  assert.equal(await control.rows(), before);
});
