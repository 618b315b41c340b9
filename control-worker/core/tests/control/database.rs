//! A database with the migrations applied, one account, and a token of each kind.

use std::fs;
use std::path::Path;

use control_core::auth::TokenId;
use control_core::change::{Change, ChangeRequest, Limits, Outcome};
use control_core::keys::{Keyring, Place};
use control_core::permission::Permissions;
use control_core::request::SettingsUpdate;
use control_core::sql::{Param, Results, RowError, Statement};
use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, params_from_iter};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use shared::id::{AccountId, InputUid, OutputUid};
use shared::link::InputSettings;
use shared::secret::Secret;
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

pub(crate) const API_TOKEN: &str = "api";
pub(crate) const RELAY_TOKEN: &str = "relay";

pub(crate) struct Database {
    connection: Connection,
}

impl Database {
    pub(crate) fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("PRAGMA foreign_keys = ON")
            .unwrap();
        for migration in migrations() {
            connection.execute_batch(&migration).unwrap();
        }
        let database = Self { connection };
        database.add_account(account(), API_TOKEN);
        database.execute(&format!(
            "INSERT INTO tokens (id, tag, hash, kind, name, created)
            VALUES ('{RELAY_TOKEN}', '{RELAY_TOKEN}', 'hash of relay', 'relay', '', 0)"
        ));
        database
    }

    pub(crate) fn add_account(&self, account: AccountId, token: &str) {
        self.execute(&format!(
            "INSERT INTO accounts VALUES ('{account}', '', 0);
            INSERT INTO tokens (id, tag, hash, account_id, kind, name, created, permissions)
            VALUES ('{token}', '{token}', 'hash of {token}', '{account}', 'api', '', 0, {all})",
            all = Permissions::all().bits(),
        ));
    }

    pub(crate) fn revoke(&self, token: &str) {
        self.execute(&format!(
            "UPDATE tokens SET revoked = 1 WHERE id = '{token}'"
        ));
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap();
    }

    /// A single number.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    /// Gives input `n` a name and a time of creation.
    pub(crate) fn add_input(&self, n: u8, meta: &str, micros: i64) {
        let mut request = create_input(n);
        request.now = Timestamp::from_micros(micros);
        if let Change::CreateInput { meta: given, .. } = &mut request.change {
            *given = meta.into();
        }
        let outcome = self.change(1, &request);
        assert!(matches!(outcome, Outcome::Changed(_)), "{outcome:?}");
    }

    /// A single text, if there is one.
    pub(crate) fn text(&self, sql: &str) -> Option<String> {
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    /// All that anybody can see of all tables, to tell whether anything changed.
    pub(crate) fn dump(&self) -> String {
        let tables = [
            "accounts",
            "tokens",
            "live_inputs",
            "outputs",
            "idempotency_keys",
        ];
        let statements = tables.map(|table| match table {
            "accounts" => "SELECT * FROM accounts",
            "tokens" => "SELECT * FROM tokens",
            "live_inputs" => {
                "SELECT uid, account_id, meta, enabled, key_hash, key_sealed, key_number,
                    keys_rotated, old_key_hash, old_key_until, created, modified
                FROM live_inputs"
            }
            "outputs" => "SELECT * FROM outputs",
            _ => "SELECT * FROM idempotency_keys",
        });
        let rows = statements.map(|sql| {
            self.run(&[Statement {
                sql,
                params: Vec::new(),
            }])
            .unwrap()
            .0
        });
        format!("{rows:?}")
    }

    pub(crate) fn run(&self, batch: &[Statement]) -> rusqlite::Result<Rows> {
        run(&self.connection, batch)
    }

    /// Makes a change under `rev`.
    pub(crate) fn change(&self, rev: u64, request: &ChangeRequest) -> Outcome {
        let results = self.run(&request.batch(rev)).unwrap();
        request.outcome(rev, &results).unwrap()
    }
}

/// The text of every migration, in order.
fn migrations() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
    let files = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect()
}

/// Runs a batch as D1 does: one transaction, numbers bound and answered as doubles.
pub(crate) fn run(connection: &Connection, batch: &[Statement]) -> rusqlite::Result<Rows> {
    let transaction = connection.unchecked_transaction()?;
    let mut answers = Vec::new();
    for Statement { sql, params } in batch {
        let mut statement = transaction.prepare(sql)?;
        assert_eq!(statement.parameter_count(), params.len(), "{sql}");
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let values = params_from_iter(params.iter().map(|param| match param {
            Param::Integer(number) => Sql::Real(*number as f64),
            Param::Null => Sql::Null,
            Param::Text(text) => Sql::Text(text.clone()),
        }));
        let rows = statement.query_map(values, |row| {
            let mut object = Map::new();
            for (index, name) in names.iter().enumerate() {
                let value = match row.get_ref(index)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::from(number as f64),
                    ValueRef::Real(number) => Value::from(number),
                    ValueRef::Text(text) => std::str::from_utf8(text).unwrap().into(),
                    ValueRef::Blob(_) => panic!("no column holds bytes"),
                };
                object.insert(name.clone(), value);
            }
            Ok(Value::Object(object))
        })?;
        answers.push(rows.collect::<rusqlite::Result<_>>()?);
    }
    transaction.commit()?;
    Ok(Rows(answers))
}

