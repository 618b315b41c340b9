// The frame round every page: who is signed in, where one is, and whether what is seen is live.

import { lazy, LocationProvider, Route, Router, useLocation } from "preact-iso";
import { useEffect } from "preact/hooks";
import { openAccount } from "./live/account";
import { link, retryNow } from "./live/links";
import { now } from "./live/now";
import { InputsPage } from "./pages/inputs";
import { SignInPage } from "./pages/sign-in";
import { session, signOut, type Session } from "./session";
import { Button } from "./ui/button";
import { Toasts } from "./ui/toast";

const InputPage = lazy(() => import("./pages/input/page").then((page) => page.InputPage));
const WebhooksPage = lazy(() => import("./pages/webhooks/page").then((page) => page.WebhooksPage));
const TokensPage = lazy(() => import("./pages/tokens").then((page) => page.TokensPage));

export function App() {
  const who = session.value;
  return (
    <>
      {who === null ? (
        <SignInPage />
      ) : (
        <LocationProvider>
          <Frame who={who} key={`${who.account} ${who.token}`} />
        </LocationProvider>
      )}
      <Toasts />
    </>
  );
}

function Frame({ who }: { who: Session }) {
  useEffect(() => openAccount(who), [who]);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          <img src="/favicon.svg" alt="" width="24" height="24" />
          <span>Stream Connect</span>
        </a>
        <nav aria-label="Pages">
          <Tab to="/" name="Live inputs" also="/inputs/" />
          <Tab to="/webhooks" name="Webhooks" />
          <Tab to="/tokens" name="API tokens" />
        </nav>
        <Connection />
        <Button look="quiet" onPress={() => signOut()}>
          Sign out
        </Button>
      </header>
      <main id="main" tabIndex={-1}>
        <Router>
          <Route path="/" component={InputsPage} />
          <Route path="/inputs/:uid/:part?" component={InputPage} />
          <Route path="/webhooks" component={WebhooksPage} />
          <Route path="/tokens" component={TokensPage} />
          <Route default component={Nothing} />
        </Router>
      </main>
    </>
  );
}

function Tab(props: { to: string; name: string; also?: string }) {
  const { path } = useLocation();
  const isHere = path === props.to || (props.also !== undefined && path.startsWith(props.also));
  return (
    <a href={props.to} aria-current={isHere ? "page" : undefined}>
      {props.name}
    </a>
  );
}

/** Whether the page hears of changes; and when it will again. */
function Connection() {
  const { value } = link;
  const seconds = value.state === "lost" ? Math.ceil((value.next - now.value) / 1000) : 0;
  const words = {
    open: "Live",
    connecting: "Connecting…",
    lost: seconds > 0 ? `Connection lost, next attempt in ${seconds} s` : "Connection lost, trying…",
  }[value.state];
  return (
    <div class={`connection ${value.state}`}>
      <span class="mark" aria-hidden="true" />
      <span>{words}</span>
      <span class="heard" role="status">
        {value.state === "lost" ? "The connection is lost; what you see may be old." : ""}
      </span>
      {value.state === "lost" && (
        <Button look="quiet" onPress={retryNow}>
          Try now
        </Button>
      )}
    </div>
  );
}

function Nothing() {
  return (
    <div class="empty">
      <h1>Nothing is here</h1>
      <p>
        This page has no such part. <a href="/">See the live inputs</a>.
      </p>
    </div>
  );
}
