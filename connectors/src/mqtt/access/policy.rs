//! Who is registered, who is in which group, and what each group may do: the access file, checked and ready to be asked.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::attributes::{ATTRIBUTES_BYTES_MAX, Attribute, Attributes, is_name};
use super::certificate::Thumbprint;
use super::config::{AccessConfig, NameSource};
use super::files::{AccessError, content};
use super::grants::Grants;
use super::query::Query;
use super::resources::{BindingResource, ClientResource, Permission, Resources, State, Value};
use super::template::Template;

/// Most characters of an authentication name, as in Event Grid.
pub(super) const NAME_CHARS_MAX: usize = 128;

/// Most groups, spaces, templates and bindings: all of them are gone through at each connect.
const GROUPS_MAX: usize = 1000;
const TEMPLATES_MAX: usize = 1000;
const BINDINGS_MAX: usize = 1000;

/// The group of everybody.
const ALL: &str = "$all";

/// A name as it is compared: case does not count. Names in small letters are not copied.
pub(super) fn folded(name: &str) -> Cow<'_, str> {
    match name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(name.to_lowercase()),
    }
}

/// How a client's certificate is recognised.
#[derive(Debug)]
pub(super) enum Validation {
    Name(NameSource),
    Thumbprints(Vec<Thumbprint>),
}

/// A client that the file lists.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) authentication_name: Arc<str>,
    pub(super) is_enabled: bool,
    pub(super) validation: Validation,
    pub(super) attributes: Attributes,
}

#[derive(Debug)]
struct Binding {
    group: usize,
    space: usize,
    permission: Permission,
}

/// The access file, or nothing.
#[derive(Debug)]
pub(super) struct Policy {
    /// By authentication name without case.
    clients: HashMap<Box<str>, Client>,
    /// Queries of groups; the first is everybody's.
    groups: Vec<Query>,
    spaces: Vec<Vec<Template>>,
    bindings: Vec<Binding>,
    /// Shared by all where there are no topic spaces.
    everything: Arc<Grants>,
}

impl Policy {
    pub(super) fn load(config: &AccessConfig) -> Result<Self, AccessError> {
        match &config.access_file {
            None => Ok(Self::new(Resources::default()).expect("nothing in it can be wrong")),
            Some(path) => Self::of_file(path),
        }
    }

    fn of_file(path: &Path) -> Result<Self, AccessError> {
        Self::new(Resources::load(path)?).map_err(|message| content(path, 0, message))
    }

    /// Checks what the file says. The error names the resource and the way out.
    pub(super) fn new(resources: Resources) -> Result<Self, String> {
        let (groups, group_places) = groups(&resources)?;
        let (spaces, space_places) = spaces(&resources)?;
        let bindings = resources
            .permission_bindings
            .iter()
            .map(|binding| bind(binding, &group_places, &space_places))
            .collect::<Result<Vec<_>, _>>()?;
        if bindings.len() > BINDINGS_MAX {
            return Err(format!("there are more than {BINDINGS_MAX} permission_bindings"));
        }
        Ok(Self {
            clients: clients(resources.clients)?,
            groups,
            spaces,
            bindings,
            everything: Arc::new(Grants::everything()),
        })
    }

    /// The client of an authentication name; case does not count.
    pub(super) fn client(&self, name: &str) -> Option<&Client> {
        self.clients.get(&*folded(name))
    }

    /// What a client may do.
    pub(super) fn grants(&self, name: &str, attributes: &Attributes) -> Arc<Grants> {
        if self.spaces.is_empty() {
            return self.everything.clone();
        }
        let member: Vec<bool> = self.groups.iter().map(|query| query.holds(name, attributes)).collect();
        let filters = |permission| {
            self.bindings
                .iter()
                .filter(|binding| binding.permission == permission && member[binding.group])
                .flat_map(|binding| &self.spaces[binding.space])
                .flat_map(|template| template.filters(name, attributes))
                .collect::<Vec<_>>()
        };
        Arc::new(Grants::new(filters(Permission::Publisher), filters(Permission::Subscriber)))
    }
}

fn clients(resources: Vec<ClientResource>) -> Result<HashMap<Box<str>, Client>, String> {
    let mut clients = HashMap::with_capacity(resources.len());
    let mut names = HashSet::with_capacity(resources.len());
    for resource in resources {
        let name = resource.name.clone();
        let client = client(resource).map_err(|message| format!("client `{name}`: {message}"))?;
        if !names.insert(name.to_lowercase()) {
            return Err(format!("client `{name}` is there twice (case does not count)"));
        }
        let key = folded(&client.authentication_name).into_owned();
        if clients.insert(key.into(), client).is_some() {
            return Err(format!(
                "client `{name}`: another client has the same authentication_name (case does not count)"
            ));
        }
    }
    Ok(clients)
}

