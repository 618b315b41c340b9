// Who is signed in: kept for this tab alone, and never in a URL.

import { signal } from "@preact/signals";

/** An account and a token of it. */
export interface Session {
  readonly account: string;
  readonly token: string;
}

const KEY = "stream-connect";

/** The present one. */
export const session = signal<Session | null>(stored());

/** Why the last one ended, if it did not end by its owner's wish. */
export const ended = signal<string | null>(null);

/** Begins a session that reloading the tab does not end. */
export function signIn(next: Session): void {
  sessionStorage.setItem(KEY, JSON.stringify(next));
  ended.value = null;
  session.value = next;
}

/** Forgets token and account; `why` is shown where one signs in. */
export function signOut(why: string | null = null): void {
  sessionStorage.removeItem(KEY);
  ended.value = why;
  session.value = null;
}

function stored(): Session | null {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    if (typeof found !== "object" || found === null) return null;
    const { account, token } = found as Partial<Session>;
    return typeof account === "string" && typeof token === "string" ? { account, token } : null;
  } catch {
    return null;
  }
}
