//! Tokens: each change whole or not at all, and none by a token that may not.

use control_core::account::NewAccount;
use control_core::auth::{TokenHash, TokenId, TokenRecord};
use control_core::failure::Failure;
use control_core::permission::{Permission, Permissions};
use control_core::policy::Policies;
use control_core::request::{NewToken, Page, TokenPage, TokenUpdate};
use control_core::sql::{Results, token_by_hash};
use control_core::token::{TokenChange, TokenRequest, TokenRow, secret};
use serde_json::Value;
use shared::id::{AccountId, TokenTag};
use shared::limits::MAX_TOKENS_PER_ACCOUNT;
use shared::secret::Secret;
use shared::time::Timestamp;

use crate::database::*;

fn asked() -> TokenRequest {
    asked_by(API_TOKEN)
}

fn asked_by(token: &str) -> TokenRequest {
    TokenRequest {
        token: TokenId(token.into()),
        account: account(),
        now: now(),
    }
}

fn tag(n: u8) -> TokenTag {
    TokenTag::from_random([n; 16])
}

fn body(permissions: &[Permission]) -> NewToken {
    NewToken {
        name: "made".into(),
        policies: Policies::allowing(permissions.iter().copied().collect()),
        not_before: None,
        expires: None,
    }
}

fn no_change() -> TokenUpdate {
    TokenUpdate {
        name: None,
        policies: None,
        disabled: None,
        not_before: None,
        expires: None,
    }
}

fn run(database: &Database, change: &TokenChange) -> Result<TokenRow, Failure> {
    let results = database.run(change.batch()).unwrap();
    change.outcome(&results).unwrap()
}

/// Makes token `n`, by the first token of the account.
fn create(database: &Database, n: u8, permissions: &[Permission]) -> Value {
    let change = asked().create(tag(n), &secret([n; 32]), &body(permissions));
    shown(&run(database, &change).unwrap())
}

fn shown(row: &TokenRow) -> Value {
    serde_json::to_value(row.shown(account(), now()).unwrap()).unwrap()
}

fn found(database: &Database, secret: &Secret) -> Option<TokenRecord> {
    let results = database
        .run(&[token_by_hash(&TokenHash::of(secret))])
        .unwrap();
    results.first(0).unwrap()
}

/// The id by which statements check token `n`, which changes with its secret.
fn id_of(database: &Database, secret: &Secret) -> String {
    found(database, secret).unwrap().id.0
}

#[test]
fn a_life_from_creation_to_deletion() {
    let database = Database::new();
    let made = create(&database, 1, &[Permission::StreamRead]);
    assert_eq!(made["id"], tag(1).to_string());
    assert_eq!(made["name"], "made");
    assert_eq!(made["status"], "active");
    assert_eq!(made["issued_on"], now().to_string());
    assert_eq!(
        made["policies"][0]["permission_groups"][0]["name"],
        "Stream Read"
    );
    assert!(made.get("value").is_none() && made.get("expires_on").is_none());
    let record = found(&database, &secret([1; 32])).unwrap();
    assert_eq!(record.account, Some(account()));
    assert!(record.permissions.allow(Permission::StreamRead));
    assert!(!record.permissions.allow(Permission::StreamWrite));

    let read = asked().details(tag(1));
    assert_eq!(shown(&run(&database, &read).unwrap()), made);

    let expires = Timestamp::from_micros(now().as_micros() + 1);
    let update = TokenUpdate {
        name: Some("changed".into()),
        policies: Some(body(&[Permission::StreamWrite]).policies),
        expires: Some(Some(expires)),
        ..no_change()
    };
    let changed = shown(&run(&database, &asked().update(tag(1), &update)).unwrap());
    assert_eq!(changed["name"], "changed");
    assert_eq!(changed["expires_on"], expires.to_string());
    assert_eq!(
        changed["policies"][0]["permission_groups"][0]["name"],
        "Stream Write"
    );
    let record = found(&database, &secret([1; 32])).unwrap();
    assert!(record.permissions.allow(Permission::StreamWrite));
    assert_eq!(record.expires, Some(expires));

    let off = TokenUpdate {
        disabled: Some(true),
        expires: Some(None),
        ..no_change()
    };
    let off = shown(&run(&database, &asked().update(tag(1), &off)).unwrap());
    assert_eq!(
        (&off["status"], &off["name"]),
        (&"disabled".into(), &changed["name"])
    );
    assert!(off.get("expires_on").is_none());
    assert_eq!(found(&database, &secret([1; 32])), None);

    run(&database, &asked().delete(tag(1))).unwrap();
    let gone = run(&database, &read).unwrap_err();
    assert_eq!(gone, Failure::no_such_token());
}

