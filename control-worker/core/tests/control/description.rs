//! The description of the API holds against the routes, and hangs together.

use std::collections::BTreeSet;

use control_core::openapi::document;
use serde_json::Value;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

struct Operation {
    method: &'static str,
    path: String,
    described: Value,
}

fn operations() -> Vec<Operation> {
    let document = document().unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(described) = item.get(method) {
                operations.push(Operation {
                    method,
                    path: path.clone(),
                    described: described.clone(),
                });
            }
        }
    }
    operations
}

impl Operation {
    fn label(&self) -> String {
        format!("{} {}", self.method.to_uppercase(), self.path)
    }

    /// Who may take it, as `end_points.json` says it.
    fn who(&self) -> String {
        match self.described["security"].as_array().unwrap().as_slice() {
            [] => "anybody".to_owned(),
            [requirement] => requirement["token"][0].as_str().unwrap().to_owned(),
            _ => panic!("{}: more than one way to sign in", self.label()),
        }
    }

    fn statuses(&self) -> BTreeSet<&str> {
        let responses = self.described["responses"].as_object().unwrap();
        responses.keys().map(String::as_str).collect()
    }
}

/// `end_points.json` is held against the routes. What only relay nodes ask is no part of the API.
#[test]
fn what_is_served_is_described_and_nothing_else() {
    let served: Vec<[String; 3]> =
        serde_json::from_str(include_str!("../../src/route/end_points.json")).unwrap();
    let served: BTreeSet<_> = served
        .into_iter()
        .filter(|[_, _, who]| who != "relay")
        .map(|[method, path, who]| (format!("{method} {}", without_names(&path)), who))
        .collect();
    let described: BTreeSet<_> = operations()
        .iter()
        .map(|operation| (without_names(&operation.label()), operation.who()))
        .collect();
    assert_eq!(served, described);
}

fn without_names(path: &str) -> String {
    let segments = path.split('/').map(|segment| match segment.chars().next() {
        Some(':' | '{') => "*",
        _ => segment,
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn every_operation_names_the_failures_that_any_has() {
    for operation in operations() {
        let (label, statuses) = (operation.label(), operation.statuses());
        let public = operation.who() == "anybody";
        for status in ["400", "403", "429", "500", "503"] {
            assert!(public || statuses.contains(status), "{label} {status}");
        }
        let names_something = operation.path.contains('{');
        assert!(
            public || names_something == statuses.contains("404"),
            "{label} 404"
        );
        let has_body = operation.described.get("requestBody").is_some();
        assert_eq!(has_body, statuses.contains("413"), "{label} 413");
    }
}

#[test]
fn references_lead_somewhere_and_nothing_is_left_over() {
    let document = Value::Object(document().unwrap());
    let mut used = BTreeSet::new();
    visit(&document, &mut |value| {
        if let Some(Value::String(reference)) = value.get("$ref") {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
            used.insert(pointer.to_owned());
        }
    });
    for kind in ["schemas", "parameters", "responses", "headers"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(used.contains(&pointer), "{pointer} is not used");
        }
    }
}

/// What is ours says so twice: to programs, and to whoever reads it.
#[test]
fn extensions_are_marked_for_programs_and_for_people() {
    let document = Value::Object(document().unwrap());
    let mut marked = 0;
    visit(&document["paths"], &mut |value| {
        marked += usize::from(assert_marks_agree(value));
    });
    visit(&document["components"], &mut |value| {
        marked += usize::from(assert_marks_agree(value));
    });
    assert!(marked > 0);
}

fn assert_marks_agree(value: &Value) -> bool {
    let marked = value.get("x-stream-connect-extension") == Some(&Value::Bool(true));
    let said = ["summary", "description"].iter().any(|field| {
        let text = value.get(*field).and_then(Value::as_str);
        text.is_some_and(|text| text.contains('⁺'))
    });
    assert_eq!(marked, said, "{value}");
    marked
}

fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| visit(item, see)),
        Value::Object(members) => members.values().for_each(|member| visit(member, see)),
        _ => {}
    }
}

/// docs/api.md has a table of errors, and each answer of the description names its codes.
#[test]
fn both_descriptions_know_the_same_errors() {
    let page = include_str!("../../../../docs/api.md");
    let (_, table) = page.split_once("\n## Errors\n").unwrap();
    let mut on_page = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        // Any method but those described gets it: it belongs to no operation.
        if let (Ok(status), Ok(code)) = (cells[1].parse(), cells[2].parse())
            && status != 405
        {
            on_page.insert((status, code));
        }
    }
    let document = Value::Object(document().unwrap());
    let mut described = BTreeSet::new();
    for operation in operations() {
        for (status, answer) in operation.described["responses"].as_object().unwrap() {
            let reference = answer.get("$ref").and_then(Value::as_str);
            let answer = reference.map_or(answer, |reference| {
                document.pointer(reference.trim_start_matches('#')).unwrap()
            });
            let status: u16 = status.parse().unwrap();
            if status >= 400 {
                let text = answer["description"].as_str().unwrap();
                let codes = text.split(|c: char| !c.is_ascii_digit());
                let codes = codes.filter_map(|code| code.parse::<u16>().ok());
                described.extend(
                    codes
                        .filter(|code| *code >= 1000)
                        .map(|code| (status, code)),
                );
            }
        }
    }
    assert_eq!(on_page, described);
}
