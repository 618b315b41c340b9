// What a live input does in which case; and its end.

import { useSignal } from "@preact/signals";
import { useLocation } from "preact-iso";
import { changeInput, deleteInput } from "../../api/inputs";
import type { LiveInput, OnFormatChange, OnStop, Takeover } from "../../api/types";
import type { InputLive } from "../../live/input";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Choice, Ends, Failed, Field, Form, useDoing } from "../../ui/form";
import { Card, Value } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { count, moment, nameOf } from "../../words/format";

const FIELDS = ["/meta", "/reconnectWindowSeconds", "/onStop", "/onFormatChange", "/takeover"];

export function Settings({ live, input }: { live: InputLive; input: LiveInput }) {
  const deleting = useSignal(false);
  return (
    <div class="settings">
      <Card title="Settings">
        <Change live={live} input={input} key={input.modified} />
      </Card>
      <Card title="About it">
        <Value label="ID" value={input.uid} />
        <dl class="pairs">
          <dt>Created</dt>
          <dd>{moment(input.created)}</dd>
          <dt>Last change</dt>
          <dd>{moment(input.modified)}</dd>
          <dt>Key replaced</dt>
          <dd>{input.keysRotatedAt === undefined ? "never" : moment(input.keysRotatedAt)}</dd>
        </dl>
        <Button look="danger" icon="remove" onPress={() => (deleting.value = true)}>
          Delete this live input
        </Button>
      </Card>
      {deleting.value && (
        <Delete live={live} input={input} onClose={() => (deleting.value = false)} />
      )}
    </div>
  );
}

function Change({ live, input }: { live: InputLive; input: LiveInput }) {
  const name = useSignal(nameOf(input.meta, ""));
  const wait = useSignal(String(input.reconnectWindowSeconds));
  const onStop = useSignal<string>(input.onStop);
  const onFormatChange = useSignal<string>(input.onFormatChange);
  const takeover = useSignal<string>(input.takeover);
  const doing = useDoing();
  const error = doing.error.value;
  const send = async () => {
    const done = await doing.run(async () => {
      const { name: _, ...rest } = input.meta;
      const text = name.value.trim();
      const changed = await changeInput(input.uid, {
        meta: text === "" ? rest : { ...input.meta, name: text },
        reconnectWindowSeconds: Number(wait.value),
        onStop: onStop.value as OnStop,
        onFormatChange: onFormatChange.value as OnFormatChange,
        takeover: takeover.value as Takeover,
      });
      live.put(changed);
    });
    if (done) toast("Saved.");
  };
  return (
    <Form onSend={send}>
      <Field label="Name" value={name} pointer="/meta" error={error} />
      <Field
        label="Reconnect window, in seconds"
        value={wait}
        type="number"
        min={0}
        max={1800}
        required
        pointer="/reconnectWindowSeconds"
        error={error}
        hint="So long outputs stay connected and wait for an encoder that has vanished: 0 to 1800."
      />
      <Choice
        label="When the encoder stops"
        value={onStop}
        options={[
          ["end", "End the broadcast"],
          ["hold", "Wait for it, as if it had vanished"],
        ]}
        pointer="/onStop"
        error={error}
      />
      <Choice
        label="When it comes back with other codecs"
        value={onFormatChange}
        options={[
          ["reconnect", "Connect outputs anew, as most platforms need"],
          ["continue", "Go on"],
        ]}
        pointer="/onFormatChange"
        error={error}
      />
      <Choice
        label="When a second encoder comes with the key"
        value={takeover}
        options={[
          ["newest", "It takes the broadcast over"],
          ["reject", "It is refused while the first is connected"],
        ]}
        pointer="/takeover"
        error={error}
      />
      <Failed error={error} fields={FIELDS} />
      <div class="buttons">
        <Button look="main" submit busy={doing.busy.value}>
          Save settings
        </Button>
      </div>
    </Form>
  );
}

function Delete(props: { live: InputLive; input: LiveInput; onClose: () => void }) {
  const { route } = useLocation();
  const doing = useDoing();
  const name = nameOf(props.input.meta, "this live input");
  const outputs = props.live.outputs.value.length;
  const send = async () => {
    const done = await doing.run(() => deleteInput(props.input.uid));
    if (!done) return;
    toast(`${name} was deleted.`);
    route("/");
  };
  return (
    <Dialog title={`Delete ${name}?`} onClose={props.onClose}>
      <Form onSend={send}>
        <p>
          Its stream key and {count(outputs, "output")} go with it, and an encoder that is on air is
          cut. This cannot be undone.
        </p>
        <Failed error={doing.error.value} />
        <Ends
          doing={doing}
          leave="Keep it"
          onLeave={props.onClose}
          send="Delete it"
          look="danger"
        />
      </Form>
    </Dialog>
  );
}
