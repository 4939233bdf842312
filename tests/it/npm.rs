//! Packages of npm for tests: each in a folder of the cache, installed when it is first asked for.

use std::path::PathBuf;
use std::process::Command;

/// The folder of a package; `None` where there is no node with npm.
pub fn package(name: &str, version: &str) -> Option<PathBuf> {
    let runs = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|version| version.status.success());
    if !runs("node") || !runs("npm") {
        return None;
    }
    let folder = crate::python::cache().join(format!("{name}-{version}"));
    let module = folder.join("node_modules").join(name);
    if !module.join("package.json").exists() {
        std::fs::create_dir_all(&folder).expect("a cache");
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        let package = format!("{name}@{version}");
        let done = Command::new("npm").args(install).arg(&folder).arg(&package).current_dir(&folder).output();
        let done = done.expect("npm starts");
        assert!(done.status.success(), "npm cannot install {package}: {}", String::from_utf8_lossy(&done.stderr));
    }
    Some(module)
}
