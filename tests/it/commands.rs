//! Commands that need no node: what they print, and their exit status.

use crate::support::run;

#[test]
fn help_is_there_and_names_every_command() {
    let (code, stdout, _) = run(&["--help"], "");
    assert_eq!(code, 0);
    for command in ["run", "check", "demo", "pipe", "explain", "tail", "dead-letters", "mqtt", "subscribe", "publish"] {
        assert!(stdout.contains(command), "{command} is not in --help");
        let (code, help, _) = run(&[command, "--help"], "");
        assert!(code == 0 && help.len() > 200, "{command} --help says too little");
    }
    let (code, _, stderr) = run(&["rum"], "");
    assert!(code == 2 && stderr.contains("run"), "{stderr}");
}

#[test]
fn check_tells_good_from_bad() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.toml");
    let check = |text: &str| {
        std::fs::write(&path, text).expect("writes");
        run(&["check", "--config", &path.display().to_string()], "")
    };
    let (code, stdout, stderr) = check("[node]\nname = \"n\"\n");
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.starts_with("OK: 1 endpoint"), "{stdout}");
    let (code, stdout, stderr) =
        check("[node]\npartitons = 4\n[[routes]]\nname = \"r\"\nfilter = \"temp >\"\nendpoint = \"nowhere\"\n");
    assert_eq!(code, 1);
    assert!(stdout.contains("3 problems"), "{stdout}{stderr}");
    for part in ["did you mean `partitions`?", "c.toml:2:1", "there is no endpoint `nowhere`"] {
        assert!(stderr.contains(part), "{part} is not in\n{stderr}");
    }
    let (code, _, stderr) = run(&["check", "--config", "/nowhere/c.toml"], "");
    assert!(code == 2 && stderr.contains("cannot read"), "{stderr}");
}

#[test]
fn pipe_writes_the_good_and_names_the_bad() {
    let folder = tempfile::tempdir().expect("a folder");
    let hot = folder.path().join("hot");
    let input = "{\"temp\":31,\"id\":\"a\"}\nnot json\n\n{\"temp\":29.5,\"id\":\"b\"}\n{\"temp\":40}\n";
    let to_lake = format!("temp > 30=>parquet:{}", hot.display());
    let (code, stdout, stderr) = run(&["pipe", "--route", "temp > 30=>-", "--route", &to_lake], input);
    assert_eq!((code, stdout.as_str()), (1, "{\"temp\":31,\"id\":\"a\"}\n{\"temp\":40}\n"), "{stderr}");
    assert!(stderr.contains("<stdin>:2: not valid JSON"), "{stderr}");
    let files: Vec<_> =
        std::fs::read_dir(&hot).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let (code, _, _) = run(&["pipe", "--route", "true=>-"], "1\n");
    assert_eq!(code, 0);
    let config = folder.path().join("c.toml");
    let out = folder.path().join("out.ndjson");
    let text = format!(
        "[endpoints.out]\ntype = \"ndjson\"\npath = '{}'\nformat = \"data\"\n\n\
         [[routes]]\nname = \"r\"\nfilter = \"n > 1\"\nendpoint = \"out\"\n",
        out.display()
    );
    std::fs::write(&config, text).expect("writes");
    let (code, _, stderr) = run(&["pipe", "--config", &config.display().to_string()], "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!((code, std::fs::read_to_string(&out).expect("reads").as_str()), (0, "{\"n\":2}\n"), "{stderr}");
    let (code, _, stderr) = run(&["pipe", "--route", "temp >=>-"], "");
    assert!(code == 2 && stderr.contains("^"), "{stderr}");
    let (code, _, stderr) = run(&["pipe", "--route", "temp > 30"], "");
    assert!(code == 2 && stderr.contains("FILTER=>ENDPOINT"), "{stderr}");
    let (code, _, stderr) = run(&["pipe", "--route", "true=>csv:x"], "");
    assert!(code == 2 && stderr.contains("no endpoint"), "{stderr}");
}

#[test]
fn explain_says_why() {
    let event = "{\"temp\":31,\"status\":\"ok\"}";
    let (code, stdout, stderr) = run(&["explain", "--filter", "temp > 30 AND status = 'alarm'", "--event", "-"], event);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("false") && stdout.contains("31"), "{stdout}");
}

#[test]
fn tail_without_a_node_says_so() {
    let (code, _, stderr) = run(&["tail", "--node", "http://127.0.0.1:1"], "");
    assert!(code != 0 && stderr.contains("127.0.0.1:1"), "{stderr}");
}
