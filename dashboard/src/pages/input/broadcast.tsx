// What is on air: where the encoder sends, what comes in, where it goes.

import type { LiveInput } from "../../api/types";
import type { InputLive } from "../../live/input";
import { Ingest } from "./ingest";
import { OnAir } from "./on-air";
import { Outputs } from "./outputs";

export function Broadcast({ live, input }: { live: InputLive; input: LiveInput }) {
  return (
    <div class="broadcast">
      <Ingest input={input} live={live} />
      <div class="wide">
        <OnAir live={live} input={input} />
        <Outputs live={live} />
      </div>
    </div>
  );
}
