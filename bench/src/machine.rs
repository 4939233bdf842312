//! What the figures were measured on.

/// The widest vector instructions that the processor has.
pub fn isa() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512bw") {
            "AVX-512"
        } else if std::arch::is_x86_feature_detected!("avx2") {
            "AVX2"
        } else {
            "SSE2"
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        std::env::consts::ARCH
    }
}

/// Processor model and number of cores.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| rest.trim_start_matches([' ', '\t', ':']).trim());
    // Of the machine: a thread that is kept on one core would be told 1.
    let cores = info.lines().filter(|line| line.starts_with("processor")).count().max(1);
    format!("{model}, {cores} cores")
}

/// What the processor has and what this binary was compiled for: parts that choose when they start use the former, parts that
/// chose when they were compiled the latter.
pub fn instructions() -> String {
    const NAMED: [&str; 9] =
        ["sse4_2", "avx2", "bmi2", "pclmulqdq", "vpclmulqdq", "avx512bw", "avx512vbmi", "avx512_vbmi2", "gfni"];
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags: Vec<&str> = info
        .lines()
        .find_map(|line| line.strip_prefix("flags").or_else(|| line.strip_prefix("Features")))
        .map(|line| line.split_whitespace().filter(|flag| NAMED.contains(flag)).collect())
        .unwrap_or_default();
    format!("processor: {} ({}); compiled for {}", isa(), flags.join(" "), compiled_for())
}

/// The widest vector instructions that this binary takes for granted.
pub fn compiled_for() -> &'static str {
    if cfg!(target_feature = "avx512bw") {
        "AVX-512 (target-cpu given)"
    } else if cfg!(target_feature = "avx2") {
        "AVX2 (target-cpu given)"
    } else if cfg!(target_feature = "sse2") {
        "SSE2 (the default of x86-64)"
    } else {
        std::env::consts::ARCH
    }
}

/// The version of a dependency, as it was locked for this build.
pub fn locked_version(name: &str) -> String {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
    let entry = format!("name = \"{name}\"\nversion = \"");
    lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(locked_version("simd-json").starts_with("0."));
        assert_eq!(locked_version("no-such-crate"), "");
    }
}
