use std::net::IpAddr;
use std::str::FromStr;

use shared::address::{AddressPolicy, Network};
use shared::api::EventId;
use shared::id::{InputUid, Instance, NodeName, OutputUid};
use shared::output_url::{self, OutputUrl};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

/// A text that somebody typed where a URL, a key, an id, a network, a name or a time is wanted.
///
/// What is taken is taken again as it is written, and means the same.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(url) = OutputUrl::parse(text) {
        let again = OutputUrl::parse(url.as_str());
        assert!(again.is_ok_and(|again| again.is_same_destination(&url)));
        assert!(!url.host().is_empty() && url.port() > 0);
        // Nothing of the user is shown, nor sent as the URL.
        if let Some(range) = output_url::user_info(text) {
            let without = format!("{}{}", &text[..range.start], &text[range.end + 1..]);
            assert!(OutputUrl::parse(&without).is_ok_and(|bare| {
                bare.tc_url() == url.tc_url() && format!("{bare:?}") == format!("{url:?}")
            }));
        }
        let policy = AddressPolicy::default();
        if let Ok(address) = url.host().parse::<IpAddr>() {
            assert_eq!(
                policy.judge(address).is_ok(),
                policy.judge_host(url.host()).is_ok()
            );
        }
    }
    if let Some(range) = output_url::user_info(text) {
        assert!(text.get(range).is_some());
    }
    if let Ok(key) = StreamKey::from_str(text) {
        // White space round it is what people paste.
        assert_eq!(key.expose().expose(), text.trim());
    }
    if let Ok(network) = Network::from_str(text) {
        let first = text.split('/').next().unwrap_or_default();
        assert!(first.parse().is_ok_and(|first| network.holds(first)));
    }
    let _ = AddressPolicy::from_str(text);
    same::<InputUid>(text);
    same::<OutputUid>(text);
    same::<Instance>(text);
    same::<NodeName>(text);
    same::<EventId>(text);
    same::<Timestamp>(text);
}

/// What is written of a value is read as that value.
fn same<T: FromStr + ToString + PartialEq>(text: &str) {
    if let Ok(read) = T::from_str(text) {
        assert!(T::from_str(&read.to_string()).is_ok_and(|again| again == read));
    }
}
