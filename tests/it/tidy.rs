//! Style as a test: headers, lengths, forbidden words, links, the table of dependencies.
//!
//! What always holds: a rule here has a sentence in `docs/style.md`, and its message says what to do instead.

use crate::sources::{self, MEMBERS, Source, files, none, read, root, rust};

/// Longest production file, its unit tests not counted: longer ones have become two things.
const LINES_MAX: usize = 700;
/// Longest line; as in `rustfmt.toml`, which does not break comments and strings.
const COLUMNS_MAX: usize = 160;

/// Words that mean "not finished", put together here so that this file does not find itself.
fn unfinished() -> Vec<String> {
    [("to", "do!("), ("unimple", "mented!("), ("db", "g!("), ("#[ign", "ore"), ("FIX", "ME"), ("XX", "X")]
        .iter()
        .map(|(head, tail)| format!("{head}{tail}"))
        .chain(["dead_code", "unused"].iter().map(|lint| format!("allow({lint}")))
        .collect()
}

#[test]
fn every_source_file_opens_with_what_it_is() {
    let findings = rust().iter().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path.clone()).collect();
    none("Open the file with a `//!` header that says what it is and what always holds:", findings);
}

#[test]
fn no_header_is_a_placeholder() {
    let findings = rust()
        .iter()
        .filter(|file| file.text.lines().next().is_some_and(|first| first.len() < 20 || first.contains("placeholder")))
        .map(|file| file.path.clone())
        .collect();
    none("Say in the header what the file is:", findings);
}

#[test]
fn no_source_file_is_longer_than_one_concept() {
    let findings = rust()
        .iter()
        .filter(|file| !file.is_test())
        .filter_map(|file| {
            let lines = production_lines(file);
            (lines > LINES_MAX).then(|| format!("{}: {lines} lines, at most {LINES_MAX}", file.path))
        })
        .collect();
    none("Split by concern:", findings);
}

#[test]
fn no_line_is_too_wide_to_read() {
    let findings = rust()
        .iter()
        .flat_map(|file| {
            let wide = file.text.lines().enumerate().filter(|(_, line)| line.chars().count() > COLUMNS_MAX);
            wide.map(|(index, _)| format!("{}:{}", file.path, index + 1)).collect::<Vec<_>>()
        })
        .collect();
    none("Break the line:", findings);
}

#[test]
fn nothing_is_left_unfinished_or_silenced() {
    let words = unfinished();
    let mut findings = Vec::new();
    for file in rust() {
        for (index, line) in file.text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(word.as_str())) {
                findings.push(format!("{}:{}: {word}", file.path, index + 1));
            }
        }
    }
    none("Finish it, or take it out; a lint is silenced with `expect` and a reason:", findings);
}

#[test]
fn a_silenced_lint_gives_its_reason() {
    let mut findings = Vec::new();
    for file in rust() {
        for (number, line) in file.code() {
            let silences =
                ["#[allow(", "#![allow(", "#[expect(", "#![expect("].iter().any(|open| line.starts_with(open));
            // rustfmt puts a long attribute on several lines; the reason then follows.
            let attribute = file.text.lines().skip(number - 1).take(8).collect::<Vec<_>>().join(" ");
            let attribute = attribute.split_once(")]").map_or(attribute.as_str(), |(attribute, _)| attribute);
            if silences && !attribute.contains("reason =") {
                findings.push(format!("{}:{number}", file.path));
            }
        }
    }
    none("Write `reason = \"…\"` into the attribute:", findings);
}

#[test]
fn no_code_is_commented_out() {
    let mut findings = Vec::new();
    for file in rust() {
        for (index, line) in file.text.lines().enumerate() {
            let Some(comment) = line.trim_start().strip_prefix("//").filter(|rest| !rest.starts_with(['/', '!']))
            else {
                continue;
            };
            let comment = comment.trim();
            let opens = ["let ", "pub ", "use ", "fn ", "if ", "for ", "match ", "return ", "assert"];
            let statement = opens.iter().any(|word| comment.starts_with(word)) && comment.ends_with([';', '{', '}']);
            if statement {
                findings.push(format!("{}:{}: {comment}", file.path, index + 1));
            }
        }
    }
    none("Delete it: the history keeps it:", findings);
}

#[test]
fn modules_are_files_beside_their_folder() {
    let findings = rust().iter().filter(|file| file.path.ends_with("/mod.rs")).map(|file| file.path.clone()).collect();
    none("Name it after its folder, `foo.rs` beside `foo/`:", findings);
}

#[test]
fn no_source_file_is_dead() {
    let all = rust();
    let findings = all
        .iter()
        .filter(|file| {
            let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
            !["lib", "main", "build"].contains(&name) && !is_declared(file, name, &all)
        })
        .map(|file| file.path.clone())
        .collect();
    none("No module declares it and no manifest names it:", findings);
}

#[test]
fn spaces_only_and_no_trailing_ones() {
    let mut findings = Vec::new();
    let mut all = rust();
    for extension in ["md", "toml", "py"] {
        all.extend(files("", extension));
    }
    for file in all {
        for (index, line) in file.text.lines().enumerate() {
            if line.contains('\t') || line.ends_with(' ') {
                findings.push(format!("{}:{}", file.path, index + 1));
            }
        }
        if !file.text.ends_with('\n') {
            findings.push(format!("{}: no newline at the end", file.path));
        }
    }
    none("Spaces, no tabs, none at the end of a line:", findings);
}

