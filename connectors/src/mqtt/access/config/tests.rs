//! The settings as they are written in the node's file.

use super::*;

#[test]
fn every_key_is_read() {
    let text = r#"
        anonymous = "no"
        password_file = "users"
        certificate_names = ["dns", "subject", "uri", "ip", "email"]
        access_file = "access.toml"
        registered_only = true
        sessions_per_name_max = 3
        [jwt]
        jwks_file = "keys.json"
        audience = ["mqtt.example"]
        issuer = ["https://id.example"]
        clock_skew_s_max = 5
    "#;
    let config: AccessConfig = toml::from_str(text).unwrap();
    assert_eq!(config.anonymous, Anonymous::No);
    assert_eq!(config.certificate_names.len(), 5);
    assert_eq!(config.jwt.as_ref().map(|jwt| jwt.clock_skew_s_max), Some(5));
    assert_eq!(config.problems(), []);
    assert_eq!(AccessConfig::default().problems(), []);
    assert_eq!(toml::from_str::<AccessConfig>("").unwrap(), AccessConfig::default());
    for wrong in
        ["anonymus = \"no\"", "anonymous = \"maybe\"", "[jwt]\njwks_file = \"x\"", "certificate_names = [\"cn\"]"]
    {
        assert!(toml::from_str::<AccessConfig>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn problems_name_their_key() {
    let cases = [
        ("sessions_per_name_max = 0", "access.sessions_per_name_max"),
        ("certificate_names = []", "access.certificate_names"),
        ("registered_only = true", "access.registered_only"),
        ("password_file = \"\"", "access.password_file"),
        ("access_file = \"\"", "access.access_file"),
        ("[jwt]\njwks_file = \"k\"\naudience = []", "access.jwt.audience"),
        ("[jwt]\njwks_file = \"\"\naudience = [\"a\"]", "access.jwt.jwks_file"),
        ("[jwt]\njwks_file = \"k\"\naudience = [\"a\"]\nissuer = [\"\"]", "access.jwt.issuer"),
        ("[jwt]\njwks_file = \"k\"\naudience = [\"a\"]\nclock_skew_s_max = 9999", "access.jwt.clock_skew_s_max"),
    ];
    for (text, field) in cases {
        let config: AccessConfig = toml::from_str(text).unwrap();
        let fields: Vec<_> = config.problems().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, [field], "{text}");
    }
}
