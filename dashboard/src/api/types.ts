// What the API says: `docs/api.md` and `/openapi.json` describe it.

/** RFC 3339, in UTC. */
export type Time = string;

export type InputState = "connected" | "reconnecting" | "disconnected" | "unknown";

export type OutputState =
  | "disabled"
  | "idle"
  | "connecting"
  | "live"
  | "stalled"
  | "backoff"
  | "failed"
  | "unknown";

export type Configuration = "applied" | "pending";

export interface PastStatus {
  state: InputState;
  reason: string;
  ingestProtocol: string | null;
  statusEnteredAt: Time;
  statusLastSeen: Time;
}

export interface Video {
  codec: string;
  width: number | null;
  height: number | null;
  frameRate: number | null;
  keyframeIntervalMs: number | null;
}

export interface Audio {
  codec: string;
  sampleRate: number | null;
  channels: number | null;
}

export interface Warning {
  code: string;
  message: string;
}

export interface InputError extends Warning {
  at: Time;
}

export interface CurrentStatus extends PastStatus {
  connectedSince: Time | null;
  encoder: string | null;
  bitrate: number | null;
  idleMs: number | null;
  video: Video | null;
  audio: Audio | null;
  audioAheadMs: number | null;
  warnings: Warning[];
  lastError: InputError | null;
}

export interface InputStatus {
  current: CurrentStatus;
  history: PastStatus[];
}

export type Meta = Record<string, unknown>;

export type OnStop = "end" | "hold";
export type OnFormatChange = "reconnect" | "continue";
export type Takeover = "newest" | "reject";

export interface LiveInput {
  uid: string;
  meta: Meta;
  created: Time;
  modified: Time;
  keysRotatedAt?: Time;
  rtmps: { url: string; streamKey: string };
  enabled: boolean;
  reconnectWindowSeconds: number;
  onStop: OnStop;
  onFormatChange: OnFormatChange;
  takeover: Takeover;
  status: InputStatus | null;
  configuration: Configuration;
}

/** What a live input may be made or changed with. */
export interface InputChange {
  meta?: Meta;
  enabled?: boolean;
  reconnectWindowSeconds?: number;
  onStop?: OnStop;
  onFormatChange?: OnFormatChange;
  takeover?: Takeover;
}

export interface ListedInput {
  uid: string;
  meta: Meta;
  created: Time;
  modified: Time;
  enabled: boolean;
  status: { current: { state: InputState; statusEnteredAt: Time } } | null;
  outputs: { configured: number; live: number };
}

export interface OutputStatus {
  state: OutputState;
  reason: string | null;
  message: string | null;
  since: Time | null;
  attempts: number;
  nextRetryAt: Time | null;
  bytes: number | null;
  bitrate: number | null;
  skippedMs: number | null;
  reconnects: number;
}

export interface Output {
  uid: string;
  url: string;
  streamKey: string;
  enabled: boolean;
  meta: Meta;
  status: OutputStatus;
  configuration: Configuration;
}

/** What an output may be made or changed with. */
export interface OutputChange {
  url?: string;
  streamKey?: string;
  enabled?: boolean;
  meta?: Meta;
}

export type DeliveryState = "pending" | "delivered" | "failed";

/** What became of a message to a receiver. */
export interface Delivery {
  /** None for a test message. */
  id: string | null;
  type: string;
  state: DeliveryState;
  attempts: number;
  created: Time;
  attempted: Time | null;
  next: Time | null;
  status: number | null;
  error: string | null;
}

/** The account's webhook. */
export interface StreamWebhook {
  notificationUrl: string;
  modified: Time;
  secret: string;
}

/** A receiver that policies name. */
export interface Destination {
  id: string;
  name: string;
  url: string;
  created_at: Time;
  last_success?: Time;
  last_failure?: Time;
  signing_secret: string;
}

/** Which events go to which destinations. */
export interface Policy {
  id: string;
  name: string;
  description: string;
  enabled: boolean;
  filters: { input_id?: string[]; event_type?: string[] };
  mechanisms: { webhooks?: { id: string }[] };
}

export type TokenStatus = "active" | "disabled" | "expired";

export interface PermissionGroup {
  id: string;
  name: string;
}

export interface Token {
  id: string;
  name: string;
  status: TokenStatus;
  issued_on: Time;
  modified_on: Time;
  not_before?: Time;
  expires_on?: Time;
  policies: { effect: "allow" | "deny"; permission_groups: PermissionGroup[] }[];
}
