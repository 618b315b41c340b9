// Numbers and times as people read them.

/** Bits a second. */
export function bitrate(bits: number | null | undefined): string {
  if (bits === null || bits === undefined) return "–";
  if (bits >= 1_000_000) return `${(bits / 1_000_000).toFixed(1)} Mbit/s`;
  return `${Math.round(bits / 1000)} kbit/s`;
}

/** A span of time with its two largest units. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [days, hours] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24];
  const [minutes, rest] = [Math.floor(seconds / 60) % 60, seconds % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min ${rest} s`;
  return `${rest} s`;
}

/** How long ago, roughly, so that it seldom changes. */
export function ago(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const WHOLE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });

/** Date and time of day, where the reader is. */
export function moment(time: string): string {
  return WHOLE.format(new Date(time));
}

/** The date alone. */
export function day(time: string): string {
  return DAY.format(new Date(time));
}

/** The time of day for today, else with the date. */
export function clock(time: string, now: number): string {
  const date = new Date(time);
  const isToday = new Date(now).toDateString() === date.toDateString();
  return (isToday ? CLOCK : WHOLE).format(date);
}

/** What `meta` calls it, or what else there is to call it by. */
export function nameOf(meta: Record<string, unknown>, otherwise: string): string {
  const name = meta["name"];
  return typeof name === "string" && name.trim() !== "" ? name : otherwise;
}

/** The host of an address, for who gave it no name. */
export function hostOf(url: string): string {
  return /^[a-z]+:\/\/([^/]+)/i.exec(url)?.[1] ?? url;
}

/** One thing, or many. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}
