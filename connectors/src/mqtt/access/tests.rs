//! The whole door: who gets in by which proof, under which name, and what is granted then.

use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{CertificateParams, DnType, KeyPair};
use tempfile::TempDir;

use super::passwords::tests::cheap_hash;
use super::*;

const NOW_S: u64 = 1_800_000_000;

/// A folder with a configuration in it.
struct Door {
    folder: TempDir,
    config: AccessConfig,
}

impl Door {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), config: AccessConfig::default() }
    }

    fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn passwords(mut self, users: &[(&str, &str)]) -> Self {
        let lines: String = users.iter().map(|(name, password)| format!("{name}:{}\n", cheap_hash(password))).collect();
        self.config.password_file = Some(self.file("users", &lines));
        self
    }

    fn rules(mut self, text: &str) -> Self {
        self.config.access_file = Some(self.file("access.toml", text));
        self
    }

    fn jwt(mut self, key: &EncodingKey) -> Self {
        let set = JwkSet { keys: vec![Jwk::from_encoding_key(key, Algorithm::ES256).unwrap()] };
        let jwks_file = self.file("keys.json", &serde_json::to_string(&set).unwrap());
        let audience = vec!["node".to_owned()];
        self.config.jwt = Some(JwtConfig { jwks_file, audience, issuer: Vec::new(), clock_skew_s_max: 0 });
        self
    }

    fn anonymous(mut self, who: Anonymous) -> Self {
        self.config.anonymous = who;
        self
    }

    fn open(&self) -> Access {
        Access::new(&self.config).unwrap_or_else(|error| panic!("{error}"))
    }
}

fn with_password(name: &str, password: &str) -> Attempt {
    Attempt { username: Some(name.to_owned()), password: Some(password.as_bytes().to_vec()), ..Attempt::default() }
}

fn with_certificate(der: &[u8], is_verified: bool) -> Attempt {
    Attempt { certificate: Some(ClientCertificate { der: der.to_vec(), is_verified }), ..Attempt::default() }
}

