// One live input: its broadcast, its history, its settings.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { useRoute } from "preact-iso";
import { changeInput } from "../../api/inputs";
import type { LiveInput } from "../../api/types";
import { InputLive } from "../../live/input";
import { now } from "../../live/now";
import { session } from "../../session";
import { Button, Switch } from "../../ui/button";
import { Failed, useDoing } from "../../ui/form";
import { Icon } from "../../ui/icon";
import { State } from "../../ui/parts";
import { duration, nameOf } from "../../words/format";
import { inputReason, inputState } from "../../words/states";
import { useTitle } from "../title";
import { Broadcast } from "./broadcast";
import { History } from "./history";
import { Settings } from "./settings";

export function InputPage() {
  const { uid, part } = useRoute().params;
  const live = useSignal<InputLive | null>(null);
  useEffect(() => {
    const who = session.peek();
    if (uid === undefined || who === null) return;
    const opened = new InputLive(uid, who);
    live.value = opened;
    return () => opened.close();
  }, [uid]);
  if (live.value === null || live.value.uid !== uid) return null;
  return <Loaded live={live.value} part={part ?? ""} />;
}

function Loaded({ live, part }: { live: InputLive; part: string }) {
  const input = live.input.value;
  const error = live.error.value;
  useTitle(input === null ? "Live input" : nameOf(input.meta, input.uid));
  if (live.deleted.value || error?.status === 404) {
    return (
      <div class="empty">
        <h1>This live input is gone</h1>
        <p>
          It was deleted, or never was. <a href="/">See all live inputs</a>.
        </p>
      </div>
    );
  }
  if (input === null) {
    return (
      <div class="waiting">
        {error === null ? "Reading…" : <Failed error={error} />}
        {error !== null && <Button onPress={() => live.read()}>Try again</Button>}
      </div>
    );
  }
  return (
    <>
      <Heading live={live} input={input} />
      <nav class="tabs" aria-label="Of this live input">
        {(
          [
            ["", "Broadcast"],
            ["history", "History"],
            ["settings", "Settings"],
          ] as const
        ).map(([to, name]) => (
          <a
            key={to}
            href={`/inputs/${input.uid}${to === "" ? "" : `/${to}`}`}
            aria-current={to === part ? "page" : undefined}
          >
            {name}
          </a>
        ))}
      </nav>
      {part === "" && <Broadcast live={live} input={input} />}
      {part === "history" && <History live={live} input={input} />}
      {part === "settings" && <Settings live={live} input={input} />}
    </>
  );
}

function Heading({ live, input }: { live: InputLive; input: LiveInput }) {
  const doing = useDoing();
  const current = input.status?.current;
  const since = current && now.value - Date.parse(current.connectedSince ?? current.statusEnteredAt);
  const toggle = () =>
    doing.run(async () => live.put(await changeInput(input.uid, { enabled: !input.enabled })));
  return (
    <div class="heading">
      <a class="back" href="/">
        <Icon name="back" />
        <span>Live inputs</span>
      </a>
      <div class="title">
        <h1>{nameOf(input.meta, "Unnamed")}</h1>
        <State said={inputState(current?.state)} />
        <span class="small figure">{since !== undefined && `for ${duration(since)}`}</span>
        <Switch label="Enabled" seen on={input.enabled} onPress={toggle} />
      </div>
      <p class="small reason">
        {current ? inputReason(current.reason) : "No encoder has ever sent to it."}
        {!input.enabled && " It is switched off: encoders are refused."}
        {input.configuration === "pending" && " The relay node has yet to take the last change."}
      </p>
      <Failed error={doing.error.value} />
    </div>
  );
}
