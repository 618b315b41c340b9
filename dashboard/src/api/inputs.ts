// Live inputs and their outputs, by the API.

import { ask, askAtLast, read, type Answer } from "./client";
import type { InputChange, ListedInput, LiveInput, Output, OutputChange } from "./types";

const INPUTS = "/stream/live_inputs";

/** What a list of live inputs shows. */
export interface ListQuery {
  search: string;
  /** One of the API's, or all. */
  status: string;
  page: number;
  perPage: number;
}

/** A page of them, the newest first. */
export function listInputs(query: ListQuery): Promise<Answer<ListedInput[]>> {
  const parameters = new URLSearchParams({
    asc: "false",
    page: String(query.page),
    per_page: String(query.perPage),
  });
  if (query.search !== "") parameters.set("search", query.search);
  if (query.status !== "") parameters.set("status", query.status);
  return ask("GET", `${INPUTS}?${parameters}`);
}

export async function createInput(body: InputChange): Promise<LiveInput> {
  return (await ask<LiveInput>("POST", INPUTS, body)).result;
}

export function readInput(input: string): Promise<LiveInput> {
  return read(`${INPUTS}/${input}`);
}

export async function changeInput(input: string, change: InputChange): Promise<LiveInput> {
  return (await ask<LiveInput>("PUT", `${INPUTS}/${input}`, change)).result;
}

export async function deleteInput(input: string): Promise<void> {
  await ask("DELETE", `${INPUTS}/${input}`);
}

/** A new stream key; the old one is good for `gracePeriodSeconds` more. */
export async function rotateKey(input: string, gracePeriodSeconds: number): Promise<LiveInput> {
  const body = gracePeriodSeconds === 0 ? {} : { gracePeriodSeconds };
  return (await ask<LiveInput>("POST", `${INPUTS}/${input}/rotate_keys`, body)).result;
}

export function readOutputs(input: string): Promise<Output[]> {
  return read(`${INPUTS}/${input}/outputs`);
}

export function createOutput(
  input: string,
  body: Required<Pick<OutputChange, "url" | "streamKey">> & OutputChange,
): Promise<Answer<Output>> {
  return ask("POST", `${INPUTS}/${input}/outputs`, body);
}

export function changeOutput(
  input: string,
  output: string,
  change: OutputChange,
): Promise<Answer<Output>> {
  return ask("PUT", `${INPUTS}/${input}/outputs/${output}`, change);
}

export async function deleteOutput(input: string, output: string): Promise<void> {
  await ask("DELETE", `${INPUTS}/${input}/outputs/${output}`);
}

/** The same while the page is being left. */
export function deleteOutputAtLast(input: string, output: string): void {
  askAtLast("DELETE", `${INPUTS}/${input}/outputs/${output}`);
}

export async function retryOutput(input: string, output: string): Promise<Output> {
  return (await ask<Output>("POST", `${INPUTS}/${input}/outputs/${output}/retry`)).result;
}
