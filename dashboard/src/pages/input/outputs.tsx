// Where the broadcast goes.

import { useComputed, useSignal } from "@preact/signals";
import type { InputLive } from "../../live/input";
import { Button } from "../../ui/button";
import { Card } from "../../ui/parts";
import { AddOutputs } from "./add-outputs";
import { OutputRow } from "./output-row";
import { isRemoved } from "./removal";

export function Outputs({ live }: { live: InputLive }) {
  // Whoever has none is asked for some at once.
  const adding = useSignal(live.outputs.peek().length === 0);
  const shown = useComputed(() => live.outputs.value.filter(({ uid }) => !isRemoved(uid)));
  const outputs = shown.value;
  const running = outputs.filter(({ status }) => status.state === "live").length;
  return (
    <Card
      title="Outputs"
      class="outputs"
      aside={
        <>
          <span class="small figure">
            {outputs.length > 0 && `${running} of ${outputs.length} live`}
          </span>
          {!adding.value && (
            <Button icon="add" look="main" onPress={() => (adding.value = true)}>
              Add outputs
            </Button>
          )}
        </>
      }
    >
      {outputs.length > 0 && (
        <ul class="rows">
          {outputs.map((output) => (
            <OutputRow live={live} output={output} key={output.uid} />
          ))}
        </ul>
      )}
      {outputs.length === 0 && !adding.value && (
        <p class="notice idle">It goes nowhere yet: add an output.</p>
      )}
      {adding.value && <AddOutputs live={live} onDone={() => (adding.value = false)} />}
    </Card>
  );
}