#[test]
fn every_link_in_the_docs_leads_somewhere() {
    let mut findings = Vec::new();
    for page in files("", "md") {
        let folder = root().join(&page.path).parent().expect("a file has a folder").to_owned();
        for target in links(&page.text) {
            let outside = target.contains("://") || target.starts_with("mailto:");
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            if outside {
                continue;
            }
            let at = if file.is_empty() { root().join(&page.path) } else { folder.join(file) };
            if !at.exists() {
                findings.push(format!("{}: {target}", page.path));
            } else if !anchor.is_empty() && at.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&at).expect("the file is there");
                if !text.lines().filter(|line| line.starts_with('#')).any(|heading| slug(heading) == anchor) {
                    findings.push(format!("{}: {target}: no such heading", page.path));
                }
            }
        }
    }
    none("Links that lead nowhere:", findings);
}

#[test]
fn every_page_of_the_docs_is_reached_from_their_index() {
    let index = read("docs/README.md");
    let reached = links(&index.text);
    let findings = files("docs", "md")
        .into_iter()
        .map(|page| page.path.trim_start_matches("docs/").to_owned())
        .filter(|page| page != "README.md" && !reached.iter().any(|link| link.split('#').next() == Some(page)))
        .collect();
    none("Link it from docs/README.md:", findings);
}

#[test]
fn every_dependency_has_its_reason() {
    let table = read("docs/decisions/dependencies.md").text;
    let workspace = sources::manifest("");
    let named = workspace["workspace"]["dependencies"].as_table().expect("a table");
    let rows: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let foreign = |name: &str| !MEMBERS.contains(&name);
    let mut findings: Vec<String> = named
        .keys()
        .filter(|name| foreign(name) && !rows.contains(&name.as_str()))
        .map(|name| format!("{name}: no row"))
        .collect();
    findings.extend(rows.iter().filter(|row| !named.contains_key(**row)).map(|row| format!("{row}: no longer used")));
    none("docs/decisions/dependencies.md says of each why it, and instead of what:", findings);
}

#[test]
fn every_dependency_is_pinned_in_one_place_and_used() {
    let workspace = sources::manifest("");
    let named = workspace["workspace"]["dependencies"].as_table().expect("a table");
    let mut findings = Vec::new();
    for (name, value) in named {
        if MEMBERS.contains(&name.as_str()) {
            continue;
        }
        if value.get("default-features").and_then(toml::Value::as_bool) != Some(false) {
            findings.push(format!("{name}: default features are off everywhere, the ones used are named"));
        }
    }
    for member in MEMBERS {
        let manifest = sources::manifest(member);
        for section in ["dependencies", "dev-dependencies"] {
            for (name, value) in manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    findings.push(format!("{member}: {name}: take the version from the workspace"));
                }
                let ident = format!("{}::", name.replace('-', "_"));
                let used = files(member, "rs").iter().any(|file| file.code().any(|(_, line)| line.contains(&ident)));
                if !used {
                    findings.push(format!("{member}: {name}: not used"));
                }
            }
        }
    }
    none("Dependencies:", findings);
}

#[test]
fn what_a_newcomer_looks_for_is_there() {
    let wanted = [
        "README.md",
        "LICENSE",
        "docs/README.md",
        "docs/architecture.md",
        "docs/changelog.md",
        "docs/style.md",
        ".ci/run",
    ];
    let findings = wanted.iter().filter(|path| !root().join(path).is_file()).map(|path| (*path).to_owned()).collect();
    none("Missing:", findings);
    assert!(read("README.md").text.lines().count() <= 120, "README.md is one page; the rest belongs in docs/");
}

/// Lines of a file up to unit tests written inside it.
fn production_lines(file: &Source) -> usize {
    let inline_tests = file.text.lines().position(|line| line.trim() == "mod tests {");
    inline_tests.unwrap_or_else(|| file.text.lines().count())
}

/// Whether a `mod` line of its parent, a `path` attribute or a manifest names the file.
fn is_declared(file: &Source, name: &str, all: &[Source]) -> bool {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let crate_name = file.path.split('/').next().unwrap_or_default();
    let parents = [format!("{folder}.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
    let declares = |parent: &&Source| {
        parent.code().any(|(_, line)| {
            line.trim_end_matches([';', '{', ' '])
                .rsplit_once("mod ")
                .is_some_and(|(_, declared)| declared.trim() == name)
        })
    };
    all.iter().filter(|other| parents.contains(&other.path)).any(|parent| declares(&parent))
        || read(&format!("{crate_name}/Cargo.toml")).text.contains(&file.path[crate_name.len() + 1..])
        // Fuzz targets are a workspace of their own.
        || file.path.strip_prefix("tests/fuzz/").is_some_and(|path| read("tests/fuzz/Cargo.toml").text.contains(path))
}

/// The targets of the links and pictures of a Markdown page, fenced code left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for part in line.split("](").skip(1) {
            if let Some((target, _)) = part.split_once(')') {
                found.push(target.split(' ').next().unwrap_or_default().to_owned());
            }
        }
        for part in line.split("src=\"").skip(1) {
            found.extend(part.split('"').next().map(str::to_owned));
        }
    }
    found
}

/// The anchor that a Markdown renderer gives a heading.
fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[test]
fn the_rules_find_what_they_look_for() {
    assert_eq!(links("a [b](c.md#d) ![e](f.svg \"g\")\n```\n[x](y)\n```"), ["c.md#d", "f.svg"]);
    assert_eq!(slug("## What it is, and why"), "what-it-is-and-why");
    let file = Source {
        path: "a/src/b.rs".into(),
        text: "//! x\nfn a() {}\n\n// c\nlet d = 1; // e\nmod tests {\n}\n".into(),
    };
    assert_eq!(file.code().map(|(number, _)| number).collect::<Vec<_>>(), [2, 5, 6, 7]);
    assert_eq!(production_lines(&file), 5);
}
