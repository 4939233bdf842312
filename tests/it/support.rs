//! The real binary under test: built once, started on free ports, read, signalled, and never left behind.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// No step of a test takes longer on a loaded machine.
pub const STEP_MAX: Duration = Duration::from_secs(60);

/// The binary `anabranch`, as new as its sources, in the profile of this test.
pub fn binary() -> &'static Path {
    &binaries().0
}

/// The binary `loadgen`, likewise.
pub fn loadgen() -> &'static Path {
    &binaries().1
}

/// Both in one build: each alone would have its dependencies compiled anew with other features.
fn binaries() -> &'static (PathBuf, PathBuf) {
    static BINARIES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "server", "-p", "loadgen", "--bins"]);
        build.args(["--message-format", "json-render-diagnostics"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        let built = build.current_dir(crate::sources::root()).stderr(Stdio::inherit()).output().expect("cargo runs");
        assert!(built.status.success(), "the binaries do not build");
        let text = String::from_utf8_lossy(&built.stdout);
        let executable = |name: &str| {
            text.lines().find_map(|line| {
                let message: serde_json::Value = serde_json::from_str(line).ok()?;
                let path = PathBuf::from(message["executable"].as_str()?);
                (path.file_stem()? == name).then_some(path)
            })
        };
        let named = "cargo names the executable";
        (executable("anabranch").expect(named), executable("loadgen").expect(named))
    })
}

/// Runs the binary to its end: exit code, stdout, stderr.
pub fn run(args: &[&str], stdin: &str) -> (i32, String, String) {
    use std::io::Write;
    let mut child = Command::new(binary())
        .args(args)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut input = child.stdin.take().expect("piped");
    // A program that refuses its arguments does not read: that is no error of the test.
    let _ = input.write_all(stdin.as_bytes());
    drop(input);
    let output = child.wait_with_output().expect("ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A running node. Killed when it is dropped.
pub struct Node {
    child: Child,
    /// `http://host:port`
    pub url: String,
    /// What it has said on its standard output.
    said: Arc<Mutex<String>>,
    log: PathBuf,
}

impl Node {
    /// Starts a node on a configuration and waits until it says where it listens. `listen` is `127.0.0.1:0` or the address of
    /// one that was here before.
    pub fn start(config: &Path, data: &Path, listen: &str) -> Self {
        Self::start_with(config, data, listen, &[])
    }

    /// The same with more arguments.
    pub fn start_with(config: &Path, data: &Path, listen: &str, more: &[&str]) -> Self {
        Self::start_in(config, data, listen, more, &[])
    }

    /// The same in an environment with these variables besides.
    pub fn start_in(config: &Path, data: &Path, listen: &str, more: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = data.with_extension("stderr");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let mut child = Command::new(binary())
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--data-dir")
            .arg(data)
            .args(["--http-listen", listen])
            .args(more)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("reads");
        let Some(url) = first.split_whitespace().find(|word| word.starts_with("http://")) else {
            panic!("the node did not start: {first}{}", std::fs::read_to_string(&log).unwrap_or_default());
        };
        let url = url.to_owned();
        let said = Arc::new(Mutex::new(first));
        let told = said.clone();
        // The rest says where else it listens, and is for people; the pipe must not fill up.
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                told.lock().expect("not poisoned").push_str(&format!("{line}\n"));
            }
        });
        Self { child, url, said, log }
    }

    /// `host:port` of another listener, by the scheme with which the node says it: `mqtt`, `mqtts`, `ws`, `wss`, `quic`.
    pub fn address(&self, scheme: &str) -> String {
        let begins = format!("{scheme}://");
        self.word(&begins).trim_start_matches(&begins).trim_end_matches('/').to_owned()
    }

    /// The first word of what the node says that begins so.
    pub fn word(&self, begins: &str) -> String {
        let mut found = None;
        let what = || {
            format!("the node says something with {begins}\n{}{}", self.said.lock().expect("not poisoned"), self.log())
        };
        eventually_or(what, || {
            let said = self.said.lock().expect("not poisoned");
            let word = said.split_whitespace().find(|word| word.starts_with(begins));
            found = word.map(|word| word.trim_end_matches([',', ')']).to_owned());
            found.is_some()
        });
        found.expect("just seen")
    }

    /// `host:port`
    pub fn listen(&self) -> String {
        self.url.trim_start_matches("http://").to_owned()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the node is there");
    }

    /// kill -9, and waits until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the node ends", || {
            ended = self.child.try_wait().expect("asks");
            ended.is_some()
        });
        ended.expect("just seen")
    }

    /// What the node has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// One request: status and body.
    pub fn request(&self, method: &str, path: &str, content_type: &str, body: &str) -> (u16, String) {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(self.listen()).expect("connects");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).expect("sends");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("reads");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
    }

    /// A number of `/metrics`: the sum over all lines that begin so.
    pub fn metric(&self, beginning: &str) -> f64 {
        let (_, body) = self.request("GET", "/metrics", "text/plain", "");
        body.lines()
            .filter(|line| line.starts_with(beginning))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds; fails the test if it does not in time.
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_or(|| what.to_owned(), condition);
}

/// As [`eventually`], with more to say about what is missing.
pub fn eventually_or(what: impl Fn() -> String, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < STEP_MAX, "not in time: {}", what());
        std::thread::sleep(Duration::from_millis(5));
    }
}
