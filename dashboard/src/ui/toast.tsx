// What is said for a few seconds at the foot of the page, and can perhaps be undone.

import { signal } from "@preact/signals";
import { Button } from "./button";

interface Toast {
  id: number;
  text: string;
  undo?: () => unknown;
}

/** Long enough to read it and to reach for the button. */
export const TOAST_MS = 7000;

const toasts = signal<readonly Toast[]>([]);
let next = 0;

/** Says something; the answer takes it away. */
export function toast(text: string, undo?: () => unknown): () => void {
  const one: Toast = undo === undefined ? { id: next++, text } : { id: next++, text, undo };
  const remove = () => {
    toasts.value = toasts.peek().filter(({ id }) => id !== one.id);
  };
  toasts.value = [...toasts.peek(), one];
  setTimeout(remove, TOAST_MS);
  return remove;
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, undo }) => (
        <div class="toast" key={id}>
          <p>{text}</p>
          {undo && (
            <Button look="quiet" onPress={undo}>
              Undo
            </Button>
          )}
        </div>
      ))}
    </div>
  );
}
