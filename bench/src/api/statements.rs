//! The Worker's own statements, for its floor to make.

use anyhow::{Context as _, Result};
use control_core::account::NewAccount;
use control_core::auth::TokenId;
use control_core::change::{Change, ChangeRequest, Limits};
use control_core::destination::DestinationPolicy;
use control_core::keys::Keyring;
use control_core::permission::Permission;
use control_core::request::{
    InputQuery, InputUpdate, KeyRotation, NewInput, NewOutput, NewPolicy, NewToken, OutputUpdate,
    PolicyUpdate, Query, TokenPage, TokenUpdate,
};
use control_core::sql::{
    DestinationValues, InputList, InputRead, NotificationAsk, Param, Statement, lifecycle,
};
use control_core::token::{self, TokenRequest};
use control_core::webhook::{SCHEMA, Target};
use serde_json::{Value, json};
use shared::id::{AccountId, DestinationId, InputUid, OutputUid, PolicyId, TokenTag};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use super::end_points::{
    ACCOUNT, ALL, EndPoint, INPUT, LIST, NAMED, OUTPUT, POLICY, SWITCH, Steps, TOKEN,
};
use super::recorder::{self, NUMBER, Step};

/// In the place of a `rev`: the floor puts the object's own there.
const REV: u64 = 424_242_424_242;

/// Everything that stands in the statements, each thing in its example.
struct Examples {
    token: TokenId,
    account: AccountId,
    new_account: AccountId,
    input: InputUid,
    output: OutputUid,
    tag: TokenTag,
    destination: DestinationId,
    policy: PolicyId,
    keyring: Keyring,
    now: Timestamp,
}

/// By end point, what the floor does; and of which parameters are examples.
pub(crate) fn statements(account: AccountId) -> Result<Value> {
    let examples = Examples {
        token: TokenId("t".to_owned()),
        account,
        new_account: AccountId::from_random([0x5d; 16]),
        input: InputUid::from_random([0xa1; 16]),
        output: OutputUid::from_random([0xb2; 16]),
        tag: TokenTag::from_random([0xc3; 16]),
        destination: DestinationId::from_random([0xd4; 16]),
        policy: PolicyId::from_random([0xe5; 16]),
        keyring: Keyring::parse(&format!("1:{}", "0".repeat(64)))?,
        now: Timestamp::from_micros(1_800_000_000_000_000),
    };
    let mut end_points = serde_json::Map::new();
    for end_point in &ALL {
        let key = format!("{} {}", end_point.method, end_point.path);
        let known = examples.batch(end_point)?;
        let batch = known.with_context(|| format!("{key} has no statements"))?;
        let own = match end_point.steps {
            Steps::BatchAndAccount => examples.of_account(end_point),
            Steps::BatchThenAccount => examples.test_message()?,
            _ => Vec::new(),
        };
        let does = json!({
            "path": end_point.path,
            "steps": end_point.steps,
            "batch": batch.iter().map(shown).collect::<Value>(),
            "own": own.iter().map(step).collect::<Value>(),
        });
        end_points.insert(key, does);
    }
    let hash = control_core::auth::TokenHash::of(&token::secret([6; 32]));
    Ok(json!({
        "end_points": end_points,
        "schema": SCHEMA,
        "sealed": sealed().len(),
        "examples": {
            examples.now.as_micros().to_string(): "now",
            examples.new_account.to_string(): "account",
            examples.input.to_string(): "input",
            examples.output.to_string(): "output",
            examples.tag.to_string(): "token",
            examples.destination.to_string(): "destination",
            examples.policy.to_string(): "policy",
            json!([examples.destination]).to_string(): "destinations",
            hash.as_str(): "hash",
            TokenTag::from_random([7; 16]).to_string(): "id",
            REV.to_string(): "rev",
            NUMBER.to_string(): "number",
            sealed(): "sealed",
        },
    }))
}

