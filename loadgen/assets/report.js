// The charts of a report: reads the data that the page carries, draws with uPlot, fetches nothing.
"use strict";
(() => {
  const root = document.documentElement;
  window.addEventListener("error", event => root.setAttribute("data-error", event.message));

  const data = JSON.parse(document.getElementById("data").textContent);
  const colour = name => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // Numbers as one reads them: three digits and a unit.
  const three = value => {
    const size = Math.abs(value);
    const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
    const text = value.toFixed(digits);
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  };
  const scaled = (value, base, units) => {
    let at = 0;
    while (Math.abs(value) >= base && at < units.length - 1) { value /= base; at += 1; }
    return three(value) + units[at];
  };
  const count = value => scaled(value, 1000, ["", " k", " M", " G", " T"]);
  const bytes = value => scaled(value, 1024, [" B", " KiB", " MiB", " GiB", " TiB"]);
  const latency = us => us < 1e3 ? three(us) + " µs" : us < 1e6 ? three(us / 1e3) + " ms" : three(us / 1e6) + " s";
  const two = value => String(value).padStart(2, "0");
  const clock = seconds => {
    const sign = seconds < 0 ? "-" : "";
    const whole = Math.floor(Math.abs(seconds) + 1e-6);
    const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
    const part = Math.abs(seconds) - whole > 0.005 ? (Math.abs(seconds) % 1).toFixed(1).slice(1) : "";
    return sign + (hours ? hours + ":" + two(minutes) : minutes) + ":" + two(whole % 60) + part;
  };
  // A place on the axis of percentiles is the number of nines: 1 is 90 %, 2 is 99 %.
  const percentile = nines => {
    const digits = Math.max(0, Math.ceil(nines - 1e-9) - 1);
    return (100 - 100 / 10 ** nines).toFixed(Math.min(digits, 8)).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "") + " %";
  };

  const shown = format => (_, value) => value == null ? "–" : format(value);
  const marks = format => (_, splits) => splits.map(value => value == null ? "" : format(value));
  const narrow = width => width < 520;

  const axis = (format, label, more) => ({
    stroke: colour("soft"), grid: { stroke: colour("grid"), width: 1 }, ticks: { stroke: colour("grid"), width: 1, size: 5 },
    font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", label, labelSize: 18, labelGap: 0, values: marks(format), ...more,
  });
  // Above zero for the logarithm; null where nothing was measured.
  const positive = values => values.map(value => value == null ? null : Math.max(value, 1));
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];

  const time = "time";
  const charts = [
    {
      id: "rate", x: data.at_s, unit: "events/s", format: count,
      // Wide below, narrow above: lines that lie on each other can all be seen.
      lines: [
        ["sent", "sent", data.sent, { width: 4 }],
        ["acknowledged", "acknowledged", data.acknowledged],
        ["intended", "intended", data.intended, { dash: [6, 4] }],
      ],
    },
    {
      id: "latency", x: data.at_s, unit: "latency (log)", format: latency, log: true,
      lines: [["p50", "p50", data.p50], ["p90", "p90", data.p90], ["p99", "p99", data.p99], ["p99.9", "p999", data.p999], ["max", "max", data.max]],
    },
    { id: "distribution", x: data.nines, unit: "latency (log)", format: latency, log: true, nines: true, lines: [["latency", "p99", data.by_nines]] },
    { id: "cpu", x: data.at_s, unit: "cores busy", format: three, lines: [["cores busy", "cpu", data.cpu]] },
    { id: "memory", x: data.at_s, unit: "resident memory", format: bytes, base: 2, lines: [["resident", "memory", data.memory]] },
    { id: "retries", x: data.at_s, unit: "retries/s", format: count, lines: [["retries", "retries", data.retries]] },
  ];

  const fromZero = (_, low, high) => [0, high > 0 ? high * 1.08 : 1];
  // Powers of two times 1, 2 or 4 … so that marks in KiB and MiB are round.
  const binary = (_, __, low, high) => {
    const step = 2 ** Math.ceil(Math.log2(Math.max(high - low, 1) / 5));
    const splits = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) splits.push(at);
    return splits;
  };
  const eachNine = (u, __, low, high) => {
    const splits = narrow(u.width) ? [0] : [0, Math.log10(2)];
    const step = Math.max(1, Math.ceil(60 * high / Math.max(u.width - 116, 60)));
    for (let at = step; at <= high + 1e-9; at += step) splits.push(at);
    return splits.filter(at => at >= low - 1e-9);
  };

  const follow = u => {
    // uPlot knows the mouse; a finger on the chart moves the same cursor.
    const move = event => {
      const touch = event.touches[0], box = u.over.getBoundingClientRect();
      // Fires and publishes, so that the charts beside it follow.
      u.setCursor({ left: touch.clientX - box.left, top: touch.clientY - box.top }, true, true);
    };
    u.over.addEventListener("touchstart", move, { passive: true });
    u.over.addEventListener("touchmove", move, { passive: true });
  };

  const options = (chart, width) => ({
    width, height: narrow(width) ? 220 : 280, padding: [10, chart.nines ? 34 : 16, 0, 0],
    cursor: chart.nines ? { y: false } : { y: false, sync: { key: time } },
    scales: {
      x: { time: false, ...(chart.nines ? { range: (_, low, high) => [0, Math.max(high, 1)] } : {}) },
      y: chart.log ? { distr: 3, log: 10 } : { range: fromZero },
    },
    axes: [
      chart.nines
        ? axis(percentile, "share that was this fast", { size: 30, splits: eachNine, filter: (_, splits) => splits })
        : axis(clock, "time since start (min:s)", { size: 30, incrs: steps, space: 60 }),
      axis(chart.format, chart.unit, { size: 66, ...(chart.base === 2 ? { splits: binary } : {}) }),
    ],
    series: [
      { label: chart.nines ? "percentile" : "time", value: shown(chart.nines ? percentile : clock) },
      ...chart.lines.map(([label, name, , more]) => ({
        label, stroke: colour(name), width: 1.6, value: shown(chart.format), points: { size: 5 }, ...more,
      })),
    ],
    legend: { markers: { width: 0, fill: (u, at) => u.series[at].stroke() } },
    hooks: { ready: [follow] },
  });

  const drawn = [];
  const measured = values => values.some(value => value != null);
  const draw = () => {
    for (const chart of charts) {
      const box = document.getElementById(chart.id);
      if (!box) continue;
      chart.lines = chart.lines.filter(([, , values]) => measured(values));
      if (!chart.lines.length) continue;
      box.textContent = "";
      const values = chart.lines.map(([, , values]) => chart.log ? positive(values) : values);
      drawn.push([box, new uPlot(options(chart, box.clientWidth), [chart.x, ...values], box)]);
    }
  };
  const again = () => {
    for (const [, u] of drawn.splice(0)) u.destroy();
    draw();
  };
  draw();
  root.setAttribute("data-charts", String(drawn.length));

  let width = root.clientWidth;
  window.addEventListener("resize", () => {
    if (root.clientWidth !== width) { width = root.clientWidth; again(); }
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
})();
