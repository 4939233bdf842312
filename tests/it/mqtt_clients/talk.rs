//! paho-mqtt and mqtt.js through all that they can: QoS, wills, retained messages, sessions, shared subscriptions, properties.

use super::{Beside, mqtt_js, paho, with_mqtt_js, with_paho};
use crate::mqtt_broker::Broker;

const WEBSOCKET: &str = "ws_listen = \"127.0.0.1:0\"";

#[test]
fn paho_talks() {
    let Some(python) = paho() else { return };
    let broker = Broker::start();
    Beside::start(&mut with_paho(&python, &[&format!("mqtt://{}", broker.address()), "talk"])).done();
}

#[test]
fn paho_talks_over_websocket() {
    let Some(python) = paho() else { return };
    let broker = Broker::with(WEBSOCKET);
    let url = format!("ws://{}", broker.node().address("ws"));
    Beside::start(&mut with_paho(&python, &[&url, "talk"])).done();
}

#[test]
fn mqtt_js_talks() {
    let Some(module) = mqtt_js() else { return };
    let broker = Broker::start();
    Beside::start(&mut with_mqtt_js(&module, &[&format!("mqtt://{}", broker.address()), "talk"])).done();
}

#[test]
fn mqtt_js_talks_over_websocket() {
    let Some(module) = mqtt_js() else { return };
    let broker = Broker::with(WEBSOCKET);
    for path in ["", "/mqtt"] {
        let url = format!("ws://{}{path}", broker.node().address("ws"));
        Beside::start(&mut with_mqtt_js(&module, &[&url, "talk"])).done();
    }
}