fn certificate(common_name: &str, dns: &str) -> Vec<u8> {
    let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

fn token(key: &EncodingKey, name: &str, more: &str) -> Vec<u8> {
    let text = format!("{{\"sub\":\"{name}\",\"aud\":\"node\",\"exp\":{}{more}}}", NOW_S + 60);
    let claims: serde_json::Value = serde_json::from_str(&text).unwrap();
    encode(&Header::new(Algorithm::ES256), &claims, key).unwrap().into_bytes()
}

fn name(found: Result<Identity, Refusal>) -> Result<String, u8> {
    found.map(|identity| identity.name.to_string()).map_err(|refusal| refusal.code())
}

#[test]
fn anonymous_clients_come_in_where_they_may() {
    for (who, here, elsewhere) in [
        (Anonymous::Loopback, Ok(String::new()), Err(0x87)),
        (Anonymous::Yes, Ok(String::new()), Ok(String::new())),
        (Anonymous::No, Err(0x87), Err(0x87)),
    ] {
        let access = Door::new().anonymous(who).open();
        let attempt = Attempt { client_id: "c".to_owned(), username: Some("veh-7".to_owned()), ..Attempt::default() };
        assert_eq!(name(access.authenticate(&attempt, NOW_S)), elsewhere, "{who:?}");
        assert_eq!(name(access.authenticate(&Attempt { is_loopback: true, ..attempt }, NOW_S)), here, "{who:?}");
    }
    let access = Door::new().open();
    assert_eq!(name(access.authenticate(&with_password("a", "b"), NOW_S)), Err(0x86));
    let here = Attempt { is_loopback: true, ..with_password("a", "b") };
    let identity = access.authenticate(&here, NOW_S).unwrap();
    assert!(identity.is_anonymous() && identity.grants.may_publish("any/topic"));
}

#[test]
fn a_password_proves_a_name() {
    let access = Door::new().passwords(&[("Ann", "secret")]).anonymous(Anonymous::Yes).open();
    let right = with_password("ann", "secret");
    assert!(access.is_slow(&right));
    assert_eq!(name(access.authenticate(&right, NOW_S)), Ok("Ann".to_owned()));
    assert!(!access.is_slow(&right));
    assert!(access.is_slow(&with_password("ann", "other")) && access.is_slow(&with_password("bob", "other")));
    for wrong in [with_password("ann", "other"), with_password("bob", "secret"), with_password("", "")] {
        // That anonymous clients may come in is no way around a wrong password.
        assert_eq!(name(access.authenticate(&wrong, NOW_S)), Err(0x86));
    }
    let nameless = Attempt { password: Some(b"secret".to_vec()), ..Attempt::default() };
    assert_eq!(name(access.authenticate(&nameless, NOW_S)), Err(0x86));
    let nothing = Attempt::default();
    assert!(!access.is_slow(&nothing) && access.authenticate(&nothing, NOW_S).unwrap().is_anonymous());
}

#[test]
fn a_token_proves_a_name_in_both_versions() {
    let key = EncodingKey::from_ec_der(KeyPair::generate().unwrap().serialized_der());
    let good = token(&key, "Veh-7", ",\"type\":\"truck\"");
    let by_method = |method: &str, data: Option<&[u8]>| Attempt {
        auth_method: Some(method.to_owned()),
        auth_data: data.map(<[u8]>::to_vec),
        ..Attempt::default()
    };
    let as_password = |password: &[u8]| Attempt {
        username: Some("ignored".to_owned()),
        password: Some(password.to_vec()),
        ..Attempt::default()
    };
    for door in [Door::new().jwt(&key), Door::new().jwt(&key).passwords(&[("ann", "secret")])] {
        let access = door.open();
        for attempt in [by_method("OAUTH2-JWT", Some(&good)), by_method("CUSTOM-JWT", Some(&good)), as_password(&good)]
        {
            assert!(!access.is_slow(&attempt));
            let identity = access.authenticate(&attempt, NOW_S).unwrap_or_else(|refusal| panic!("{refusal}"));
            assert_eq!((&*identity.name, identity.expires_at_s), ("Veh-7", Some(NOW_S + 60)));
            assert_eq!(identity.attributes.get("type"), Some(&Attribute::Text("truck".into())));
            let late = if attempt.auth_method.is_some() { 0x87 } else { 0x86 };
            assert_eq!(name(access.authenticate(&attempt, NOW_S + 61)), Err(late));
        }
        assert_eq!(name(access.authenticate(&by_method("SCRAM-SHA-1", Some(&good)), NOW_S)), Err(0x8C));
        assert_eq!(name(access.authenticate(&by_method("OAUTH2-JWT", None), NOW_S)), Err(0x87));
        assert_eq!(name(access.authenticate(&by_method("OAUTH2-JWT", Some(b"x")), NOW_S)), Err(0x87));
    }
    let both = Door::new().jwt(&key).passwords(&[("ann", "secret")]).open();
    assert_eq!(name(both.authenticate(&with_password("ann", "secret"), NOW_S)), Ok("ann".to_owned()));
    let without = Door::new().anonymous(Anonymous::Yes).open();
    assert_eq!(name(without.authenticate(&by_method("OAUTH2-JWT", Some(&good)), NOW_S)), Err(0x8C));
}

#[test]
fn a_certificate_proves_a_name_if_its_authority_is_ours() {
    let der = certificate("Veh-7", "seven.example");
    let access = Door::new().anonymous(Anonymous::Yes).open();
    assert_eq!(name(access.authenticate(&with_certificate(&der, true), NOW_S)), Ok("Veh-7".to_owned()));
    assert_eq!(name(access.authenticate(&with_certificate(&der, false), NOW_S)), Err(0x87));
    assert_eq!(name(access.authenticate(&with_certificate(b"rubbish", true), NOW_S)), Err(0x87));
    let named = |username: &str| Attempt { username: Some(username.to_owned()), ..with_certificate(&der, true) };
    assert_eq!(name(access.authenticate(&named("veh-7"), NOW_S)), Ok("veh-7".to_owned()));
    assert_eq!(name(access.authenticate(&named("veh-8"), NOW_S)), Err(0x87));
    assert_eq!(name(access.authenticate(&named("seven.example"), NOW_S)), Err(0x87));
    let mut door = Door::new();
    door.config.certificate_names = vec![NameSource::Email, NameSource::Dns];
    assert_eq!(name(door.open().authenticate(&with_certificate(&der, true), NOW_S)), Ok("seven.example".to_owned()));
    door.config.certificate_names = vec![NameSource::Email];
    assert_eq!(name(door.open().authenticate(&with_certificate(&der, true), NOW_S)), Err(0x87));
}

#[test]
fn a_registered_client_is_validated_by_its_scheme() {
    let der = certificate("Veh-7", "seven.example");
    let other = certificate("Veh-7", "seven.example");
    let print: String = {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
        digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    };
    let rules = format!(
        r#"
        [[clients]]
        name = "by-dns"
        authentication_name = "Seven.Example"
        certificate = "dns"
        [[clients]]
        name = "by-print"
        certificate = "thumbprint"
        thumbprints = ["{print}"]
        [[clients]]
        name = "by-print-too"
        certificate = "thumbprint"
        thumbprints = ["{print}"]
        [[clients]]
        name = "off"
        state = "disabled"
        certificate = "thumbprint"
        thumbprints = ["{print}"]
        "#
    );
    let access = Door::new().rules(&rules).open();
    let attempt = |username: &str, der: &[u8], is_verified| {
        let attempt = Attempt { username: Some(username.to_owned()), ..with_certificate(der, is_verified) };
        name(access.authenticate(&attempt, NOW_S))
    };
    assert_eq!(attempt("seven.example", &der, true), Ok("Seven.Example".to_owned()));
    assert_eq!(attempt("seven.example", &der, false), Err(0x87));
    assert_eq!(attempt("by-print", &der, false), Ok("by-print".to_owned()));
    assert_eq!(attempt("BY-PRINT-too", &der, false), Ok("by-print-too".to_owned()));
    assert_eq!(attempt("by-print", &other, true), Err(0x87));
    assert_eq!(attempt("off", &der, false), Err(0x8A));
    // Not registered: the certificate's own name decides.
    assert_eq!(attempt("veh-7", &der, true), Ok("veh-7".to_owned()));
    assert_eq!(attempt("unknown", &der, true), Err(0x87));
}

const FLEET: &str = r##"
    [[clients]]
    name = "veh-7"
    authentication_name = "Veh-7"
    attributes = { type = "truck", floor = 3, sensors = ["gps", "temp"] }
    [[clients]]
    name = "veh-8"
    attributes = { type = "car" }
    [[clients]]
    name = "stolen"
    state = "disabled"
    [[client_groups]]
    name = "trucks"
    query = "attributes.type = 'truck'"
    [[topic_spaces]]
    name = "own"
    templates = ["devices/${client.authenticationName}/#", "sensors/${client.attributes.sensors}/+"]
    [[topic_spaces]]
    name = "news"
    templates = ["news/#"]
    [[topic_spaces]]
    name = "fleet"
    templates = ["fleet/+/position"]
    [[permission_bindings]]
    group = "$all"
    space = "own"
    permission = "publisher"
    [[permission_bindings]]
    group = "$all"
    space = "news"
    permission = "subscriber"
    [[permission_bindings]]
    group = "Trucks"
    space = "fleet"
    permission = "publisher"
"##;

const USERS: &[(&str, &str)] = &[("veh-7", "a"), ("veh-8", "b"), ("stolen", "c"), ("guest", "d"), ("+", "e")];

#[test]
fn groups_and_spaces_say_who_may_do_what() {
    let access = Door::new().rules(FLEET).passwords(USERS).open();
    let identity = |name, password| access.authenticate(&with_password(name, password), NOW_S).unwrap();
    let seven = identity("veh-7", "a");
    assert_eq!(&*seven.name, "Veh-7");
    let eight = identity("veh-8", "b");
    let guest = identity("guest", "d");
    let plus = identity("+", "e");
    let anonymous = access.authenticate(&Attempt { is_loopback: true, ..Attempt::default() }, NOW_S).unwrap();
    for (topic, who) in [
        ("devices/Veh-7/x", vec![&seven]),
        ("devices/Veh-7", vec![&seven]),
        ("devices/veh-7/x", vec![]),
        ("devices/veh-8/x", vec![&eight]),
        ("devices/guest/x", vec![&guest]),
        ("devices/+/x", vec![]),
        ("sensors/gps/1", vec![&seven]),
        ("fleet/1/position", vec![&seven]),
        ("fleet/1/x", vec![]),
        ("news/today", vec![]),
        ("other", vec![]),
        ("$SYS/x", vec![]),
    ] {
        let found: Vec<_> = [&seven, &eight, &guest, &plus, &anonymous]
            .into_iter()
            .filter(|identity| identity.grants.may_publish(topic))
            .map(|identity| identity.name.clone())
            .collect();
        assert_eq!(found, who.iter().map(|identity| identity.name.clone()).collect::<Vec<_>>(), "{topic}");
    }
    for identity in [&seven, &guest, &anonymous] {
        assert!(identity.grants.may_subscribe("news/#") && identity.grants.may_subscribe("news/+/x"));
        assert!(!identity.grants.may_subscribe("#") && !identity.grants.may_subscribe("devices/Veh-7/#"));
    }
    assert_eq!(name(access.authenticate(&with_password("stolen", "c"), NOW_S)), Err(0x8A));
    assert_eq!(name(access.authenticate(&with_password("stolen", "x"), NOW_S)), Err(0x86));
}

#[test]
fn only_registered_clients_if_so_wanted() {
    let mut door = Door::new().rules(FLEET).passwords(USERS);
    door.config.registered_only = true;
    let access = door.open();
    assert_eq!(name(access.authenticate(&with_password("veh-8", "b"), NOW_S)), Ok("veh-8".to_owned()));
    assert_eq!(name(access.authenticate(&with_password("guest", "d"), NOW_S)), Err(0x87));
}

#[test]
fn a_registered_attribute_counts_more_than_a_claimed_one() {
    let key = EncodingKey::from_ec_der(KeyPair::generate().unwrap().serialized_der());
    let access = Door::new().rules(FLEET).jwt(&key).open();
    let attempt = |name: &str| Attempt {
        auth_method: Some("CUSTOM-JWT".to_owned()),
        auth_data: Some(token(&key, name, ",\"type\":\"truck\",\"area\":\"north\"")),
        ..Attempt::default()
    };
    let eight = access.authenticate(&attempt("veh-8"), NOW_S).unwrap();
    assert_eq!(eight.attributes.get("type"), Some(&Attribute::Text("car".into())));
    assert_eq!(eight.attributes.get("area"), Some(&Attribute::Text("north".into())));
    assert!(!eight.grants.may_publish("fleet/1/position"));
    let free = access.authenticate(&attempt("new"), NOW_S).unwrap();
    assert!(free.grants.may_publish("fleet/1/position"));
}

#[test]
fn a_reload_is_whole_or_not_at_all() {
    let door = Door::new().rules(FLEET).passwords(USERS);
    let access = door.open();
    let seven = access.authenticate(&with_password("veh-7", "a"), NOW_S).unwrap();
    let eight = access.authenticate(&with_password("veh-8", "b"), NOW_S).unwrap();
    let path = door.config.access_file.clone().unwrap();
    std::fs::write(&path, format!("{FLEET}\n[[topic_spaces]]\nname = \"x\"\n")).unwrap();
    let error = access.reload().expect_err("templates are missing").to_string();
    assert!(error.contains("access.toml:") && error.contains("templates"), "{error}");
    assert!(access.renew(&seven).unwrap().grants.may_publish("fleet/1/position"));
    let changed = FLEET
        .replace("type = \"truck\"", "type = \"boat\"")
        .replace("name = \"veh-8\"", "name = \"veh-8\"\nstate = \"disabled\"");
    std::fs::write(&path, changed).unwrap();
    access.reload().unwrap_or_else(|error| panic!("{error}"));
    // What was granted stays until it is asked again.
    assert!(seven.grants.may_publish("fleet/1/position"));
    let seven = access.renew(&seven).unwrap();
    assert!(!seven.grants.may_publish("fleet/1/position") && seven.grants.may_publish("devices/Veh-7/x"));
    assert_eq!(name(access.renew(&eight)), Err(0x8A));
    assert!(!access.is_slow(&with_password("veh-7", "a")));
}

#[test]
fn the_same_rules_as_json() {
    let door = Door::new();
    let path = door.file(
        "access.json",
        r##"{"clients":[{"name":"veh-7","attributes":{"floor":3,"lines":["a","b"]}}],
            "client_groups":[{"name":"low","query":"attributes.floor < 4"}],
            "topic_spaces":[{"name":"all","templates":["#"]}],
            "permission_bindings":[{"group":"low","space":"all","permission":"publisher"}]}"##,
    );
    let mut door = door.passwords(USERS);
    door.config.access_file = Some(path);
    let access = door.open();
    assert!(access.authenticate(&with_password("veh-7", "a"), NOW_S).unwrap().grants.may_publish("x"));
    assert!(!access.authenticate(&with_password("veh-8", "b"), NOW_S).unwrap().grants.may_publish("x"));
}

