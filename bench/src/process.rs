//! Children and the processor time they use, by the system's own books in `/proc`.

use std::error::Error;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::cores;

/// A child that has ended.
pub struct Ran {
    /// From start to end.
    pub wall: Duration,
    /// Processor time of all its threads, in ticks of the system (10 ms).
    pub cpu: Duration,
    /// Its standard output.
    pub stdout: String,
}

/// Runs a command to its end; a bad exit status is an error with what it said.
pub fn run(command: &mut Command) -> Result<Ran, Box<dyn Error>> {
    run_beside(command, |_| ())
}

/// The same, and the most memory it had resident, in bytes. What it took in its last milliseconds may be missing.
pub fn run_with_memory(command: &mut Command) -> Result<(Ran, u64), Box<dyn Error>> {
    let (give, take) = std::sync::mpsc::channel();
    let ran = run_beside(command, |pid| {
        std::thread::spawn(move || {
            // Beside the core that is measured, if there is another; where this is refused, the few reads disturb a little.
            let _ = cores::roam();
            let mut most = 0;
            // A process that has ended has no such line any more, reaped or not.
            while let Some(bytes) = resident_max(pid) {
                most = bytes;
                std::thread::sleep(MEMORY_INTERVAL);
            }
            // The receiver is gone when the run failed; nobody wants to know then.
            let _ = give.send(most);
        });
    })?;
    Ok((ran, take.recv()?))
}

/// How often the memory of a child is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(3);

/// The most that a running process had resident so far.
pub fn resident_max(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// What a running process has resident, in MiB.
pub fn resident_mib(pid: u32) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("a process has VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}

fn run_beside(command: &mut Command, started: impl FnOnce(u32)) -> Result<Ran, Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {name}: {error}"))?;
    started(child.id());
    let mut errors = child.stderr.take().ok_or("a piped child has a standard error")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read is missing from a message, no more.
        let _ = errors.read_to_string(&mut text);
        text
    });
    let mut stdout = String::new();
    child.stdout.take().ok_or("a piped child has a standard output")?.read_to_string(&mut stdout)?;
    // Wait without reaping: the books of a child are gone once its status has been taken.
    waitid(WaitId::Pid(pid(&child)?), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let wall = began.elapsed();
    let cpu = processor_time(child.id())?;
    let status = child.wait()?;
    let said = reader.join().unwrap_or_default();
    if !status.success() {
        return Err(format!("{name} ended with {status}: {}", said.trim()).into());
    }
    Ok(Ran { wall, cpu, stdout })
}

fn pid(child: &Child) -> Result<Pid, Box<dyn Error>> {
    Ok(i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("a child has a process id")?)
}

/// User and system time of a process that runs, or has ended and is not reaped: of all its threads, also of those that have ended, in steps
/// of 10 ms.
pub fn processor_time(pid: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; state is the field after it, user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field =
        |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).ok_or("/proc/PID/stat has 52 fields");
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_secs_f64((field(11)? + field(12)?) as f64 / per_second as f64))
}

/// Time on a processor of all threads that a process has now, in nanoseconds. When a thread ends, its time is gone: for a server
/// that runs for seconds [`processor_time`] is the one to ask.
pub fn busy_ns(pid: u32) -> Result<u64, Box<dyn Error>> {
    let mut busy = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = task?.path().join("schedstat");
        // A thread that ended meanwhile has no books any more.
        let Ok(text) = fs::read_to_string(path) else { continue };
        busy += text.split_whitespace().next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(busy)
}

/// The same as [`busy_ns`], once the process has nothing to do any more: less than a twentieth of a core for a moment.
pub fn busy_ns_when_quiet(pid: u32) -> Result<u64, Box<dyn Error>> {
    const LOOK: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(30);
    let began = Instant::now();
    let mut before = busy_ns(pid)?;
    loop {
        std::thread::sleep(LOOK);
        let now = busy_ns(pid)?;
        if now.saturating_sub(before) < LOOK.as_nanos() as u64 / 20 {
            return Ok(now);
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("process {pid} is still busy {PATIENCE:?} after its work should have ended").into());
        }
        before = now;
    }
}

/// A server that is ended when this is dropped.
pub struct Server {
    child: Child,
    /// Where it listens: the first address that was waited for.
    pub address: String,
    /// The others.
    pub more: Vec<String>,
}

/// How long a server that says nothing has until it listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

