// A live input on air at a relay node that the test plays.

import assert from "node:assert/strict";
import { eventually, expectResult, hexId } from "./support.mjs";

/** No read takes longer, whatever is asked of whom. */
const READ_MS = 5000;

let nodes = 0;

/** An input on air at a node of its own, whose events are numbered from 1. */
export class OnAir {
  #sequence = 0;

  static async start(control, outputs = []) {
    nodes += 1;
    const onAir = new OnAir();
    onAir.control = control;
    onAir.node = `on-air-${nodes}`;
    onAir.instance = hexId();
    onAir.input = await control.createInput();
    onAir.outputs = [];
    for (const body of outputs) {
      onAir.outputs.push(await control.createOutput(onAir.input.uid, body));
    }
    onAir.link = await control.link(onAir.node, onAir.instance);
    await onAir.link.next("reconciliation");
    await onAir.publish();
    return onAir;
  }

  /** The node asks whether an encoder may publish: it holds the input under a new epoch. */
  async publish() {
    const { node, instance, input } = this;
    const { json } = await this.control.publish(node, instance, input.rtmps.streamKey);
    this.rev = json.snapshot.rev;
    this.epoch = json.snapshot.epoch;
  }

  event(fields) {
    this.#sequence += 1;
    const { input, epoch } = this;
    return { sequence: this.#sequence, input: input.uid, epoch, at: Date.now() * 1000, ...fields };
  }

  /** Sends events and waits until they are taken care of. */
  async happens(...events) {
    const numbered = events.map((fields) => this.event(fields));
    this.link.send({ type: "events", instance: this.instance, events: numbered });
    // A snapshot that is not acknowledged comes again at any time.
    let frame;
    do frame = JSON.parse((await this.link.nextText()).data);
    while (frame.type === "snapshot");
    assert.equal(frame.type, "events_taken");
    assert.equal(frame.through, this.#sequence);
  }

  connects() {
    return this.happens({ what: "connected", protocol: "rtmps", encoder: "obs", returned: false });
  }

  output(n, state, fields = {}) {
    return this.happens({ what: "output", output: this.outputs[n].uid, state, ...fields });
  }

  async read(of = "") {
    const started = performance.now();
    const answer = await this.control.api("GET", `/live_inputs/${this.input.uid}${of}`);
    assert.ok(performance.now() - started < READ_MS);
    return expectResult(answer);
  }

  readOutputs() {
    return this.read("/outputs");
  }

  /** Waits for a state of the input. */
  async becomes(state) {
    await eventually(`${this.node} is ${state}`, async () => {
      return (await this.read()).status?.current.state === state;
    });
    return (await this.read()).status;
  }
}
