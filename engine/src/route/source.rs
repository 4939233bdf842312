//! Where an event comes from, in IoT Hub's words: a route looks at one source.

use crate::event::{Event, MESSAGE_SOURCE};

/// The sources that a route may name (sheet `iothub-and-twins.md` 1.1). `Invalid` is refused on write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// Telemetry, and every event that came by another profile.
    #[default]
    DeviceMessages,
    /// Changes of device twins.
    TwinChangeEvents,
    /// Devices and modules created or deleted.
    DeviceLifecycleEvents,
    /// Progress of device jobs.
    DeviceJobLifecycleEvents,
    /// Changes of digital twins; their routes are not filtered.
    DigitalTwinChangeEvents,
    /// Devices connected or disconnected.
    DeviceConnectionStateEvents,
    /// Preview broker traffic.
    MqttBrokerMessages,
}

impl Source {
    /// All of them with the names that configuration uses and the value of `iothub-message-source`.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::DeviceMessages, "DeviceMessages", "Telemetry"),
        (Self::TwinChangeEvents, "TwinChangeEvents", "twinChangeEvents"),
        (Self::DeviceLifecycleEvents, "DeviceLifecycleEvents", "deviceLifecycleEvents"),
        (Self::DeviceJobLifecycleEvents, "DeviceJobLifecycleEvents", "deviceJobLifecycleEvents"),
        (Self::DigitalTwinChangeEvents, "DigitalTwinChangeEvents", "digitalTwinChangeEvents"),
        (Self::DeviceConnectionStateEvents, "DeviceConnectionStateEvents", "deviceConnectionStateEvents"),
        (Self::MqttBrokerMessages, "MqttBrokerMessages", "mqttBrokerMessages"),
    ];

    /// By its name in configuration, without case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| known.eq_ignore_ascii_case(name)).map(|(source, ..)| *source)
    }

    /// Its name in configuration.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(source, ..)| *source == self).map_or("DeviceMessages", |(_, name, _)| name)
    }

    /// The source of an event: what its `iothub-message-source` says, else device messages.
    pub fn of(event: &Event<'_>) -> Self {
        let Some(Some(stamped)) = event.header(MESSAGE_SOURCE) else { return Self::DeviceMessages };
        Self::ALL
            .iter()
            .find(|(_, name, wire)| stamped.eq_ignore_ascii_case(wire.as_bytes()) || stamped.eq_ignore_ascii_case(name.as_bytes()))
            .map_or(Self::DeviceMessages, |(source, ..)| *source)
    }
}
