// The platforms that most people stream to.

/** Where a platform takes streams, as far as that is the same for everybody. */
export interface Preset {
  name: string;
  url: string;
  /** Where its key is found. */
  hint: string;
}

export const PRESETS: readonly Preset[] = [
  {
    name: "YouTube",
    url: "rtmps://a.rtmps.youtube.com:443/live2",
    hint: "YouTube Studio → Create → Go live → Stream key",
  },
  {
    name: "Twitch",
    url: "rtmps://ingest.global-contribute.live-video.net:443/app",
    hint: "Creator Dashboard → Settings → Stream → Primary stream key",
  },
  {
    name: "Facebook",
    url: "rtmps://live-api-s.facebook.com:443/rtmp/",
    hint: "Live Producer → Streaming software → Stream key",
  },
  {
    name: "Kick",
    url: "rtmps://fa723fc1b171.global-contribute.live-video.net:443/app",
    hint: "Creator Dashboard → Settings → Stream; the URL may differ there",
  },
];

/** The platform that an address belongs to, to be shown beside it. */
export function platformOf(url: string): string | null {
  const hosts: [string, RegExp][] = [
    ["YouTube", /\.youtube\.com/i],
    ["Facebook", /\.facebook\.com/i],
    ["Kick", /fa723fc1b171\./i],
    ["Twitch", /live-video\.net|\.twitch\.tv/i],
  ];
  return hosts.find(([, host]) => host.test(url))?.[0] ?? null;
}
