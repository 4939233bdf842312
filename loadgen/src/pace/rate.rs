//! A rate over time: how many events should have gone out, and when the n-th should.

/// Events per second, over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Always the same.
    Constant(f64),
    /// `factor` times the base for the first `for_s` of every `every_s`.
    Bursts {
        /// Events per second outside bursts.
        base: f64,
        /// How many times the base a burst is.
        factor: f64,
        /// Seconds of a burst.
        for_s: f64,
        /// Seconds from the start of one burst to the next.
        every_s: f64,
    },
    /// A day: from `low` times the mean up to as much above it and back, as a sine, every `period_s`. Begins at the mean, rising.
    Diurnal {
        /// Mean events per second.
        mean: f64,
        /// The lowest rate as a share of the mean, 0 to 1.
        low: f64,
        /// Seconds of a day.
        period_s: f64,
    },
    /// From one rate to another in a straight line, then staying there.
    Ramp {
        /// Events per second at the start.
        from: f64,
        /// Events per second at the end.
        to: f64,
        /// Seconds in between.
        over_s: f64,
    },
}

impl Rate {
    /// Events per second at a time.
    pub fn at(&self, seconds: f64) -> f64 {
        match *self {
            Self::Constant(rate) => rate,
            Self::Bursts { base, factor, for_s, every_s } => {
                if seconds % every_s < for_s {
                    base * factor
                } else {
                    base
                }
            }
            Self::Diurnal { mean, low, period_s } => {
                mean * (1.0 + (1.0 - low) * (std::f64::consts::TAU * seconds / period_s).sin())
            }
            Self::Ramp { from, to, over_s } => from + (to - from) * (seconds / over_s).min(1.0),
        }
    }

    /// Events that should have gone out until a time: the integral of [`at`](Self::at).
    pub fn events_until(&self, seconds: f64) -> f64 {
        match *self {
            Self::Constant(rate) => rate * seconds,
            Self::Bursts { base, factor, for_s, every_s } => {
                let bursts = (seconds / every_s).floor();
                let in_burst = bursts * for_s + (seconds - bursts * every_s).min(for_s);
                base * (seconds + (factor - 1.0) * in_burst)
            }
            Self::Diurnal { mean, low, period_s } => {
                let turn = std::f64::consts::TAU / period_s;
                mean * (seconds + (1.0 - low) * (1.0 - (turn * seconds).cos()) / turn)
            }
            Self::Ramp { from, to, over_s } => {
                let ramp = seconds.min(over_s);
                from * ramp + (to - from) * ramp * ramp / (2.0 * over_s) + to * (seconds - over_s).max(0.0)
            }
        }
    }

    /// When `events` should have gone out: the inverse of [`events_until`](Self::events_until).
    pub fn time_of(&self, events: f64) -> f64 {
        match *self {
            Self::Constant(rate) => events / rate,
            _ => self.search(events),
        }
    }

    /// Rates are never negative, so the count only rises and can be searched; 60 halvings of a bracket are exact to a double.
    fn search(&self, events: f64) -> f64 {
        let mut high = 1.0;
        while self.events_until(high) < events && high < 1e10 {
            high *= 2.0;
        }
        let mut low = 0.0;
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.events_until(middle) < events {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }
}
