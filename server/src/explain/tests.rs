//! The command without the world: whole answers as text.

use super::*;

fn args(filter: &str) -> ExplainArgs {
    ExplainArgs {
        filter: Some(filter.to_owned()),
        routes: None,
        route: None,
        all: false,
        dialect: Dialect::Anabranch,
        source: Source::default(),
        azure_date_quirk: false,
        event: Some("-".to_owned()),
        since: None,
        until: None,
        data_dir: "data".into(),
        show: 3,
        property: Vec::new(),
        system: Vec::new(),
    }
}

fn answer(args: &ExplainArgs, event: &str) -> String {
    match explain(args, event.as_bytes(), 0, false, false) {
        Ok(answer) => answer.warnings + &answer.text,
        Err(text) => text,
    }
}

#[test]
fn plain_data_and_a_tree_of_reasons() {
    let found =
        answer(&args("temp > 30 AND NOT (status = 'ok' OR zone > 3)"), r#"{"temp":31.5,"status":"bad","zone":"x"}"#);
    let expected = "\
undefined: the event does not match
read as plain data, filter in dialect anabranch

  temp > 30 AND NOT (status = 'ok' OR zone > 3)
  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^   undefined   (right side is an undefined value)
  ^^^^^^^^^                                         true
  ^^^^                                                31.5
                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^     undefined   (NOT of an undefined value)
                     ^^^^^^^^^^^^^^^^^^^^^^^^^        undefined   (right side is an undefined value)
                     ^^^^^^^^^^^^^                      false
                     ^^^^^^                               'bad'
                                      ^^^^^^^^          undefined   (string compared with number)
                                      ^^^^                'x'
";
    let squeeze = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(squeeze(&found), squeeze(expected), "\n{found}");
}

#[test]
fn cloud_events_carry_attributes_properties_and_base64() {
    let mut args = args("type = 't' AND $property.level = 'hot' AND $attribute.seq = '7' AND temp = 3");
    args.property = vec!["level=hot".to_owned(), "flag".to_owned()];
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","seq":7,"data":{"temp":3}}"#;
    assert!(answer(&args, event).starts_with("true"), "{}", answer(&args, event));
    args.filter = Some("temp = 3 AND EXISTS($property.flag) AND $property.flag IS NULL".to_owned());
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"eyJ0ZW1wIjozfQ=="}"#;
    assert!(answer(&args, event).starts_with("true: the event matches\nread as a CloudEvent"));
}