#[test]
fn to_roll_a_token_ends_its_old_secret_at_once() {
    let database = Database::new();
    create(&database, 1, &[Permission::TokensWrite]);
    let old = id_of(&database, &secret([1; 32]));
    // Even by itself: it reads the new secret in the answer.
    let rolled = asked_by(&old).roll(tag(1), &secret([2; 32]), tag(9));
    assert_eq!(
        shown(&run(&database, &rolled).unwrap())["id"],
        tag(1).to_string()
    );
    assert_eq!(found(&database, &secret([1; 32])), None);
    let new = id_of(&database, &secret([2; 32]));
    assert_ne!(new, old);
    // What is remembered of the old secret changes nothing any more.
    let change = |token: &str| asked_by(token).roll(tag(1), &secret([3; 32]), tag(8));
    let before = database.dump();
    assert_eq!(
        run(&database, &change(&old)).unwrap_err(),
        Failure::invalid_token()
    );
    assert_eq!(database.dump(), before);
    run(&database, &change(&new)).unwrap();
}

/// Every request about token 1, by `token`.
fn every_request(token: &str) -> [(&'static str, TokenChange); 5] {
    let asked = asked_by(token);
    let rename = TokenUpdate {
        name: Some("other".into()),
        ..no_change()
    };
    [
        (
            "create",
            asked.create(tag(2), &secret([2; 32]), &body(&[Permission::StreamRead])),
        ),
        ("update", asked.update(tag(1), &rename)),
        ("roll", asked.roll(tag(1), &secret([2; 32]), tag(9))),
        ("delete", asked.delete(tag(1))),
        ("details", asked.details(tag(1))),
    ]
}

#[test]
fn only_a_token_that_may_manage_tokens_does() {
    let other = AccountId::from_random([0xb; 16]);
    let may_manage = Permissions::from_iter([Permission::TokensWrite]).bits();
    let may_read = Permissions::from_iter([Permission::TokensRead]).bits();
    let neither = Permissions::all().bits() - may_manage - may_read;
    for (what, sees) in [
        (format!("permissions = {may_read}"), true),
        (format!("permissions = {neither}"), false),
        ("disabled = 1".to_owned(), false),
        ("revoked = 1".to_owned(), false),
        ("kind = 'relay'".to_owned(), false),
        (format!("account_id = '{other}'"), false),
        (format!("expires = {}", now().as_micros()), false),
        (format!("not_before = {}", now().as_micros() + 1), false),
    ] {
        let database = Database::new();
        create(&database, 1, &[Permission::StreamRead]);
        database.add_account(other, "other");
        database.execute(&format!(
            "UPDATE tokens SET {what} WHERE id = '{API_TOKEN}'"
        ));
        let before = database.dump();
        for (name, request) in every_request(API_TOKEN) {
            let outcome = run(&database, &request);
            if name == "details" && sees {
                outcome.unwrap();
            } else {
                assert_eq!(
                    outcome.unwrap_err(),
                    Failure::invalid_token(),
                    "{what}: {name}"
                );
            }
        }
        assert_eq!(database.dump(), before, "{what}");
    }
}

#[test]
fn another_accounts_token_and_a_relay_token_do_not_exist() {
    let other = AccountId::from_random([0xb; 16]);
    for (what, token) in [
        (format!("account_id = '{other}'"), tag(1)),
        ("kind = 'relay'".to_owned(), tag(1)),
        ("revoked = 1".to_owned(), tag(1)),
    ] {
        let database = Database::new();
        create(&database, 1, &[Permission::StreamRead]);
        database.add_account(other, "other");
        database.execute(&format!("UPDATE tokens SET {what} WHERE tag = '{token}'"));
        let before = database.dump();
        for (name, request) in every_request(API_TOKEN) {
            if name != "create" {
                let outcome = run(&database, &request);
                assert_eq!(
                    outcome.unwrap_err(),
                    Failure::no_such_token(),
                    "{what}: {name}"
                );
            }
        }
        assert_eq!(database.dump(), before, "{what}");
    }
}

#[test]
fn a_token_does_not_end_its_own_right_to_manage_tokens() {
    let database = Database::new();
    create(
        &database,
        1,
        &[Permission::TokensWrite, Permission::StreamWrite],
    );
    let own = id_of(&database, &secret([1; 32]));
    let later = Timestamp::from_micros(now().as_micros() + 1);
    let ends = [
        TokenUpdate {
            policies: Some(body(&[Permission::TokensRead]).policies),
            ..no_change()
        },
        TokenUpdate {
            disabled: Some(true),
            ..no_change()
        },
        TokenUpdate {
            not_before: Some(Some(later)),
            ..no_change()
        },
    ];
    let before = database.dump();
    for update in &ends {
        let outcome = run(&database, &asked_by(&own).update(tag(1), update));
        assert_eq!(outcome.unwrap_err(), Failure::own_token(), "{update:?}");
    }
    let outcome = run(&database, &asked_by(&own).delete(tag(1)));
    assert_eq!(outcome.unwrap_err(), Failure::own_token());
    assert_eq!(database.dump(), before);

    let keeps = TokenUpdate {
        name: Some("mine".into()),
        policies: Some(body(&[Permission::TokensWrite]).policies),
        disabled: Some(false),
        not_before: Some(Some(now())),
        expires: Some(Some(later)),
    };
    run(&database, &asked_by(&own).update(tag(1), &keeps)).unwrap();
    for update in &ends {
        // Another one may.
        run(&database, &asked().update(tag(1), update)).unwrap();
    }
    run(&database, &asked().delete(tag(1))).unwrap();
}

#[test]
fn a_token_too_many_is_refused() {
    let database = Database::new();
    let fill = u64::from(MAX_TOKENS_PER_ACCOUNT) - 2;
    database.execute(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {fill})
        INSERT INTO tokens (id, tag, hash, account_id, kind, name, created)
        SELECT 'n' || i, 'n' || i, 'n' || i, '{}', 'api', '', 0 FROM n",
        account()
    ));
    create(&database, 1, &[Permission::StreamRead]);
    let before = database.dump();
    let more = asked().create(tag(2), &secret([2; 32]), &body(&[Permission::StreamRead]));
    let refused = run(&database, &more).unwrap_err();
    assert_eq!(refused, Failure::too_many_tokens(MAX_TOKENS_PER_ACCOUNT));
    assert_eq!(database.dump(), before);
    run(&database, &asked().delete(tag(1))).unwrap();
    run(&database, &more).unwrap();
}

