//! Policies: what a token may do, as its maker said it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use shared::hex;
use shared::id::{AccountId, TokenTag};
use shared::limits::{MAX_GROUPS_PER_POLICY, MAX_POLICIES_PER_TOKEN};

use crate::failure::Failure;
use crate::permission::{Permission, Permissions};

/// The policies of a token, in the order in which they were given: what the database keeps of them
/// as JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Policies(Vec<Policy>);

/// One of them. Where it holds is not kept: that is always the token's own account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Policy {
    effect: Effect,
    groups: Vec<Permission>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Allow,
    Deny,
}

impl Policies {
    /// One that allows all of `permissions`.
    pub fn allowing(permissions: Permissions) -> Self {
        Self(vec![Policy {
            effect: Effect::Allow,
            groups: permissions.iter().collect(),
        }])
    }

    /// Reads the field `policies` of a request about a token of `account`.
    ///
    /// # Errors
    ///
    /// 400/10005 with the pointer to what cannot be accepted.
    pub fn parse(value: &Value, account: AccountId) -> Result<Self, Failure> {
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| {
            Failure::field(
                "/policies",
                "The field policies must be a list of policies.",
            )
        })?;
        if list.len() > MAX_POLICIES_PER_TOKEN {
            return Err(Failure::field(
                "/policies",
                format!("A token has at most {MAX_POLICIES_PER_TOKEN} policies: join some."),
            ));
        }
        let policies = list.iter().enumerate().map(|(index, value)| {
            let at = format!("/policies/{index}");
            let policy = value.as_object();
            let policy = policy.ok_or_else(|| Failure::field(&at, "A policy is an object."))?;
            check_resources(policy, &at, account)?;
            Ok(Policy {
                effect: effect(policy, &at)?,
                groups: groups(policy, &at)?,
            })
        });
        policies.collect::<Result<_, _>>().map(Self)
    }

    /// What they allow together. To deny a permission denies those that include it: who may not
    /// read may not write.
    pub fn permissions(&self) -> Permissions {
        let of = |wanted: Effect| {
            let policies = self.0.iter().filter(move |policy| policy.effect == wanted);
            policies.flat_map(|policy| policy.groups.iter().copied())
        };
        let denied: Permissions = of(Effect::Deny)
            .flat_map(|denied| denied.granted_by().iter().collect::<Vec<_>>())
            .collect();
        of(Effect::Allow).collect::<Permissions>().without(denied)
    }

    /// As the API shows them. A policy's id follows from its token and its place.
    pub fn shown(&self, account: AccountId, token: TokenTag) -> Value {
        let policies = self.0.iter().enumerate().map(|(index, policy)| {
            let id = hex::text(&Sha256::digest(format!("{token} {index}")));
            let groups = policy.groups.iter();
            let groups = groups.map(|group| json!({"id": group.id(), "name": group.name()}));
            json!({
                "id": id.get(..32),
                "effect": policy.effect,
                "resources": {resource(account): "*"},
                "permission_groups": groups.collect::<Value>(),
            })
        });
        policies.collect()
    }
}

/// An account as policies name it.
fn resource(account: AccountId) -> String {
    format!("com.cloudflare.api.account.{account}")
}

fn effect(policy: &Map<String, Value>, at: &str) -> Result<Effect, Failure> {
    match policy.get("effect").and_then(Value::as_str) {
        Some("allow") => Ok(Effect::Allow),
        Some("deny") => Ok(Effect::Deny),
        _ => Err(Failure::field(
            format!("{at}/effect"),
            "The effect of a policy must be \"allow\" or \"deny\".",
        )),
    }
}

fn check_resources(
    policy: &Map<String, Value>,
    at: &str,
    account: AccountId,
) -> Result<(), Failure> {
    let wanted = resource(account);
    let resources = policy.get("resources").and_then(Value::as_object);
    let only_own = resources.is_some_and(|resources| {
        resources.len() == 1 && resources.get(&wanted).is_some_and(|scope| scope == "*")
    });
    if !only_own {
        return Err(Failure::field(
            format!("{at}/resources"),
            format!(
                "A token is good for its own account: resources must be {{\"{wanted}\": \"*\"}}."
            ),
        ));
    }
    Ok(())
}

