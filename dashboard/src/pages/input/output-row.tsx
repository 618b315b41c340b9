// One output: where it goes, how it stands, what can be done about it.

import { useSignal } from "@preact/signals";
import { changeOutput, retryOutput } from "../../api/inputs";
import type { Output, OutputStatus } from "../../api/types";
import type { InputLive } from "../../live/input";
import { now } from "../../live/now";
import { Button, Switch } from "../../ui/button";
import { Failed, useDoing } from "../../ui/form";
import { State } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { bitrate, count, duration, hostOf, nameOf } from "../../words/format";
import { platformOf } from "../../words/presets";
import { outputReason, outputState } from "../../words/states";
import { EditOutput } from "./edit-output";
import { removeOutput } from "./removal";

/** What an output is called: by its owner, else by its platform, else by its host. */
export function titleOf(output: Output): string {
  return nameOf(output.meta, platformOf(output.url) ?? hostOf(output.url));
}

export function OutputRow({ live, output }: { live: InputLive; output: Output }) {
  const editing = useSignal(false);
  const doing = useDoing();
  const name = titleOf(output);
  const { status } = output;
  const toggle = () =>
    doing.run(async () => {
      const change = { enabled: !output.enabled };
      const { result, messages } = await changeOutput(live.uid, output.uid, change);
      live.putOutput(result);
      messages.forEach((message) => toast(message));
    });
  return (
    <li class="row">
      <div class="row-head">
        <Switch label={`Send to ${name}`} on={output.enabled} onPress={toggle} />
        <div class="row-name">
          <h3>{name}</h3>
          <span class="code small">{output.url}</span>
        </div>
        <State said={outputState(status.state)} />
        <span class="buttons">
          <Button icon="edit" about={name} onPress={() => (editing.value = true)}>
            Edit
          </Button>
          <Button
            icon="remove"
            about={name}
            onPress={() => doing.run(() => removeOutput(live, output, name))}
          >
            Remove
          </Button>
        </span>
      </div>
      <div class="row-told">
        <Told status={status} />
        {isWaiting(status) && (
          <Button
            icon="retry"
            about={`to send to ${name}`}
            onPress={() =>
              doing.run(async () => live.putOutput(await retryOutput(live.uid, output.uid)))
            }
          >
            Try now
          </Button>
        )}
      </div>
      <Failed error={doing.error.value} />
      {editing.value && (
        <EditOutput live={live} output={output} onClose={() => (editing.value = false)} />
      )}
    </li>
  );
}

function isWaiting({ state, nextRetryAt }: OutputStatus): boolean {
  return (state === "backoff" || state === "failed") && nextRetryAt !== null;
}

/** Two lines for every state, so that nothing moves when it changes. */
function Told({ status }: { status: OutputStatus }) {
  const said = status.message ?? (status.reason === null ? null : outputReason(status.reason));
  const since = status.since === null ? null : duration(now.value - Date.parse(status.since));
  const sends = status.state === "live" || status.state === "stalled";
  const facts: string[] = [];
  if (sends && since !== null) facts.push(`${status.state} for ${since}`);
  if (sends) facts.push(bitrate(status.bitrate));
  if (status.attempts > 0) facts.push(count(status.attempts, "failure"));
  if (isWaiting(status)) facts.push(countdown(status.nextRetryAt ?? ""));
  if (said !== null && status.reason !== null) facts.push(status.reason);
  const quality = [skipped(status.skippedMs), reconnected(status.reconnects)].join(" · ");
  return (
    <div class="told figure">
      <p class={said === null ? "" : "said"}>
        {said ?? (sends ? facts.join(" · ") : EXPLAINED[status.state])}
      </p>
      <p>{sends && said === null ? quality : facts.join(" · ")}</p>
    </div>
  );
}

const EXPLAINED: Partial<Record<OutputStatus["state"], string>> = {
  disabled: "Nothing is sent to it.",
  idle: "Connects when the encoder starts.",
  connecting: "On the way to the destination.",
  unknown: "Nobody knows how it stands.",
};

function skipped(ms: number | null): string {
  return ms === null || ms < 1000 ? "nothing skipped" : `${duration(ms)} skipped`;
}

function reconnected(times: number): string {
  return times === 0 ? "no reconnects" : `reconnected ${count(times, "time")}`;
}

function countdown(at: string): string {
  const seconds = Math.ceil((Date.parse(at) - now.value) / 1000);
  return seconds > 0 ? `next attempt in ${duration(seconds * 1000)}` : "next attempt now";
}