#[test]
fn a_wrong_access_file_says_what_is_wrong() {
    let client = |more: &str| format!("[[clients]]\nname = \"veh-7\"\n{more}");
    let cases = [
        ("[[clients]]\nnam = 1".to_owned(), "unknown field `nam`"),
        ("[[clients]]\nname = \"a b\"".to_owned(), "client `a b`: a name has 1 to 128"),
        (client("state = \"off\""), "unknown variant `off`"),
        (client("authentication_name = \"\""), "authentication_name has 1 to 128 characters"),
        (client("thumbprints = [\"ab\"]"), "thumbprints are for certificate"),
        (client("certificate = \"thumbprint\""), "wants one or two thumbprints"),
        (client("certificate = \"thumbprint\"\nthumbprints = [\"xy\"]"), "is no thumbprint"),
        (client("attributes = { a = 1.5 }"), "text, a whole number or a list of text"),
        (client("attributes = { a-b = 1 }"), "letters, digits and _ only"),
        (client(&format!("attributes = {{ a = \"{}\" }}", "x".repeat(4100))), "more than 4096 bytes"),
        (client("[[clients]]\nname = \"VEH-7\""), "there twice"),
        (client("[[clients]]\nname = \"b\"\nauthentication_name = \"Veh-7\""), "same authentication_name"),
        ("[[client_groups]]\nname = \"x\"\nquery = \"attributes.a = 1\"".to_owned(), "3 to 50 letters"),
        ("[[client_groups]]\nname = \"abc\"\nquery = \"a = 1\"".to_owned(), "client group `abc`: the query wants"),
        ("[[client_groups]]\nname = \"$all\"\nquery = \"attributes.a = 1\"".to_owned(), "3 to 50 letters"),
        ("[[topic_spaces]]\nname = \"abc\"\ntemplates = []".to_owned(), "has no templates"),
        (
            "[[topic_spaces]]\nname = \"abc\"\ntemplates = [\"a#\"]".to_owned(),
            "topic space `abc`: `a#` is no topic filter",
        ),
        (
            "[[permission_bindings]]\ngroup = \"abc\"\nspace = \"x\"\npermission = \"publisher\"".to_owned(),
            "the client group `abc`, which is not in the file",
        ),
        (
            "[[permission_bindings]]\ngroup = \"$all\"\nspace = \"xyz\"\npermission = \"publisher\"".to_owned(),
            "the topic space `xyz`, which is not in the file",
        ),
    ];
    for (text, expected) in cases {
        let door = Door::new().rules(&text);
        let error = Access::new(&door.config).expect_err(&text).to_string();
        assert!(error.contains(expected) && error.contains("access.toml"), "{text}\n{error}");
    }
    let config = AccessConfig { access_file: Some("/nonexistent/access.toml".into()), ..AccessConfig::default() };
    assert!(Access::new(&config).expect_err("no file").to_string().contains("cannot read /nonexistent/access.toml"));
}

