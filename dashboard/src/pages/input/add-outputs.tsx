// Adding outputs: the platforms side by side, so that several keys are pasted and added at once.

import { signal, useSignal, type Signal } from "@preact/signals";
import { ApiError } from "../../api/client";
import { createOutput } from "../../api/inputs";
import type { InputLive } from "../../live/input";
import { Button } from "../../ui/button";
import { Field, Form } from "../../ui/form";
import { toast } from "../../ui/toast";
import { hostOf } from "../../words/format";
import { PRESETS } from "../../words/presets";

/** What is being filled in. */
interface Draft {
  preset: string | null;
  name: Signal<string>;
  url: Signal<string>;
  key: Signal<string>;
  hint: string;
  error: Signal<ApiError | null>;
}

function draft(preset: string | null, url: string, hint: string): Draft {
  return {
    preset,
    name: signal(preset ?? ""),
    url: signal(url),
    key: signal(""),
    hint,
    error: signal(null),
  };
}

export function AddOutputs(props: { live: InputLive; onDone: () => void }) {
  const { live, onDone } = props;
  const drafts = useSignal<readonly Draft[]>(
    PRESETS.map(({ name, url, hint }) => draft(name, url, hint)),
  );
  const own = useSignal<Draft>(draft(null, "", "Empty if the server asks for none."));
  const busy = useSignal(false);
  const note = useSignal<string | null>(null);

  const send = async () => {
    const filled = drafts.peek().filter(({ key }) => key.peek() !== "");
    const isOwn = own.peek().url.peek().trim() !== "";
    const wanted = isOwn ? [...filled, own.peek()] : filled;
    note.value = wanted.length === 0 ? "Paste a stream key first." : null;
    busy.value = true;
    let left = 0;
    // One after the other: they are listed in the order in which they were made.
    for (const one of wanted) left += (await add(live, one)) ? 0 : 1;
    busy.value = false;
    if (wanted.length > 0 && left === 0) onDone();
  };

  return (
    <Form onSend={send} class="form add">
      <p class="hint">
        Paste the stream keys of the platforms that this broadcast shall reach; those without a key
        are left out.
      </p>
      {drafts.value.map((one) => (
        <DraftRow one={one} key={one.preset} />
      ))}
      <Own one={own.value} />
      {note.value !== null && (
        <p class="failed" role="alert">
          {note.value}
        </p>
      )}
      <div class="buttons end">
        <Button onPress={onDone}>Cancel</Button>
        <Button look="main" icon="add" submit busy={busy.value}>
          Add
        </Button>
      </div>
    </Form>
  );
}

/** Adds one, and empties its field if that succeeded. */
async function add(live: InputLive, one: Draft): Promise<boolean> {
  one.error.value = null;
  try {
    const url = one.url.peek().trim();
    const name = one.name.peek().trim() || hostOf(url);
    const body = { url, streamKey: one.key.peek(), meta: { name } };
    const { result, messages } = await createOutput(live.uid, body);
    live.putOutput(result);
    messages.forEach((message) => toast(message));
    one.key.value = "";
    if (one.preset === null) one.url.value = one.name.value = "";
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    one.error.value = error;
    return false;
  }
}

function DraftRow({ one }: { one: Draft }) {
  const open = useSignal(false);
  const error = one.error.value;
  const isUrlWrong = error?.pointer === "/url";
  return (
    <fieldset class="draft">
      <legend>{one.preset}</legend>
      <StreamKey one={one} />
      {open.value || isUrlWrong ? (
        <Field label="URL" value={one.url} code pointer="/url" error={error} required />
      ) : (
        <p class="draft-url">
          <span class="code small">{one.url.value}</span>
          <Button about={`of ${one.preset}`} look="quiet" onPress={() => (open.value = true)}>
            Change URL
          </Button>
        </p>
      )}
      <Fault one={one} />
    </fieldset>
  );
}

function Own({ one }: { one: Draft }) {
  const open = useSignal(false);
  if (!open.value) {
    return (
      <Button look="quiet" icon="add" onPress={() => (open.value = true)}>
        Custom RTMP server
      </Button>
    );
  }
  const error = one.error.value;
  return (
    <fieldset class="draft own">
      <legend>Custom</legend>
      <Field label="Name" value={one.name} pointer="/meta" error={error} maxLength={100} />
      <Field
        label="URL"
        value={one.url}
        code
        pointer="/url"
        error={error}
        autoFocus
        placeholder="rtmps://server.example.com/live"
      />
      <StreamKey one={one} />
      <Fault one={one} />
    </fieldset>
  );
}

function StreamKey({ one }: { one: Draft }) {
  return (
    <Field
      label="Stream key"
      value={one.key}
      code
      type="password"
      pointer="/streamKey"
      error={one.error.value}
      hint={one.hint}
    />
  );
}

/** What is wrong with it as a whole. */
function Fault({ one }: { one: Draft }) {
  const error = one.error.value;
  return error !== null && error.pointer === null ? (
    <p class="wrong" role="alert">
      {error.message}
    </p>
  ) : null;
}
