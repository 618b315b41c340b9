// Receivers that notifications can name.

import { useSignal } from "@preact/signals";
import {
  deleteDestination,
  destination,
  saveDestination,
  type DestinationBody,
} from "../../api/webhooks";
import type { Destination } from "../../api/types";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Ends, Failed, Field, Form, useDoing } from "../../ui/form";
import { Card, Secret } from "../../ui/parts";
import { Deliveries } from "./deliveries";

interface Props {
  all: readonly Destination[];
  onChange: () => Promise<unknown>;
}

export function Destinations({ all, onChange }: Props) {
  const adding = useSignal(false);
  return (
    <Card
      title="Destinations"
      aside={
        <Button icon="add" onPress={() => (adding.value = true)}>
          Add a destination
        </Button>
      }
    >
      <p class="hint">Further addresses, to which notifications below choose what is sent.</p>
      {all.length > 0 && (
        <ul class="rows">
          {all.map((one) => (
            <Row one={one} onChange={onChange} key={one.id} />
          ))}
        </ul>
      )}
      {adding.value && (
        <Edit one={null} onChange={onChange} onClose={() => (adding.value = false)} />
      )}
    </Card>
  );
}

function Row({ one, onChange }: { one: Destination; onChange: () => Promise<unknown> }) {
  const editing = useSignal(false);
  const deleting = useSignal(false);
  const open = useSignal(false);
  return (
    <li class="row">
      <div class="row-line">
        <div class="row-name">
          <h3>{one.name}</h3>
          <span class="code small">{one.url}</span>
        </div>
        <span class="buttons">
          <Button about={`of ${one.name}`} onPress={() => (open.value = !open.value)}>
            {open.value ? "Hide deliveries" : "Deliveries"}
          </Button>
          <Button icon="edit" about={one.name} onPress={() => (editing.value = true)}>
            Edit
          </Button>
          <Button icon="remove" about={one.name} onPress={() => (deleting.value = true)}>
            Delete
          </Button>
        </span>
      </div>
      {open.value && (
        <>
          <Secret label="Signing secret" value={one.signing_secret} />
          <Deliveries of={destination(one.id)} name={one.name} />
        </>
      )}
      {editing.value && (
        <Edit one={one} onChange={onChange} onClose={() => (editing.value = false)} />
      )}
      {deleting.value && (
        <Delete one={one} onChange={onChange} onClose={() => (deleting.value = false)} />
      )}
    </li>
  );
}

const FIELDS = ["/name", "/url", "/secret"];

function Edit(props: {
  one: Destination | null;
  onChange: () => Promise<unknown>;
  onClose: () => void;
}) {
  const { one, onChange, onClose } = props;
  const name = useSignal(one?.name ?? "");
  const url = useSignal(one?.url ?? "");
  const secret = useSignal("");
  const doing = useDoing();
  const error = doing.error.value;
  const send = async () => {
    const body: DestinationBody = { name: name.value.trim(), url: url.value.trim() };
    if (secret.value !== "") body.secret = secret.value;
    const done = await doing.run(async () => {
      await saveDestination(one?.id ?? null, body);
      await onChange();
    });
    if (done) onClose();
  };
  return (
    <Dialog title={one === null ? "New destination" : `Edit ${one.name}`} onClose={onClose}>
      <Form onSend={send}>
        <Field label="Name" value={name} required pointer="/name" error={error} autoFocus />
        <Field label="URL" value={url} code required pointer="/url" error={error} />
        <Field
          label="Secret"
          value={secret}
          code
          type="password"
          pointer="/secret"
          error={error}
          hint={`Sent in the header cf-webhook-auth, if there is one.${
            one === null ? "" : " Leave it empty to keep the present one."
          }`}
        />
        <Failed error={error} fields={FIELDS} />
        {one === null && <p class="hint">A test message is sent when it is saved.</p>}
        <Ends doing={doing} leave="Cancel" onLeave={onClose} send="Save" />
      </Form>
    </Dialog>
  );
}

function Delete(props: {
  one: Destination;
  onChange: () => Promise<unknown>;
  onClose: () => void;
}) {
  const doing = useDoing();
  const send = async () => {
    const done = await doing.run(async () => {
      await deleteDestination(props.one.id);
      await props.onChange();
    });
    if (done) props.onClose();
  };
  return (
    <Dialog title={`Delete ${props.one.name}?`} onClose={props.onClose}>
      <Form onSend={send}>
        <p>Notifications go on without it. What waits to be sent to it is lost.</p>
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
