// Small things that several pages show.

import type { ComponentChildren } from "preact";
import { useSignal } from "@preact/signals";
import { now } from "../live/now";
import { ago, moment } from "../words/format";
import type { Said } from "../words/states";
import { Button, Copy } from "./button";

/** A state: a coloured mark, and always the word. */
export function State({ said }: { said: Said }) {
  return (
    <span class={`state ${said.tone}`}>
      <span class="mark" aria-hidden="true" />
      {said.word}
    </span>
  );
}

/** A time as how long ago it was; the time itself is a hover away. */
export function Ago({ time }: { time: string }) {
  return (
    <time dateTime={time} title={moment(time)}>
      {ago(now.value - Date.parse(time))}
    </time>
  );
}

/** A secret: in the page only while it is revealed; copied without being shown. */
export function Secret(props: { label: string; value: string }) {
  const shown = useSignal(false);
  return (
    <div class="secret">
      <span class="label">{props.label}</span>
      <output class="code">{shown.value ? props.value : MASK}</output>
      <span class="buttons">
        <Button
          icon={shown.value ? "hide" : "show"}
          about={props.label}
          onPress={() => (shown.value = !shown.value)}
        >
          {shown.value ? "Hide" : "Reveal"}
        </Button>
        <Copy text={() => props.value} about={props.label} />
      </span>
    </div>
  );
}

/** As long for every secret. */
export const MASK = "•".repeat(24);

/** Something to be copied that is no secret. */
export function Value(props: { label: string; value: string }) {
  return (
    <div class="secret">
      <span class="label">{props.label}</span>
      <output class="code">{props.value}</output>
      <span class="buttons">
        <Copy text={() => props.value} about={props.label} />
      </span>
    </div>
  );
}

/** A part of a page under a heading of its own. */
export function Card(props: {
  title: string;
  aside?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}) {
  return (
    <section class={`card ${props.class ?? ""}`}>
      <header>
        <h2>{props.title}</h2>
        {props.aside}
      </header>
      {props.children}
    </section>
  );
}
