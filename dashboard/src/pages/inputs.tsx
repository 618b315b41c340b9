// All live inputs of the account.

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useLocation } from "preact-iso";
import { createInput } from "../api/inputs";
import type { ListedInput } from "../api/types";
import { InputList, PER_PAGE, type Filter } from "../live/list";
import { now } from "../live/now";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Failed, Field, Form, useDoing } from "../ui/form";
import { Ago, State } from "../ui/parts";
import { count, duration, nameOf } from "../words/format";
import { inputState } from "../words/states";
import { useTitle } from "./title";

const STATES = [
  ["", "All"],
  ["connected", "On air"],
  ["reconnecting", "Waiting"],
  ["disconnected", "Off air"],
  ["unknown", "Unknown"],
  ["null", "Never on air"],
] as const;

export function InputsPage() {
  useTitle("Live inputs");
  const list = useSignal<InputList | null>(null);
  useEffect(() => {
    const opened = new InputList();
    list.value = opened;
    return () => opened.close();
  }, []);
  return list.value === null ? null : <Inputs list={list.value} />;
}

function Inputs({ list }: { list: InputList }) {
  const creating = useSignal(false);
  const { items, error, filter, total } = list;
  const isFiltered = useComputed(() => filter.value.search !== "" || filter.value.status !== "");
  const found = items.value;
  if (found !== null && found.length === 0 && !isFiltered.value && filter.value.page === 1) {
    return <First />;
  }
  return (
    <>
      <div class="title">
        <h1>Live inputs</h1>
        <Button look="main" icon="add" onPress={() => (creating.value = true)}>
          New live input
        </Button>
      </div>
      <Filters list={list} />
      <Failed error={error.value} />
      {error.value !== null && <Button onPress={() => list.read()}>Try again</Button>}
      <Table items={found} total={total.value} list={list} isFiltered={isFiltered.value} />
      {creating.value && <Create onClose={() => (creating.value = false)} />}
    </>
  );
}

/** Typing asks once, when it has paused for so long. */
const TYPED_MS = 250;

function Filters({ list }: { list: InputList }) {
  const search = useSignal(list.filter.peek().search);
  const choose = (change: Partial<Filter>) => list.choose({ ...list.filter.peek(), ...change, page: 1 });
  useSignalEffect(() => {
    const text = search.value.trim();
    const timer = setTimeout(() => {
      if (text !== list.filter.peek().search) choose({ search: text });
    }, TYPED_MS);
    return () => clearTimeout(timer);
  });
  return (
    <div class="filters" role="search">
      <Field label="Search" type="search" value={search} placeholder="Name or ID" />
      <div class="segments" role="group" aria-label="State">
        {STATES.map(([status, word]) => (
          <button
            key={status}
            type="button"
            aria-pressed={list.filter.value.status === status}
            onClick={() => choose({ status })}
          >
            {word}
          </button>
        ))}
      </div>
    </div>
  );
}

function Table(props: {
  items: readonly ListedInput[] | null;
  total: number;
  list: InputList;
  isFiltered: boolean;
}) {
  const { items, list } = props;
  if (items === null) return <p class="waiting">Reading…</p>;
  const { page } = list.filter.value;
  const pages = Math.max(1, Math.ceil(props.total / PER_PAGE));
  return (
    <>
      <table class="list">
        <caption class="heard">Live inputs, the newest first</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">State</th>
            <th scope="col">Outputs live</th>
            <th scope="col">Last change</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <Row item={item} key={item.uid} />
          ))}
        </tbody>
      </table>
      {items.length === 0 && (
        <p class="waiting">
          {props.isFiltered ? "No live input is like that." : "This page is empty."}
        </p>
      )}
      <div class="pages">
        <span>{count(props.total, "live input")}</span>
        {(pages > 1 || page > 1) && (
          <span class="buttons">
            <Button disabled={page <= 1} onPress={() => list.turn(page - 1)}>
              Newer
            </Button>
            <span>
              {page} of {pages}
            </span>
            <Button disabled={page >= pages} onPress={() => list.turn(page + 1)}>
              Older
            </Button>
          </span>
        )}
      </div>
    </>
  );
}

function Row({ item }: { item: ListedInput }) {
  const current = item.status?.current;
  const said = item.enabled || current?.state === "connected"
    ? inputState(current?.state)
    : ({ word: "Switched off", tone: "idle" } as const);
  return (
    <tr>
      <th scope="row">
        <a href={`/inputs/${item.uid}`}>{nameOf(item.meta, "Unnamed")}</a>
        <span class="code small">{item.uid}</span>
      </th>
      <td data-label="State">
        <State said={said} />
        {current && (
          <span class="small">for {duration(now.value - Date.parse(current.statusEnteredAt))}</span>
        )}
      </td>
      <td data-label="Outputs live">
        <span class="figure">
          {item.outputs.live} of {item.outputs.configured}
        </span>
      </td>
      <td data-label="Last change">
        <Ago time={item.modified} />
      </td>
    </tr>
  );
}

/** What somebody sees who has no live input yet: how it goes, and the first step. */
function First() {
  return (
    <div class="first">
      <h1>Send one live feed to every platform</h1>
      <ol class="steps">
        <li>
          <h2>Create a live input</h2>
          <p>It has a URL and a stream key for your encoder.</p>
        </li>
        <li>
          <h2>Set up the encoder</h2>
          <p>OBS, FFmpeg or a hardware encoder takes the two and sends over RTMPS.</p>
        </li>
        <li>
          <h2>Add outputs</h2>
          <p>YouTube, Twitch, Facebook, Kick, or any RTMP server: as many as 50.</p>
        </li>
        <li>
          <h2>Steer it on air</h2>
          <p>Switch outputs on and off, add and remove them; the others notice nothing.</p>
        </li>
      </ol>
      <div class="card">
        <CreateForm />
      </div>
    </div>
  );
}

function Create({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="New live input" onClose={onClose}>
      <CreateForm />
    </Dialog>
  );
}

function CreateForm() {
  const { route } = useLocation();
  const name = useSignal("");
  const doing = useDoing();
  const send = () =>
    doing.run(async () => {
      const text = name.value.trim();
      const input = await createInput(text === "" ? {} : { meta: { name: text } });
      route(`/inputs/${input.uid}`);
    });
  return (
    <Form onSend={send}>
      <Field
        label="Name"
        value={name}
        pointer="/meta"
        error={doing.error.value}
        autoFocus
        placeholder="Sunday service"
        hint="For you alone; destinations do not see it."
      />
      <Failed error={doing.error.value} fields={["/meta"]} />
      <Button look="main" submit busy={doing.busy.value}>
        Create live input
      </Button>
    </Form>
  );
}

