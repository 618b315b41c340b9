// Where the encoder sends, and how it is set up for that.

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { rotateKey } from "../../api/inputs";
import type { LiveInput } from "../../api/types";
import type { InputLive } from "../../live/input";
import { Button, Copy } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { Choice, Ends, Failed, Form, useDoing } from "../../ui/form";
import { Card, MASK, Secret, Value } from "../../ui/parts";
import { toast } from "../../ui/toast";

export function Ingest({ live, input }: { live: InputLive; input: LiveInput }) {
  const rotating = useSignal(false);
  return (
    <Card title="Send to" class="ingest">
      <Value label="RTMPS URL" value={input.rtmps.url} />
      <Secret label="Stream key" value={input.rtmps.streamKey} key={input.rtmps.streamKey} />
      <p class="hint">
        Whoever has the key can send.{" "}
        <Button icon="retry" onPress={() => (rotating.value = true)}>
          Replace the key
        </Button>
      </p>
      <SetUp input={input} />
      {rotating.value && (
        <Rotate live={live} input={input} onClose={() => (rotating.value = false)} />
      )}
    </Card>
  );
}

const GRACE = [
  ["0", "at once: whoever sends with it is cut"],
  ["600", "after 10 minutes"],
  ["3600", "after an hour"],
  ["86400", "after a day"],
] as const;

function Rotate(props: { live: InputLive; input: LiveInput; onClose: () => void }) {
  const grace = useSignal("0");
  const doing = useDoing();
  const send = async () => {
    const done = await doing.run(async () => {
      props.live.put(await rotateKey(props.input.uid, Number(grace.value)));
    });
    if (!done) return;
    props.onClose();
    toast("There is a new stream key. Set it in your encoder.");
  };
  return (
    <Dialog title="Replace the stream key?" onClose={props.onClose}>
      <Form onSend={send}>
        <p>Your encoder has to be given the new key before it can send again.</p>
        <Choice
          label="The old key ends"
          value={grace}
          options={GRACE}
          pointer="/gracePeriodSeconds"
          error={doing.error.value}
        />
        <Failed error={doing.error.value} fields={["/gracePeriodSeconds"]} />
        <Ends
          doing={doing}
          leave="Keep the old key"
          onLeave={props.onClose}
          send="Replace it"
          look="danger"
        />
      </Form>
    </Dialog>
  );
}

const KINDS = ["OBS", "FFmpeg", "Hardware"] as const;

function SetUp({ input }: { input: LiveInput }) {
  const kind = useSignal<(typeof KINDS)[number]>("OBS");
  // Whose encoder has been here before knows how; it does not close by itself when one comes.
  const isOpen = useMemo(() => input.status === null, []);
  return (
    <details class="set-up" open={isOpen}>
      <summary>Set up the encoder</summary>
      <div>
      <div class="segments" role="group" aria-label="Encoder">
        {KINDS.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={kind.value === one}
            onClick={() => (kind.value = one)}
          >
            {one}
          </button>
        ))}
      </div>
      <div class="set-up-text">
        {kind.value === "OBS" && <Obs input={input} />}
        {kind.value === "FFmpeg" && <Ffmpeg input={input} />}
        {kind.value === "Hardware" && <Hardware input={input} />}
      </div>
      </div>
    </details>
  );
}

function Obs({ input }: { input: LiveInput }) {
  return (
    <ol>
      <li>
        Settings → Stream → Service: <b>Custom…</b>
      </li>
      <li>
        Server: <span class="code">{input.rtmps.url}</span>
      </li>
      <li>
        Stream Key: the key above, by its <b>Copy</b>. Use authentication: off.
      </li>
      <li>
        Settings → Output: keyframe interval <b>2 s</b>, which every destination accepts.
      </li>
      <li>
        <b>Start Streaming</b>.
      </li>
    </ol>
  );
}

function Ffmpeg({ input }: { input: LiveInput }) {
  const command = (key: string) =>
    `ffmpeg -re -i video.mp4 -c:v libx264 -preset veryfast -b:v 4500k -g 60 \\\n` +
    `  -pix_fmt yuv420p -c:a aac -b:a 160k -f flv \\\n  "${input.rtmps.url}${key}"`;
  return (
    <>
      <pre class="code" tabIndex={0} aria-label="FFmpeg command">
        {command(MASK)}
      </pre>
      <Copy text={() => command(input.rtmps.streamKey)} about="FFmpeg command with the key">
        Copy
      </Copy>
      <p class="hint">
        <code>-g 60</code> is a keyframe every 2 s at 30 frames a second. FFmpeg ends when its
        connection breaks; let something start it again.
      </p>
    </>
  );
}

function Hardware({ input }: { input: LiveInput }) {
  return (
    <>
      <dl class="pairs">
        <dt>Protocol</dt>
        <dd>RTMPS (RTMP over TLS), port 443 unless the URL has another</dd>
        <dt>URL</dt>
        <dd class="code">{input.rtmps.url}</dd>
        <dt>Stream name or key</dt>
        <dd>the key above</dd>
        <dt>User, password</dt>
        <dd>none</dd>
        <dt>Video</dt>
        <dd>H.264, keyframe every 2 s, constant bitrate, at most 12 Mbit/s</dd>
        <dt>Audio</dt>
        <dd>AAC, 48 kHz, stereo</dd>
      </dl>
      <p class="hint">
        If there is one field alone, it takes both, one behind the other.{" "}
        <Copy
          text={() => `${input.rtmps.url}${input.rtmps.streamKey}`}
          about="URL with the key"
        >
          Copy
        </Copy>
      </p>
    </>
  );
}
