//! A line chart as SVG: a logarithmic x axis, a y axis from zero or logarithmic where the values are far apart, every line named
//! at its end. Readable on light and dark pages.

use std::fmt::Write;

/// One line.
pub(super) struct Series {
    /// Its name; the first series of a chart is ours.
    pub(super) name: String,
    /// (x, y), by x.
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) x_label: &'static str,
    pub(super) y_label: &'static str,
    /// What stands behind the last value of a line, with its space.
    pub(super) unit: &'static str,
    /// What it was measured on, and when.
    pub(super) source: String,
    pub(super) series: Vec<Series>,
}

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 610.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 356.0;
/// Values further apart than this are drawn on a logarithmic axis.
const LINEAR_SPAN_MAX: f64 = 12.0;
/// Names of lines keep this distance.
const NAME_HEIGHT: f64 = 18.0;

/// Ours, then the peers: a blue and two warm greys that hold on white and on black.
const LIGHT: [&str; 4] = ["#1f6fa3", "#a8622c", "#7a6f66", "#4d7a4a"];
const DARK: [&str; 4] = ["#6db6e8", "#e0a06a", "#b5aaa0", "#93c48f"];

impl Chart {
    /// As a file.
    pub(super) fn svg(&self) -> String {
        let y = self.y_axis();
        let x = self.x_axis();
        let mut out = String::new();
        self.head(&mut out);
        for tick in y.ticks() {
            let at = y.at(tick);
            line(&mut out, "grid", (LEFT, at), (RIGHT, at));
            text(&mut out, "tick", (LEFT - 8.0, at + 4.0), "end", &number(tick));
        }
        for tick in self.x_ticks(&x) {
            let at = x.at(tick);
            line(&mut out, "axis", (at, BOTTOM), (at, BOTTOM + 5.0));
            text(&mut out, "tick", (at, BOTTOM + 20.0), "middle", &number(tick));
        }
        line(&mut out, "axis", (LEFT, BOTTOM), (RIGHT, BOTTOM));
        text(&mut out, "label", ((LEFT + RIGHT) / 2.0, BOTTOM + 42.0), "middle", self.x_label);
        text(&mut out, "label", (LEFT - 56.0, TOP - 16.0), "start", self.y_label);
        text(&mut out, "source", (LEFT - 56.0, HEIGHT - 14.0), "start", &self.source);
        for (index, series) in self.series.iter().enumerate() {
            let points: Vec<String> =
                series.points.iter().map(|point| format!("{:.1},{:.1}", x.at(point.0), y.at(point.1))).collect();
            let _ = writeln!(out, "  <polyline class=\"line s{index}\" points=\"{}\"/>", points.join(" "));
            for point in &series.points {
                let (x, y) = (x.at(point.0), y.at(point.1));
                let _ = writeln!(out, "  <circle class=\"dot s{index}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"/>");
            }
        }
        for (index, at) in self.name_places(&x, &y) {
            let series = &self.series[index];
            let last = series.points.last().map_or(0.0, |point| point.1);
            let name = format!("{}: {}{}", series.name, number(last.round()), self.unit);
            text(&mut out, &format!("name n{index}"), at, "start", &name);
        }
        out.push_str("</svg>\n");
        out
    }

    fn head(&self, out: &mut String) {
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
             role=\"img\" aria-labelledby=\"t\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n  \
             <title id=\"t\">{}</title>\n  <style>\n",
            escaped(self.title)
        );
        let rules = |paper: &str, ink: &str, soft: &str, grid: &str, colours: [&str; 4]| {
            let mut css = format!(
                ".paper{{fill:{paper}}} text{{fill:{ink}}} .tick,.source,.label{{fill:{soft}}} .grid{{stroke:{grid}}} \
                 .axis{{stroke:{soft}}} .dot{{stroke:{paper}}}"
            );
            for (index, colour) in colours.iter().enumerate() {
                let _ = write!(css, " .line.s{index}{{stroke:{colour}}} .dot.s{index},.n{index}{{fill:{colour}}}");
            }
            css
        };
        let _ = write!(
            out,
            "    .line{{fill:none;stroke-width:2;stroke-linejoin:round}} .line.s0{{stroke-width:3}} .dot{{stroke-width:1.5}}\n    \
             .head{{font-size:15px;font-weight:bold}} .tick,.label{{font-size:12.5px}} .name{{font-size:13px}} \
             .n0{{font-weight:bold}} .source{{font-size:11px}}\n    {}\n    @media (prefers-color-scheme: dark) {{ {} }}\n  </style>\n",
            rules("#fbfcfd", "#1d2a35", "#5a6875", "#e1e7ec", LIGHT),
            rules("#12171c", "#e6ebef", "#9aa7b3", "#2a333c", DARK)
        );
        let _ = writeln!(out, "  <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"12\"/>");
        text(out, "head", (LEFT - 56.0, 26.0), "start", self.title);
    }