#[test]
fn iot_hub_messages_by_flags() {
    let mut args = args("STARTS_WITH($connectionDeviceId, 'plant7-') AND $body.t > 3 AND level = 'hot'");
    args.dialect = Dialect::IotHub;
    args.system = vec!["connectionDeviceId=plant7-a".to_owned()];
    args.property = vec!["Level=hot".to_owned()];
    assert!(answer(&args, r#"{"t":4}"#).starts_with("true"), "{}", answer(&args, r#"{"t":4}"#));
    args.system.push("contentType=text/plain".to_owned());
    let found = answer(&args, r#"{"t":4}"#);
    assert!(found.starts_with("undefined") && found.contains("note: the data is not read"), "{found}");
    args.system = vec!["nope=1".to_owned()];
    assert!(answer(&args, "{}").contains("--system nope: there is no such property; known are messageId"));
}

#[test]
fn event_grid_and_mqtt_filters_are_explained_too() {
    let mut grid = args(
        r#"[{"key":"data.t","operatorType":"NumberGreaterThan","value":3},{"key":"subject","operatorType":"IsNotNull"}]"#,
    );
    grid.dialect = Dialect::EventGrid;
    let event = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"a/b","data":{"t":"4"}}"#;
    let found = answer(&grid, event);
    assert!(found.starts_with("false") && found.contains("filter in dialect eventgrid"), "{found}");
    assert!(found.contains("`data.t` is '4', not a number: it counts as missing"), "{found}");
    assert!(found.contains("`subject` is 'a/b'"), "{found}");
    grid.filter = Some(r#"[{"key":"data.t","operatorType":"NumberGreater","value":3}]"#.to_owned());
    assert!(answer(&grid, event).contains("there is no operator `NumberGreater`"));
    let mut mqtt = args("a/+");
    mqtt.dialect = Dialect::Mqtt;
    let found = answer(&mqtt, event);
    assert!(found.starts_with("true") && found.contains("the topic is 'a/b'"), "{found}");
    let found = answer(&mqtt, "{}");
    assert!(found.starts_with("undefined") && found.contains("attribute `subject` is absent"), "{found}");
}

#[test]
fn refusals_and_bad_data_say_why() {
    assert!(answer(&args("temp >"), "{}").contains("a value was expected after `>`"));
    let found = answer(&args("temp > 3"), "{\"temp\":");
    assert!(found.contains("note: the data is not JSON:") && found.starts_with("undefined"), "{found}");
    let found = answer(&args("type = 'x' OR level > 3"), "{\"a\":1}");
    assert!(found.contains("(the data has no member `level`)"), "{found}");
    let long = format!("temp IN ({})", vec!["1000"; 40].join(", "));
    assert!(answer(&args(&long), "{\"temp\":1000}").contains("\n    1000   temp\n"));
}

const CONFIG: &str = r#"
[endpoints.alerts]
type = "webhook"
url = "http://127.0.0.1:9/x"
[[routes]]
name = "hot"
filter = "device_id = 'd1' AND temp > 30"
endpoint = "alerts"
[[routes]]
name = "cold"
filter = "device_id = 'd1' AND temp < 10"
endpoint = "alerts"
[[routes]]
name = "slow"
filter = "length(device_id) > 3"
endpoint = "alerts"
[[routes]]
name = "off"
filter = "true"
endpoint = "alerts"
enabled = false
"#;

fn of_routes(route: Option<&str>, event: &str) -> String {
    let config = crate::config::check(CONFIG, "test").config.expect("a good configuration");
    let args = ExplainArgs { filter: None, route: route.map(str::to_owned), ..args("") };
    match routes::explain_config(&args, &config, event.as_bytes(), 0, false) {
        Ok(answer) => answer.text,
        Err(text) => text,
    }
}

#[test]
fn routes_that_match_and_what_rejected_the_others() {
    let expected = "\
1 of 3 routes match; read as plain data, source DeviceMessages
not tried: 1 disabled

+ hot -> alerts
    device_id = 'd1' AND temp > 30
    found by: equality on $body.device_id, 1 check (cost 1)

- cold -> alerts
    device_id = 'd1' AND temp < 10
    rejected by: temp < 10 is false
    where temp is 31
    found by: equality on $body.device_id, 1 check (cost 1)

- slow -> alerts
    length(device_id) > 3
    rejected by: length(device_id) > 3 is false
    where length(device_id) is 2
    found by: scan, 1 check (cost 11)
";
    assert_eq!(of_routes(None, r#"{"device_id":"d1","temp":31}"#), expected);
}

#[test]
fn one_route_with_its_tree_and_a_name_that_is_not_there() {
    let found = of_routes(Some("cold"), r#"{"device_id":"d1","temp":"x"}"#);
    assert!(found.contains("rejected by: temp < 10 is undefined (string compared with number)"), "{found}");
    assert!(found.contains("^^^^^^^^^"), "{found}");
    let found = of_routes(Some("colt"), "{}");
    assert_eq!(found, "error: the configuration has no route 'colt'; did you mean 'cold'?\n");
}

#[test]
fn without_a_match_the_fallback_decides() {
    let found = of_routes(None, "{}");
    assert!(
        found.contains("0 of 3 routes match") && found.contains("no route matches: the fallback takes it to hub"),
        "{found}"
    );
}
