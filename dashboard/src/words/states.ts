// States, in words and in the tone of their colour.

import type { InputState, OutputState } from "../api/types";

/** What a colour means; words always stand beside it. */
export type Tone = "good" | "busy" | "warn" | "bad" | "idle";

/** A state for people. */
export interface Said {
  word: string;
  tone: Tone;
}

const INPUT: Record<InputState, Said> = {
  connected: { word: "On air", tone: "good" },
  reconnecting: { word: "Waiting for the encoder", tone: "warn" },
  disconnected: { word: "Off air", tone: "idle" },
  unknown: { word: "Unknown", tone: "bad" },
};

/** How a live input stands; none is one that never had an encoder. */
export function inputState(state: InputState | null | undefined): Said {
  return state ? INPUT[state] : { word: "Never on air", tone: "idle" };
}

const OUTPUT: Record<OutputState, Said> = {
  disabled: { word: "Off", tone: "idle" },
  idle: { word: "Ready", tone: "idle" },
  connecting: { word: "Connecting", tone: "busy" },
  live: { word: "Live", tone: "good" },
  stalled: { word: "Stalled", tone: "warn" },
  backoff: { word: "Trying again", tone: "warn" },
  failed: { word: "Failed", tone: "bad" },
  unknown: { word: "Unknown", tone: "bad" },
};

export function outputState(state: OutputState): Said {
  return OUTPUT[state];
}

const INPUT_REASONS: Record<string, string> = {
  connected: "An encoder connected.",
  reconnected: "The encoder came back, and the broadcast went on.",
  reconnecting: "The encoder vanished; outputs stay connected and wait for it.",
  client_disconnect: "The encoder ended its stream.",
  failed_to_reconnect: "The encoder vanished and did not come back in time.",
  connection_lost: "The encoder vanished.",
  protocol_error: "The encoder broke the protocol.",
  deleted: "The live input was deleted.",
  disabled: "The live input was switched off.",
  key_rotated: "The stream key was replaced.",
  replaced: "Another encoder took over.",
  node_shutdown: "The relay node was shut down.",
  node_lost: "The relay node has it no more.",
  node_silent: "Nothing is heard of the relay node.",
  status_unavailable: "The status could not be asked for.",
  unknown: "For a reason that this page does not know.",
};

/** Why a live input is in its state. */
export function inputReason(reason: string): string {
  return INPUT_REASONS[reason] ?? reason;
}

/** Why an output is not live, where the relay node had no words for it. */
export function outputReason(reason: string): string {
  if (reason === "node_silent") return "Nothing is heard of the relay node.";
  if (reason === "unsupported") return "The relay node is too old for this output.";
  return reason;
}
