// A small chart of the last minutes, by uPlot, which is fetched when one is first shown.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { REACH_MINUTES } from "../live/samples";

export interface Line {
  /** Unix seconds. */
  at: readonly number[];
  values: readonly (number | null)[];
}

/** Height in CSS pixels, the axis included; the page keeps as much free before it is there. */
const HEIGHT = 112;

export default function Chart(props: { line: Line; format: (value: number) => string; least: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { line, format, least } = props;
  const shown = useRef(line);
  shown.current = line;

  const show = () => {
    const { at, values } = shown.current;
    const latest = at.at(-1) ?? Math.floor(Date.now() / 1000);
    plot.current?.setData([[...at], [...values]], false);
    plot.current?.setScale("x", { min: latest - REACH_MINUTES * 60, max: latest });
  };
  useEffect(() => {
    const parent = box.current;
    if (parent === null) return;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(parent, format, least), [[], []], parent);
      show();
    };
    const size = new ResizeObserver(() => {
      plot.current?.setSize({ width: parent.clientWidth, height: HEIGHT });
    });
    draw();
    size.observe(parent);
    // A canvas does not follow the colours of the page by itself.
    dark.addEventListener("change", draw);
    return () => {
      dark.removeEventListener("change", draw);
      size.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);

  useEffect(show, [line]);

  return <div class="plot" ref={box} aria-hidden="true" />;
}

function options(parent: HTMLElement, format: Format, least: number): uPlot.Options {
  const style = getComputedStyle(parent);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const font = `11px ${style.fontFamily}`;
  const axis = { stroke: colour("--muted"), font, ticks: { show: false }, gap: 4 };
  const grid = { stroke: colour("--line"), width: 1 };
  return {
    width: parent.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [6, 6, 0, 0],
    scales: {
      x: { time: true },
      y: { range: (_, __, max) => [0, Math.max(least, (max ?? 0) * 1.15)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 20, space: 80, values: (_, at) => at.map(minute) },
      { ...axis, grid, size: 44, space: 32, values: (_, all) => all.map(format) },
    ],
    series: [
      {},
      {
        stroke: colour("--accent"),
        fill: colour("--accent-soft"),
        width: 1.5,
        points: { show: false },
      },
    ],
  };
}

type Format = (value: number) => string;

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

function minute(at: number): string {
  return at % 60 === 0 ? CLOCK.format(at * 1000) : "";
}
