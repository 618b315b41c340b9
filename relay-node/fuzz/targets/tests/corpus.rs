//! Every target over its seeds and over what fuzzing has found worth keeping.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

use fuzz_targets::TARGETS;

/// All of the corpus: what `cargo xtask fuzz` keeps of a target is bounded there.
const CORPUS_MAX_BYTES: u64 = 300_000;

fn run(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let files = files(name);
    assert!(!files.is_empty(), "{name} has no seed");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        // The test's output then ends with the one that failed.
        println!("{}", file.display());
        (target.run)(&bytes);
    }
}

fn files(name: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for kind in ["seeds", "corpus", "regressions"] {
        let Ok(entries) = fs::read_dir(folder.join(kind).join(name)) else {
            continue;
        };
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files
}

#[test]
fn every_target_is_run_here_and_given_to_libfuzzer() {
    let (here, manifest) = (include_str!("corpus.rs"), include_str!("../../Cargo.toml"));
    for target in TARGETS {
        assert!(here.contains(&format!("run(\"{}\")", target.name)));
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)));
    }
}

#[test]
fn the_corpus_is_small() {
    let files = TARGETS.iter().flat_map(|target| files(target.name));
    let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= CORPUS_MAX_BYTES, "{bytes} bytes");
}

#[test]
fn handshake() {
    run("handshake");
}

#[test]
fn chunk_reader() {
    run("chunk_reader");
}

#[test]
fn amf0() {
    run("amf0");
}

#[test]
fn server_session() {
    run("server_session");
}

#[test]
fn publish_client() {
    run("publish_client");
}

#[test]
fn flv() {
    run("flv");
}

#[test]
fn broadcast_log() {
    run("broadcast_log");
}

#[test]
fn link() {
    run("link");
}

#[test]
fn names() {
    run("names");
}

#[test]
fn request() {
    run("request");
}
