// What the event streams say.

import type {
  Configuration,
  CurrentStatus,
  InputError,
  InputStatus,
  OutputStatus,
  Time,
} from "../api/types";

/** Something that happened. */
export interface ApiEvent {
  id: string;
  type: string;
  at: Time;
  input: string;
  status?: CurrentStatus;
  output?: { uid: string; status: OutputStatus };
  error?: InputError;
}

/** How an input and its outputs stand. */
export interface StateFrame {
  type: "state";
  status: InputStatus | null;
  configuration: Configuration;
  outputs: { uid: string; status: OutputStatus; configuration: Configuration; enabled: boolean }[];
}

export type Frame =
  | { type: "ready"; lastEventId: string | null; resumed: boolean }
  | StateFrame
  | { type: "event"; id: string; event: ApiEvent }
  | { type: "changed"; rev?: number; input?: string; change?: "created" | "updated" | "deleted" }
  | { type: "deleted" }
  /** To be sent back as it is: who confirms nothing is sent no more. */
  | { type: "echo"; echo: string }
  | { type: "pong" };

/** Reads a frame; none where it is of a kind that this page does not know. */
export function parseFrame(text: string): Frame | null {
  try {
    const frame: unknown = JSON.parse(text);
    const isFrame = typeof frame === "object" && frame !== null && "type" in frame;
    return isFrame ? (frame as Frame) : null;
  } catch {
    return null;
  }
}
