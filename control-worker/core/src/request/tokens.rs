//! Bodies and queries about tokens and accounts.

use serde_json::Value;
use shared::id::AccountId;
use shared::limits::MAX_NAME_BYTES;
use shared::time::Timestamp;

use super::{Fields, Page, Query};
use crate::failure::Failure;
use crate::policy::Policies;

/// The body of `POST …/tokens`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What it is called.
    pub name: String,
    /// What it may do.
    pub policies: Policies,
    /// From when on it is good.
    pub not_before: Option<Timestamp>,
    /// When it is no longer good.
    pub expires: Option<Timestamp>,
}

impl NewToken {
    /// Reads and checks `body`, for a token of `account`.
    ///
    /// # Errors
    ///
    /// 413 over [`MAX_BODY_BYTES`](shared::limits::MAX_BODY_BYTES); else 400/10005 with the field at
    /// fault.
    pub fn parse(body: &[u8], account: AccountId, now: Timestamp) -> Result<Self, Failure> {
        let fields = Fields::parse(body)?;
        let update = TokenUpdate::read(&fields, account, now)?;
        let missing = |name: &str| {
            Failure::field(
                format!("/{name}"),
                format!("The field {name} is missing: a token needs it."),
            )
        };
        Ok(Self {
            name: update.name.ok_or_else(|| missing("name"))?,
            policies: update.policies.ok_or_else(|| missing("policies"))?,
            not_before: update.not_before.flatten(),
            expires: update.expires.flatten(),
        })
    }
}

/// The body of `PUT …/tokens/:token`: what is absent stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUpdate {
    /// What it is called.
    pub name: Option<String>,
    /// What it may do.
    pub policies: Option<Policies>,
    /// Whether it is switched off.
    pub disabled: Option<bool>,
    /// From when on it is good; null takes the time away.
    pub not_before: Option<Option<Timestamp>>,
    /// When it is no longer good; null takes the time away.
    pub expires: Option<Option<Timestamp>>,
}

impl TokenUpdate {
    /// Reads and checks `body`, for a token of `account`.
    ///
    /// # Errors
    ///
    /// As [`NewToken::parse`].
    pub fn parse(body: &[u8], account: AccountId, now: Timestamp) -> Result<Self, Failure> {
        Self::read(&Fields::parse(body)?, account, now)
    }

    fn read(fields: &Fields<'_>, account: AccountId, now: Timestamp) -> Result<Self, Failure> {
        let policies: Option<Value> = fields.optional("policies", "a list of policies")?;
        let policies = policies.map(|policies| Policies::parse(&policies, account));
        check_condition(fields)?;
        let not_before = time(fields, "not_before")?;
        let expires = time(fields, "expires_on")?;
        if let Some(Some(expires)) = expires {
            if expires <= now {
                return Err(Failure::field(
                    "/expires_on",
                    "The time expires_on must lie ahead: to end a token now, delete it, or set \
                     its status to \"disabled\".",
                ));
            }
            if not_before.flatten().is_some_and(|time| time >= expires) {
                return Err(Failure::field(
                    "/expires_on",
                    "The time expires_on must come after not_before.",
                ));
            }
        }
        Ok(Self {
            name: name(fields)?,
            policies: policies.transpose()?,
            disabled: disabled(fields)?,
            not_before,
            expires,
        })
    }
}

/// The query of `GET …/tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPage {
    /// Which part.
    pub page: Page,
    /// Whether tokens that have expired are shown too.
    pub expired: bool,
    /// Whether the newest comes first.
    pub newest_first: bool,
}

impl TokenPage {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// 400/10005 where a parameter has a value that it may not have.
    pub fn parse(query: &Query) -> Result<Self, Failure> {
        let order = [("asc", false), ("desc", true)];
        Ok(Self {
            page: Page::parse(query)?,
            expired: query.truth("include_expired")?.unwrap_or(false),
            newest_first: query.choice("direction", &order)?.unwrap_or(false),
        })
    }
}

/// The body of `POST /accounts`: the account's name.
///
/// # Errors
///
/// As [`NewToken::parse`].
pub fn account_name(body: &[u8]) -> Result<String, Failure> {
    name(&Fields::parse(body)?)?
        .ok_or_else(|| Failure::field("/name", "The field name is missing: an account needs it."))
}

