// The last deliveries to a receiver, and a test message to it.

import { useEffect } from "preact/hooks";
import type { Delivery } from "../../api/types";
import { readDeliveries, sendTest, type Receiver } from "../../api/webhooks";
import { onAccount } from "../../live/account";
import { now } from "../../live/now";
import { useShelf } from "../../live/shelf";
import { Button } from "../../ui/button";
import { Failed, useDoing } from "../../ui/form";
import { State } from "../../ui/parts";
import { clock, count } from "../../words/format";
import { eventWord } from "../../words/events";
import type { Said } from "../../words/states";

/** Events are delivered a moment after they happen. */
const AFTER_EVENT_MS = 1500;

/** Deliveries that are shown; more are in the API. */
const SHOWN = 10;

interface Props {
  of: Receiver;
  name: string;
  /** Those that were read already, for a page that is drawn at once. */
  known?: readonly Delivery[];
}

export function Deliveries({ of, name, known }: Props) {
  const deliveries = useShelf<readonly Delivery[]>(() => readDeliveries(of), known);
  const doing = useDoing();
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const readSoon = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void deliveries.read();
      }, AFTER_EVENT_MS);
    };
    const close = onAccount((frame) => {
      if (frame.type === "event" || frame.type === "ready") readSoon();
    });
    return () => {
      close();
      clearTimeout(timer);
    };
  }, []);
  const test = () =>
    doing.run(async () => {
      await sendTest(of);
      await deliveries.read();
    });
  const found = deliveries.value.value;
  return (
    <div class="deliveries">
      <header>
        <h3>Last deliveries</h3>
        <Button about={`to ${name}`} onPress={test}>
          Send a test
        </Button>
      </header>
      <Failed error={doing.error.value ?? deliveries.error.value} />
      {found !== null && found.length === 0 && <p class="hint">Nothing was sent yet.</p>}
      {found !== null && found.length > 0 && (
        <table class="list">
          <caption class="heard">Last deliveries to {name}, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What</th>
              <th scope="col">Outcome</th>
              <th scope="col">Answer</th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, SHOWN).map((one) => (
              <Row one={one} key={`${one.id} ${one.created}`} />
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

const STATES: Record<Delivery["state"], Said> = {
  pending: { word: "Waiting", tone: "busy" },
  delivered: { word: "Delivered", tone: "good" },
  failed: { word: "Failed", tone: "bad" },
};

function Row({ one }: { one: Delivery }) {
  const answer = [
    one.status === null ? null : `HTTP ${one.status}`,
    one.error,
    one.attempts > 1 ? count(one.attempts, "attempt") : null,
    one.next === null ? null : `next at ${clock(one.next, now.value)}`,
  ];
  return (
    <tr>
      <td data-label="When">
        <time dateTime={one.created}>{clock(one.created, now.value)}</time>
      </td>
      <th scope="row" data-label="What">
        {eventWord(one.type)}
      </th>
      <td data-label="Outcome">
        <State said={STATES[one.state]} />
      </td>
      <td data-label="Answer">{answer.filter(Boolean).join(" · ") || "–"}</td>
    </tr>
  );
}
