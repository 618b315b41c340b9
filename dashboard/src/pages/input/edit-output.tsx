// Changing an output, on air or off.

import { useSignal } from "@preact/signals";
import { changeOutput } from "../../api/inputs";
import type { Output, OutputChange } from "../../api/types";
import type { InputLive } from "../../live/input";
import { Dialog } from "../../ui/dialog";
import { Ends, Failed, Field, Form, useDoing } from "../../ui/form";
import { Secret } from "../../ui/parts";
import { toast } from "../../ui/toast";
import { titleOf } from "./output-row";

export function EditOutput(props: { live: InputLive; output: Output; onClose: () => void }) {
  const { live, output, onClose } = props;
  const name = useSignal(titleOf(output));
  const url = useSignal(output.url);
  // Empty stays empty: the key is not put into the page to be seen.
  const key = useSignal("");
  const doing = useDoing();
  const send = async () => {
    const change: OutputChange = {};
    if (name.value.trim() !== titleOf(output)) {
      change.meta = { ...output.meta, name: name.value.trim() };
    }
    if (url.value !== output.url) change.url = url.value;
    if (key.value !== "") change.streamKey = key.value;
    const done = await doing.run(async () => {
      const { result, messages } = await changeOutput(live.uid, output.uid, change);
      live.putOutput(result);
      messages.forEach((message) => toast(message));
    });
    if (done) onClose();
  };
  return (
    <Dialog title={`Edit ${titleOf(output)}`} onClose={onClose}>
      <Form onSend={send}>
        <Field label="Name" value={name} pointer="/meta" error={doing.error.value} maxLength={100} />
        <Field label="URL" value={url} code pointer="/url" error={doing.error.value} required />
        <Secret label="Present stream key" value={output.streamKey} />
        <Field
          label="New stream key"
          value={key}
          code
          type="password"
          pointer="/streamKey"
          error={doing.error.value}
          hint="Leave it empty to keep the present one."
        />
        <Failed error={doing.error.value} fields={["/meta", "/url", "/streamKey"]} />
        <p class="hint">On air, another URL or key connects this output anew; no other notices.</p>
        <Ends doing={doing} leave="Cancel" onLeave={onClose} send="Save" />
      </Form>
    </Dialog>
  );
}
