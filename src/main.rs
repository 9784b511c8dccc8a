//! The command line: see [`slowsde::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    slowsde::cli::main(std::env::args_os())
}
