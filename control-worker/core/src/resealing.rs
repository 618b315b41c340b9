//! Sealing anew, under the newest key of the ring, what older keys have sealed.
//!
//! The database is gone through by pages. Each page reads what is not of the newest key and writes it
//! anew, each row on the condition that it still holds what was read: so it does not matter what
//! changes meanwhile, nor how often or by how many a page is asked for.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::id::{AccountId, DestinationId, OutputUid};
use shared::stream_key::StreamKey;
use shared::time::Timestamp;

use crate::failure::Failure;
use crate::keys::{Keyring, Place, Unsealable};
use crate::request::Query;
use crate::sealed_url;
use crate::sql::{Param, Results, RowError, Statement, whole};

/// Rows of each table in one page: their keys are opened and sealed within some ten milliseconds.
pub const RESEALED_AT_ONCE: usize = 100;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    after: String,
}

impl Page {
    /// Reads the part of a URL behind the `?`: `after`, the `next` of an earlier answer, or nothing
    /// for the first page.
    ///
    /// # Errors
    ///
    /// 400/10005 where it is no id.
    pub fn parse(query: &str) -> Result<Self, Failure> {
        let query = Query::parse(query);
        let after = query.get("after")?.unwrap_or_default();
        // The ids of all tables have one form.
        if !after.is_empty() && after.parse::<AccountId>().is_err() {
            return Err(Failure::query("after", "the `next` of an earlier answer"));
        }
        Ok(Self {
            after: after.to_owned(),
        })
    }

    /// The statements that read the page.
    ///
    /// # Errors
    ///
    /// [`Unsealable`] where the ring has no key.
    pub fn batch(&self, keyring: &Keyring, now: Timestamp) -> Result<Vec<Statement>, Unsealable> {
        let newest = keyring.newest_prefix()?;
        let read = |table: &Table| {
            Statement::new(
                table.read,
                [
                    Param::text(&self.after),
                    Param::text(&newest),
                    Param::from(RESEALED_AT_ONCE as u32),
                ],
            )
        };
        let waiting = [Param::from(now), Param::text(&newest)];
        let waiting = Statement::new(WAITING, waiting);
        Ok(TABLES.iter().map(read).chain([waiting]).collect())
    }
}

/// A page that was read, and sealed anew.
#[derive(Clone, Debug)]
pub struct Resealed {
    statements: Vec<Statement>,
    unreadable: usize,
    waiting: u64,
    next: Option<String>,
}

impl Resealed {
    /// Seals what the statements of [`Page::batch`] have found. Each of `nonces` is
    /// random and was never used before.
    ///
    /// # Errors
    ///
    /// Where the rows are not what was asked for.
    pub fn of(
        results: &impl Results,
        keyring: &Keyring,
        mut nonces: impl Iterator<Item = [u8; 12]>,
    ) -> Result<Self, RowError> {
        let mut found = Vec::new();
        for index in 0..TABLES.len() {
            found.push(results.rows::<SealedRow>(index)?);
        }
        // Ids are random: one that all tables have reached serves for all of them.
        let full = found.iter().filter(|rows| rows.len() >= RESEALED_AT_ONCE);
        let next = full.filter_map(|rows| Some(rows.last()?.uid.clone())).min();
        let (mut statements, mut unreadable) = (Vec::new(), 0);
        for (table, rows) in TABLES.iter().zip(found) {
            let mut anew = Vec::new();
            for row in rows {
                if next.as_ref().is_some_and(|next| row.uid > *next) {
                    continue;
                }
                match (table.seal)(&row, keyring, &mut nonces) {
                    Ok([first, second]) => anew.push(json!({
                        "uid": row.uid,
                        "was": [row.first, row.second],
                        "is": [first, second],
                    })),
                    Err(Unsealable) => unreadable += 1,
                }
            }
            let anew = Param::text(Value::Array(anew));
            statements.push(Statement::new(table.write, [anew]));
        }
        let statement = TABLES.len();
        let waiting: Option<WaitingRow> = results.first(statement)?;
        let waiting = waiting.ok_or(RowError { statement })?;
        Ok(Self {
            statements,
            unreadable,
            waiting: u64::try_from(waiting.waiting).unwrap_or_default(),
            next,
        })
    }