    fn range(&self, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
        let all = self.series.iter().flat_map(|series| series.points.iter().map(&of));
        all.fold((f64::INFINITY, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)))
    }

    fn x_axis(&self) -> Axis {
        let (low, high) = self.range(|point| point.0);
        Axis { low: low.max(1.0), high: high.max(low * 2.0), logarithmic: true, from: LEFT + 14.0, to: RIGHT - 14.0 }
    }

    /// The decades; where all was measured at powers of two, these.
    fn x_ticks(&self, x: &Axis) -> Vec<f64> {
        let mut measured: Vec<f64> =
            self.series.iter().flat_map(|series| series.points.iter().map(|point| point.0)).collect();
        measured.sort_by(f64::total_cmp);
        measured.dedup();
        match measured.iter().all(|x| x.log2().fract() == 0.0) {
            true => measured,
            false => x.ticks(),
        }
    }

    fn y_axis(&self) -> Axis {
        let (low, high) = self.range(|point| point.1);
        let logarithmic = high > low * LINEAR_SPAN_MAX;
        let (low, high) = match logarithmic {
            true => (10f64.powf(low.log10().floor()), 10f64.powf(high.log10().ceil())),
            false => (0.0, step(high) * (high / step(high)).ceil()),
        };
        Axis { low, high, logarithmic, from: BOTTOM, to: TOP + 6.0 }
    }

    /// Where the names stand: right of the end of each line, moved apart where lines end close together.
    fn name_places(&self, x: &Axis, y: &Axis) -> Vec<(usize, (f64, f64))> {
        let ends = self.series.iter().enumerate().filter_map(|(index, series)| Some((index, *series.points.last()?)));
        let mut places: Vec<(usize, (f64, f64))> =
            ends.map(|(index, end)| (index, (x.at(end.0) + 10.0, y.at(end.1) + 4.5))).collect();
        places.sort_by(|a, b| a.1.1.total_cmp(&b.1.1));
        for at in 1..places.len() {
            let above = places[at - 1].1.1;
            places[at].1.1 = places[at].1.1.max(above + NAME_HEIGHT);
        }
        // The lowest name stays above the axis, and pushes the others up.
        let mut floor = BOTTOM - 6.0;
        for place in places.iter_mut().rev() {
            place.1.1 = place.1.1.min(floor);
            floor = place.1.1 - NAME_HEIGHT;
        }
        places
    }
}

struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Place of `low`, and of `high`.
    from: f64,
    to: f64,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let share = match self.logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = (self.low.log10().ceil() as i32)..=(self.high.log10().floor() as i32);
            return decades.map(|decade| 10f64.powi(decade)).collect();
        }
        let step = step(self.high);
        (0..=(self.high / step).round() as usize).map(|n| n as f64 * step).collect()
    }
}

/// A round step that gives four to ten ticks up to `high`.
fn step(high: f64) -> f64 {
    let decade = 10f64.powf((high / 4.0).log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|factor| factor * decade).find(|step| high / step >= 4.0).unwrap_or(decade)
}

fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        out,
        "  <line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(out: &mut String, class: &str, at: (f64, f64), anchor: &str, content: &str) {
    let content = escaped(content);
    let _ = writeln!(
        out,
        "  <text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{content}</text>",
        at.0, at.1
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// With thousands apart, millions as `M`.
fn number(value: f64) -> String {
    match value {
        1e6.. if value % 1e6 == 0.0 => format!("{} M", value / 1e6),
        1e6.. => format!("{:.1} M", value / 1e6),
        1e3.. => loadgen::report::grouped(value as u64),
        _ => format!("{value}"),
    }
}
