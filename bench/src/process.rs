//! Children and the processor time they use, by the system's own books in `/proc`.

use std::error::Error;
use std::fs;
use std::io::Read;
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
fn resident_max(pid: u32) -> Option<u64> {
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
    let cpu = ticks(child.id())?;
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

/// User and system time of a process that may have ended but is not reaped.
fn ticks(pid: u32) -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; state is the field after it, user and system time are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field =
        |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).ok_or("/proc/PID/stat has 52 fields");
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_secs_f64((field(11)? + field(12)?) as f64 / per_second as f64))
}

/// Time on a processor of all threads of a process that runs, in nanoseconds.
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

/// A server that is ended when this is dropped.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Server {
    /// Starts a command and waits until it has printed an address that begins with `http://`.
    pub fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start {name}: {error}"))?;
        let mut stdout = child.stdout.take().ok_or("a piped child has a standard output")?;
        let mut said = Vec::new();
        let mut server = Self { child, address: String::new() };
        loop {
            let mut more = [0; 1024];
            let count = stdout.read(&mut more)?;
            if count == 0 {
                return Err(format!("{name} ended without saying where it listens").into());
            }
            said.extend_from_slice(&more[..count]);
            if let Some(address) = address_in(&String::from_utf8_lossy(&said)) {
                server.address = address;
                break;
            }
        }
        // What it prints later must not stop it.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Ok(server)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// The first `http://host:port` that is followed by something, so that no port is cut.
fn address_in(text: &str) -> Option<String> {
    let at = text.find("http://")?;
    let length =
        text[at + 7..].find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | ':' | '-' | '[' | ']'))?;
    Some(text[at..at + 7 + length].to_owned())
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
        assert_eq!(address_in("listens on http://127.0.0.1:80"), None);
        assert_eq!(address_in("on http://127.0.0.1:8080/x").as_deref(), Some("http://127.0.0.1:8080"));
        assert_eq!(address_in("a\nhttp://[::1]:9\n").as_deref(), Some("http://[::1]:9"));
    }

    #[test]
    fn this_process_is_busy() {
        assert!(busy_ns(std::process::id()).unwrap() > 0);
    }
}
