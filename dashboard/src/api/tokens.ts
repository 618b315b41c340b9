// Tokens of the account, by the API.

import { ask, read } from "./client";
import { session } from "../session";
import type { PermissionGroup, Token } from "./types";

/** The most that the API lists at once. */
const PER_PAGE = 100;

export async function readTokens(): Promise<Token[]> {
  const all: Token[] = [];
  for (let page = 1; ; page++) {
    const query = `page=${page}&per_page=${PER_PAGE}&direction=desc&include_expired=true`;
    const { result, info } = await ask<Token[]>("GET", `/tokens?${query}`);
    all.push(...result);
    if (result.length < PER_PAGE || all.length >= (info?.total_count ?? 0)) return all;
  }
}

export function readGroups(): Promise<PermissionGroup[]> {
  return read("/tokens/permission_groups");
}

/** The token that the page itself uses. */
export async function readOwnId(): Promise<string> {
  return (await read<{ id: string }>("/tokens/verify")).id;
}

/** Makes one; its value is in this answer, and in none after it. */
export async function createToken(
  name: string,
  groups: readonly string[],
  expires: string | null,
): Promise<string> {
  const account = session.peek()?.account ?? "";
  const policy = {
    effect: "allow",
    resources: { [`com.cloudflare.api.account.${account}`]: "*" },
    permission_groups: groups.map((id) => ({ id })),
  };
  const body = { name, policies: [policy], ...(expires === null ? {} : { expires_on: expires }) };
  return (await ask<{ value: string }>("POST", "/tokens", body)).result.value;
}

/** Replaces its value. */
export async function rollToken(id: string): Promise<string> {
  return (await ask<string>("PUT", `/tokens/${id}/value`, {})).result;
}

export async function switchToken(id: string, status: "active" | "disabled"): Promise<void> {
  await ask("PUT", `/tokens/${id}`, { status });
}

export async function deleteToken(id: string): Promise<void> {
  await ask("DELETE", `/tokens/${id}`);
}