fn name(fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    let name: Option<String> = fields.optional("name", "a text")?;
    let fits = |name: &String| {
        let length = 1..=MAX_NAME_BYTES;
        length.contains(&name.len()) && !name.chars().any(char::is_control)
    };
    if name.as_ref().is_some_and(|name| !fits(name)) {
        return Err(Failure::field(
            "/name",
            format!("The name must be 1 to {MAX_NAME_BYTES} bytes, without control characters."),
        ));
    }
    Ok(name)
}

fn disabled(fields: &Fields<'_>) -> Result<Option<bool>, Failure> {
    let status: Option<Option<String>> = fields.optional("status", "a text")?;
    match status.flatten().as_deref() {
        None => Ok(None),
        Some("active") => Ok(Some(false)),
        Some("disabled") => Ok(Some(true)),
        // Clients send back what they read: whether it has expired follows from its time.
        Some("expired") => Ok(None),
        Some(_) => Err(Failure::field(
            "/status",
            "The status of a token can be set to \"active\" or \"disabled\".",
        )),
    }
}

fn time(fields: &Fields<'_>, name: &str) -> Result<Option<Option<Timestamp>>, Failure> {
    let form = "a time such as 2027-01-01T00:00:00Z, or null";
    let time: Option<Option<Timestamp>> = fields.optional(name, form)?;
    let exact = |time: Timestamp| (0..MAX_MICROS).contains(&time.as_micros());
    if time.flatten().is_some_and(|time| !exact(time)) {
        return Err(Failure::field(
            format!("/{name}"),
            format!("The time {name} must lie between 1970 and 2255; null means no bound."),
        ));
    }
    Ok(time)
}

/// Where a token may come from is not checked here. To accept the field and not act by it would
/// leave a token open that its maker believes closed.
fn check_condition(fields: &Fields<'_>) -> Result<(), Failure> {
    let condition: Option<Value> = fields.optional("condition", "an object")?;
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Object(fields) => fields
            .values()
            .all(|list| list.is_null() || list.as_array().is_some_and(Vec::is_empty)),
        _ => false,
    };
    let unconditional = match &condition {
        None | Some(Value::Null) => true,
        Some(Value::Object(conditions)) => conditions.values().all(says_nothing),
        Some(_) => false,
    };
    if !unconditional {
        return Err(Failure::field(
            "/condition",
            "Conditions are not served: leave the field out, and keep the token where only its \
             owner can read it.",
        ));
    }
    Ok(())
}

