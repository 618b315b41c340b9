// Buttons: all of them, so that each looks, waits and is named alike.

import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { Icon, type IconName } from "./icon";

interface Props {
  children: ComponentChildren;
  icon?: IconName;
  /** `plain` unless said otherwise. */
  look?: "main" | "plain" | "quiet" | "danger";
  /** What it is about, where that is seen beside it but must be heard with it. */
  about?: string;
  submit?: boolean;
  /** Whether it waits for an answer; of itself it does while `onPress` does. */
  busy?: boolean;
  disabled?: boolean;
  autoFocus?: boolean;
  onPress?: () => unknown;
}

export function Button(props: Props) {
  const waits = useSignal(false);
  const isBusy = waits.value || props.busy === true;
  const press = async () => {
    if (isBusy) return;
    waits.value = true;
    try {
      await props.onPress?.();
    } finally {
      waits.value = false;
    }
  };
  return (
    <button
      type={props.submit ? "submit" : "button"}
      class={`button ${props.look ?? "plain"}`}
      disabled={props.disabled ?? false}
      aria-busy={isBusy}
      autofocus={props.autoFocus ?? false}
      onClick={props.submit ? undefined : press}
    >
      {props.icon && <Icon name={props.icon} />}
      <span>{props.children}</span>
      {props.about && <span class="heard"> {props.about}</span>}
    </button>
  );
}

/** A switch that says what it switches; it moves when the API has answered. */
export function Switch(props: {
  label: string;
  on: boolean;
  /** Whether the label is seen, or only heard. */
  seen?: boolean;
  onPress: () => Promise<unknown>;
}) {
  const waits = useSignal(false);
  const press = async () => {
    if (waits.value) return;
    waits.value = true;
    try {
      await props.onPress();
    } finally {
      waits.value = false;
    }
  };
  return (
    <button
      type="button"
      role="switch"
      class="switch"
      aria-checked={props.on}
      aria-busy={waits.value}
      onClick={press}
    >
      <span class="track" aria-hidden="true" />
      <span class={props.seen ? "" : "heard"}>{props.label}</span>
    </button>
  );
}

/** Puts a text on the clipboard, and says that it did. */
export function Copy(props: { text: () => string; about: string; children?: ComponentChildren }) {
  const done = useSignal(false);
  const copy = async () => {
    await navigator.clipboard.writeText(props.text());
    done.value = true;
    setTimeout(() => (done.value = false), 2000);
  };
  return (
    <button type="button" class="button plain copy" onClick={copy}>
      <Icon name={done.value ? "done" : "copy"} />
      <span class="same-width" data-other={done.value ? "Copy" : "Copied"}>
        {done.value ? "Copied" : (props.children ?? "Copy")}
      </span>
      <span class="heard"> {props.about}</span>
      <span class="heard" role="status">
        {done.value ? `${props.about} copied` : ""}
      </span>
    </button>
  );
}
