// What happened to a live input, the newest first.

import type { LiveInput, PastStatus } from "../../api/types";
import type { ApiEvent } from "../../live/frames";
import type { InputLive } from "../../live/input";
import { now } from "../../live/now";
import { Card, State } from "../../ui/parts";
import { clock, duration } from "../../words/format";
import { inputReason, inputState, outputReason, outputState, type Said } from "../../words/states";
import { titleOf } from "./output-row";

/** A line of the history. */
interface Entry {
  key: string;
  at: string;
  what: string;
  said: Said;
  why: string;
  code: string;
  lasted: string;
}

export function History({ live, input }: { live: InputLive; input: LiveInput }) {
  const names = new Map(live.outputs.value.map((output) => [output.uid, titleOf(output)]));
  const entries = [...ofInput(input), ...ofEvents(live.events.value, names)].sort(
    (a, b) => Date.parse(b.at) - Date.parse(a.at),
  );
  return (
    <Card title="History">
      <p class="hint">
        The last 50 states of the live input; and what its outputs did since this page was opened.
      </p>
      {entries.length === 0 ? (
        <p class="waiting">Nothing has happened yet.</p>
      ) : (
        <table class="list">
          <caption class="heard">What happened, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">When</th>
              <th scope="col">What</th>
              <th scope="col">State</th>
              <th scope="col">Why</th>
              <th scope="col">Lasted</th>
            </tr>
          </thead>
          <tbody>
            {entries.map((entry) => (
              <tr key={entry.key}>
                <td data-label="When">
                  <time dateTime={entry.at}>{clock(entry.at, now.value)}</time>
                </td>
                <th scope="row" data-label="What">
                  {entry.what}
                </th>
                <td data-label="State">
                  <State said={entry.said} />
                </td>
                <td data-label="Why">
                  {entry.why} <span class="code small">{entry.code}</span>
                </td>
                <td data-label="Lasted" class="figure">
                  {entry.lasted}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

function ofInput({ status }: LiveInput): Entry[] {
  if (status === null) return [];
  const all: PastStatus[] = [status.current, ...status.history];
  return all.map((past, index) => {
    const next = all[index - 1];
    const end = next === undefined ? now.value : Date.parse(next.statusEnteredAt);
    const span = duration(end - Date.parse(past.statusEnteredAt));
    return {
      key: `input ${past.statusEnteredAt} ${index}`,
      at: past.statusEnteredAt,
      what: "Live input",
      said: inputState(past.state),
      why: inputReason(past.reason),
      code: past.reason,
      lasted: next === undefined ? `${span} so far` : span,
    };
  });
}

/** Of the outputs, and what was wrong with the encoder: what the states above do not say. */
function ofEvents(events: readonly ApiEvent[], names: Map<string, string>): Entry[] {
  return events.flatMap((event): Entry[] => {
    const { id, at, output, error } = event;
    if (output !== undefined) {
      const { state, reason, message, attempts } = output.status;
      // The outcome of another attempt says that it was made.
      if (state === "connecting" && attempts > 0) return [];
      const why = message ?? (reason === null ? "" : outputReason(reason));
      const what = names.get(output.uid) ?? "An output that is gone";
      return [{ key: id, at, what, said: outputState(state), why, code: reason ?? "", lasted: "" }];
    }
    if (event.type !== "live_input.errored" || error === undefined) return [];
    const said = { word: "Warning", tone: "warn" } as const;
    const [why, code] = [error.message, error.code];
    return [{ key: id, at, what: "Encoder", said, why, code, lasted: "" }];
  });
}
