//! Every field's problem, and the defaults.

use super::*;

#[test]
fn defaults_are_fine() {
    assert_eq!(WebhookConfig::new("http://127.0.0.1:9/hook").problems(), []);
    let mut tls = WebhookConfig::new("https://alerts.example/hook?code=1");
    tls.ca_file = Some("ca.pem".into());
    tls.headers.insert("authorization".into(), "Bearer x".into());
    assert_eq!(tls.problems(), []);
}

#[test]
fn every_problem_is_found_at_once() {
    let mut bad = WebhookConfig::new("ftp://x/");
    bad.headers.insert("Content-Type".into(), "x".into());
    bad.headers.insert("Anabranch-Endpoint".into(), "x".into());
    bad.headers.insert("a b".into(), "x".into());
    bad.headers.insert("x".into(), "secret\n".into());
    bad.concurrency_max = 0;
    bad.timeout_ms = 0;
    bad.batch_events_max = 5001;
    bad.batch_bytes_max = 0;
    bad.attempts_max = 0;
    bad.ttl_s_max = 0;
    bad.backoff_ms_min = 0;
    bad.backoff_ms_max = 0;
    bad.parked_events_max = 0;
    bad.shutdown_grace_ms = u64::MAX;
    bad.dead_letter_bytes_max = 0;
    bad.dead_letter = Some(" ".into());
    let problems = bad.problems();
    let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
    let wanted = [
        "url",
        "headers",
        "headers",
        "headers",
        "headers",
        "concurrency_max",
        "timeout_ms",
        "batch_events_max",
        "batch_bytes_max",
        "attempts_max",
        "ttl_s_max",
        "backoff_ms_min",
        "backoff_ms_max",
        "parked_events_max",
        "shutdown_grace_ms",
        "dead_letter_bytes_max",
        "dead_letter",
    ];
    assert_eq!(fields, wanted);
    assert!(problems.iter().all(|problem| !problem.message.contains("secret") && !problem.help.is_empty()));
}

#[test]
fn addresses() {
    for (url, fine) in [
        ("http://h", true),
        ("https://h:8443/a/b?c=d", true),
        ("h:80", false),
        ("/hook", false),
        ("", false),
        ("http://user:secret@h/", false),
        ("http://user@h/", false),
    ] {
        assert_eq!(WebhookConfig::new(url).problems().is_empty(), fine, "{url}");
    }
    let mut plain = WebhookConfig::new("http://h/");
    plain.ca_file = Some("x".into());
    assert_eq!(plain.problems()[0].field, "ca_file");
    let mut crossed = WebhookConfig::new("http://h/");
    (crossed.backoff_ms_min, crossed.backoff_ms_max) = (2000, 1000);
    assert_eq!(crossed.problems()[0].field, "backoff_ms_max");
}

#[test]
fn where_dead_letters_go() {
    let mut config = WebhookConfig::new("http://h/");
    let data = Path::new("/d");
    assert_eq!(config.dead_letter_path("a", data), Some("/d/dead-letters/a.ndjson".into()));
    config.dead_letter = Some("drop".into());
    assert_eq!(config.dead_letter_path("a", data), None);
    config.dead_letter = Some("/x/y.ndjson".into());
    assert_eq!(config.dead_letter_path("a", data), Some("/x/y.ndjson".into()));
}
