//! Object stores for tests: an S3 server (moto) with a bucket `lake`, and an Azure Blob server (Azurite) with a container of that name.
//!
//! What always holds: they listen on ports that the system chooses, keep nothing, and end when they are dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::python::environment;

const AZURITE: &str = "3.37.0";
/// The account that Azurite knows, whose key is no secret.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What a node's clients of stores look for.
pub const CREDENTIALS: [(&str, &str); 5] = [
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
    ("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT),
    ("AZURE_STORAGE_ACCOUNT_KEY", KEY),
];

/// A store, and a script that looks into it.
pub struct ObjectServer {
    processes: Vec<Process>,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// `s3` or `az`.
    scheme: &'static str,
    /// What a node has to be told: `http://127.0.0.1:PORT`, and the account on Azure.
    endpoint: String,
}

/// Killed when it is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl ObjectServer {
    /// S3; `None` where there is no Python.
    pub fn s3() -> Option<Self> {
        let python = environment("s3", &["moto[server]", "boto3"], &["moto.server", "boto3"])?;
        let mut s3 = Self::script("s3", Command::new(python).arg(script("s3_server.py")).arg("lake"));
        s3.endpoint = s3.answer();
        assert!(s3.endpoint.starts_with("http://"), "the S3 server did not start: {}", s3.endpoint);
        Some(s3)
    }

    /// Azure Blob; `None` where there is no Python or no node with npm.
    pub fn azure() -> Option<Self> {
        let python = environment("azure", &["azure-storage-blob==12.31.1"], &["azure.storage.blob"])?;
        let azurite = crate::npm::package("azurite", AZURITE)?;
        let mut server = Command::new("node");
        server.arg(azurite.join("dist/src/blob/main.js"));
        server.args(["--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry", "--silent"]);
        let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("node starts");
        let mut lines = BufReader::new(server.stdout.take().expect("piped"));
        let server = Process(server);
        let mut said = String::new();
        let url = loop {
            let read = lines.read_line(&mut said).expect("speaks");
            assert!(read > 0, "Azurite did not start: {said}");
            if let Some(at) = said.find("listens on ") {
                break said[at..].trim_start_matches("listens on ").trim().to_owned();
            }
        };
        // The pipe must not fill up.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        let endpoint = format!("{url}/{ACCOUNT}");
        let mut azure =
            Self::script("az", Command::new(python).arg(script("azure_blobs.py")).args([&endpoint, KEY, "lake"]));
        assert_eq!(azure.answer(), "lake");
        azure.endpoint = endpoint;
        azure.processes.push(server);
        Some(azure)
    }

    fn script(scheme: &'static str, command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("Python starts");
        let commands = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self { processes: vec![Process(child)], commands, answers, scheme, endpoint: String::new() }
    }

    /// Where an endpoint's files are to go, in a configuration.
    pub fn place(&self, prefix: &str) -> String {
        let Self { scheme, endpoint, .. } = self;
        format!("url = \"{scheme}://lake/{prefix}\"\nstore = {{ endpoint = \"{endpoint}\", allow_http = true }}")
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("answers");
        line.trim_end().to_owned()
    }

    /// Does a command of the script.
    pub fn ask(&mut self, command: &str) -> String {
        writeln!(self.commands, "{command}").expect("takes commands");
        self.answer()
    }

    /// Copies what is below a prefix to a folder.
    pub fn fetch(&mut self, prefix: &str, to: &Path) {
        let said = self.ask(&format!("fetch {prefix} {}", to.display()));
        assert!(said.ends_with(" files"), "{said}");
    }
}

fn script(name: &str) -> std::path::PathBuf {
    crate::sources::root().join("tests/python").join(name)
}
