// Who else may use the API for this account.

import { useSignal } from "@preact/signals";
import {
  createToken,
  deleteToken,
  readGroups,
  readOwnId,
  readTokens,
  rollToken,
  switchToken,
} from "../api/tokens";
import type { PermissionGroup, Token, TokenStatus } from "../api/types";
import { useShelf } from "../live/shelf";
import { Button, Switch } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Check, Ends, Failed, Field, Form, useDoing } from "../ui/form";
import { Secret, State } from "../ui/parts";
import { day } from "../words/format";
import type { Said } from "../words/states";
import { useTitle } from "./title";

/** A value that was just made, to be shown this once. */
interface Fresh {
  name: string;
  value: string;
}

export function TokensPage() {
  useTitle("API tokens");
  const tokens = useShelf(readTokens);
  const groups = useShelf(readGroups);
  const own = useShelf(readOwnId);
  const creating = useSignal(false);
  const fresh = useSignal<Fresh | null>(null);
  // Which one is the page's own changes the height of its row, so the rows wait for that.
  const isOwnRead = own.value.value !== null || own.error.value !== null;
  const all = isOwnRead ? tokens.value.value : null;
  return (
    <>
      <div class="title">
        <h1>API tokens</h1>
        <Button
          look="main"
          icon="add"
          disabled={groups.value.value === null}
          onPress={() => (creating.value = true)}
        >
          New token
        </Button>
      </div>
      <Failed error={tokens.error.value ?? groups.error.value} />
      {all === null && tokens.error.value === null && <p class="waiting">Reading…</p>}
      {all !== null && (
        <table class="list">
          <caption class="heard">Tokens of the account, the newest first</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">State</th>
              <th scope="col">May</th>
              <th scope="col">Made</th>
              <th scope="col">Ends</th>
              <th scope="col">
                <span class="heard">Change</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map((token) => (
              <Row
                token={token}
                isOwn={token.id === own.value.value}
                onChange={() => tokens.read()}
                onFresh={(value) => (fresh.value = { name: token.name, value })}
                key={token.id}
              />
            ))}
          </tbody>
        </table>
      )}
      {creating.value && groups.value.value !== null && (
        <Create
          groups={groups.value.value}
          onClose={() => (creating.value = false)}
          onDone={async (made) => {
            creating.value = false;
            fresh.value = made;
            await tokens.read();
          }}
        />
      )}
      {fresh.value !== null && (
        <Dialog title={`Token ${fresh.value.name}`} onClose={() => (fresh.value = null)}>
          <div class="form">
            <p>Copy it now: it is not shown again.</p>
            <Secret label="Token" value={fresh.value.value} />
            <div class="buttons end">
              <Button look="main" onPress={() => (fresh.value = null)}>
                Done
              </Button>
            </div>
          </div>
        </Dialog>
      )}
    </>
  );
}

const STATES: Record<TokenStatus, Said> = {
  active: { word: "Active", tone: "good" },
  disabled: { word: "Off", tone: "idle" },
  expired: { word: "Expired", tone: "warn" },
};

