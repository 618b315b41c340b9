//! Accounts and tokens in the control plane's tables. D1 keeps only the hash of a token.

use anyhow::Result;

use crate::secrets::{Secret, Seed};
use crate::time::now_micros;

/// What the column `tokens.permissions` holds for a token that may do everything.
const ALL_PERMISSIONS: u32 = 63;

/// Arguments of `cargo xtask account`.
#[derive(clap::Args)]
pub(crate) struct AccountArguments {
    /// What to call the account and its token.
    #[arg(long)]
    name: String,
}

/// Arguments of `cargo xtask relay-token`.
#[derive(clap::Args)]
pub(crate) struct RelayTokenArguments {
    /// What to call the token: the node that will use it.
    #[arg(long)]
    name: String,
}

/// Prints a new account, its token, and the statement that makes the control plane know them.
pub(crate) fn account(arguments: &AccountArguments) -> Result<()> {
    let seed = Seed::random()?;
    let account = seed.account();
    let token = seed.api_token();
    let rows = [
        insert_account(&account, &arguments.name),
        insert_token(
            &seed.id("api token"),
            &token,
            Some(&account),
            &arguments.name,
        ),
    ];
    println!("account  {account}");
    print_token(&token, &rows.join(" "));
    Ok(())
}

/// Prints a new relay-node token, and the statement that makes the control plane know it.
pub(crate) fn relay_token(arguments: &RelayTokenArguments) -> Result<()> {
    let seed = Seed::random()?;
    let token = seed.relay_token();
    let row = insert_token(&seed.id("relay token"), &token, None, &arguments.name);
    print_token(&token, &row);
    Ok(())
}

/// The rows that `dev` starts with; harmless when they are there.
pub(crate) fn insert_first_rows(seed: &Seed) -> String {
    let account = seed.account();
    [
        insert_account(&account, "dev"),
        insert_token(
            &seed.id("api token"),
            &seed.api_token(),
            Some(&account),
            "dev",
        ),
        insert_token(&seed.id("relay token"), &seed.relay_token(), None, "dev"),
    ]
    .join(" ")
}

fn print_token(token: &Secret, rows: &str) {
    println!("token    {}", token.expose());
    println!();
    println!("The token is shown this once: only its hash is stored. To make it valid:");
    println!();
    println!(
        "cargo xtask wrangler d1 execute DB --remote --command {}",
        shell_quoted(rows)
    );
}

fn insert_account(id: &str, name: &str) -> String {
    format!(
        "INSERT OR IGNORE INTO accounts (id, name, created) VALUES ('{id}', {}, {});",
        sql_quoted(name),
        now_micros()
    )
}

/// A token without an account is a relay node's.
fn insert_token(id: &str, token: &Secret, account: Option<&str>, name: &str) -> String {
    let (kind, permissions) = match account {
        Some(_) => ("api", ALL_PERMISSIONS),
        None => ("relay", 0),
    };
    let account = account.map_or_else(|| "NULL".to_owned(), sql_quoted);
    format!(
        "INSERT OR IGNORE INTO tokens \
         (id, tag, hash, account_id, kind, name, created, modified, permissions) \
         VALUES ('{id}', '{id}', '{}', {account}, '{kind}', {}, {now}, {now}, {permissions});",
        token.hash(),
        sql_quoted(name),
        now = now_micros()
    )
}

fn sql_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// In double quotes, since SQL is full of single ones.
fn shell_quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '$' | '`') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_hashes_and_no_token() {
        let seed = Seed::random().unwrap();
        let rows = insert_first_rows(&seed);
        for token in [seed.api_token(), seed.relay_token()] {
            assert!(rows.contains(&token.hash()));
            assert!(!rows.contains(token.expose()));
        }
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(sql_quoted("O'Neil"), "'O''Neil'");
        assert_eq!(shell_quoted("a'$b"), r#""a'\$b""#);
    }
}