impl Examples {
    fn batch(&self, end_point: &EndPoint) -> Result<Option<Vec<Statement>>> {
        Ok(match end_point.path.strip_prefix("/accounts/:account") {
            _ if end_point.steps == Steps::Token => Some(Vec::new()),
            Some(path) if path.starts_with("/stream/live_inputs") => {
                self.of_inputs(end_point.method, path)?
            }
            Some(path) if path.starts_with("/tokens") => self.of_tokens(end_point.method, path)?,
            Some(path) => self.of_notifications(end_point.method, path)?,
            None => match end_point.path {
                "/accounts" => Some(self.account()?),
                "/user/tokens/verify" => Some(vec![self.tokens().own()]),
                "/:input/lifecycle" => Some(vec![lifecycle(self.input)]),
                _ => None,
            },
        })
    }

    fn of_inputs(&self, method: &str, path: &str) -> Result<Option<Vec<Statement>>> {
        let outputs = path.contains("/outputs");
        let is_one = path.ends_with(":input") || path.ends_with(":output");
        let (keyring, account) = (&self.keyring, self.account);
        let policy = DestinationPolicy::parse("", "", "rtmps://localhost:443/live/")?;
        let key = StreamKey::from_random(self.input, [1; 16]);
        let uid = self.output;
        let change = match (method, outputs, is_one) {
            ("GET", false, false) if path.ends_with("live_inputs") => {
                let query = InputQuery::parse(LIST, false)?;
                let query = &query;
                return Ok(Some(InputList { account, query }.batch()));
            }
            ("GET", ..) => {
                let read = InputRead {
                    token: self.token.clone(),
                    account,
                    input: self.input,
                    now: self.now,
                };
                return Ok(Some(read.batch()));
            }
            ("POST", ..) if path.ends_with("/rotate_keys") => {
                let rotation = KeyRotation::parse(b"")?;
                Change::rotate_keys(rotation, account, &key, self.now, [2; 12], keyring)?
            }
            ("POST", ..) if path.ends_with("/retry") => Change::RetryOutput { uid },
            ("POST", false, _) => {
                let body = NewInput::parse(INPUT.as_bytes())?;
                Change::create_input(body, account, &key, [2; 12], keyring)?
            }
            ("POST", true, _) => {
                let body = NewOutput::parse(OUTPUT.as_bytes(), &policy)?;
                Change::create_output(body, account, uid, [[3; 12], [4; 12]], keyring)?
            }
            ("PUT", true, _) => {
                let body = OutputUpdate::parse(SWITCH.as_bytes(), &policy)?;
                Change::update_output(body, account, uid, [[5; 12], [6; 12]], keyring)?
            }
            ("PUT", false, _) => {
                let body = InputUpdate::parse(SWITCH.as_bytes())?;
                Change::UpdateInput {
                    meta: body.meta,
                    enabled: body.enabled,
                    settings: body.settings,
                }
            }
            ("DELETE", false, _) => Change::DeleteInput,
            ("DELETE", true, _) => Change::DeleteOutput { uid },
            _ => return Ok(None),
        };
        let request = ChangeRequest {
            token: self.token.clone(),
            account,
            input: self.input,
            now: self.now,
            once: None,
            limits: Limits {
                inputs_per_account: 1_000_000,
                outputs_per_input: 1_000_000,
            },
            change,
        };
        Ok(Some(request.batch(REV)))
    }

    fn of_tokens(&self, method: &str, path: &str) -> Result<Option<Vec<Statement>>> {
        let (tokens, tag) = (self.tokens(), self.tag);
        let secret = token::secret([6; 32]);
        let change = match (method, path) {
            ("GET", "/tokens/verify") => return Ok(Some(vec![tokens.own()])),
            ("GET", "/tokens") => {
                let page = TokenPage::parse(&Query::parse(""))?;
                return Ok(Some(tokens.list(&page)));
            }
            ("GET", _) => tokens.details(tag),
            ("POST", _) => {
                let body = TOKEN.replace(":account", &self.account.to_string());
                let body = NewToken::parse(body.as_bytes(), self.account, self.now)?;
                tokens.create(tag, &secret, &body)
            }
            ("PUT", "/tokens/:token/value") => {
                tokens.roll(tag, &secret, TokenTag::from_random([7; 16]))
            }
            ("PUT", _) => {
                let body = TokenUpdate::parse(NAMED.as_bytes(), self.account, self.now)?;
                tokens.update(tag, &body)
            }
            ("DELETE", _) => tokens.delete(tag),
            _ => return Ok(None),
        };
        Ok(Some(change.batch().to_vec()))
    }

