// What comes in from the encoder.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { CurrentStatus, LiveInput } from "../../api/types";
import type { InputLive } from "../../live/input";
import type { Sample } from "../../live/samples";
import type ChartModule from "../../ui/chart";
import { Card } from "../../ui/parts";
import * as codecs from "../../words/codecs";
import { bitrate, moment } from "../../words/format";

/** Charts that the network did not bring are asked for again after this. */
const AGAIN_MS = 3000;

export function OnAir({ live, input }: { live: InputLive; input: LiveInput }) {
  const current = input.status?.current;
  const isOnAir = current?.state === "connected";
  return (
    <Card title="What comes in" class="on-air">
      <dl class="figures">
        <Figure name="Video" value={codecs.video(isOnAir ? current.video : null)} />
        <Figure name="Audio" value={codecs.audio(isOnAir ? current.audio : null)} />
        <Figure name="Encoder" value={codecs.encoder(isOnAir ? current.encoder : null)} />
        <Figure name="Connection" value={(isOnAir && current.ingestProtocol?.toUpperCase()) || "–"} />
      </dl>
      <Charts samples={live.samples.value} current={isOnAir ? current : undefined} />
      <Warnings current={current} />
    </Card>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Charts(props: { samples: readonly Sample[]; current: CurrentStatus | undefined }) {
  const { samples, current } = props;
  const chart = useSignal<{ Chart: typeof ChartModule } | null>(null);
  useEffect(() => {
    let isGone = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const load = () =>
      import("../../ui/chart").then(
        (module) => (chart.value = { Chart: module.default }),
        () => {
          if (!isGone) timer = setTimeout(load, AGAIN_MS);
        },
      );
    void load();
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, []);
  const at = samples.map((sample) => sample.at);
  const interval = current?.video?.keyframeIntervalMs ?? null;
  const rate = current?.video?.frameRate ?? null;
  const shown = [
    {
      name: "Bitrate",
      now: bitrate(current?.bitrate),
      values: samples.map((sample) => sample.bitrate),
      format: (value: number) => String(value / 1_000_000),
      least: 1_000_000,
    },
    {
      name: "Frame rate",
      now: rate === null ? "–" : `${rate.toFixed(1)} / s`,
      values: samples.map((sample) => sample.frameRate),
      format: String,
      least: 30,
    },
    {
      name: "Keyframe interval",
      now: interval === null ? "–" : `${(interval / 1000).toFixed(1)} s`,
      values: samples.map((sample) => sample.keyframes),
      format: String,
      least: 4,
    },
  ];
  return (
    <div class="charts">
      {shown.map(({ name, now, values, format, least }) => (
        <figure key={name}>
          <figcaption>
            <span>{name}</span>
            <b class="figure">{now}</b>
          </figcaption>
          <div class="plot-room">
            {chart.value && <chart.value.Chart line={{ at, values }} format={format} least={least} />}
          </div>
        </figure>
      ))}
    </div>
  );
}

/** What to change at the encoder: the relay node's sentences say what is wrong and what to do. */
function Warnings({ current }: { current: CurrentStatus | undefined }) {
  const warnings = current?.state === "connected" ? current.warnings : [];
  const last = current?.lastError;
  if (current === undefined) {
    return <p class="notice idle">Start the encoder, and what it sends shows here.</p>;
  }
  if (warnings.length === 0) {
    const good = current.state === "connected";
    return (
      <p class={`notice ${good ? "good" : "idle"}`}>
        {good ? "Nothing is wrong with what the encoder sends." : "Nothing comes in."}
        {last && (
          <>
            {" "}
            The last trouble, {moment(last.at)}: {last.message}
          </>
        )}
      </p>
    );
  }
  return (
    <ul class="warnings" aria-label="What to change at the encoder">
      {warnings.map(({ code, message }) => (
        <li key={code} class="notice warn">
          {message}
        </li>
      ))}
    </ul>
  );
}
