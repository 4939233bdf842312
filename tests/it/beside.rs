//! A program that others wrote, or that knows only a specification, running beside the test.
//!
//! What always holds: it is killed when it is dropped; what it said goes into the message of a failure.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::support::{STEP_MAX, eventually};

/// What a stream has brought so far.
type Said = Arc<Mutex<String>>;

/// See the module: its lines as they come.
pub struct Beside {
    child: Child,
    lines: Receiver<String>,
    out: Said,
    err: Said,
    readers: Vec<JoinHandle<()>>,
}

/// Keeps the lines of a stream, and hands them on.
fn keep(stream: impl Read + Send + 'static, lines: Option<Sender<String>>) -> (Said, JoinHandle<()>) {
    let said = Said::default();
    let told = said.clone();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            told.lock().expect("not poisoned").push_str(&format!("{line}\n"));
            if let Some(lines) = &lines {
                // Nobody may be listening any more.
                let _ = lines.send(line);
            }
        }
    });
    (said, reader)
}

impl Beside {
    /// Starts it. Its input is a pipe where the command says so, else nothing.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let (sender, lines) = channel();
        let (out, out_reader) = keep(child.stdout.take().expect("piped"), Some(sender));
        let (err, err_reader) = keep(child.stderr.take().expect("piped"), None);
        Self { child, lines, out, err, readers: vec![out_reader, err_reader] }
    }

    /// Its input, if the command made a pipe of it.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("piped, and not taken yet")
    }

    /// All that it wrote so far.
    pub fn said(&self) -> String {
        self.out.lock().expect("not poisoned").clone() + &self.err.lock().expect("not poisoned")
    }

    /// The next line of its output.
    #[track_caller]
    pub fn line(&self) -> String {
        self.lines.recv_timeout(STEP_MAX).unwrap_or_else(|_| panic!("no more lines: {}", self.said()))
    }

    /// kill -9: its output up to then.
    pub fn kill(mut self) -> String {
        self.child.kill().expect("kills");
        self.ended();
        self.out.lock().expect("not poisoned").clone()
    }

    /// Its own end, with all that it wrote read.
    pub fn ended(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the program ends", || {
            ended = self.child.try_wait().expect("asks");
            ended.is_some()
        });
        // They end when the pipes do.
        self.readers.drain(..).for_each(|reader| reader.join().expect("reads to the end"));
        ended.expect("just seen")
    }

    /// Its own end, which must be a good one: its output.
    #[track_caller]
    pub fn done(mut self) -> String {
        let status = self.ended();
        assert!(status.success(), "{status}: {}", self.said());
        self.out.lock().expect("not poisoned").clone()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
