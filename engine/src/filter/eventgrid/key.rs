//! Keys: envelope fields under the names of both schemas, extensions, and members of the data (sheet 3.3).

use super::super::diagnostic::Diagnostic;
use super::super::plan::{Reference, Step};
use super::super::resolve::CONTEXT_ATTRIBUTES;
use super::Compiler;
use super::json::{Json, Node};

/// Names of the Event Grid schema, in small letters, and the attributes that hold the same.
const ALIASES: [(&str, &str); 6] = [
    ("topic", "source"),
    ("eventid", "id"),
    ("eventtype", "type"),
    ("eventtime", "time"),
    ("eventtypeversion", "dataversion"),
    ("contenttype", "datacontenttype"),
];

/// What a key leads to; `None` if it was refused.
pub(super) fn resolve(compiler: &mut Compiler<'_>, node: &Node) -> Option<Reference> {
    let help = "for example `\"data.temp\"` or `\"subject\"`";
    let Json::String(key) = &node.kind else {
        compiler.error(&node.span, format!("a key is a string, and this is {}", node.kind.noun()), help);
        return None;
    };
    if key.is_empty() {
        compiler.error(&node.span, "the key is empty", help);
        return None;
    }
    let (head, path) = key.split_once('.').map_or((&**key, None), |(head, path)| (head, Some(path)));
    if !head.eq_ignore_ascii_case("data") {
        return match path {
            None => Some(attribute(compiler, node, key)),
            Some(_) => {
                let problem = Diagnostic::error(node.span.clone(), format!("`{head}` is text and has no members"));
                let problem = problem.help("members of the data are reached by `data.`");
                let suggestion = serde_json::Value::from(format!("data.{key}")).to_string();
                compiler.problems.push(problem.suggest(node.span.clone(), suggestion));
                None
            }
        };
    }
    let steps: Vec<Step> =
        path.into_iter().flat_map(|path| path.split('.')).map(|name| Step::Member(name.into())).collect();
    if steps.contains(&Step::Member("".into())) {
        let help = "a dot stands between two names; a name that contains a dot cannot be addressed";
        compiler.error(&node.span, "the key has a dot with no name beside it", help);
        return None;
    }
    Some(Reference::Body(steps.into()))
}

fn attribute(compiler: &mut Compiler<'_>, node: &Node, key: &str) -> Reference {
    let name = key.to_ascii_lowercase();
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(&*name, |(_, name)| name);
    // Beyond CloudEvents' eight there are extensions, whose names are made of small letters and digits.
    if !CONTEXT_ATTRIBUTES.contains(&name)
        && !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        let warning = Diagnostic::warning(node.span.clone(), format!("no attribute can be called `{key}`"));
        let suggestion = serde_json::Value::from(format!("data.{key}")).to_string();
        let warning = warning.help("a member of the data is reached by `data.`").suggest(node.span.clone(), suggestion);
        compiler.problems.push(warning);
    }
    Reference::Attribute(name.into())
}
