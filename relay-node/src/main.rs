//! The relay node.

use std::process::ExitCode;

fn main() -> ExitCode {
    relay_node::panics::install();
    relay_node::cli::main()
}
