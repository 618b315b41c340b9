// What the charts of a live input show: its figures of the last minutes.

import type { CurrentStatus } from "../api/types";

/** Minutes that the charts reach back. */
export const REACH_MINUTES = 5;

/** One a second, as the figures come. */
const MOST = REACH_MINUTES * 60;

/** The figures of one second; null where there was none. */
export interface Sample {
  /** Unix seconds. */
  at: number;
  /** Bits a second. */
  bitrate: number | null;
  frameRate: number | null;
  /** Seconds. */
  keyframes: number | null;
}

/** The samples with one more, without those that are too old. */
export function withSample(
  samples: readonly Sample[],
  status: CurrentStatus | undefined,
  now: number,
): Sample[] {
  const at = Math.floor(now / 1000);
  const video = status?.state === "connected" ? status.video : null;
  const interval = video?.keyframeIntervalMs ?? null;
  const sample: Sample = {
    at,
    bitrate: status?.state === "connected" ? status.bitrate : null,
    frameRate: video?.frameRate ?? null,
    keyframes: interval === null ? null : interval / 1000,
  };
  const before = samples.filter((one) => one.at > at - MOST && one.at < at);
  // Where nothing came for a while the line has a gap, not a bridge.
  const last = before.at(-1);
  const gap = last !== undefined && at - last.at > 5;
  const nothing = { bitrate: null, frameRate: null, keyframes: null };
  return gap ? [...before, { at: last.at + 1, ...nothing }, sample] : [...before, sample];
}