fn groups(policy: &Map<String, Value>, at: &str) -> Result<Vec<Permission>, Failure> {
    let at = format!("{at}/permission_groups");
    let groups = policy.get("permission_groups").and_then(Value::as_array);
    let groups = groups.filter(|groups| (1..=MAX_GROUPS_PER_POLICY).contains(&groups.len()));
    let groups = groups.ok_or_else(|| {
        Failure::field(
            &at,
            format!(
                "The permission_groups of a policy must be a list of 1 to {MAX_GROUPS_PER_POLICY}."
            ),
        )
    })?;
    let known = groups.iter().enumerate().map(|(index, group)| {
        let id = group.get("id").and_then(Value::as_str);
        id.and_then(Permission::from_id).ok_or_else(|| {
            Failure::field(
                format!("{at}/{index}/id"),
                "There is no permission group of this id: see …/tokens/permission_groups.",
            )
        })
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        AccountId::from_random([1; 16])
    }

    fn policy(effect: &str, groups: &[Permission]) -> Value {
        let groups: Value = groups
            .iter()
            .map(|group| json!({"id": group.id()}))
            .collect();
        json!({
            "effect": effect,
            "resources": {resource(account()): "*"},
            "permission_groups": groups,
        })
    }

    fn fault(policies: Value) -> String {
        let failure = Policies::parse(&policies, account()).unwrap_err();
        let pointer = failure.notice().source.clone().unwrap().pointer;
        format!("{failure} {pointer}")
    }

    #[test]
    fn what_is_allowed_and_not_denied_is_granted() {
        use Permission::*;
        for (policies, expected) in [
            (vec![policy("allow", &[StreamRead])], vec![StreamRead]),
            (
                vec![
                    policy("allow", &[StreamWrite]),
                    policy("allow", &[TokensRead]),
                ],
                vec![StreamWrite, TokensRead],
            ),
            (
                vec![
                    policy("allow", &[StreamRead, StreamWrite]),
                    policy("deny", &[StreamWrite]),
                ],
                vec![StreamRead],
            ),
            (
                vec![
                    policy("deny", &[StreamRead]),
                    policy("allow", &[StreamWrite, TokensRead]),
                ],
                vec![TokensRead],
            ),
            (vec![policy("deny", &[StreamRead])], vec![]),
        ] {
            let policies = Policies::parse(&policies.into(), account()).unwrap();
            assert_eq!(policies.permissions(), expected.into_iter().collect());
        }
    }

    #[test]
    fn faults_are_named_by_their_place() {
        let good = || policy("allow", &[Permission::StreamRead]);
        let with = |field: &str, value: Value| {
            let mut policy = good();
            policy[field] = value;
            json!([good(), policy])
        };
        let own = resource(account());
        let other = resource(AccountId::from_random([2; 16]));
        for (policies, at) in [
            (json!([]), "/policies"),
            (json!({}), "/policies"),
            (json!([1]), "/policies/0"),
            (with("effect", json!("permit")), "/policies/1/effect"),
            (with("effect", json!(null)), "/policies/1/effect"),
            (with("resources", json!({})), "/policies/1/resources"),
            (
                with("resources", json!({other.clone(): "*"})),
                "/policies/1/resources",
            ),
            (
                with("resources", json!({own.clone(): "*", other: "*"})),
                "/policies/1/resources",
            ),
            (
                with("resources", json!({own.clone(): "x"})),
                "/policies/1/resources",
            ),
            (
                with(
                    "resources",
                    json!({own: {"com.cloudflare.api.account.zone.*": "*"}}),
                ),
                "/policies/1/resources",
            ),
            (
                with("permission_groups", json!([])),
                "/policies/1/permission_groups",
            ),
            (
                with("permission_groups", json!("Stream Read")),
                "/policies/1/permission_groups",
            ),
            (
                with(
                    "permission_groups",
                    json!([{"id": Permission::StreamRead.id()}, {"id": "x"}]),
                ),
                "/policies/1/permission_groups/1/id",
            ),
            (
                with("permission_groups", json!([{"name": "Stream Read"}])),
                "/policies/1/permission_groups/0/id",
            ),
        ] {
            assert_eq!(
                fault(policies.clone()),
                format!("400/10005 {at}"),
                "{policies}"
            );
        }
    }

    #[test]
    fn bounds_hold_at_their_edges() {
        let policies =
            |number| Value::from(vec![policy("allow", &[Permission::StreamRead]); number]);
        assert!(Policies::parse(&policies(MAX_POLICIES_PER_TOKEN), account()).is_ok());
        assert_eq!(
            fault(policies(MAX_POLICIES_PER_TOKEN + 1)),
            "400/10005 /policies"
        );
        let groups = |number| json!([policy("allow", &vec![Permission::StreamRead; number])]);
        assert!(Policies::parse(&groups(MAX_GROUPS_PER_POLICY), account()).is_ok());
        assert_eq!(
            fault(groups(MAX_GROUPS_PER_POLICY + 1)),
            "400/10005 /policies/0/permission_groups"
        );
    }

    #[test]
    fn they_are_shown_and_kept_as_they_were_given() {
        use Permission::*;
        let given = json!([
            policy("allow", &[StreamWrite, StreamRead]),
            policy("deny", &[TokensRead])
        ]);
        let policies = Policies::parse(&given, account()).unwrap();
        let kept = serde_json::to_string(&policies).unwrap();
        assert_eq!(serde_json::from_str::<Policies>(&kept).unwrap(), policies);
        let tag = TokenTag::from_random([3; 16]);
        let shown = policies.shown(account(), tag);
        assert_eq!(shown[0]["permission_groups"][0]["name"], "Stream Write");
        assert_ne!(shown[0]["id"], shown[1]["id"]);
        assert_eq!(shown[0]["id"].as_str().unwrap().len(), 32);
        assert_eq!(
            Policies::parse(&shown, account()).unwrap(),
            policies,
            "they can be sent back"
        );
        assert_eq!(policies.shown(account(), tag), shown, "ids stay");
    }
}
