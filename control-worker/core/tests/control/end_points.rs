//! `src/route/end_points.json` names every end point and who may take it. The tests in the Workers
//! runtime try each of them with the wrong tokens.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use control_core::route::{Access, Route};
use serde::Deserialize;

const ID: &str = "01ad856eb76821fe32749626a4b39edf";

/// Every method that an end point could have.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

#[derive(Deserialize)]
struct EndPoint(String, String, String);

impl EndPoint {
    /// Its path with ids in it.
    fn path(&self) -> String {
        let segments = self.1.split('/').map(|segment| match segment {
            ":node" => "fra-1",
            name if name.starts_with(':') => ID,
            fixed => fixed,
        });
        segments.collect::<Vec<_>>().join("/")
    }
}

fn routes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/route")
}

fn end_points() -> Vec<EndPoint> {
    let text = fs::read_to_string(routes().join("end_points.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_is_served_to_whom_it_is_for() {
    for end_point in end_points() {
        let EndPoint(method, template, who) = &end_point;
        let route = Route::parse(method, &end_point.path()).unwrap();
        let access = match route.access() {
            Access::Account(account, permission) => {
                assert_eq!(account.to_string(), ID);
                permission.name()
            }
            Access::Anybody => "anybody",
            Access::Holder(_) => "holder",
            Access::Operator => "operator",
            Access::Relay => "relay",
        };
        assert_eq!(access, who, "{method} {template}");
    }
}

#[test]
fn no_method_is_missing() {
    let listed = |path: &str| {
        let listed = end_points().into_iter().filter(|one| one.path() == path);
        listed.map(|one| one.0).collect::<BTreeSet<_>>()
    };
    for end_point in end_points() {
        let path = end_point.path();
        let served = METHODS.map(str::to_owned).into_iter();
        let served = served.filter(|method| Route::parse(method, &path).is_ok());
        assert_eq!(served.collect::<BTreeSet<_>>(), listed(&path), "{path}");
        let failure = Route::parse("TRACE", &path).unwrap_err();
        let allow = failure.headers()[0].1.split(", ").map(str::to_owned);
        assert_eq!(allow.collect::<BTreeSet<_>>(), listed(&path), "{path}");
    }
}

/// A route that somebody adds is a variant of one of the enums here, and leads to a test of who may
/// take it: that is why this looks at the source.
#[test]
fn no_route_is_missing() {
    let listed = end_points();
    let listed = listed.iter().map(|one| Route::parse(&one.0, &one.path()));
    let listed: String = listed
        .map(|route| format!("{:?}\n", route.unwrap()))
        .collect();
    let words: BTreeSet<&str> = listed.split(|c: char| !c.is_alphanumeric()).collect();
    let mut variants = 0;
    for file in fs::read_dir(routes()).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for variant in variants_of_routes(&fs::read_to_string(&file).unwrap()) {
            assert!(
                words.contains(variant.as_str()),
                "{} has the route {variant}: add it to end_points.json",
                file.display()
            );
            variants += 1;
        }
    }
    assert!(variants >= 15, "{variants}");
}

/// The variants of all enums whose names end in `Route`, in a source that is formatted.
fn variants_of_routes(source: &str) -> Vec<String> {
    let mut inside = false;
    let mut variants = Vec::new();
    for line in source.lines() {
        if line.starts_with("pub enum ") {
            inside = line.ends_with("Route {");
        } else if line == "}" {
            inside = false;
        }
        let variant = line.strip_prefix("    ").filter(|_| inside);
        if let Some(variant) = variant.filter(|text| text.starts_with(char::is_uppercase)) {
            let end = variant.find(|c: char| !c.is_alphanumeric()).unwrap();
            variants.push(variant[..end].to_owned());
        }
    }
    variants
}
