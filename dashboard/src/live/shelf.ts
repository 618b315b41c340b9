// What the API says at one place, kept for a page: read at once, and again when something may have
// changed it.

import { signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { ApiError } from "../api/client";

export interface Shelf<T> {
  readonly value: { readonly value: T | null };
  readonly error: { readonly value: ApiError | null };
  read(): Promise<void>;
}

/** Reads when the component is first shown, unless it is known already. */
export function useShelf<T>(get: () => Promise<T>, known: T | null = null): Shelf<T> {
  const shelf = useMemo(() => newShelf(get, known), []);
  useEffect(() => {
    if (known === null) void shelf.read();
  }, []);
  return shelf;
}

function newShelf<T>(get: () => Promise<T>, known: T | null): Shelf<T> {
  const value = signal<T | null>(known);
  const error = signal<ApiError | null>(null);
  let reads = 0;
  return {
    value,
    error,
    async read() {
      const mine = ++reads;
      try {
        const found = await get();
        if (mine !== reads) return;
        value.value = found;
        error.value = null;
      } catch (failure) {
        if (!(failure instanceof ApiError)) throw failure;
        if (mine === reads) error.value = failure;
      }
    },
  };
}
