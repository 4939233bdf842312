//! What is written is what the values say, whatever the profile; and a profile that makes no sense is refused with its reason.

use super::*;

use serde_json::Value as Json;

const ZOO: &str = r#"
[[profile]]
name = "zoo"
shapes = 4
spacing = "spaced"
alarm_share = 0.2
alarm_lasts = 2
field = [
  { name = "device_id" },
  { name = "walk", kind = "walk", min = -5.5, max = 7.25, decimals = 3, alarm = [100, 200] },
  { name = "even", kind = "uniform", min = -3, max = 3 },
  { name = "mine", kind = "uniform", min = 0, max = 1, decimals = 6, per = "device" },
  { name = "drain", kind = "drain", from = 100, to = 5, lasts = 7 },
  { name = "word", kind = "choice", values = ["a", 2, true, "x\"y"], weights = [1, 2, 3, 4], lasts = 4, alarm = "fire" },
  { name = "flag", kind = "flag", share = 0.25, optional = true, alarm = true },
  { name = "deep.er.text", kind = "text", length = [0, 40], escapes = 0.3 },
  { name = "deep.list", kind = "array", length = [0, 5], min = 0, max = 9, optional = true },
  { name = "label", kind = "label", prefix = "é-", of = 12 },
  { name = "fixed", kind = "constant", value = -12.50 },
]

[[profile]]
name = "big"
share = 0.25
bytes = 1000
spacing = "pretty"
field = [{ name = "only", kind = "flag" }]
"#;

fn events(model: &Model, seed: u64) -> impl Iterator<Item = (u32, u32, Vec<u8>)> {
    let mut line = model.line();
    (0..3_000u32).map(move |n| {
        let (device, seq) = (n % 300, n / 300);
        (device, seq, model.write(seed, device, seq, 1_795_213_800_000_000, &mut line).to_vec())
    })
}

fn at<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    path.split('.').try_fold(json, |json, name| json.get(name))
}

#[test]
fn what_is_written_is_what_the_values_say() {
    let model = Model::parse(ZOO).unwrap();
    let names = model.field_names();
    let (mut shapes, mut seen) = (std::collections::BTreeSet::new(), 0);
    for (device, seq, bytes) in events(&model, 3) {
        let json: Json = serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(&bytes));
        });
        assert_eq!(crate::fleet::check(&bytes), crate::fleet::Check::Right);
        let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        shapes.insert(format!("{keys:?} {}", at(&json, "deep.list").is_some()));
        for name in &names {
            let value = model.value(3, device, seq, &model.find(name).unwrap());
            seen += 1;
            match (at(&json, name), value) {
                (None, None) => {}
                (Some(Json::Number(number)), Some(value)) => assert_eq!(number.as_f64(), value.as_f64(), "{name}"),
                (Some(Json::String(text)), Some(Value::Text(value))) => assert_eq!(*text, value, "{name}"),
                (Some(Json::Bool(flag)), Some(Value::Bool(value))) => assert_eq!(*flag, value, "{name}"),
                (Some(Json::Array(_)), Some(Value::Other)) => {}
                (json, value) => panic!("{name}: {json:?} is written and {value:?} is meant"),
            }
        }
    }
    assert_eq!(seen, 3_000 * names.len());
    assert_eq!(shapes.len(), 4 + 1, "four shapes of one profile, one of the other");
}

#[test]
fn shares_and_sizes_are_as_asked() {
    let model = Model::parse(ZOO).unwrap();
    let (mut big, mut bytes_of_big, mut alarms, mut zoo, mut flags) = (0, 0, 0, 0, 0);
    for (_, _, bytes) in events(&model, 3) {
        let json: Json = serde_json::from_slice(&bytes).unwrap();
        if json.get("pad").is_some() {
            (big, bytes_of_big) = (big + 1, bytes_of_big + bytes.len());
            continue;
        }
        zoo += 1;
        alarms += u32::from(json["word"] == "fire");
        assert_eq!(
            json["word"] == "fire",
            json["walk"].as_f64().unwrap() >= 100.0,
            "an alarm is one of the whole device"
        );
        flags += u32::from(json["flag"] == true && json["word"] != "fire");
    }
    assert!((400..=800).contains(&big), "a fifth of the devices: {big}");
    assert!((990..=1_010).contains(&(bytes_of_big / big)), "{}", bytes_of_big / big);
    assert!((zoo / 7..=zoo / 4).contains(&alarms), "a fifth: {alarms} of {zoo}");
    assert!((zoo / 20..=zoo / 5).contains(&flags), "a quarter of the half that has it: {flags} of {zoo}");
}