fn client(resource: ClientResource) -> Result<Client, String> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b":._-".contains(&byte);
    if !(1..=NAME_CHARS_MAX).contains(&resource.name.len()) || !resource.name.bytes().all(is_good) {
        return Err("a name has 1 to 128 letters, digits and : . _ -; anything goes in authentication_name".to_owned());
    }
    let authentication_name = resource.authentication_name.unwrap_or(resource.name);
    if !(1..=NAME_CHARS_MAX).contains(&authentication_name.chars().count()) {
        return Err("authentication_name has 1 to 128 characters".to_owned());
    }
    let validation = match (resource.certificate.source(), resource.thumbprints.len()) {
        (Some(source), 0) => Validation::Name(source),
        (Some(_), _) => return Err("thumbprints are for certificate = \"thumbprint\"".to_owned()),
        (None, 1..=2) => {
            let parsed = resource.thumbprints.iter().map(|text| {
                Thumbprint::parse(text).ok_or_else(|| {
                    format!("`{text}` is no thumbprint: write the SHA-256 (64 digits) or SHA-1 (40) of the certificate in hexadecimal")
                })
            });
            Validation::Thumbprints(parsed.collect::<Result<_, _>>()?)
        }
        (None, _) => return Err("certificate = \"thumbprint\" wants one or two thumbprints".to_owned()),
    };
    if let Some(key) = resource.attributes.keys().find(|key| !is_name(key)) {
        return Err(format!("attribute `{key}`: a name has letters, digits and _ only"));
    }
    let attributes =
        Attributes::new(resource.attributes.into_iter().map(|(key, value)| (key.into(), attribute(value))));
    if attributes.bytes() > ATTRIBUTES_BYTES_MAX {
        return Err(format!("the attributes have more than {ATTRIBUTES_BYTES_MAX} bytes"));
    }
    let is_enabled = resource.state == State::Enabled;
    Ok(Client { authentication_name: authentication_name.into(), is_enabled, validation, attributes })
}

fn attribute(value: Value) -> Attribute {
    match value {
        Value::Text(text) => Attribute::Text(text.into()),
        Value::Integer(number) => Attribute::Integer(number),
        Value::List(items) => Attribute::List(items.into_iter().map(Into::into).collect()),
    }
}

type Places = HashMap<String, usize>;

fn groups(resources: &Resources) -> Result<(Vec<Query>, Places), String> {
    let mut groups = vec![Query::Everybody];
    let mut places = Places::from([(ALL.to_owned(), 0)]);
    for group in &resources.client_groups {
        check_name("client group", &group.name)?;
        let query =
            Query::parse(&group.query).map_err(|message| format!("client group `{}`: {message}", group.name))?;
        if places.insert(group.name.to_lowercase(), groups.len()).is_some() {
            return Err(format!("client group `{}` is there twice", group.name));
        }
        groups.push(query);
    }
    match groups.len() {
        ..=GROUPS_MAX => Ok((groups, places)),
        _ => Err(format!("there are more than {} client_groups", GROUPS_MAX - 1)),
    }
}

fn spaces(resources: &Resources) -> Result<(Vec<Vec<Template>>, Places), String> {
    let mut spaces = Vec::new();
    let mut places = Places::new();
    for space in &resources.topic_spaces {
        check_name("topic space", &space.name)?;
        if space.templates.is_empty() {
            return Err(format!("topic space `{}` has no templates", space.name));
        }
        let templates = space.templates.iter().map(|text| Template::parse(text)).collect::<Result<Vec<_>, _>>();
        if places.insert(space.name.to_lowercase(), spaces.len()).is_some() {
            return Err(format!("topic space `{}` is there twice", space.name));
        }
        spaces.push(templates.map_err(|message| format!("topic space `{}`: {message}", space.name))?);
    }
    match spaces.iter().map(Vec::len).sum::<usize>() {
        ..=TEMPLATES_MAX => Ok((spaces, places)),
        _ => Err(format!("the topic_spaces have more than {TEMPLATES_MAX} templates")),
    }
}

fn bind(binding: &BindingResource, groups: &Places, spaces: &Places) -> Result<Binding, String> {
    let place = |what, places: &Places, name: &str| {
        let found = places.get(&name.to_lowercase()).copied();
        found.ok_or_else(|| format!("a permission binding names the {what} `{name}`, which is not in the file"))
    };
    Ok(Binding {
        group: place("client group", groups, &binding.group)?,
        space: place("topic space", spaces, &binding.space)?,
        permission: binding.permission,
    })
}

fn check_name(what: &str, name: &str) -> Result<(), String> {
    let is_good =
        (3..=50).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_good {
        true => Ok(()),
        false => Err(format!("{what} `{name}`: a name has 3 to 50 letters, digits and -")),
    }
}
