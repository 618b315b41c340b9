//! The bounds of the wire: each named, each with its reason.

/// Live inputs an account may have, unless the operator configures another number.
/// The product document promises 1000.
pub const DEFAULT_MAX_INPUTS_PER_ACCOUNT: u32 = 1000;

/// Outputs a live input may have, unless the operator configures another number.
/// The product document promises 50.
pub const DEFAULT_MAX_OUTPUTS_PER_INPUT: u32 = 50;

/// Bytes of an `Idempotency-Key`, as Cloudflare has it.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// Hours for which an `Idempotency-Key` stands for what it made, as Cloudflare has it.
pub const IDEMPOTENCY_HOURS: u32 = 6;

/// Seconds for which a key that was replaced may be honoured beside the new one: a day reaches
/// everybody who has an encoder to set.
pub const MAX_GRACE_PERIOD_SECONDS: u32 = 24 * 60 * 60;

/// Live inputs in one answer: the limit of an account, so that nobody needs pages before an operator
/// raises that.
pub const MAX_LISTED_INPUTS: u32 = 1000;

/// Bytes of an API request's body. The largest honest one (`meta` at its bound and the fields
/// round it) is a quarter of this.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Bytes of `meta` as JSON text. It is a name and a few labels, and it is read with every list.
pub const MAX_META_BYTES: usize = 16 * 1024;

/// Bytes of an output's URL. Longer than any platform's, short enough for every log and table.
pub const MAX_OUTPUT_URL_BYTES: usize = 2048;

/// Bytes of an output's stream key. Facebook's, with its signed query, is the longest seen (about
/// 200); RTMP itself allows 65 535.
pub const MAX_OUTPUT_KEY_BYTES: usize = 1024;

/// API tokens that an account may have: one for each server and person that asks, many times over.
pub const MAX_TOKENS_PER_ACCOUNT: u32 = 500;

/// Bytes of a token's name, or an account's: it labels a line of a list.
pub const MAX_NAME_BYTES: usize = 256;

/// Policies of a token. One says all that there is to say; more are for those who keep allowing
/// and denying apart.
pub const MAX_POLICIES_PER_TOKEN: usize = 16;

/// Permission groups of a policy: there are fewer, and none needs to be named twice.
pub const MAX_GROUPS_PER_POLICY: usize = 16;

/// Items of one page of a list, unless the request says otherwise.
pub const DEFAULT_ITEMS_PER_PAGE: u32 = 20;

/// The most items of one page that a request may ask for.
pub const MAX_ITEMS_PER_PAGE: u32 = 100;

/// Bytes of one frame on the link. A snapshot with 50 outputs, each URL and key at its bound and
/// JSON-escaped twofold, stays below 350 kB; Workers accept at most 1 MiB.
pub const MAX_LINK_FRAME_BYTES: usize = 1024 * 1024;

/// Bytes of a relay node's name: it is a DNS label.
pub const MAX_NODE_NAME_BYTES: usize = 63;

/// Events a node sends in one [`Report`](crate::link::Report); the rest follows with the next.
pub const MAX_EVENTS_PER_REPORT: usize = 256;

/// Seconds for which outputs wait for a publisher that has vanished, unless the input says
/// otherwise: an encoder that restarts, or a modem that dials in again, is back within them.
pub const DEFAULT_RECONNECT_WINDOW_SECONDS: u32 = 60;

/// The most seconds that an input may say: half an hour of silence is as long as any platform
/// keeps a stream open.
pub const MAX_RECONNECT_WINDOW_SECONDS: u32 = 1800;

/// Former states that an input's status shows: a day of a bad line, and a page of text.
pub const MAX_STATUS_HISTORY: usize = 50;