/// A JavaScript number holds every whole number below.
const MAX_MICROS: i64 = 1 << 53;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::permission::Permission;

    const NOW: Timestamp = Timestamp::from_micros(1_764_551_330_000_000);

    fn account() -> AccountId {
        AccountId::from_random([1; 16])
    }

    fn body() -> Value {
        json!({
            "name": "reader",
            "policies": [{
                "effect": "allow",
                "permission_groups": [{"id": Permission::StreamRead.id(), "name": "Stream Read"}],
                "resources": {format!("com.cloudflare.api.account.{}", account()): "*"},
            }],
        })
    }

    fn with(field: &str, value: Value) -> Value {
        let mut body = body();
        body[field] = value;
        body
    }

    fn parse(body: &Value) -> Result<NewToken, String> {
        NewToken::parse(body.to_string().as_bytes(), account(), NOW).map_err(|failure| {
            let pointer = failure.notice().source.clone().map(|source| source.pointer);
            format!("{failure} {}", pointer.unwrap_or_default())
        })
    }

    #[test]
    fn a_token_is_what_cloudflares_clients_send() {
        let token = parse(&body()).unwrap();
        assert_eq!(token.name, "reader");
        assert_eq!((token.not_before, token.expires), (None, None));
        assert!(token.policies.permissions().allow(Permission::StreamRead));
        for extra in [
            with("condition", json!({})),
            with("condition", json!(null)),
            with("condition", json!({"request_ip": {}})),
            with(
                "condition",
                json!({"request_ip": {"in": [], "not_in": null}}),
            ),
            with("expires_on", json!(null)),
            with("status", json!("active")),
        ] {
            assert_eq!(parse(&extra).unwrap(), token, "{extra}");
        }
        let limited = with("expires_on", json!("2025-12-01T03:08:50.000001+02:00"));
        let expires = parse(&limited).unwrap().expires.unwrap();
        assert_eq!(expires.as_micros(), NOW.as_micros() + 1);
    }

    #[test]
    fn faults_are_named_by_their_field() {
        let without = |field: &str| {
            let mut body = body();
            body.as_object_mut().unwrap().remove(field);
            body
        };
        let mut never = with("not_before", json!("2027-01-01T00:00:00Z"));
        never["expires_on"] = json!("2027-01-01T00:00:00Z");
        for (body, at) in [
            (without("name"), "/name"),
            (without("policies"), "/policies"),
            (with("name", json!("")), "/name"),
            (with("name", json!(1)), "/name"),
            (with("name", json!("a\nb")), "/name"),
            (with("policies", json!([])), "/policies"),
            (with("policies", json!(null)), "/policies"),
            (with("expires_on", json!("tomorrow")), "/expires_on"),
            (with("expires_on", json!(1)), "/expires_on"),
            (
                with("expires_on", json!("2025-12-01T01:08:50Z")),
                "/expires_on",
            ),
            (
                with("expires_on", json!("2256-01-01T00:00:00Z")),
                "/expires_on",
            ),
            (
                with("not_before", json!("1969-12-31T23:59:59Z")),
                "/not_before",
            ),
            (never, "/expires_on"),
            (with("status", json!("lost")), "/status"),
            (with("condition", json!("x")), "/condition"),
            (
                with("condition", json!({"request_ip": {"in": ["10.0.0.0/8"]}})),
                "/condition",
            ),
            (
                with("condition", json!({"request_ip": {"not_in": ["::/0"]}})),
                "/condition",
            ),
            (with("condition", json!({"other": {"a": 1}})), "/condition"),
        ] {
            assert_eq!(
                parse(&body).unwrap_err(),
                format!("400/10005 {at}"),
                "{body}"
            );
        }
    }

    #[test]
    fn a_name_has_its_bounds() {
        assert!(parse(&with("name", json!("n".repeat(MAX_NAME_BYTES)))).is_ok());
        let long = with("name", json!("n".repeat(MAX_NAME_BYTES + 1)));
        assert_eq!(parse(&long).unwrap_err(), "400/10005 /name");
        assert_eq!(account_name(br#"{"name": "me"}"#).unwrap(), "me");
        for body in ["", "{}", r#"{"name": ""}"#, r#"{"name": null}"#] {
            let failure = account_name(body.as_bytes()).unwrap_err();
            assert_eq!(failure.to_string(), "400/10005", "{body}");
        }
    }

    #[test]
    fn an_update_changes_what_it_names() {
        let update = |body: &str| TokenUpdate::parse(body.as_bytes(), account(), NOW).unwrap();
        let nothing = TokenUpdate {
            name: None,
            policies: None,
            disabled: None,
            not_before: None,
            expires: None,
        };
        assert_eq!(update(""), nothing);
        assert_eq!(update(r#"{"status": "expired"}"#), nothing);
        assert_eq!(update(r#"{"status": null}"#), nothing);
        assert_eq!(update(r#"{"status": "disabled"}"#).disabled, Some(true));
        assert_eq!(update(r#"{"status": "active"}"#).disabled, Some(false));
        assert_eq!(update(r#"{"expires_on": null}"#).expires, Some(None));
        assert_eq!(
            update(r#"{"name": "other"}"#).name.as_deref(),
            Some("other")
        );
    }

    #[test]
    fn a_page_is_what_the_query_says() {
        let page = |query: &str| TokenPage::parse(&Query::parse(query)).map_err(|f| f.to_string());
        let plain = page("").unwrap();
        assert_eq!((plain.expired, plain.newest_first), (false, false));
        let other = page("direction=desc&include_expired=true&page=2").unwrap();
        assert_eq!(
            (other.expired, other.newest_first, other.page.number),
            (true, true, 2)
        );
        assert_eq!(page("direction=up").unwrap_err(), "400/10005");
        assert_eq!(page("include_expired=1").unwrap_err(), "400/10005");
    }
}
