use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::link::{PublishAnswer, PublishRequest, Reconciliation, Report, ToControl, ToNode};

/// A frame or body of the link between node and control plane.
///
/// What is understood is understood again when it is written.
pub fn link(data: &[u8]) {
    check::<ToNode>(data);
    check::<ToControl>(data);
    check::<PublishRequest>(data);
    check::<PublishAnswer>(data);
    check::<Report>(data);
    check::<Reconciliation>(data);
}

fn check<T: DeserializeOwned + Serialize + PartialEq + Debug>(data: &[u8]) {
    let Ok(read) = serde_json::from_slice::<T>(data) else {
        return;
    };
    let written = serde_json::to_vec(&read);
    let again = written.and_then(|written| serde_json::from_slice::<T>(&written));
    assert_eq!(again.ok(), Some(read));
}
