// A search of what the control plane says and keeps, for every key, token and secret that a test uses.
//
// One file of tests is one process, and has one list of secrets. What passes through `fetch` here
// brings its secrets to that list; whatever nobody may find one in is handed to `says`.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Members of bodies and frames that hold a secret. */
const SECRET_MEMBERS = ["key", "secret", "signing_secret", "stream_key", "streamKey", "token", "value"];

/** Members that hold a URL, whose query may be kept, but not said. */
const URL_MEMBERS = ["notification_url", "notificationUrl", "url"];

/** Stream keys and tokens are known by their form, whoever made them. */
const FORMS = [/\b[0-9a-f]{32}k[0-9a-f]{32}\b/g, /\bsc[ort]_[0-9A-Za-z_-]{36,76}/g];

/** A shorter text is found everywhere by chance, and so is one that repeats a few letters. */
const SEARCHABLE = { length: 7, letters: 5 };

const secrets = new Set();
const unsaid = new Set();
const said = [];
const parent = tmpdir();

/** Remembers a text that must be found nowhere. */
export function know(text) {
  if (!isSearchable(text)) return;
  secrets.add(text);
  // The half of a stream key that is secret.
  const [half] = text.match(/^[0-9a-f]{32}(?=k[0-9a-f]{32}$)/) ?? [];
  if (half !== undefined) secrets.add(half);
}

function isSearchable(text) {
  return text.length >= SEARCHABLE.length && new Set(text).size >= SEARCHABLE.letters;
}

/** Remembers the Worker's own secrets: texts, or numbered keys. */
export function knowSettings(settings) {
  for (const entry of Object.values(settings).flatMap((text) => text.split(","))) {
    know(entry.replace(/^\d+:/, ""));
  }
}

/** Remembers the secrets in a body or a frame. */
export function learn(text) {
  for (const form of FORMS) {
    for (const [secret] of text.matchAll(form)) know(secret);
  }
  try {
    JSON.parse(text, member);
  } catch {
    // Not all bodies are JSON, and some are not meant to be.
  }
}

function member(name, value) {
  if (typeof value !== "string") return value;
  if (SECRET_MEMBERS.includes(name)) know(value);
  if (URL_MEMBERS.includes(name) && URL.canParse(value)) {
    const { password, searchParams } = new URL(value);
    know(password);
    for (const given of searchParams.values()) {
      if (isSearchable(given)) unsaid.add(given);
    }
  }
  return value;
}

/** Remembers what somebody reads: a log, an answer that is a failure, a message. */
export function says(place, text) {
  said.push({ place, text });
}

/** As the global one; secrets on the way are remembered, and failures looked at in the end. */
export async function fetch(url, options = {}) {
  const { authorization = "" } = options.headers ?? {};
  know(authorization.replace(/^\w+ /, ""));
  learn(options.body ?? "");
  const answer = await globalThis.fetch(url, options);
  const text = await answer.clone().text();
  learn(text);
  const place = `${options.method ?? "GET"} ${url}`;
  says(`the head of ${place}`, JSON.stringify([...answer.headers]));
  if (!answer.ok) says(place, text);
  return answer;
}

/** A folder of its own for what a runtime keeps, so that it can be searched. */
export function stateFolder() {
  const folder = mkdtempSync(join(parent, "stream-connect-control-"));
  process.env.TMPDIR = folder;
  return folder;
}

/** All files below a folder. */
export function files(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

/** The files of a folder that hold any of the texts. */
export function filesWith(folder, texts) {
  return files(folder).filter((file) => {
    const bytes = readFileSync(file);
    return texts.some((text) => bytes.includes(text));
  });
}

/** The end of a runtime: looks at its folder, ends it, and fails if a secret was kept or said. */
export async function end(folder, dispose, logs) {
  // A file is read byte for byte, whatever it is.
  const byte = (text) => Buffer.from(text).toString("latin1");
  const kept = files(folder).map((place) => ({ place, text: readFileSync(place, "latin1") }));
  const found = find(kept, [...secrets].map(byte));
  await readAll(logs);
  await dispose();
  rmSync(folder, { recursive: true, force: true });
  says("the log", logs());
  found.push(...find(said.splice(0), [...secrets, ...unsaid]));
  assert.deepEqual(found, [], "a secret where none may be");
}

/**
 * Waits until all that the runtime has printed is read: it lies in a pipe, which is thrown away with
 * the runtime. Each turn of the event loop takes from the pipe what is there, and some more turns
 * bring it through the streams behind.
 */
async function readAll(logs) {
  let silent = 0;
  for (let before = logs().length; silent < 10; silent += 1) {
    await new Promise(setImmediate);
    const now = logs().length;
    if (now !== before) silent = 0;
    before = now;
  }
}

/** Where secrets are, with what stands round them, and without them. */
function find(places, known) {
  const found = [];
  for (const { place, text } of places) {
    const forms = FORMS.flatMap((form) => text.match(form) ?? []);
    const here = [...known, ...forms].filter((one) => text.includes(one));
    if (here.length === 0) continue;
    // Whole keys before their halves.
    here.sort((one, other) => other.length - one.length);
    const shown = here.reduce((rest, one) => rest.replaceAll(one, "<here>"), text);
    const at = shown.indexOf("<here>");
    found.push(`${place}: ${shown.slice(Math.max(at - 80, 0), at + 80)}`);
  }
  return found;
}
