// Where account and token are asked for, once for a tab.

import { useSignal } from "@preact/signals";
import { verify } from "../api/client";
import { ended, signIn } from "../session";
import { Button } from "../ui/button";
import { Failed, Field, Form, useDoing } from "../ui/form";

export function SignInPage() {
  const account = useSignal("");
  const token = useSignal("");
  const doing = useDoing();
  const send = () =>
    doing.run(async () => {
      const next = { account: account.value.trim(), token: token.value.trim() };
      await verify(next.account, next.token);
      signIn(next);
    });
  return (
    <main class="sign-in">
      <div class="card">
        <img src="/favicon.svg" alt="" width="40" height="40" />
        <h1>Stream Connect</h1>
        <p class="hint">One live feed in, up to 50 destinations out.</p>
        {ended.value !== null && (
          <p class="failed" role="alert">
            You were signed out: {ended.value}
          </p>
        )}
        <Form onSend={send}>
          <Field
            label="Account ID"
            value={account}
            code
            required
            autoFocus
            hint="32 characters, 0–9 and a–f."
          />
          <Field
            label="API token"
            value={token}
            code
            required
            type="password"
            hint="Kept in this tab only, and forgotten when it is closed."
          />
          <Failed error={doing.error.value} />
          <Button look="main" submit busy={doing.busy.value}>
            Sign in
          </Button>
        </Form>
        <p class="hint">
          <code>cargo xtask dev</code> prints both. Elsewhere, whoever runs the Worker makes accounts,
          and an account’s tokens make further ones.
        </p>
      </div>
    </main>
  );
}