#[test]
fn grants_are_small_and_shared_where_they_can_be() {
    let open = Door::new().passwords(USERS).open();
    let grants = |access: &Access, name: &str, password: &str| {
        access.authenticate(&with_password(name, password), NOW_S).unwrap().grants
    };
    assert!(Arc::ptr_eq(&grants(&open, "veh-7", "a"), &grants(&open, "veh-8", "b")));
    assert_eq!(open.sessions_per_name_max(), None);
}

/// The TOML blocks of the manual, in order.
fn manual() -> Vec<&'static str> {
    let text = include_str!("../../../../docs/mqtt-access.md");
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn the_examples_of_the_manual_work() {
    #[derive(serde::Deserialize)]
    struct File {
        listeners: Listeners,
    }
    #[derive(serde::Deserialize)]
    struct Listeners {
        mqtt: Mqtt,
    }
    #[derive(serde::Deserialize)]
    struct Mqtt {
        tls: Option<crate::mqtt::tls::TlsConfig>,
        access: Option<AccessConfig>,
    }
    let [tls, access, rules] = manual()[..] else { panic!("three blocks") };
    let tls = toml::from_str::<File>(tls).unwrap().listeners.mqtt.tls.unwrap();
    assert_eq!(tls.problems(), []);
    let config = toml::from_str::<File>(access).unwrap().listeners.mqtt.access.unwrap();
    assert_eq!(config.problems(), []);
    let users = [("veh-7", "a"), ("veh-13", "b"), ("guest", "c")];
    let access = Door::new().rules(rules).passwords(&users).open();
    let seven = access.authenticate(&with_password("veh-7", "a"), NOW_S).unwrap().grants;
    let guest = access.authenticate(&with_password("guest", "c"), NOW_S).unwrap().grants;
    assert_eq!(name(access.authenticate(&with_password("veh-13", "b"), NOW_S)), Err(0x8A));
    assert!(seven.may_publish("devices/veh-7/telemetry/t") && seven.may_publish("depots/4/arrivals"));
    assert!(guest.may_publish("devices/guest/telemetry/t") && !guest.may_publish("depots/4/arrivals"));
    assert!(!guest.may_publish("devices/veh-7/telemetry/t"));
    assert!(seven.may_subscribe("devices/veh-7/commands/+") && seven.may_subscribe("sensors/gps/#"));
    assert!(!seven.may_subscribe("devices/+/commands/+") && !guest.may_subscribe("sensors/gps/#"));
}
