//! Every key and token that a test knows, and the search for them where they must not be.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, bail};

/// All secrets of one copy of the product.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    secrets: Vec<(String, String)>,
    unlogged: Vec<(String, String)>,
    answers: Vec<(String, String)>,
}

impl Secrets {
    /// Remembers a secret, and under which name to report it.
    pub fn add(&self, name: &str, text: &str) {
        self.with(|known| {
            let secret = (name.to_owned(), text.to_owned());
            if !text.is_empty() && !known.secrets.contains(&secret) {
                known.secrets.push(secret);
            }
        });
    }

    /// Remembers a text that may be stored, but neither logged nor answered: part of a URL.
    pub fn add_unlogged(&self, name: &str, text: &str) {
        self.with(|known| known.unlogged.push((name.to_owned(), text.to_owned())));
    }

    /// Remembers a stream key: also its secret half alone must not be found.
    pub fn add_stream_key(&self, key: &str) {
        self.add("a stream key", key);
        if let Some((half, _)) = key.split_once('k') {
            self.add("the secret half of a stream key", half);
        }
    }

    /// Remembers an answer in which no secret may be.
    pub fn add_answer(&self, from: &str, text: &str) {
        self.with(|known| known.answers.push((from.to_owned(), text.to_owned())));
    }

    /// Searches a text that somebody reads: a log, an answer, a page.
    pub fn search(&self, place: &str, text: &str) -> Result<()> {
        self.with(|known| {
            search(place, text, &known.unlogged)?;
            search(place, text, &known.secrets)
        })
    }

    /// Searches all files below a folder of logs.
    pub fn search_logs(&self, folder: &Path) -> Result<()> {
        files(folder, &mut |place, text| self.search(place, text))
    }

    /// Searches all files below a folder of state.
    pub fn search_state(&self, folder: &Path) -> Result<()> {
        files(folder, &mut |place, text| {
            self.with(|known| search(place, text, &known.secrets))
        })
    }

    /// Searches all remembered answers.
    pub fn search_answers(&self) -> Result<()> {
        let answers = self.with(|known| known.answers.clone());
        for (from, text) in answers {
            self.search(&from, &text)?;
        }
        Ok(())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn search(place: &str, text: &str, secrets: &[(String, String)]) -> Result<()> {
    for (name, secret) in secrets {
        if let Some(at) = text.find(secret.as_str()) {
            let before = text.get(..at).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            bail!("{place}, line {line}: {name} in clear");
        }
    }
    Ok(())
}

fn files(folder: &Path, search: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, search)?;
        } else if path.is_file() {
            // A database may replace its files while they are listed.
            let Ok(bytes) = fs::read(&path) else { continue };
            search(
                &path.display().to_string(),
                &String::from_utf8_lossy(&bytes),
            )?;
        }
    }
    Ok(())
}

/// A key for an output that is like no other.
pub fn output_key() -> Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(format!("key-{}", id.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeffk66be4bf738797e01e1fca35a7bdecdcd";

    fn secrets() -> Secrets {
        let secrets = Secrets::default();
        secrets.add_stream_key(KEY);
        secrets
    }

    #[test]
    fn a_planted_key_is_found_whole_and_halved() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("deep");
        fs::create_dir(&file).unwrap();
        let file = file.join("a.log");
        for (text, found) in [
            (format!("first\nkey={KEY}\n"), true),
            (format!("first\nkey={}\n", &KEY[..32]), true),
            (format!("input {}\n", &KEY[33..]), false),
            (format!("\u{0}binary\u{ff}{KEY}"), true),
        ] {
            fs::write(&file, &text).unwrap();
            assert_eq!(
                secrets().search_state(folder.path()).is_err(),
                found,
                "{text}"
            );
            assert_eq!(
                secrets().search_logs(folder.path()).is_err(),
                found,
                "{text}"
            );
        }
    }

    #[test]
    fn a_find_names_the_place_and_not_the_secret() {
        let error = secrets()
            .search("a.log", &format!("\n\n{KEY}"))
            .unwrap_err();
        assert_eq!(error.to_string(), "a.log, line 3: a stream key in clear");
    }

    #[test]
    fn what_may_be_stored_may_not_be_logged() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "?token=hunter2").unwrap();
        let secrets = Secrets::default();
        secrets.add_unlogged("a query", "hunter2");
        assert!(secrets.search_state(folder.path()).is_ok());
        assert!(secrets.search_logs(folder.path()).is_err());
    }

    #[test]
    fn answers_are_searched() {
        let secrets = secrets();
        secrets.add_answer("GET /", "{}");
        assert!(secrets.search_answers().is_ok());
        secrets.add_answer("GET /", KEY);
        assert!(secrets.search_answers().is_err());
    }
}
