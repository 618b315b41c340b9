// Types of events, in words.

/** In the order in which they are offered. */
export const EVENTS: readonly (readonly [type: string, word: string])[] = [
  ["live_input.connected", "Encoder connected"],
  ["live_input.reconnecting", "Encoder vanished"],
  ["live_input.disconnected", "Broadcast over"],
  ["live_input.errored", "Something wrong with the stream"],
  ["live_input.unknown", "Relay node silent"],
  ["live_input.output.live", "Output live"],
  ["live_input.output.stalled", "Output stalled"],
  ["live_input.output.backoff", "Output tries again"],
  ["live_input.output.failed", "Output failed"],
  ["live_input.output.connecting", "Output connecting"],
  ["live_input.output.idle", "Output ready"],
  ["live_input.output.disabled", "Output switched off"],
  ["live_input.output.unknown", "Output unknown"],
];

/** What a policy is about that names no types, as Cloudflare has it. */
export const USUAL_EVENTS: readonly string[] = [
  "live_input.connected",
  "live_input.disconnected",
  "live_input.errored",
];

/** A type of event in words. */
export function eventWord(type: string): string {
  if (type === "test") return "Test message";
  if (type === "live_input.output.*") return "Everything of outputs";
  return EVENTS.find(([one]) => one === type)?.[1] ?? type;
}
