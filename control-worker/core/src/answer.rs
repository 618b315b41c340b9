//! What a client reads when a request succeeds.

use serde::Serialize;
use serde_json::value::RawValue;
use shared::api::{
    Ingest, InputList, InputState, Lifecycle, ListedInput, ListedState, ListedStatus, LiveInput,
    Output, OutputCounts, Settings,
};
use shared::envelope::{Envelope, Notice, ResultInfo, code};
use shared::id::AccountId;

use crate::failure::Failure;
use crate::keys::{Keyring, Place};
use crate::request::{InputQuery, PageStart};
use crate::sealed_url;
use crate::sql::{InputPage, InputRow, LifecycleRow, ListedRow, OutputRow};
use crate::status::View;

/// A live input with its credentials. `ingest_url` is where encoders send,
/// `rtmps://host:port/live/`.
///
/// # Errors
///
/// 500 where the row is damaged or its key is not on the ring.
pub fn live_input(
    row: InputRow,
    view: View,
    ingest_url: &str,
    keyring: &Keyring,
) -> Result<LiveInput, Failure> {
    let place = Place::input_key(row.account, row.uid);
    let settings = row.settings();
    Ok(LiveInput {
        uid: row.uid,
        rtmps: Ingest {
            url: ingest_url.to_owned(),
            stream_key: keyring
                .open(&place, &row.key_sealed)
                .map_err(|_| Failure::internal())?,
        },
        created: row.created,
        modified: row.modified,
        keys_rotated_at: row.keys_rotated,
        enabled: row.enabled,
        settings: Settings {
            reconnect_window_seconds: settings.reconnect_window,
            on_stop: settings.on_stop,
            on_format_change: settings.on_format_change,
            takeover: settings.takeover,
        },
        meta: meta(row.meta)?,
        status: view.input,
        configuration: view.configuration,
    })
}

/// A live input as lists show it.
///
/// # Errors
///
/// 500 where the row is damaged.
pub fn listed_input(row: ListedRow) -> Result<ListedInput, Failure> {
    Ok(ListedInput {
        uid: row.uid,
        id: row.uid,
        created: row.created,
        modified: row.modified,
        meta: meta(row.meta)?,
        enabled: row.enabled,
        status: row.state.zip(row.state_since).map(|(state, since)| {
            let status_entered_at = since;
            ListedStatus {
                current: ListedState {
                    state,
                    status_entered_at,
                },
            }
        }),
        outputs: OutputCounts {
            configured: row.outputs,
            live: row.outputs_up,
        },
    })
}

/// The answer to a list: an array, or with counts an object.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Listing {
    /// As the product document has it.
    Bare(Vec<ListedInput>),
    /// As Cloudflare's clients read it.
    Counted(InputList),
}

/// A page of the list of live inputs.
///
/// # Errors
///
/// 500 where a row is damaged.
pub fn input_list(page: InputPage, query: &InputQuery) -> Result<Envelope<Listing>, Failure> {
    let shown: Result<Vec<_>, _> = page.rows.into_iter().map(listed_input).collect();
    let shown = shown?;
    let info = ResultInfo {
        count: shown.len() as u64,
        page: match query.start {
            PageStart::Page(number) => Some(number),
            PageStart::First | PageStart::After(_) => None,
        },
        per_page: query.limit,
        total_count: page.counts.map(|counts| counts.total),
        cursor: page.next.map(|cursor| cursor.to_string()),
    };
    let is_part = query.is_paged || info.cursor.is_some();
    let listing = match page.counts {
        Some(counts) if query.is_counted => Listing::Counted(InputList {
            live_inputs: shown,
            range: counts.range,
            total: counts.total,
        }),
        _ => Listing::Bare(shown),
    };
    let mut envelope = Envelope::success(Some(listing));
    envelope.result_info = is_part.then_some(info);
    Ok(envelope)
}

/// Whether a live input is on air. One of which nothing is known is not said to be.
pub fn lifecycle(row: LifecycleRow) -> Lifecycle {
    Lifecycle {
        is_input: true,
        video_uid: None,
        live: matches!(
            row.state,
            Some(InputState::Connected | InputState::Reconnecting)
        ),
    }
}

/// An output of a live input of `account`.
///
/// # Errors
///
/// 500 where the row's key is not on the ring.
pub fn output(
    row: OutputRow,
    view: &View,
    account: AccountId,
    keyring: &Keyring,
) -> Result<Output, Failure> {
    let place = Place::output_key(account, row.uid);
    let url_place = Place::output_url(account, row.uid);
    Ok(Output {
        uid: row.uid,
        url: sealed_url::open(&row.url, &url_place, keyring).map_err(|_| Failure::internal())?,
        stream_key: keyring
            .open(&place, &row.key_sealed)
            .map_err(|_| Failure::internal())?,
        enabled: row.enabled,
        meta: meta(row.meta)?,
        status: view.output(row.uid, row.enabled, row.rev),
        configuration: view.output_configuration(row.rev),
    })
}

/// An output that was created or changed, with a remark for each of those `alike` that has the same
/// key too.
///
/// # Errors
///
/// As [`output`].
pub fn changed_output(
    row: OutputRow,
    alike: Vec<OutputRow>,
    view: &View,
    account: AccountId,
    keyring: &Keyring,
) -> Result<Envelope<Output>, Failure> {
    let changed = output(row, view, account, keyring)?;
    let mut messages = Vec::new();
    for row in alike {
        let other = output(row, view, account, keyring)?;
        if other.stream_key == changed.stream_key {
            let message = format!(
                "The output {} has the same url and streamKey: most platforms take one \
                 connection for a key.",
                other.uid
            );
            messages.push(Notice::new(code::ALIKE, message));
        }
    }
    let mut envelope = Envelope::success(Some(changed));
    envelope.messages = messages;
    Ok(envelope)
}

fn meta(text: String) -> Result<Box<RawValue>, Failure> {
    RawValue::from_string(text).map_err(|_| Failure::internal())
}