function Row(props: {
  token: Token;
  isOwn: boolean;
  onChange: () => Promise<unknown>;
  onFresh: (value: string) => void;
}) {
  const { token, isOwn, onChange, onFresh } = props;
  const asking = useSignal<"roll" | "delete" | null>(null);
  const doing = useDoing();
  const may = token.policies.flatMap(({ effect, permission_groups }) =>
    permission_groups.map(({ name }) => (effect === "deny" ? `not ${name}` : name)),
  );
  const toggle = () =>
    doing.run(async () => {
      await switchToken(token.id, token.status === "disabled" ? "active" : "disabled");
      await onChange();
    });
  return (
    <tr>
      <th scope="row">
        <b>{token.name}</b>
        {isOwn && <span class="small">this page uses it</span>}
      </th>
      <td data-label="State">
        <State said={STATES[token.status]} />
      </td>
      <td data-label="May">{may.join(", ")}</td>
      <td data-label="Made" class="day">{day(token.issued_on)}</td>
      <td data-label="Ends" class="day">{token.expires_on === undefined ? "never" : day(token.expires_on)}</td>
      <td class="act">
        <div class="buttons end">
          {!isOwn && token.status !== "expired" && (
            <Switch label={`Allow ${token.name}`} on={token.status === "active"} onPress={toggle} />
          )}
          {!isOwn && (
            <>
              <Button icon="retry" about={token.name} onPress={() => (asking.value = "roll")}>
                Roll
              </Button>
              <Button icon="remove" about={token.name} onPress={() => (asking.value = "delete")}>
                Delete
              </Button>
            </>
          )}
        </div>
        <Failed error={doing.error.value} />
        {asking.value !== null && (
          <Sure
            token={token}
            what={asking.value}
            onClose={() => (asking.value = null)}
            onDone={async (value) => {
              asking.value = null;
              if (value !== null) onFresh(value);
              await onChange();
            }}
          />
        )}
      </td>
    </tr>
  );
}

function Sure(props: {
  token: Token;
  what: "roll" | "delete";
  onClose: () => void;
  onDone: (value: string | null) => Promise<void>;
}) {
  const { token, what, onClose, onDone } = props;
  const doing = useDoing();
  const send = () =>
    doing.run(async () => {
      if (what === "delete") await deleteToken(token.id);
      await onDone(what === "roll" ? await rollToken(token.id) : null);
    });
  const rolls = what === "roll";
  return (
    <Dialog title={`${rolls ? "Roll" : "Delete"} ${token.name}?`} onClose={onClose}>
      <Form onSend={send}>
        <p>
          {rolls
            ? "It gets a new value; whoever uses the old one is refused from then on."
            : "Whoever uses it is refused from then on. This cannot be undone."}
        </p>
        <Failed error={doing.error.value} />
        <Ends
          doing={doing}
          leave="Keep it"
          onLeave={onClose}
          send={rolls ? "Roll it" : "Delete it"}
          look="danger"
        />
      </Form>
    </Dialog>
  );
}

const FIELDS = ["/name", "/expires_on", "/policies"];

function Create(props: {
  groups: readonly PermissionGroup[];
  onClose: () => void;
  onDone: (made: Fresh) => Promise<void>;
}) {
  const name = useSignal("");
  const ends = useSignal("");
  const chosen = useSignal<ReadonlySet<string>>(new Set());
  const doing = useDoing();
  const error = doing.error.value;
  const send = () =>
    doing.run(async () => {
      const expires = ends.value === "" ? null : new Date(ends.value).toISOString();
      const value = await createToken(name.value.trim(), [...chosen.value], expires);
      await props.onDone({ name: name.value.trim(), value });
    });
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen.value);
    if (on) next.add(id);
    else next.delete(id);
    chosen.value = next;
  };
  return (
    <Dialog title="New token" onClose={props.onClose}>
      <Form onSend={send}>
        <Field label="Name" value={name} required pointer="/name" error={error} autoFocus />
        <fieldset class="checks">
          <legend>It may</legend>
          {props.groups.map(({ id, name }) => (
            <Check
              key={id}
              label={name}
              on={chosen.value.has(id)}
              onChange={(on) => choose(id, on)}
            />
          ))}
        </fieldset>
        {error?.pointer?.startsWith("/policies") && (
          <p class="wrong" role="alert">
            {error.message}
          </p>
        )}
        <Field
          label="Ends"
          value={ends}
          type="datetime-local"
          pointer="/expires_on"
          error={error}
          hint="Leave it empty for a token that never ends."
        />
        <Failed error={error} fields={FIELDS} />
        <Ends doing={doing} leave="Cancel" onLeave={props.onClose} send="Make the token" />
      </Form>
    </Dialog>
  );
}
