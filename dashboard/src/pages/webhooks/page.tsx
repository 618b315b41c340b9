// Who is told what happens.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import {
  accountWebhook,
  deleteWebhook,
  readDeliveries,
  readDestinations,
  readPolicies,
  readWebhook,
  setWebhook,
} from "../../api/webhooks";
import type { Delivery, StreamWebhook } from "../../api/types";
import { onAccount } from "../../live/account";
import { useShelf } from "../../live/shelf";
import { Button } from "../../ui/button";
import { Failed, Field, Form, useDoing } from "../../ui/form";
import { Card, Secret } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { useTitle } from "../title";
import { Deliveries } from "./deliveries";
import { Destinations } from "./destinations";
import { Policies } from "./policies";

export function WebhooksPage() {
  useTitle("Webhooks");
  const webhook = useShelf(readAccount);
  const destinations = useShelf(readDestinations);
  const policies = useShelf(readPolicies);
  // Others may have changed them while the page heard nothing.
  useEffect(
    () =>
      onAccount((frame) => {
        if (frame.type !== "ready") return;
        for (const shelf of [webhook, destinations, policies]) void shelf.read();
      }),
    [],
  );
  const account = webhook.value.value;
  const all = destinations.value.value;
  const error = webhook.error.value ?? destinations.error.value ?? policies.error.value;
  return (
    <div class="stack">
      <h1>Webhooks</h1>
      <Failed error={error} />
      {/* All at once: parts that come one after the other would push each other down. */}
      {account !== null && all !== null && policies.value.value !== null && (
        <>
          <AccountWebhook
            webhook={account.set}
            deliveries={account.deliveries}
            onChange={() => webhook.read()}
            key={account.set?.modified}
          />
          <Destinations
            all={all}
            onChange={() => Promise.all([destinations.read(), policies.read()])}
          />
          <Policies
            all={policies.value.value}
            destinations={all}
            onChange={() => policies.read()}
          />
        </>
      )}
    </div>
  );
}

/** The webhook of the account, if one is set, and what was sent to it. */
interface Account {
  set: StreamWebhook | null;
  deliveries: readonly Delivery[];
}

async function readAccount(): Promise<Account> {
  const set = await readWebhook();
  return { set, deliveries: set === null ? [] : await readDeliveries(accountWebhook) };
}

function AccountWebhook(props: {
  webhook: StreamWebhook | null;
  deliveries: readonly Delivery[];
  onChange: () => Promise<unknown>;
}) {
  const { webhook, deliveries, onChange } = props;
  const url = useSignal(webhook?.notificationUrl ?? "");
  const doing = useDoing();
  const save = async () => {
    const done = await doing.run(async () => {
      await setWebhook(url.value.trim());
      await onChange();
    });
    if (done) toast("The webhook is set.");
  };
  const remove = async () => {
    const done = await doing.run(async () => {
      const before = webhook?.notificationUrl;
      await deleteWebhook();
      await onChange();
      const away = toast("The webhook was removed.", async () => {
        away();
        await doing.run(async () => {
          if (before !== undefined) await setWebhook(before);
          await onChange();
        });
      });
    });
    if (done) url.value = "";
  };
  return (
    <Card title="Webhook of the account">
      <p class="hint">
        One address that is told of every live input: encoders that connect and leave, and what is
        wrong with their streams.
      </p>
      <Form onSend={save}>
        <Field
          label="URL"
          value={url}
          code
          required
          placeholder="https://example.com/stream-events"
          pointer="/notificationUrl"
          error={doing.error.value}
        />
        <Failed error={doing.error.value} fields={["/notificationUrl"]} />
        <div class="buttons">
          <Button look="main" submit busy={doing.busy.value}>
            Save
          </Button>
          {webhook !== null && (
            <Button icon="remove" about="the webhook of the account" onPress={remove}>
              Remove
            </Button>
          )}
        </div>
      </Form>
      {webhook !== null && (
        <>
          <Secret label="Signing secret" value={webhook.secret} />
          <Deliveries of={accountWebhook} name="the webhook of the account" known={deliveries} />
        </>
      )}
    </Card>
  );
}