    /// The statements that write the page.
    pub fn batch(&self) -> &[Statement] {
        &self.statements
    }

    /// The answer, `results` being those of [`batch`](Self::batch). A row that was changed meanwhile
    /// is not counted: whoever changed it sealed it.
    ///
    /// # Errors
    ///
    /// Where the rows are not what was asked for.
    pub fn shown(&self, results: &impl Results) -> Result<Value, RowError> {
        let mut resealed = 0;
        for index in 0..self.statements.len() {
            resealed += results.rows::<WrittenRow>(index)?.len();
        }
        Ok(json!({
            "resealed": resealed,
            "unreadable": self.unreadable,
            "waiting": self.waiting,
            "next": self.next,
        }))
    }
}

/// What is sealed in a row: one text, or two.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct SealedRow {
    uid: String,
    account_id: AccountId,
    first: String,
    second: Option<String>,
}

#[derive(Deserialize)]
struct WaitingRow {
    #[serde(deserialize_with = "whole")]
    waiting: i64,
}

#[derive(Deserialize)]
struct WrittenRow {}

type Sealed = [Option<String>; 2];

type Nonces<'n> = dyn Iterator<Item = [u8; 12]> + 'n;

/// A table that holds sealed texts. `read` takes `?1` the id after which to begin, `?2` what texts of
/// the newest key begin with, `?3` how many; `write` takes `?1` JSON of ids, old texts and new ones.
struct Table {
    read: &'static str,
    write: &'static str,
    seal: fn(&SealedRow, &Keyring, &mut Nonces<'_>) -> Result<Sealed, Unsealable>,
}

const TABLES: [Table; 4] = [
    Table {
        read: "SELECT uid, account_id, key_sealed AS first, key_hash AS second FROM live_inputs
            WHERE uid > ?1 AND (substr(key_sealed, 1, length(?2)) <> ?2
                OR substr(key_hash, 1, length(?2)) <> ?2)
            ORDER BY uid LIMIT ?3",
        write: "UPDATE live_inputs SET key_sealed = anew.value ->> '$.is[0]',
                key_hash = anew.value ->> '$.is[1]'
            FROM json_each(?1) AS anew WHERE uid = anew.value ->> '$.uid'
                AND key_sealed = anew.value ->> '$.was[0]' AND key_hash = anew.value ->> '$.was[1]'
            RETURNING uid",
        seal: |row, keyring, nonces| {
            let input = row.uid.parse().map_err(|_| Unsealable)?;
            let place = Place::input_key(row.account_id, input);
            let key = keyring.open(&place, &row.first)?;
            let parsed: StreamKey = key.expose().parse().map_err(|_| Unsealable)?;
            let nonce = nonces.next().ok_or(Unsealable)?;
            Ok([
                Some(keyring.seal(&place, nonce, &key)?),
                Some(keyring.hash(&parsed)?),
            ])
        },
    },
    Table {
        // What a URL says of its user stands between `//` and the first `@`, if that comes before
        // the path.
        read: "SELECT uid, account_id, first, second FROM (
                SELECT outputs.uid, account_id, outputs.key_sealed AS first, url AS second,
                    substr(url, instr(url, '://') + 3) AS rest
                FROM outputs JOIN live_inputs ON live_inputs.uid = outputs.input_uid
            )
            WHERE uid > ?1 AND (substr(first, 1, length(?2)) <> ?2
                OR instr(rest, '@') BETWEEN 1 AND instr(rest || '/', '/')
                    AND substr(rest, 1, length(?2)) <> ?2)
            ORDER BY uid LIMIT ?3",
        write: "UPDATE outputs SET key_sealed = anew.value ->> '$.is[0]',
                url = anew.value ->> '$.is[1]'
            FROM json_each(?1) AS anew WHERE uid = anew.value ->> '$.uid'
                AND key_sealed = anew.value ->> '$.was[0]' AND url = anew.value ->> '$.was[1]'
            RETURNING uid",
        seal: |row, keyring, nonces| {
            let output: OutputUid = row.uid.parse().map_err(|_| Unsealable)?;
            let place = Place::output_key(row.account_id, output);
            let url_place = Place::output_url(row.account_id, output);
            let url = row.second.as_ref().ok_or(Unsealable)?;
            Ok([
                Some(anew(keyring, &place, nonces, &row.first)?),
                Some(sealed_url::anew(
                    url,
                    &url_place,
                    nonces.next().ok_or(Unsealable)?,
                    keyring,
                )?),
            ])
        },
    },
    Table {
        read: "SELECT account_id AS uid, account_id, secret_sealed AS first, NULL AS second
            FROM stream_webhooks
            WHERE account_id > ?1 AND substr(secret_sealed, 1, length(?2)) <> ?2
            ORDER BY account_id LIMIT ?3",
        write: "UPDATE stream_webhooks SET secret_sealed = anew.value ->> '$.is[0]'
            FROM json_each(?1) AS anew WHERE account_id = anew.value ->> '$.uid'
                AND secret_sealed = anew.value ->> '$.was[0]'
            RETURNING account_id AS uid",
        seal: |row, keyring, nonces| {
            let place = Place::webhook_secret(row.account_id);
            Ok([Some(anew(keyring, &place, nonces, &row.first)?), None])
        },
    },
    Table {
        read: "SELECT id AS uid, account_id, signing_sealed AS first, secret_sealed AS second
            FROM webhook_destinations
            WHERE id > ?1 AND (substr(signing_sealed, 1, length(?2)) <> ?2
                OR substr(secret_sealed, 1, length(?2)) <> ?2)
            ORDER BY id LIMIT ?3",
        write: "UPDATE webhook_destinations SET signing_sealed = anew.value ->> '$.is[0]',
                secret_sealed = anew.value ->> '$.is[1]'
            FROM json_each(?1) AS anew WHERE webhook_destinations.id = anew.value ->> '$.uid'
                AND signing_sealed = anew.value ->> '$.was[0]'
                AND secret_sealed IS anew.value ->> '$.was[1]'
            RETURNING webhook_destinations.id AS uid",
        seal: |row, keyring, nonces| {
            let destination: DestinationId = row.uid.parse().map_err(|_| Unsealable)?;
            let signing = Place::destination_signing(row.account_id, destination);
            let place = Place::destination_secret(row.account_id, destination);
            let signing = anew(keyring, &signing, nonces, &row.first)?;
            let secret = row.second.as_ref();
            let secret = secret.map(|sealed| anew(keyring, &place, nonces, sealed));
            Ok([Some(signing), secret.transpose()?])
        },
    },
];

/// Hashes of which nobody has the text any more. Each is good for a day at most. `?1` now, `?2` what
/// hashes of the newest key begin with.
const WAITING: &str = "SELECT
    (SELECT count(*) FROM live_inputs
        WHERE old_key_until > ?1 AND substr(old_key_hash, 1, length(?2)) <> ?2)
    + (SELECT count(*) FROM idempotency_keys
        WHERE expires > ?1 AND substr(request, 1, length(?2)) <> ?2) AS waiting";

fn anew(
    keyring: &Keyring,
    place: &Place,
    nonces: &mut Nonces<'_>,
    sealed: &str,
) -> Result<String, Unsealable> {
    let nonce = nonces.next().ok_or(Unsealable)?;
    keyring.seal(place, nonce, &keyring.open(place, sealed)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_begins_after_an_id_or_with_the_first() {
        let id = "01ad856eb76821fe32749626a4b39edf";
        for (query, after) in [("", ""), ("after=", ""), (&*format!("after={id}"), id)] {
            assert_eq!(Page::parse(query).unwrap().after, after);
        }
        for query in ["after=x", "after=x&after=x", "after=%27"] {
            assert!(Page::parse(query).is_err(), "{query}");
        }
    }
}
