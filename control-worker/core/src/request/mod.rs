//! The bodies of requests.
//!
//! The content type is ignored: `curl --data` sends that of a form, and every example of the
//! product document does. An empty body is an empty object. Fields that we don't know are ignored,
//! as newer clients send them; of those that Cloudflare knows and we don't serve (`recording`,
//! `defaultCreator`, `deleteRecordingAfterDays`, `preferLowLatency`) the type is checked and the
//! value ignored. A field given twice is refused: it is not for us to choose.

mod inputs;
mod notification;
mod outputs;
mod page;
mod query;
mod tokens;

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use shared::limits::{MAX_BODY_BYTES, MAX_META_BYTES};

pub use self::inputs::{InputUpdate, KeyRotation, NewInput, SettingsUpdate};
pub use self::notification::{DestinationBody, NewPolicy, PolicyUpdate, WebhookUpdate};
pub use self::outputs::{NewOutput, OutputUpdate};
pub use self::page::{Page, Query};
pub use self::query::{Cursor, InputQuery, PageStart};
pub use self::tokens::{NewToken, TokenPage, TokenUpdate, account_name};
use crate::failure::Failure;

/// The fields of a body, each as its JSON text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, Failure> {
        if body.len() > MAX_BODY_BYTES {
            return Err(Failure::body_too_large(MAX_BODY_BYTES));
        }
        if body.is_empty() {
            return Ok(Self(Vec::new()));
        }
        // Reading it whole finds what raw values let pass: depth over 128, half surrogates,
        // numbers that no double holds.
        match serde_json::from_slice(body) {
            Ok(Value::Object(_)) => {}
            Ok(_) => return Err(Failure::body("The body must be a JSON object, {…}.")),
            Err(error) => {
                return Err(Failure::body(format!(
                    "The body cannot be read as JSON: see line {}, column {}.",
                    error.line(),
                    error.column()
                )));
            }
        }
        let fields: Self = serde_json::from_slice(body)
            .map_err(|_| Failure::body("The body cannot be read as JSON."))?;
        let mut seen: Vec<&str> = Vec::with_capacity(fields.0.len());
        for (name, _) in &fields.0 {
            if seen.contains(&name.as_str()) {
                return Err(Failure::field(
                    pointer(name),
                    "The body gives this field twice: give it once.",
                ));
            }
            seen.push(name);
        }
        Ok(fields)
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| *value)
    }

    /// The value of a field, if it is there; `form` says what it must be.
    fn optional<T: DeserializeOwned>(&self, name: &str, form: &str) -> Result<Option<T>, Failure> {
        self.raw(name)
            .map(|value| {
                serde_json::from_str(value.get()).map_err(|_| {
                    Failure::field(
                        pointer(name),
                        format!("The field {name} has the wrong type: it must be {form}."),
                    )
                })
            })
            .transpose()
    }

    fn required<T: DeserializeOwned>(&self, name: &str, form: &str) -> Result<T, Failure> {
        self.optional(name, form)?.ok_or_else(|| {
            Failure::field(
                pointer(name),
                format!("The field {name} is missing: it must be {form}."),
            )
        })
    }

    fn enabled(&self) -> Result<Option<bool>, Failure> {
        self.optional("enabled", "true or false")
    }

    /// A whole number from 0 to `most`; null is as good as absent. Some clients write `45.0`.
    fn whole(&self, name: &str, most: u32) -> Result<Option<u32>, Failure> {
        let form = format!("a whole number from 0 to {most}");
        let Some(number) = self.optional::<Option<f64>>(name, &form)?.flatten() else {
            return Ok(None);
        };
        if number.fract() != 0.0 || !(0.0..=f64::from(most)).contains(&number) {
            return Err(Failure::field(
                pointer(name),
                format!("The field {name} is out of range: it must be {form}."),
            ));
        }
        // Whole and within bounds, as just checked.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Some(number as u32))
    }

    fn meta(&self) -> Result<Option<String>, Failure> {
        let Some(value) = self.raw("meta") else {
            return Ok(None);
        };
        let text = value.get();
        if text == "null" {
            return Ok(Some("{}".to_owned()));
        }
        if !text.starts_with('{') {
            return Err(Failure::field(
                "/meta",
                "The field meta has the wrong type: it must be a JSON object, {…}.",
            ));
        }
        if text.len() > MAX_META_BYTES {
            return Err(Failure::field(
                "/meta",
                format!("The field meta is too long: use at most {MAX_META_BYTES} bytes."),
            ));
        }
        Ok(Some(text.to_owned()))
    }

    fn check_unserved(&self) -> Result<(), Failure> {
        self.optional::<Option<serde_json::Map<String, Value>>>("recording", "an object or null")?;
        self.optional::<Option<String>>("defaultCreator", "a text or null")?;
        self.optional::<Option<f64>>("deleteRecordingAfterDays", "a number or null")?;
        self.optional::<Option<bool>>("preferLowLatency", "true, false or null")?;
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    if fields.len() == MAX_FIELDS {
                        return Err(A::Error::custom("too many fields"));
                    }
                    fields.push(field);
                }
                Ok(fields)
            }
        }

        deserializer.deserialize_map(Object).map(Self)
    }
}

