//! `anabranch mqtt passwd`: a line for the password file, its password never on the command line.
//!
//! On a terminal the password is asked for twice and not shown; whatever happens, the terminal shows again what is typed after.

use std::io::{BufRead, IsTerminal, Read, Write};

use clap::Args;
use connectors::mqtt::access::{PasswordLineError, password_line};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Nobody types more, and no broker takes it.
const PASSWORD_BYTES_MAX: u64 = 65_535;

/// Make a line for a password file.
#[derive(Args, Debug, Clone)]
#[command(after_help = "\
Example:
  anabranch mqtt passwd pump-9 >> users            asks for the password
  printf %s \"$SECRET\" | anabranch mqtt passwd pump-9 >> users")]
pub struct PasswdArgs {
    /// The user's name.
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum PasswdError {
    /// The terminal or standard input.
    #[error("cannot read the password: {0}")]
    Read(#[from] std::io::Error),
    /// Nothing came.
    #[error("the password is empty")]
    Empty,
    /// The second one was another one.
    #[error("the two passwords are not the same")]
    Differ,
    /// Ctrl-C.
    #[error("no password was given")]
    Stopped,
    /// The name, or the hash.
    #[error(transparent)]
    Line(#[from] PasswordLineError),
}

/// Prints the line.
pub(super) async fn passwd(args: &PasswdArgs, out: &mut impl Write) -> Result<(), PasswdError> {
    let password = if std::io::stdin().is_terminal() { ask(&args.name).await? } else { first_line()? };
    if password.is_empty() {
        return Err(PasswdError::Empty);
    }
    let line = password_line(&args.name, &password)?;
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(PasswdError::Read)
}

fn first_line() -> std::io::Result<Vec<u8>> {
    let mut line = Vec::new();
    std::io::stdin().lock().take(PASSWORD_BYTES_MAX).read_until(b'\n', &mut line)?;
    line.truncate(line.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(line.len()));
    Ok(line)
}

async fn ask(name: &str) -> Result<Vec<u8>, PasswdError> {
    let _hidden = Hidden::new()?;
    let name = name.to_owned();
    // Blocking reads on a thread of their own, so that Ctrl-C comes through and the terminal is set right.
    let asked = tokio::task::spawn_blocking(move || {
        let mut answers = Vec::new();
        for question in [format!("Password for {}: ", name.escape_debug()), "Again: ".to_owned()] {
            eprint!("{question}");
            answers.push(first_line()?);
            eprintln!();
        }
        Ok::<_, std::io::Error>(answers)
    });
    let answers = tokio::select! {
        answers = asked => answers.map_err(|_| PasswdError::Stopped)??,
        () = super::told_to_stop() => {
            eprintln!();
            return Err(PasswdError::Stopped);
        }
    };
    match answers.as_slice() {
        [first, second] if first == second => Ok(first.clone()),
        _ => Err(PasswdError::Differ),
    }
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn new() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes -= LocalModes::ECHO;
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody left to tell.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
