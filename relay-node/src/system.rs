//! The name by which the nodes of one system know each other's outputs.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use shared::hex;
use shared::id::Instance;

use crate::config::Source;

/// Bytes of the name: no two systems have the same.
const NAME_BYTES: usize = 16;

/// The name of the system that a node belongs to. Destinations are told it: it says which nodes have
/// one control plane, and not which one. A node without a control plane is a system of its own.
pub(crate) fn name(source: &Source, instance: Instance) -> Arc<str> {
    match source {
        Source::File(_) => instance.to_string().into(),
        Source::ControlPlane { url, .. } => {
            let base = url.as_str().trim_end_matches('/');
            let digest = Sha256::digest(format!("stream connect: the system of {base}"));
            let (name, _) = digest.split_at(NAME_BYTES);
            hex::text(name).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str, instance: u8) -> Arc<str> {
        let source = Source::ControlPlane {
            url: url.parse().unwrap(),
            token_file: None,
            keys_honoured_for: std::time::Duration::ZERO,
        };
        name(&source, Instance::from_random([instance; 16]))
    }

    #[test]
    fn nodes_of_one_control_plane_have_one_name() {
        let one = of("https://control.example.com", 1);
        assert_eq!(one.len(), 2 * NAME_BYTES);
        assert!(!one.contains("control"));
        assert_eq!(one, of("https://control.example.com/", 2));
        assert_ne!(one, of("https://other.example.com", 1));
    }

    #[test]
    fn a_node_without_a_control_plane_is_alone() {
        let alone = |n| {
            name(
                &Source::File("inputs.toml".into()),
                Instance::from_random([n; 16]),
            )
        };
        assert_eq!(alone(1), alone(1));
        assert_ne!(alone(1), alone(2));
    }
}
