//! The binary under test, and how it is built.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// Builds `anabranch` in release mode with the cargo that runs us, and says where it is.
pub fn build() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let built = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "server",
            "--bin",
            "anabranch",
            "--manifest-path",
            manifest,
        ])
        .status()
        .map_err(|error| format!("cannot run cargo: {error}; name a binary with --anabranch"))?;
    if !built.success() {
        return Err("`anabranch` does not build; name a binary with --anabranch".into());
    }
    let folder = std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default();
    let release = folder.parent().unwrap_or(&folder).join("release");
    for folder in [folder, release] {
        let binary = folder.join("anabranch");
        if binary.is_file() {
            return Ok(binary);
        }
    }
    Err("`anabranch` was built but is not beside this binary; name it with --anabranch".into())
}
