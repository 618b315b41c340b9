//! The relay node.

use std::process::ExitCode;

fn main() -> ExitCode {
    relay_node::cli::main()
}