/// Fields of a body. The largest known has a fifth of these, and looking for repeated ones costs
/// the square of their number.
const MAX_FIELDS: usize = 64;

fn missing(name: &str, form: &str) -> Failure {
    Failure::field(
        pointer(name),
        format!("The field {name} is missing: it must be {form}."),
    )
}

/// The JSON pointer (RFC 6901) to a field of the body.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use shared::limits::MAX_OUTPUT_KEY_BYTES;
    use shared::link::{InputSettings, OnFormatChange, OnStop, Takeover};

    use super::*;
    use crate::destination::DestinationPolicy;

    fn policy() -> DestinationPolicy {
        DestinationPolicy::parse("", "", "rtmps://ingest.example:443/live/").unwrap()
    }

    /// `400/10005 /url` and the like.
    fn fault(failure: Failure) -> String {
        let pointer = failure.notice().source.clone().map(|s| s.pointer);
        let message = &failure.notice().message;
        assert!(message.ends_with('.'), "{message}");
        format!("{failure} {}", pointer.unwrap_or_default())
    }

    fn new_output(body: &str) -> Result<NewOutput, String> {
        NewOutput::parse(body.as_bytes(), &policy()).map_err(fault)
    }

    fn new_input(body: &str) -> Result<NewInput, String> {
        NewInput::parse(body.as_bytes()).map_err(fault)
    }

    #[test]
    fn an_input_needs_nothing() {
        for body in ["", "{}", r#"{"meta": null}"#, r#"{"new": [1]}"#] {
            let input = new_input(body).unwrap();
            assert_eq!((input.meta.as_str(), input.enabled), ("{}", true), "{body}");
        }
        assert!(!new_input(r#"{"enabled": false}"#).unwrap().enabled);
    }

    #[test]
    fn meta_is_kept_to_the_letter() {
        let meta = r#"{ "b": 1.0, "a" : [1e2, "\u00e9", 12345678901234567890], "a": {} }"#;
        let body = format!(r#"{{"meta": {meta} }}"#);
        assert_eq!(new_input(&body).unwrap().meta, meta);
        let update = InputUpdate::parse(body.as_bytes()).unwrap();
        assert_eq!((update.meta.as_deref(), update.enabled), (Some(meta), None));
        let update = InputUpdate::parse(br#"{"meta": null, "enabled": true}"#).unwrap();
        assert_eq!(
            (update.meta.as_deref(), update.enabled),
            (Some("{}"), Some(true))
        );
        let update = InputUpdate::parse(b"").unwrap();
        assert_eq!((update.meta, update.enabled), (None, None));
    }

    #[test]
    fn faults_are_named_by_their_field() {
        for (body, why) in [
            ("{", "400/10005 "),
            // Nothing is an empty object; white space is no JSON.
            (" \r\n", "400/10005 "),
            ("nonsense", "400/10005 "),
            ("[]", "400/10005 "),
            ("null", "400/10005 "),
            ("{} {}", "400/10005 "),
            (r#"{"meta": "\ud800"}"#, "400/10005 "),
            (r#"{"meta": {"a": 1e999}}"#, "400/10005 "),
            (r#"{"meta": 1}"#, "400/10005 /meta"),
            (r#"{"meta": []}"#, "400/10005 /meta"),
            (r#"{"meta": "name"}"#, "400/10005 /meta"),
            (r#"{"meta": {}, "meta": {}}"#, "400/10005 /meta"),
            (r#"{"a/b~": 1, "a/b~": 1}"#, "400/10005 /a~1b~0"),
            (r#"{"enabled": "true"}"#, "400/10005 /enabled"),
            (r#"{"enabled": 1}"#, "400/10005 /enabled"),
            (r#"{"enabled": null}"#, "400/10005 /enabled"),
            (r#"{"recording": "off"}"#, "400/10005 /recording"),
            (r#"{"defaultCreator": 1}"#, "400/10005 /defaultCreator"),
            (
                r#"{"deleteRecordingAfterDays": "45"}"#,
                "400/10005 /deleteRecordingAfterDays",
            ),
            (r#"{"preferLowLatency": 1}"#, "400/10005 /preferLowLatency"),
        ] {
            assert_eq!(new_input(body).unwrap_err(), why, "{body}");
            let update = InputUpdate::parse(body.as_bytes()).map_err(fault);
            assert_eq!(update.unwrap_err(), why, "{body}");
        }
        assert_eq!(
            fault(NewInput::parse(b"{\"meta\": {\"a\": \"\xff\"}}").unwrap_err()),
            "400/10005 "
        );
    }

    #[test]
    fn fields_that_are_not_served_are_accepted() {
        for body in [
            r#"{"recording": {"mode": "automatic", "allowedOrigins": null}}"#,
            r#"{"recording": null, "defaultCreator": null, "deleteRecordingAfterDays": null}"#,
            r#"{"deleteRecordingAfterDays": 45.0, "preferLowLatency": true}"#,
            r#"{"defaultCreator": "me", "deleteRecordingAfterDays": 45}"#,
        ] {
            assert!(new_input(body).is_ok(), "{body}");
        }
    }

    #[test]
    fn settings_have_defaults_that_null_goes_back_to() {
        let default = InputSettings::default();
        assert_eq!(new_input("{}").unwrap().settings, default);
        let other = r#"{"reconnectWindowSeconds": 1800, "onStop": "hold",
            "onFormatChange": "continue", "takeover": "reject"}"#;
        let settings = InputSettings {
            reconnect_window: 1800,
            on_stop: OnStop::Hold,
            on_format_change: OnFormatChange::Continue,
            takeover: Takeover::Reject,
        };
        assert_eq!(new_input(other).unwrap().settings, settings);
        let update = |body: &str| InputUpdate::parse(body.as_bytes()).map_err(fault);
        assert_eq!(update("{}").unwrap().settings, SettingsUpdate::default());
        let nulls = r#"{"reconnectWindowSeconds": null, "onStop": null,
            "onFormatChange": null, "takeover": null}"#;
        let reset = SettingsUpdate {
            reconnect_window: Some(60),
            on_stop: Some(OnStop::End),
            on_format_change: Some(OnFormatChange::Reconnect),
            takeover: Some(Takeover::Newest),
        };
        assert_eq!(update(nulls).unwrap().settings, reset);
        assert!(new_input(r#"{"reconnectWindowSeconds": 0}"#).is_ok());
        for (name, value) in [
            ("reconnectWindowSeconds", "1801"),
            ("reconnectWindowSeconds", "-1"),
            ("reconnectWindowSeconds", "\"60\""),
            ("onStop", "\"wait\""),
            ("onStop", "true"),
            ("onFormatChange", "\"\""),
            ("takeover", "\"Newest\""),
        ] {
            let body = format!(r#"{{"{name}": {value}}}"#);
            let why = format!("400/10005 /{name}");
            assert_eq!(new_input(&body).unwrap_err(), why);
            assert_eq!(update(&body).unwrap_err(), why);
        }
    }

    #[test]
    fn a_grace_period_is_a_day_at_most() {
        let seconds = |body: &str| {
            let rotation = KeyRotation::parse(body.as_bytes()).map_err(fault);
            rotation.map(|rotation| rotation.grace_period.as_secs())
        };
        for (body, expected) in [
            ("", 0),
            ("{}", 0),
            (r#"{"gracePeriodSeconds": null}"#, 0),
            (r#"{"gracePeriodSeconds": 0}"#, 0),
            (r#"{"gracePeriodSeconds": 60.0}"#, 60),
            (r#"{"gracePeriodSeconds": 86400}"#, 86_400),
        ] {
            assert_eq!(seconds(body), Ok(expected), "{body}");
        }
        for value in ["86401", "-1", "0.5", "\"60\"", "true", "1e300"] {
            let body = format!(r#"{{"gracePeriodSeconds": {value}}}"#);
            let why = "400/10005 /gracePeriodSeconds";
            assert_eq!(seconds(&body), Err(why.into()), "{body}");
        }
    }

    #[test]
    fn an_output_needs_url_and_key() {
        let output = new_output(r#"{"url": "rtmps://h:443/a?b=1", "streamKey": " k?a=1&b=/ "}"#);
        let output = output.unwrap();
        assert_eq!(output.url.as_str(), "rtmps://h:443/a?b=1");
        assert_eq!(output.stream_key.expose(), " k?a=1&b=/ ");
        assert!(output.enabled);
        assert!(new_output(r#"{"url": "rtmp://h/a", "streamKey": ""}"#).is_ok());
        for (body, why) in [
            ("", "400/10005 /url"),
            (r#"{"streamKey": "k"}"#, "400/10005 /url"),
            (r#"{"url": "rtmp://h/a"}"#, "400/10005 /streamKey"),
            (r#"{"url": null, "streamKey": "k"}"#, "400/10005 /url"),
            (
                r#"{"url": "srt://h/a", "streamKey": "k"}"#,
                "400/10005 /url",
            ),
            (
                r#"{"url": "https://h/a", "streamKey": "k"}"#,
                "400/10005 /url",
            ),
            (
                r#"{"url": "rtmp://u@h/a", "streamKey": "k"}"#,
                "400/10005 /url",
            ),
            (
                r#"{"url": "rtmp://h/a", "streamKey": 1}"#,
                "400/10005 /streamKey",
            ),
            (
                r#"{"url": "rtmp://h/a", "streamKey": "a\n"}"#,
                "400/10005 /streamKey",
            ),
            (
                r#"{"url": "rtmp://h/a", "streamKey": "k", "enabled": 0}"#,
                "400/10005 /enabled",
            ),
        ] {
            assert_eq!(new_output(body).unwrap_err(), why, "{body}");
        }
    }

    #[test]
    fn destinations_that_are_not_public_are_refused() {
        for host in [
            "127.0.0.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "a.localhost:1935",
            "printer.local",
            "10.0.0.1",
            "169.254.169.254",
            "[fe80::1]",
            "224.0.0.1",
            "0.0.0.0",
            "2130706433",
            "0x7f.1",
            "ingest.example:443",
            "INGEST.example.:443",
        ] {
            let body = format!(r#"{{"url": "rtmp://{host}/live", "streamKey": "k"}}"#);
            assert_eq!(new_output(&body).unwrap_err(), "400/10005 /url", "{host}");
            let update = OutputUpdate::parse(body.as_bytes(), &policy());
            assert_eq!(fault(update.unwrap_err()), "400/10005 /url", "{host}");
        }
        for host in ["ingest.example", "8.8.8.8", "[2600::1]", "bücher.example"] {
            let body = format!(r#"{{"url": "rtmp://{host}/live", "streamKey": "k"}}"#);
            let output = new_output(&body).unwrap();
            assert_eq!(output.url.as_str(), format!("rtmp://{host}/live"));
        }
    }

    #[test]
    fn an_update_of_an_output_changes_what_it_names() {
        let update = |body: &str| OutputUpdate::parse(body.as_bytes(), &policy()).map_err(fault);
        let nothing = update("{}").unwrap();
        assert_eq!((nothing.url, nothing.stream_key), (None, None));
        assert_eq!((nothing.enabled, nothing.meta), (None, None));
        let all = update(
            r#"{"url": "rtmp://h/a", "streamKey": " k ", "enabled": false, "meta": {"name": "n"}}"#,
        );
        let all = all.unwrap();
        assert_eq!(all.url.unwrap().as_str(), "rtmp://h/a");
        assert_eq!(all.stream_key.unwrap().expose(), " k ");
        assert_eq!(all.enabled, Some(false));
        assert_eq!(all.meta.as_deref(), Some(r#"{"name": "n"}"#));
        assert_eq!(
            update(r#"{"meta": null}"#).unwrap().meta.as_deref(),
            Some("{}")
        );
        for (body, why) in [
            (r#"{"url": "http://h/a"}"#, "400/10005 /url"),
            (r#"{"url": null}"#, "400/10005 /url"),
            (r#"{"streamKey": "a\u0000"}"#, "400/10005 /streamKey"),
            (r#"{"streamKey": null}"#, "400/10005 /streamKey"),
            (r#"{"enabled": null}"#, "400/10005 /enabled"),
            (r#"{"meta": "name"}"#, "400/10005 /meta"),
        ] {
            assert_eq!(update(body).unwrap_err(), why, "{body}");
        }
    }

    #[test]
    fn no_message_repeats_a_secret() {
        for body in [
            r#"{"url": "rtmp://u:hunter2@h", "streamKey": "k"}"#,
            r#"{"url": "rtmp://h/a", "streamKey": "hunter2\n"}"#,
            r#"{"url": "rtmp://h/a", "streamKey": ["hunter2"]}"#,
            r#"{"url": "rtmp://h/a", "streamKey": "hunter2"#,
        ] {
            let failure = NewOutput::parse(body.as_bytes(), &policy()).unwrap_err();
            assert!(!format!("{failure:?}").contains("hunter2"), "{body}");
        }
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        let key = |length: usize| {
            new_output(&format!(
                r#"{{"url": "rtmp://h/a", "streamKey": "{}"}}"#,
                "k".repeat(length)
            ))
        };
        assert!(key(MAX_OUTPUT_KEY_BYTES).is_ok());
        assert_eq!(
            key(MAX_OUTPUT_KEY_BYTES + 1).unwrap_err(),
            "400/10005 /streamKey"
        );

        let meta = |length: usize| {
            new_input(&format!(
                r#"{{"meta":{{"a":"{}"}}}}"#,
                "a".repeat(length - 8)
            ))
        };
        assert_eq!(meta(MAX_META_BYTES).unwrap().meta.len(), MAX_META_BYTES);
        assert_eq!(meta(MAX_META_BYTES + 1).unwrap_err(), "400/10005 /meta");

        let body = |length: usize| new_input(&format!(r#"{{"a":"{}"}}"#, "a".repeat(length - 8)));
        assert!(body(MAX_BODY_BYTES).is_ok());
        assert_eq!(body(MAX_BODY_BYTES + 1).unwrap_err(), "413/10413 ");

        let deep = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 2), "]".repeat(depth - 2));
            new_input(&format!(r#"{{"meta":{{"a":{open}{close}}}}}"#))
        };
        assert!(deep(127).is_ok());
        assert_eq!(deep(128).unwrap_err(), "400/10005 ");

        let fields = |number| {
            let fields: Vec<String> = (0..number).map(|n| format!(r#""{n}":0"#)).collect();
            new_input(&format!("{{{}}}", fields.join(",")))
        };
        assert!(fields(MAX_FIELDS).is_ok());
        assert_eq!(fields(MAX_FIELDS + 1).unwrap_err(), "400/10005 ");
    }
}
