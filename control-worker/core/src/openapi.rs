//! The API's description, OpenAPI 3.1: the parts in `docs/openapi`, put together.

use serde_json::{Map, Value};

use crate::failure::Failure;

/// One part for what all share, then one a resource.
const PARTS: [&str; 7] = [
    include_str!("../../../docs/openapi/base.json"),
    include_str!("../../../docs/openapi/live_inputs.json"),
    include_str!("../../../docs/openapi/notifications.json"),
    include_str!("../../../docs/openapi/outputs.json"),
    include_str!("../../../docs/openapi/public.json"),
    include_str!("../../../docs/openapi/tokens.json"),
    include_str!("../../../docs/openapi/status.json"),
];

/// The whole description.
///
/// # Errors
///
/// 500 where a part is no JSON object, which a test rules out.
pub fn document() -> Result<Map<String, Value>, Failure> {
    let mut whole = Map::new();
    for part in PARTS {
        merge(
            &mut whole,
            serde_json::from_str(part).map_err(|_| Failure::internal())?,
        );
    }
    Ok(whole)
}

fn merge(whole: &mut Map<String, Value>, part: Map<String, Value>) {
    for (name, value) in part {
        match (whole.get_mut(&name), value) {
            (Some(Value::Object(whole)), Value::Object(part)) => merge(whole, part),
            (_, value) => {
                whole.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_twice() {
        let mut seen = Map::new();
        for part in PARTS {
            let part: Map<String, Value> = serde_json::from_str(part).unwrap();
            for group in ["/paths", "/components/schemas", "/components/responses"] {
                let part = Value::Object(part.clone());
                let members = part.pointer(group).and_then(Value::as_object);
                for name in members.into_iter().flat_map(Map::keys) {
                    let before = seen.insert(format!("{group}/{name}"), Value::Null);
                    assert_eq!(before, None, "{group}/{name}");
                }
            }
        }
    }
}