#[test]
fn a_profile_that_makes_no_sense_says_why() {
    let field = |field: &str| format!("[[profile]]\nname = \"p\"\nfield = [{{ name = \"f\", {field} }}]");
    for (text, wanted) in [
        ("x = 1".to_owned(), "unknown field `x`"),
        ("profile = []".to_owned(), "0 profiles"),
        ("[[profile]]\nname = \"p\"\nshare = 0".to_owned(), "`share` that is not above 0"),
        ("[[profile]]\nname = \"p\"\nalarm_share = 2".to_owned(), "outside 0 to 1"),
        ("[[profile]]\nname = \"p\"\nshapes = 2".to_owned(), "with 0 optional fields it can have 1 to 1"),
        ("[[profile]]\nname = \"p\"\nbytes = 10".to_owned(), "its fields alone take"),
        ("[[profile]]\nname = \"p\"\nfield = [{ name = \"seq\", kind = \"flag\" }]".to_owned(), "filled by the fleet"),
        (
            "[[profile]]\nname = \"p\"\nfield = [{ name = \"a\", kind = \"flag\" }, { name = \"a.b\", kind = \"flag\" }]".to_owned(),
            "`a.b` is there twice",
        ),
        ("[[profile]]\nname = \"p\"\nfield = [{ name = \"check\", kind = \"flag\" }]".to_owned(), "cannot be called so"),
        (field("optional = true"), "needs a `kind`"),
        (field("kind = \"wlak\""), "unknown variant `wlak`"),
        (field("kind = \"walk\", min = 1"), "needs `max`"),
        (field("kind = \"walk\", min = 1, max = 2, wander = 0.6"), "outside 0 to 0.5"),
        (field("kind = \"walk\", min = 2, max = 1"), "`min` above its `max`"),
        (field("kind = \"uniform\", min = 0, max = 1e10"), "more than 2^32 steps"),
        (field("kind = \"uniform\", min = 0, max = 1, decimals = 20"), "9 is the most"),
        (field("kind = \"flag\", min = 1"), "has `min`, which its kind does not use"),
        (field("kind = \"flag\", share = 1.5"), "`share` outside 0 to 1"),
        (field("kind = \"flag\", per = \"device\", lasts = 3"), "no `lasts`"),
        (field("kind = \"choice\", values = []"), "needs `values`"),
        (field("kind = \"choice\", values = [1, 2], weights = [1]"), "2 values and 1 weights"),
        (field("kind = \"text\", length = [5, 1]"), "reversed"),
        (
            ["f", "g", "h"].iter().fold("[[profile]]\nname = \"p\"".to_owned(), |text, name| {
                text + &format!("\n[[profile.field]]\nname = \"{name}\"\nkind = \"text\"\nlength = [0, 65000]")
            }),
            "more than 1048576 bytes",
        ),
        (field("kind = \"walk\", min = 0, max = 1, alarm = \"hot\""), "neither a number nor a range"),
    ] {
        let error = Model::parse(&text).map(|_| ()).expect_err(&text).to_string();
        assert!(error.contains(wanted), "{text}\n{error}\nshould contain: {wanted}");
    }
}

#[test]
fn the_built_in_profile_is_one_shape_of_one_line() {
    let model = Model::telemetry();
    assert_eq!((model.profile_names().collect::<Vec<_>>(), model.multiline_profile()), (vec!["telemetry"], None));
    assert_eq!(model.source(), Model::telemetry_source());
}

#[test]
fn filters_are_evaluated_from_the_seed() {
    let model = std::sync::Arc::new(Model::parse(ZOO).unwrap());
    let filter = |text: &str| crate::fleet::Filter::parse(text, &model).unwrap();
    type Case = (&'static str, fn(&Json) -> bool);
    let cases: [Case; 8] = [
        ("walk > 1.5", |json| json["walk"].as_f64().is_some_and(|walk| walk > 1.5)),
        ("$body.walk <= 1.5", |json| json["walk"].as_f64().is_some_and(|walk| walk <= 1.5)),
        ("word = 'fire'", |json| json["word"] == "fire"),
        ("word != 'a'", |json| json["word"].as_str().is_some_and(|word| word != "a")),
        ("flag = true", |json| json["flag"] == true),
        ("even >= 0 and flag = false", |json| {
            json["even"].as_i64().is_some_and(|even| even >= 0) && json["flag"] == false
        }),
        ("device_id = 'dev-000000007'", |json| json["device_id"] == "dev-000000007"),
        ("seq < 3", |json| json["seq"].as_i64().unwrap() < 3),
    ];
    for (text, expected) in cases {
        let filter = filter(text);
        let mut matched = 0;
        for (device, seq, bytes) in events(&model, 9) {
            let json: Json = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(filter.matches(9, device, seq), expected(&json), "{text}: {json}");
            matched += u32::from(expected(&json));
        }
        assert!((1..3_000).contains(&matched), "{text}: {matched}");
    }
    for (text, wanted) in [
        ("temp", "is no condition"),
        ("nope = 1", "no device has a field `nope`; there are: walk, even"),
        ("walk > high", "`high` is no value"),
        ("walk >", "is no condition"),
    ] {
        let error = crate::fleet::Filter::parse(text, &model).expect_err(text).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}