impl Server {
    /// Starts a command and waits until it has printed an address that begins with `http://`.
    pub fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        Self::start_with(command, &["http://"])
    }

    /// Starts a command and waits until it has printed an address for each of the schemes, such as `http://`.
    pub fn start_with(command: &mut Command, schemes: &[&str]) -> Result<Self, Box<dyn Error>> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut stdout = child.stdout.take().ok_or("a piped child has a standard output")?;
        let mut said = Vec::new();
        let mut server = Self { child, address: String::new(), more: Vec::new() };
        loop {
            let mut more = [0; 1024];
            let count = stdout.read(&mut more)?;
            if count == 0 {
                let listens = schemes.join(" and ");
                return Err(format!("{name} ended without saying where it listens at {listens}").into());
            }
            said.extend_from_slice(&more[..count]);
            let text = String::from_utf8_lossy(&said);
            let found: Option<Vec<String>> = schemes.iter().map(|scheme| address_in(&text, scheme)).collect();
            if let Some(found) = found {
                let mut found = found.into_iter();
                server.address = found.next().unwrap_or_default();
                server.more = found.collect();
                break;
            }
        }
        // What it prints later must not stop it.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Ok(server)
    }

    /// Starts a command that says nothing, and waits until something listens at `socket`; an error if it ends instead.
    pub fn start_at(command: &mut Command, socket: SocketAddr, scheme: &str) -> Result<Self, Box<dyn Error>> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut server = Self { child, address: format!("{scheme}{socket}"), more: Vec::new() };
        let began = Instant::now();
        while TcpStream::connect(socket).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{name} ended with {status} instead of listening at {socket}").into());
            }
            if began.elapsed() > LISTENS_WITHIN {
                return Err(format!("{name} does not listen at {socket} within {LISTENS_WITHIN:?}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// The first `http://host:port`, or with another scheme, that is followed by something, so that no port is cut.
fn address_in(text: &str, scheme: &str) -> Option<String> {
    let at = text.find(scheme)?;
    let host = at + scheme.len();
    let length =
        text[host..].find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | ':' | '-' | '[' | ']'))?;
    Some(text[at..host + length].to_owned())
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_processor_time_is_in_the_books() {
        let ran = run(Command::new("sh").args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done"]))
            .unwrap();
        assert_eq!(ran.stdout, "done\n");
        assert!(
            ran.cpu > Duration::ZERO && ran.cpu <= ran.wall + Duration::from_millis(20),
            "{:?} {:?}",
            ran.cpu,
            ran.wall
        );
    }

    #[test]
    fn a_child_that_fails_is_quoted() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).err().unwrap().to_string();
        assert!(error.contains("why") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_childs_memory_is_its_own() {
        // The child keeps 40 MB until its input ends, which is at once; this process has less.
        let hungry = "x=$(head -c 40000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo ${#x}";
        let (ran, bytes) = run_with_memory(Command::new("sh").args(["-c", hungry])).unwrap();
        assert_eq!(ran.stdout, "40000000\n");
        assert!((40_000_000..400_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn an_address_is_taken_when_it_is_whole() {
        let http = |text| address_in(text, "http://");
        assert_eq!(http("listens on http://127.0.0.1:80"), None);
        assert_eq!(http("on http://127.0.0.1:8080/x").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(http("a\nhttp://[::1]:9\n").as_deref(), Some("http://[::1]:9"));
        assert_eq!(address_in("http://a:1 mqtt://b:2\n", "mqtt://").as_deref(), Some("mqtt://b:2"));
    }

    #[test]
    fn a_server_says_several_addresses_in_any_order() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo mqtt://127.0.0.1:7; echo http://127.0.0.1:8; exec sleep 60"]);
        let server = Server::start_with(&mut command, &["http://", "mqtt://"]).unwrap();
        assert_eq!(server.address, "http://127.0.0.1:8");
        assert_eq!(server.more, ["mqtt://127.0.0.1:7"]);
        let error =
            Server::start_with(Command::new("sh").args(["-c", "echo http://127.0.0.1:8"]), &["http://", "mqtt://"]);
        assert!(error.err().unwrap().to_string().contains("mqtt://"));
    }

    #[test]
    fn a_server_that_ends_is_not_waited_for() {
        // Nobody listens at a port that was free a moment ago.
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Server::start_at(Command::new("sh").args(["-c", "exit 3"]), socket, "mqtt://");
        assert!(error.err().unwrap().to_string().contains("ended with"));
    }

    #[test]
    fn this_process_is_busy() {
        assert!(busy_ns(std::process::id()).unwrap() > 0);
    }
}
