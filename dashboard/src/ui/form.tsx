// Forms: fields with their errors, in the API's words, where they belong.

import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { useSignal, type Signal } from "@preact/signals";
import { ApiError } from "../api/client";
import { Button } from "./button";

/** What a form does and how that goes. */
export interface Doing {
  readonly error: Signal<ApiError | null>;
  readonly busy: Signal<boolean>;
  /** Does something; whether it succeeded. */
  run(work: () => Promise<unknown>): Promise<boolean>;
}

/** For one form or one list of buttons. */
export function useDoing(): Doing {
  const error = useSignal<ApiError | null>(null);
  const busy = useSignal(false);
  return {
    error,
    busy,
    async run(work) {
      if (busy.peek()) return false;
      busy.value = true;
      error.value = null;
      try {
        await work();
        return true;
      } catch (failure) {
        if (!(failure instanceof ApiError)) throw failure;
        error.value = failure;
        return false;
      } finally {
        busy.value = false;
      }
    },
  };
}

interface FieldProps {
  label: string;
  value: Signal<string>;
  /** The JSON pointer that the API names it by. */
  pointer?: string;
  error?: ApiError | null;
  hint?: string;
  type?: "text" | "password" | "url" | "search" | "number" | "datetime-local";
  placeholder?: string;
  required?: boolean;
  autoFocus?: boolean;
  autoComplete?: string;
  /** Whether its text is a code: a key, an id, an address. */
  code?: boolean;
  min?: number;
  max?: number;
  maxLength?: number;
}

export function Field(props: FieldProps) {
  const id = useId();
  const wrong = isAbout(props.error, props.pointer) ? props.error : null;
  const told = [props.hint && `${id}-hint`, wrong && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        id={id}
        class={props.code ? "code" : ""}
        // The types would have one element for each kind.
        type={(props.type ?? "text") as "text"}
        value={props.value.value}
        placeholder={props.placeholder}
        required={props.required ?? false}
        autofocus={props.autoFocus ?? false}
        autocomplete={props.autoComplete ?? "off"}
        autocapitalize="off"
        spellcheck={false}
        min={props.min}
        max={props.max}
        maxLength={props.maxLength}
        aria-invalid={wrong !== null}
        aria-describedby={told || undefined}
        onInput={({ currentTarget }) => (props.value.value = currentTarget.value)}
      />
      {props.hint && (
        <p id={`${id}-hint`} class="hint">
          {props.hint}
        </p>
      )}
      {wrong && (
        <p id={`${id}-error`} class="wrong" role="alert">
          {wrong.message}
        </p>
      )}
    </div>
  );
}

export function Choice(props: {
  label: string;
  value: Signal<string>;
  options: readonly (readonly [value: string, word: string])[];
  hint?: string;
  pointer?: string;
  error?: ApiError | null;
}) {
  const id = useId();
  const wrong = isAbout(props.error, props.pointer) ? props.error : null;
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select
        id={id}
        aria-describedby={props.hint ? `${id}-hint` : undefined}
        onChange={({ currentTarget }) => (props.value.value = currentTarget.value)}
      >
        {props.options.map(([value, word]) => (
          <option key={value} value={value} selected={value === props.value.value}>
            {word}
          </option>
        ))}
      </select>
      {props.hint && (
        <p id={`${id}-hint`} class="hint">
          {props.hint}
        </p>
      )}
      {wrong && (
        <p class="wrong" role="alert">
          {wrong.message}
        </p>
      )}
    </div>
  );
}

export function Check(props: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.on}
        onChange={({ currentTarget }) => props.onChange(currentTarget.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}

/** What went wrong that no field of the form is about. */
export function Failed(props: { error: ApiError | null; fields?: readonly string[] }) {
  const { error } = props;
  const isShown = error !== null && !props.fields?.some((pointer) => isAbout(error, pointer));
  return isShown ? (
    <p class="failed" role="alert">
      {error.message}
    </p>
  ) : null;
}

/** A form that is sent by Enter as well as by its button. */
export function Form(props: { onSend: () => unknown; class?: string; children: ComponentChildren }) {
  const send = (event: Event) => {
    event.preventDefault();
    void props.onSend();
  };
  return (
    <form class={props.class ?? "form"} onSubmit={send}>
      {props.children}
    </form>
  );
}

/** The end of a dialog's form: what leaves everything as it is, and what sends. */
export function Ends(props: {
  doing: Doing;
  leave: string;
  onLeave: () => void;
  send: string;
  look?: "main" | "danger";
}) {
  return (
    <div class="buttons end">
      <Button onPress={props.onLeave}>{props.leave}</Button>
      <Button look={props.look ?? "main"} submit busy={props.doing.busy.value}>
        {props.send}
      </Button>
    </div>
  );
}

function isAbout(error: ApiError | null | undefined, pointer: string | undefined): boolean {
  if (!error?.pointer || pointer === undefined) return false;
  return error.pointer === pointer || error.pointer.startsWith(`${pointer}/`);
}
