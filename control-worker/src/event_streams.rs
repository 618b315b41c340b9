//! `…/events`: opens a WebSocket at the object whose events it is to carry.

use control_core::event_stream::Opening;
use control_core::failure::Failure;
use control_core::rate::Allowance;
use control_core::route::Route;
use control_core::sql::StreamOpening;
use control_core::{auth::TokenId, route::StreamRoute};
use shared::id::{AccountId, InputUid};
use worker::{Env, Method};

use crate::answer::Answer;
use crate::object::{self, Object};
use crate::request::Request;
use crate::sockets::OPENING;
use crate::{clock, d1, log, rate};

/// The event stream that a route opens.
#[derive(Clone, Copy)]
pub(crate) struct EventStream {
    account: AccountId,
    /// None for the stream of the account.
    input: Option<InputUid>,
}

impl EventStream {
    /// Of a route that opens one.
    pub(crate) fn of(route: &Route) -> Option<Self> {
        let Route::Stream { account, route } = route else {
            return None;
        };
        let input = match route {
            StreamRoute::AccountEvents => None,
            StreamRoute::InputEvents { input } => Some(*input),
            _ => return None,
        };
        Some(Self {
            account: *account,
            input,
        })
    }

    /// Whether the request brings no credentials, and wants to bring a token in the first frame.
    pub(crate) fn is_opened_blindly(request: &Request) -> bool {
        let has = |name| request.header(name).is_some();
        is_upgrade(request)
            && request.authorization().is_none()
            && !has("x-auth-key")
            && !has("x-auth-email")
    }

    /// Opens it for whoever asks, who must name a token at once. Each costs the database a look-up, so
    /// an address may open as many in a minute as a token may ask.
    pub(crate) async fn open_blindly(
        self,
        env: &Env,
        request: &Request,
        allowance: &mut Option<Allowance>,
    ) -> Result<Answer, Failure> {
        let address = request.header("cf-connecting-ip");
        let openings = format!("openings of {}", address.unwrap_or_default());
        *allowance = rate::count(env, &openings).await;
        if allowance.is_some_and(Allowance::is_exceeded) {
            return Err(Failure::too_many_requests());
        }
        self.open(env, None, request).await
    }

    /// Opens it. The database is asked whether the token is still good, and whether there is such a
    /// thing, before an object is.
    pub(crate) async fn open(
        self,
        env: &Env,
        token: Option<TokenId>,
        request: &Request,
    ) -> Result<Answer, Failure> {
        let opening = StreamOpening {
            token: token.clone(),
            account: self.account,
            input: self.input,
            now: clock::now(),
        };
        let results = d1::batch(env, &opening.batch()).await;
        let results = results.map_err(log::unavailable("opening an event stream"))?;
        let outcome = opening.outcome(&results);
        outcome.map_err(log::internal("opening an event stream"))??;
        if !is_upgrade(request) {
            return Err(Failure::upgrade_required());
        }
        let opening = Opening {
            account: self.account,
            token,
            since: since(request),
        };
        let open = async {
            let mut forwarded = worker::Request::new(&object::url("/stream"), Method::Get)?;
            let headers = forwarded.headers_mut()?;
            headers.set("upgrade", "websocket")?;
            headers.set(OPENING, &serde_json::to_string(&opening)?)?;
            self.object(env).open(forwarded).await
        };
        let opened: worker::Result<_> = open.await;
        let answer = opened.map_err(log::unavailable("opening an event stream"))?;
        match answer.status_code() {
            101 => Ok(Answer::Whole(answer)),
            _ => Err(Failure::unavailable()),
        }
    }

    fn object(self, env: &Env) -> Object<'_> {
        match self.input {
            Some(input) => Object::of_input(env, input),
            None => Object::of_account(env, self.account),
        }
    }
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_upgrade(request: &Request) -> bool {
    let upgrade = request.header("upgrade");
    upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
}

/// The last event that the client has seen; what has another form is as good as unknown.
fn since(request: &Request) -> Option<shared::api::EventId> {
    let mut pairs = worker::url::form_urlencoded::parse(request.query().as_bytes());
    let (_, since) = pairs.find(|(name, _)| name == "since")?;
    since.parse().ok()
}
