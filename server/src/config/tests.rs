//! Configurations good and bad: what they become, and what is said about them.

use connectors::parquet::ColumnType;
use serde::de::DeserializeOwned;

use super::*;

fn good(text: &str) -> NodeConfig {
    let checked = check(text, "test.toml");
    checked.config.clone().unwrap_or_else(|| panic!("{}", checked.render(false)))
}

#[test]
fn nothing_is_a_configuration() {
    let config = good("");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.node.partitions, config.node.data_dir.to_str()), (32, Some("./data")));
    assert_eq!(config.endpoints.len(), 1);
    assert_eq!(config.fallback, Some(FallbackSettings { endpoint: HUB.into(), enabled: true }));
}

#[test]
fn every_section_is_read() {
    let config = good(
        r#"
        [node]
        name = "plant-7"
        partitions = 8
        [listeners.http]
        listen = "0.0.0.0:0"
        ack = "written"
        key_pointer = "/id"
        [log]
        retention_bytes_max = 1073741824
        [endpoints.lake]
        type = "parquet"
        dir = "lake"
        compression = "zstd"
        columns = [{ name = "t", path = "a.t", type = "float64" }]
        [endpoints.hook]
        type = "webhook"
        from = "beginning"
        url = "http://127.0.0.1:1/x"
        [endpoints.out]
        type = "ndjson"
        path = "out.ndjson"
        format = "data"
        [endpoints.again]
        type = "mqtt"
        topic = "alerts/${device}/${subject}"
        [[routes]]
        name = "hot"
        filter = "temp > 30"
        endpoint = "hook"
        [[routes]]
        name = "all"
        dialect = "iothub"
        source = "devicemessages"
        endpoint = "lake"
        [[routes]]
        name = "grid"
        dialect = "eventgrid"
        filter = '''{"subjectBeginsWith": "/plant/", "advancedFilters": [
            {"operatorType": "NumberGreaterThan", "key": "data.temp", "value": 70}]}'''
        endpoint = "lake"
        [[routes]]
        name = "every-topic"
        dialect = "mqtt"
        endpoint = "lake"
        [fallback]
        endpoint = "out"
        [[enrichments]]
        key = "site"
        value = "$iothubname"
        endpoints = ["hook", "out"]
        "#,
    );
    let kinds: Vec<_> =
        config.endpoints.iter().map(|endpoint| (endpoint.name.as_str(), endpoint.kind.name())).collect();
    assert!(kinds.contains(&("again", "mqtt")));
    assert!(kinds.contains(&("lake", "parquet")) && kinds.contains(&("hook", "webhook")) && kinds[0] == ("hub", "hub"));
    let lake = config.endpoints.iter().find(|endpoint| endpoint.name == "lake").expect("there");
    let EndpointKind::Parquet(lake) = &lake.kind else { panic!("{lake:?}") };
    assert_eq!(lake.columns.as_ref().expect("given")[0].r#type, ColumnType::Float64);
    assert_eq!((config.routes[1].filter.as_str(), config.routes[1].dialect), ("true", Dialect::IotHub));
    assert_eq!(config.routes[2].dialect, Dialect::EventGrid);
    assert_eq!((config.routes[3].filter.as_str(), config.routes[3].dialect), ("#", Dialect::Mqtt));
    assert_eq!(config.http.ack, AckLevel::Written);
}

#[test]
fn flags_win_over_the_file_and_are_checked_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("c.toml");
    std::fs::write(&path, "[node]\nshards = 3\n[listeners.http]\nack = \"memory\"\n").expect("writes");
    let args = RunArgs { config: Some(path), ack: AckLevel::by_name("synced"), ..RunArgs::default() };
    let config = load(&args).expect("good");
    assert_eq!((config.node.shards, config.http.ack), (3, AckLevel::Synced));
    let error = load(&RunArgs { partitions: Some(0), ..RunArgs::default() }).expect_err("no partitions").to_string();
    assert!(error.contains("`partitions` is 0") && error.contains("flag"), "{error}");
}

#[test]
fn what_is_fixed_while_a_node_runs_is_named() {
    let (one, other) = (good("[node]\npartitions = 4"), good("[node]\npartitions = 5"));
    assert_eq!(one.same_until_restart(&other), Err("node.partitions"));
    assert_eq!(one.same_until_restart(&one), Ok(()));
}

/// Wrong configurations as data: after each `=== name` the file, after `--- says` what is said about it.
#[test]
fn the_corpus_of_wrong_configurations_says_what_is_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/configs-refused.txt");
    let corpus = std::fs::read_to_string(path).expect("the corpus");
    let (mut rewritten, mut wrong, mut cases) = (String::new(), Vec::new(), 0);
    for case in corpus.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').expect("a name");
        let (text, expected) = rest.split_once("--- says\n").unwrap_or((rest, ""));
        let checked = check(text, "anabranch.toml");
        assert!(checked.config.is_none(), "{name} is accepted");
        let said = checked.render(false);
        cases += 1;
        if said.trim_end() != expected.trim_end() {
            wrong.push(format!("{name}:\n{said}\n  instead of\n{expected}"));
        }
        rewritten += &format!("=== {name}\n{text}--- says\n{}\n\n", said.trim_end());
    }
    assert!(cases >= 30, "only {cases} cases");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, rewritten).expect("writes");
    } else {
        assert!(wrong.is_empty(), "UPDATE_SNAPSHOTS=1 rewrites them:\n{}", wrong.join("\n"));
    }
}

/// The keys of a table, as serde knows them.
fn keys<T: DeserializeOwned>() -> Vec<String> {
    let mut probe = toml::Table::new();
    probe.insert("no-such-key".to_owned(), toml::Value::Boolean(true));
    let Err(error) = probe.try_into::<T>() else { panic!("an unknown key is accepted") };
    error.message().split('`').skip(1).step_by(2).filter(|key| *key != "no-such-key").map(str::to_owned).collect()
}

#[test]
fn the_manual_has_every_key() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let manual = std::fs::read_to_string(path).expect("the manual");
    let mut all = keys::<NodeSettings>();
    all.extend(keys::<LogSettings>());
    all.extend(keys::<HttpConfig>());
    all.extend(keys::<shape::FallbackShape>());
    all.extend(keys::<shape::RouteShape>());
    all.extend(keys::<shape::EnrichmentShape>());
    all.extend(keys::<WebhookConfig>());
    all.extend(keys::<ParquetConfig>());
    all.extend(keys::<NdjsonConfig>());
    all.extend(keys::<MqttSinkConfig>());
    all.extend(keys::<connectors::mqtt::MqttConfig>());
    all.extend(keys::<connectors::quic::QuicConfig>());
    all.extend(keys::<connectors::mqtt::access::AccessConfig>());
    all.extend(keys::<connectors::mqtt::access::JwtConfig>());
    all.extend(keys::<connectors::mqtt::tls::TlsConfig>());
    all.extend(keys::<connectors::mqtt::mapping::MappingConfig>());
    all.extend(keys::<connectors::mqtt::mapping::EnrichmentConfig>());
    assert!(all.len() > 50, "{all:?}");
    let missing: Vec<&String> = all.iter().filter(|key| !manual.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/configuration.md does not tell of {missing:?}");
}
