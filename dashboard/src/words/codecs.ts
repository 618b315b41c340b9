// Codecs and formats as people call them.

import type { Audio, Video } from "../api/types";

const NAMES: Record<string, string> = {
  h264: "H.264",
  hevc: "HEVC",
  av1: "AV1",
  vp8: "VP8",
  vp9: "VP9",
  vvc: "VVC",
  aac: "AAC",
  mp3: "MP3",
  opus: "Opus",
  flac: "FLAC",
  ac3: "AC-3",
  eac3: "E-AC-3",
};

function name(codec: string): string {
  return NAMES[codec] ?? codec;
}

/** Codec and size. */
export function video(video: Video | null): string {
  if (video === null) return "–";
  const size = video.width !== null && video.height !== null ? ` ${video.width} × ${video.height}` : "";
  return `${name(video.codec)}${size}`;
}

/** Codec, sample rate and channels. */
export function audio(audio: Audio | null): string {
  if (audio === null) return "–";
  const rate = audio.sampleRate === null ? "" : ` ${audio.sampleRate / 1000} kHz`;
  const channels = audio.channels === null ? "" : `, ${CHANNELS[audio.channels] ?? audio.channels}`;
  return `${name(audio.codec)}${rate}${channels}`;
}

const CHANNELS: Record<number, string> = { 1: "mono", 2: "stereo", 6: "5.1", 8: "7.1" };

/** The encoder's name, without the player's that many give first for old servers' sake. */
export function encoder(said: string | null): string {
  if (!said) return "–";
  return /^FMLE\/[\d.]+ \(compatible; (.+)\)$/.exec(said)?.[1] ?? said;
}
