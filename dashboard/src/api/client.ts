// Requests to the API, on behalf of who is signed in.

import { session, signOut } from "../session";

/** Where the API is, on the page's own origin. */
const BASE = "/client/v4";

/** What the API refused, in its words; or that it could not be reached. */
export class ApiError extends Error {
  constructor(
    /** The HTTP status; 0 where there was no answer. */
    readonly status: number,
    /** The API's code. */
    readonly code: number,
    message: string,
    /** The JSON pointer of the field that is at fault. */
    readonly pointer: string | null = null,
  ) {
    super(message);
  }
}

interface Envelope<T> {
  result: T;
  success: boolean;
  errors: { code: number; message: string; source?: { pointer?: string } }[];
  messages: { code: number; message: string }[];
  result_info?: ResultInfo;
}

/** Which part of a list an answer is. */
export interface ResultInfo {
  count: number;
  per_page: number;
  page?: number;
  total_count?: number;
  cursor?: string;
}

/** A success: what was asked for, and what there is to say about it. */
export interface Answer<T> {
  result: T;
  messages: string[];
  info: ResultInfo | undefined;
}

type Method = "GET" | "POST" | "PUT" | "DELETE";

/** Code of a token that is not known or not good any more. */
const TOKEN_REFUSED = 9109;

/** Asks the account's API; `path` follows the account. */
export async function ask<T>(method: Method, path: string, body?: unknown): Promise<Answer<T>> {
  const who = session.peek();
  if (who === null) throw new ApiError(403, TOKEN_REFUSED, "Nobody is signed in.");
  try {
    return await send<T>(method, `/accounts/${who.account}${path}`, who.token, body);
  } catch (error) {
    const isOver = error instanceof ApiError && error.status === 403 && error.code === TOKEN_REFUSED;
    if (isOver && session.peek() === who) signOut(error.message);
    throw error;
  }
}

/** The same, for who cares for the result alone. */
export async function read<T>(path: string): Promise<T> {
  return (await ask<T>("GET", path)).result;
}

/** Whether a token is good for an account; throws what the API says if not. */
export async function verify(account: string, token: string): Promise<void> {
  await send("GET", `/accounts/${account}/tokens/verify`, token);
}

/** Asks for something while the page is being left, when nobody waits for an answer. */
export function askAtLast(method: Method, path: string): void {
  const who = session.peek();
  if (who === null) return;
  const headers = { authorization: `Bearer ${who.token}` };
  void fetch(`${BASE}/accounts/${who.account}${path}`, { method, headers, keepalive: true });
}

async function send<T>(
  method: Method,
  path: string,
  token: string,
  body?: unknown,
): Promise<Answer<T>> {
  const init: RequestInit = { method, headers: { authorization: `Bearer ${token}` } };
  if (body !== undefined) init.body = JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(`${BASE}${path}`, init);
  } catch {
    throw new ApiError(0, 0, "The control plane cannot be reached. Nothing is known to have changed.");
  }
  const envelope = await parsed<T>(answer);
  if (!envelope.success) {
    const first = envelope.errors[0];
    throw new ApiError(
      answer.status,
      first?.code ?? 0,
      first?.message ?? `The control plane answered with ${answer.status}.`,
      first?.source?.pointer ?? null,
    );
  }
  return {
    result: envelope.result,
    messages: envelope.messages.map(({ message }) => message),
    info: envelope.result_info,
  };
}

async function parsed<T>(answer: Response): Promise<Envelope<T>> {
  try {
    return (await answer.json()) as Envelope<T>;
  } catch {
    throw new ApiError(answer.status, 0, `The control plane answered with ${answer.status}.`);
  }
}
