use control_core::destination::DestinationPolicy;
use control_core::failure::Failure;
use control_core::request::{
    DestinationBody, InputQuery, InputUpdate, KeyRotation, NewInput, NewOutput, NewPolicy,
    NewToken, OutputUpdate, PolicyUpdate, Query, TokenPage, TokenUpdate, WebhookUpdate,
    account_name,
};
use control_core::route::Route;
use control_core::webhook::ReceiverPolicy;
use shared::id::AccountId;
use shared::time::Timestamp;

/// What a client of the API sends: a body, a query or a path.
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
    for method in ["GET", "POST", "PUT", "DELETE", "HEAD"] {
        check(Route::parse(method, text));
    }
}

fn check<T>(read: Result<T, Failure>) {
    if let Err(failure) = read {
        let status = failure.status();
        assert!((400..500).contains(&status), "{status}");
        let headers = failure.headers();
        assert!(headers.iter().all(|(_, value)| !value.contains('\n')));
    }
}