#[derive(Clone, Debug)]
pub(crate) struct Rows(pub(crate) Vec<Vec<Value>>);

impl Results for Rows {
    fn rows<T: DeserializeOwned>(&self, index: usize) -> Result<Vec<T>, RowError> {
        let wrong = RowError { statement: index };
        let rows = self.0.get(index).ok_or(wrong)?;
        rows.iter()
            .map(|row| serde_json::from_value(row.clone()).map_err(|_| wrong))
            .collect()
    }
}

/// When every change of these tests is made, unless one says otherwise.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(1_764_551_330_722_170)
}

pub(crate) fn account() -> AccountId {
    AccountId::from_random([0xa; 16])
}

pub(crate) fn input(n: u8) -> InputUid {
    InputUid::from_random([n; 16])
}

pub(crate) fn output(n: u8) -> OutputUid {
    OutputUid::from_random([n; 16])
}

pub(crate) fn keyring() -> Keyring {
    Keyring::parse(&format!("1:{}", "0a".repeat(32))).unwrap()
}

pub(crate) fn stream_key(n: u8) -> StreamKey {
    StreamKey::from_random(input(n), [n; 16])
}

pub(crate) fn request(n: u8, change: Change) -> ChangeRequest {
    ChangeRequest {
        token: TokenId(API_TOKEN.into()),
        account: account(),
        input: input(n),
        now: now(),
        limits: Limits::default(),
        change,
        once: None,
    }
}

pub(crate) fn create_input(n: u8) -> ChangeRequest {
    let key = stream_key(n);
    let sealed = keyring()
        .seal(
            &Place::input_key(account(), input(n)),
            [n; 12],
            &key.expose(),
        )
        .unwrap();
    request(
        n,
        Change::CreateInput {
            meta: r#"{"name":"test stream 1"}"#.into(),
            enabled: true,
            key_hash: keyring().hash(&key).unwrap(),
            key_sealed: sealed,
            settings: InputSettings::default(),
        },
    )
}

pub(crate) fn create_output(n: u8, uid: u8) -> ChangeRequest {
    let sealed = keyring()
        .seal(
            &Place::output_key(account(), output(uid)),
            [uid; 12],
            &Secret::new(format!("secret {uid}")),
        )
        .unwrap();
    request(
        n,
        Change::CreateOutput {
            uid: output(uid),
            url: "rtmp://a.rtmp.youtube.com/live2".into(),
            key_sealed: sealed,
            enabled: true,
            meta: "{}".into(),
        },
    )
}

pub(crate) fn delete_input(n: u8) -> ChangeRequest {
    request(n, Change::DeleteInput)
}

pub(crate) fn delete_output(n: u8, uid: u8) -> ChangeRequest {
    request(n, Change::DeleteOutput { uid: output(uid) })
}

pub(crate) fn enable_input(n: u8, enabled: bool) -> ChangeRequest {
    request(
        n,
        Change::UpdateInput {
            meta: None,
            enabled: Some(enabled),
            settings: SettingsUpdate::default(),
        },
    )
}

pub(crate) fn retry_output(n: u8, uid: u8) -> ChangeRequest {
    request(n, Change::RetryOutput { uid: output(uid) })
}

pub(crate) fn enable_output(n: u8, uid: u8, enabled: bool) -> ChangeRequest {
    request(
        n,
        Change::UpdateOutput {
            uid: output(uid),
            url: None,
            key_sealed: None,
            enabled: Some(enabled),
            meta: None,
        },
    )
}

/// A new key for input `n`, made of `secret`; the old one is honoured until then.
pub(crate) fn rotate_keys(n: u8, secret: u8, old_until: Option<Timestamp>) -> ChangeRequest {
    let key = StreamKey::from_random(input(n), [secret; 16]);
    let place = Place::input_key(account(), input(n));
    request(
        n,
        Change::RotateKeys {
            key_hash: keyring().hash(&key).unwrap(),
            key_sealed: keyring().seal(&place, [secret; 12], &key.expose()).unwrap(),
            old_until,
        },
    )
}
