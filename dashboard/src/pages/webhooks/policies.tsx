// Notifications: which events go to which destinations.

import { useSignal } from "@preact/signals";
import { deletePolicy, savePolicy } from "../../api/webhooks";
import type { Destination, Policy } from "../../api/types";
import { Button, Switch } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Check, Ends, Failed, Field, Form, useDoing } from "../../ui/form";
import { Card } from "../../ui/parts";
import { EVENTS, eventWord, USUAL_EVENTS } from "../../words/events";

interface Props {
  all: readonly Policy[];
  destinations: readonly Destination[];
  onChange: () => Promise<unknown>;
}

export function Policies({ all, destinations, onChange }: Props) {
  const adding = useSignal(false);
  return (
    <Card
      title="Notifications"
      aside={
        <Button
          icon="add"
          disabled={destinations.length === 0}
          onPress={() => (adding.value = true)}
        >
          Add a notification
        </Button>
      }
    >
      <p class="hint">
        {destinations.length === 0
          ? "Add a destination first: notifications say what is sent to it."
          : "Which events are sent to which destinations."}
      </p>
      {all.length > 0 && (
        <ul class="rows">
          {all.map((one) => (
            <Row one={one} destinations={destinations} onChange={onChange} key={one.id} />
          ))}
        </ul>
      )}
      {adding.value && (
        <Edit
          one={null}
          destinations={destinations}
          onChange={onChange}
          onClose={() => (adding.value = false)}
        />
      )}
    </Card>
  );
}

function eventsOf(policy: Policy): readonly string[] {
  return policy.filters.event_type ?? USUAL_EVENTS;
}

function destinationsOf(policy: Policy): string[] {
  return (policy.mechanisms.webhooks ?? []).map(({ id }) => id);
}

function Row(props: Omit<Props, "all"> & { one: Policy }) {
  const { one, destinations, onChange } = props;
  const editing = useSignal(false);
  const doing = useDoing();
  const chosen = destinationsOf(one);
  const names = destinations.filter(({ id }) => chosen.includes(id)).map(({ name }) => name);
  const body = { name: one.name, destinations: chosen, events: eventsOf(one) };
  const toggle = () =>
    doing.run(async () => {
      await savePolicy(one, { ...body, enabled: !one.enabled });
      await onChange();
    });
  const remove = () =>
    doing.run(async () => {
      await deletePolicy(one.id);
      await onChange();
    });
  return (
    <li class="row">
      <div class="row-line">
        <Switch label={`Notify ${one.name}`} on={one.enabled} onPress={toggle} />
        <div class="row-name">
          <h3>{one.name}</h3>
          <span class="small">
            {eventsOf(one).map(eventWord).join(", ")} → {names.join(", ") || "nowhere"}
          </span>
        </div>
        <span class="buttons">
          <Button icon="edit" about={one.name} onPress={() => (editing.value = true)}>
            Edit
          </Button>
          <Button icon="remove" about={one.name} onPress={remove}>
            Delete
          </Button>
        </span>
      </div>
      <Failed error={doing.error.value} />
      {editing.value && <Edit {...props} onClose={() => (editing.value = false)} />}
    </li>
  );
}

function Edit(props: Omit<Props, "all"> & { one: Policy | null; onClose: () => void }) {
  const { one, destinations, onChange, onClose } = props;
  const first = destinations.slice(0, 1).map(({ id }) => id);
  const name = useSignal(one?.name ?? "");
  const chosen = useSignal(new Set(one === null ? first : destinationsOf(one)));
  const events = useSignal(new Set(one === null ? USUAL_EVENTS : eventsOf(one)));
  const doing = useDoing();
  const error = doing.error.value;
  const send = async () => {
    const done = await doing.run(async () => {
      await savePolicy(one, {
        name: name.value.trim(),
        enabled: one?.enabled ?? true,
        destinations: [...chosen.value],
        events: [...events.value],
      });
      await onChange();
    });
    if (done) onClose();
  };
  return (
    <Dialog title={one === null ? "New notification" : `Edit ${one.name}`} onClose={onClose}>
      <Form onSend={send}>
        <Field label="Name" value={name} required pointer="/name" error={error} autoFocus />
        <fieldset class="checks">
          <legend>Destinations</legend>
          {destinations.map(({ id, name }) => (
            <Check
              key={id}
              label={name}
              on={chosen.value.has(id)}
              onChange={(on) => (chosen.value = changed(chosen.value, id, on))}
            />
          ))}
        </fieldset>
        <fieldset class="checks">
          <legend>Events</legend>
          {EVENTS.map(([type, word]) => (
            <Check
              key={type}
              label={word}
              on={events.value.has(type)}
              onChange={(on) => (events.value = changed(events.value, type, on))}
            />
          ))}
        </fieldset>
        <Failed error={error} fields={["/name"]} />
        <Ends doing={doing} leave="Cancel" onLeave={onClose} send="Save" />
      </Form>
    </Dialog>
  );
}

function changed(set: ReadonlySet<string>, one: string, on: boolean): Set<string> {
  const next = new Set(set);
  if (on) next.add(one);
  else next.delete(one);
  return next;
}
