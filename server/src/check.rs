//! `anabranch check`: every problem of a configuration at once.

use std::io::IsTerminal;
use std::process::ExitCode;

use crate::cli::CheckArgs;
use crate::config;

/// Exit status 0 if the configuration is good, 1 if it has problems, 2 if it cannot be read.
pub fn run(args: &CheckArgs) -> ExitCode {
    let text = match config::read(&args.config) {
        Ok(text) => text,
        Err(error) => {
            eprint!("{error}");
            return ExitCode::from(2);
        }
    };
    let checked = config::check(&text, &args.config.display().to_string());
    let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    eprint!("{}", checked.render(color));
    let count = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    match &checked.config {
        Some(config) => {
            let endpoints = count(config.endpoints.len(), "endpoint", "endpoints");
            let routes = count(config.routes.len(), "route", "routes");
            let warnings = checked.diagnostics.len();
            let warnings =
                if warnings == 0 { String::new() } else { format!(", {}", count(warnings, "warning", "warnings")) };
            println!("OK: {endpoints} (the built-in hub counted), {routes}{warnings}");
            ExitCode::SUCCESS
        }
        None => {
            println!("{} in {}", count(checked.errors(), "problem", "problems"), args.config.display());
            ExitCode::from(1)
        }
    }
}