#[test]
fn lists_come_in_pages() {
    let database = Database::new();
    for n in 1..=3 {
        create(&database, n, &[Permission::StreamRead]);
        database.execute(&format!(
            "UPDATE tokens SET created = {n} WHERE tag = '{}'",
            tag(n)
        ));
    }
    database.execute(&format!(
        "UPDATE tokens SET expires = {} WHERE tag = '{}'",
        now().as_micros(),
        tag(2)
    ));
    let list = |number, size, expired, newest_first| {
        let page = TokenPage {
            page: Page { number, size },
            expired,
            newest_first,
        };
        let results = database.run(&asked().list(&page)).unwrap();
        let (rows, info) = asked().listed(&page, &results).unwrap().unwrap();
        // The account's first token has no id of the API's form, and is left out.
        let tags: Vec<_> = rows.iter().map(|row| shown(row)["id"].clone()).collect();
        (tags, info)
    };
    // The first token of the account was created at 0.
    database.execute(&format!(
        "UPDATE tokens SET tag = '{}' WHERE id = '{API_TOKEN}'",
        tag(0)
    ));
    let tags = |numbers: &[u8]| {
        let tags = numbers.iter().map(|n| Value::from(tag(*n).to_string()));
        tags.collect::<Vec<_>>()
    };
    let (first, info) = list(1, 2, false, false);
    assert_eq!(first, tags(&[0, 1]));
    assert_eq!((info.count, info.total_count), (2, Some(3)));
    let (second, info) = list(2, 2, false, false);
    assert_eq!((second, info.count), (tags(&[3]), 1));
    let (beyond, info) = list(3, 2, false, false);
    assert_eq!(
        (beyond, info.count, info.total_count),
        (tags(&[]), 0, Some(3))
    );
    let (all, info) = list(1, 20, true, true);
    assert_eq!((all, info.total_count), (tags(&[3, 2, 1, 0]), Some(4)));

    // Of one moment, they are still each other's reverse.
    database.execute("UPDATE tokens SET created = 0");
    let (first, _) = list(1, 20, true, false);
    assert_eq!(first, tags(&[0, 1, 2, 3]));
    let (first, _) = list(1, 20, true, true);
    assert_eq!(first, tags(&[3, 2, 1, 0]));

    database.execute(&format!(
        "UPDATE tokens SET permissions = 0 WHERE id = '{API_TOKEN}'"
    ));
    let page = TokenPage {
        page: Page {
            number: 1,
            size: 20,
        },
        expired: true,
        newest_first: false,
    };
    let results = database.run(&asked().list(&page)).unwrap();
    let refused = asked().listed(&page, &results).unwrap().unwrap_err();
    assert_eq!(refused, Failure::invalid_token());
    assert_eq!(results.rows::<TokenRow>(1).unwrap(), []);
}

