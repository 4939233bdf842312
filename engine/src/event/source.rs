//! What kind of event it is, in IoT Hub's words: a route looks at one kind.

use super::{Event, MESSAGE_SOURCE};

/// What kind of events a route is for (sheet `iothub-and-twins.md` 1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Source {
    /// Telemetry, and every event that names no source.
    #[default]
    DeviceMessages,
    /// Changes of device twins.
    TwinChangeEvents,
    /// Devices created and deleted.
    DeviceLifecycleEvents,
    /// Progress of jobs on devices.
    DeviceJobLifecycleEvents,
    /// Changes of digital twins; their routes apply no filter.
    DigitalTwinChangeEvents,
    /// Devices connecting and disconnecting.
    DeviceConnectionStateEvents,
    /// Traffic of the preview MQTT broker.
    MqttBrokerMessages,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::DeviceMessages,
        Self::TwinChangeEvents,
        Self::DeviceLifecycleEvents,
        Self::DeviceJobLifecycleEvents,
        Self::DigitalTwinChangeEvents,
        Self::DeviceConnectionStateEvents,
        Self::MqttBrokerMessages,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::DeviceMessages => "DeviceMessages",
            Self::TwinChangeEvents => "TwinChangeEvents",
            Self::DeviceLifecycleEvents => "DeviceLifecycleEvents",
            Self::DeviceJobLifecycleEvents => "DeviceJobLifecycleEvents",
            Self::DigitalTwinChangeEvents => "DigitalTwinChangeEvents",
            Self::DeviceConnectionStateEvents => "DeviceConnectionStateEvents",
            Self::MqttBrokerMessages => "MqttBrokerMessages",
        }
    }

    /// The source of that name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name().eq_ignore_ascii_case(name))
    }

    /// The source of an event: what its `iothub-message-source` says, in any case, with `Telemetry` for device messages. An
    /// event that says nothing, or something else, is a device message.
    pub fn of(event: &Event<'_>) -> Self {
        let Some(Some(stamped)) = event.header(MESSAGE_SOURCE) else { return Self::DeviceMessages };
        let known = Self::ALL.into_iter().find(|source| stamped.eq_ignore_ascii_case(source.name().as_bytes()));
        known.unwrap_or_default()
    }
}
