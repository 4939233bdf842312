//! The command without the world: whole answers as text.

use super::*;

fn args(filter: &str) -> ExplainArgs {
    ExplainArgs {
        filter: filter.to_owned(),
        dialect: Dialect::Anabranch,
        source: Source::default(),
        azure_date_quirk: false,
        event: "-".to_owned(),
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
    args.filter = "temp = 3 AND EXISTS($property.flag) AND $property.flag IS NULL".to_owned();
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
    grid.filter = r#"[{"key":"data.t","operatorType":"NumberGreater","value":3}]"#.to_owned();
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
