use control_core::auth::TokenId;
use control_core::destination::DestinationPolicy;
use control_core::event_stream::{Client, Heard, MAX_CLIENT_FRAME, Opening, Start};
use control_core::failure::Failure;
use control_core::idempotency::Attempt;
use control_core::request::{
    DestinationBody, InputQuery, InputUpdate, KeyRotation, NewInput, NewOutput, NewPolicy,
    NewToken, OutputUpdate, PolicyUpdate, Query, TokenPage, TokenUpdate, WebhookUpdate,
    account_name,
};
use control_core::resealing;
use control_core::route::Route;
use control_core::webhook::ReceiverPolicy;
use shared::id::AccountId;
use shared::time::Timestamp;

/// What a client of the API sends: a body, a query, a path, a header, or a frame of an event stream.
///
/// Whatever is wrong with it is the client's mistake, and said so.
pub fn request(data: &[u8]) {
    let account = AccountId::from_random([7; 16]);
    let now = Timestamp::from_micros(0);
    let Ok(destinations) =
        DestinationPolicy::parse("10.0.0.0/8", "", "rtmps://ingest.example/live/")
    else {
        return;
    };
    let Ok(receivers) = ReceiverPolicy::parse("") else {
        return;
    };
    check(NewInput::parse(data));
    check(InputUpdate::parse(data));
    check(KeyRotation::parse(data));
    check(NewOutput::parse(data, &destinations));
    check(OutputUpdate::parse(data, &destinations));
    check(NewToken::parse(data, account, now));
    check(TokenUpdate::parse(data, account, now));
    check(DestinationBody::parse(data, &receivers));
    check(WebhookUpdate::parse(data, &receivers));
    check(NewPolicy::parse(data));
    check(PolicyUpdate::parse(data));
    check(account_name(data));
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    check(InputQuery::parse(text, false));
    check(InputQuery::parse(text, true));
    check(TokenPage::parse(&Query::parse(text)));
    check(resealing::Page::parse(text));
    check(Attempt::parse(Some(text), None, data));
    event_stream(text, account, now);
    for method in ["GET", "POST", "PUT", "DELETE", "HEAD"] {
        check(Route::parse(method, text));
    }
}

/// The frame comes first, where a token is awaited, and again once the client is admitted and was
/// sent something.
fn event_stream(text: &str, account: AccountId, now: Timestamp) {
    let opening = Opening {
        account,
        token: None,
        since: None,
    };
    let mut client = Client::new(&opening, now);
    let heard = client.hear(text);
    assert!(matches!(heard, Heard::Token(_) | Heard::Close(_)));
    assert!(!client.is_admitted());
    client.admit(TokenId("token".to_owned()), now);
    let start = Start {
        last: None,
        number: 0,
        resumed: false,
    };
    client.ready(start, 1, true);
    let heard = client.hear(text);
    assert!(!matches!(heard, Heard::Token(_) | Heard::Confirmed));
    assert!(text.len() <= MAX_CLIENT_FRAME || matches!(heard, Heard::Close(_)));
    assert!(client.is_admitted());
}

fn check<T>(read: Result<T, Failure>) {
    if let Err(failure) = read {
        let status = failure.status();
        assert!((400..500).contains(&status), "{status}");
        let headers = failure.headers();
        assert!(headers.iter().all(|(_, value)| !value.contains('\n')));
    }
}
