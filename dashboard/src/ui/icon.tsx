// The few pictures of the page, drawn in the colour of the text.

const PATHS = {
  add: "M8 3v10M3 8h10",
  back: "M10 3 5 8l5 5",
  close: "m4 4 8 8m0-8-8 8",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  done: "m3 8.5 3.5 3.5L13 4.5",
  edit: "m10.5 3 2.5 2.5L6 12.5l-3 .5.5-3zM9 4.5 11.5 7",
  hide: "M2 8s2.3-4 6-4 6 4 6 4-2.3 4-6 4-6-4-6-4Zm1-6 10 12",
  remove: "M3 4.5h10M6.5 4V2.5h3V4m-5 .5.6 9h5.8l.6-9",
  retry: "M13 8a5 5 0 1 1-1.5-3.6M13 2v3h-3",
  show: "M2 8s2.3-4 6-4 6 4 6 4-2.3 4-6 4-6-4-6-4Zm6 1.6a1.6 1.6 0 1 0 0-3.2 1.6 1.6 0 0 0 0 3.2Z",
} as const;

export type IconName = keyof typeof PATHS;

/** Never alone: a word or a label stands with it. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