#[test]
fn a_token_asks_about_itself_without_any_permission() {
    let database = Database::new();
    create(&database, 1, &[Permission::StreamRead]);
    let own = id_of(&database, &secret([1; 32]));
    let verify = || {
        let results = database.run(&[asked_by(&own).own()]).unwrap();
        let row: Option<TokenRow> = results.first(0).unwrap();
        row.map(|row| serde_json::to_value(row.verified(now())).unwrap())
    };
    assert_eq!(
        verify(),
        Some(serde_json::json!({"id": tag(1), "status": "active"}))
    );
    database.execute(&format!(
        "UPDATE tokens SET permissions = 0 WHERE id = '{own}'"
    ));
    assert!(verify().is_some());
    database.execute(&format!(
        "UPDATE tokens SET disabled = 1 WHERE id = '{own}'"
    ));
    assert_eq!(verify(), None);
}

#[test]
fn an_account_comes_with_a_token_that_may_do_everything() {
    let database = Database::new();
    let new = NewAccount {
        account: AccountId::from_random([0xc; 16]),
        name: "O'Neil".into(),
        tag: tag(7),
        secret: secret([7; 32]),
        now: now(),
    };
    database.run(&new.batch()).unwrap();
    let record = found(&database, &new.secret).unwrap();
    assert_eq!(record.account, Some(new.account));
    assert_eq!(record.permissions, Permissions::all());
    let shown = new.shown();
    assert_eq!(shown["id"], new.account.to_string());
    assert_eq!(shown["token"]["value"], new.secret.expose());
    assert!(!format!("{new:?}").contains(new.secret.expose()));

    // Both or none: the token's row cannot be written.
    let again = NewAccount {
        account: AccountId::from_random([0xd; 16]),
        ..new
    };
    let before = database.dump();
    assert!(database.run(&again.batch()).is_err());
    assert_eq!(database.dump(), before);
}