    fn of_notifications(&self, method: &str, path: &str) -> Result<Option<Vec<Statement>>> {
        let about_policies = path.contains("/policies");
        let about_the_webhook = path.starts_with("/stream/webhook");
        let permission = match (about_the_webhook, method) {
            (true, "GET") => Permission::StreamRead,
            (true, _) => Permission::StreamWrite,
            (false, "GET") => Permission::NotificationsRead,
            (false, _) => Permission::NotificationsWrite,
        };
        let ask = NotificationAsk {
            token: self.token.clone(),
            permission,
            account: self.account,
            now: self.now,
        };
        let url = "http://127.0.0.1:9/";
        let sealed = sealed();
        let values = DestinationValues {
            name: "a receiver".to_owned(),
            url: url.to_owned(),
            secret_sealed: Some(Some(sealed.clone())),
        };
        let policy = POLICY.replace(":destination", &self.destination.to_string());
        let (destination, id) = (self.destination, self.policy);
        Ok(Some(match (method, about_the_webhook, about_policies) {
            ("GET", true, _) => ask.webhook(),
            ("PUT", true, _) => ask.put_webhook(url, &sealed),
            ("DELETE", true, _) => ask.delete_webhook(),
            ("GET", _, true) => ask.policies(),
            ("GET", _, false) => ask.destinations(),
            ("POST", _, true) => ask.create_policy(id, NewPolicy::parse(policy.as_bytes())?.0),
            ("PUT", _, true) => ask.update_policy(id, PolicyUpdate::parse(policy.as_bytes())?.0),
            ("DELETE", _, true) => ask.delete_policy(id),
            ("POST", _, false) => ask.create_destination(destination, values, sealed),
            ("PUT", _, false) => ask.update_destination(destination, values),
            ("DELETE", _, false) => ask.delete_destination(destination),
            _ => return Ok(None),
        }))
    }

    fn of_account(&self, end_point: &EndPoint) -> Vec<Step> {
        let path = end_point.path;
        let shows_deliveries = path.ends_with("/deliveries");
        let target = match path.contains(":destination") {
            true => Target::Destination(self.destination),
            false => Target::Stream,
        };
        let target = shows_deliveries.then_some(target);
        recorder::shows(self.account, &self.keyring, self.now, target)
    }

    fn test_message(&self) -> Result<Vec<Step>> {
        recorder::tests(self.account, &self.keyring, self.now, self.destination)
    }

    fn account(&self) -> Result<Vec<Statement>> {
        let account = NewAccount {
            account: self.new_account,
            name: control_core::request::account_name(ACCOUNT.as_bytes())?,
            tag: self.tag,
            secret: token::secret([6; 32]),
            now: self.now,
        };
        Ok(account.batch().to_vec())
    }

    fn tokens(&self) -> TokenRequest {
        TokenRequest {
            token: self.token.clone(),
            account: self.account,
            now: self.now,
        }
    }
}

/// In the place of what is sealed, as long as that.
fn sealed() -> String {
    "0".repeat(120)
}

fn step(step: &Step) -> Value {
    match step {
        Step::Alarm(is_set) => json!({"alarm": is_set}),
        Step::Send(outgoing) => json!({"send": outgoing}),
        Step::Statement(statement) => shown(statement),
    }
}

fn shown(Statement { sql, params }: &Statement) -> Value {
    let params = params.iter().map(|param| match param {
        Param::Integer(number) => json!(number),
        Param::Null => Value::Null,
        Param::Text(text) => json!(text),
    });
    json!({"sql": sql, "params": params.collect::<Vec<_>>()})
}
