//! Figures in Prometheus' text format (version 0.0.4). Names carry their unit; labels are words of ours and names out of the configuration,
//! never anything of a person.

use std::fmt::{self, Write};

/// What an answer says of itself.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Families of samples, in the order in which they were added. Prints as the text.
#[derive(Debug, Clone, Default)]
pub struct Figures(String);

/// Whether a figure only rises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does.
    Counter,
    /// It does not.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// Names and values.
pub type Labels<'l> = &'l [(&'l str, &'l str)];

impl Figures {
    /// Begins a family: its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a string cannot fail.
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
    }

    /// One sample.
    pub fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.0.push_str(name);
        if !labels.is_empty() {
            let written: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            write!(self.0, "{{{}}}", written.join(",")).ok();
        }
        writeln!(self.0, " {value}").ok();
    }

    /// A family of one sample.
    pub fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// A family of several samples.
    pub fn several<'l>(&mut self, name: &str, kind: Kind, help: &str, samples: impl IntoIterator<Item = (Labels<'l>, f64)>) {
        self.family(name, kind, help);
        samples.into_iter().for_each(|(labels, value)| self.sample(name, labels, value));
    }

    /// One histogram of a family: counts at or below each bound, and all.
    pub fn histogram(&mut self, name: &str, label: (&str, &str), bounds: &[u64], at_most: &[u64], sum: f64) {
        let all = at_most.last().copied().unwrap_or(0);
        let bounds = bounds.iter().map(u64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(at_most) {
            self.sample(&format!("{name}_bucket"), &[label, ("le", &bound)], *count as f64);
        }
        self.sample(&format!("{name}_sum"), &[label], sum);
        self.sample(&format!("{name}_count"), &[label], all as f64);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_prometheus() {
        let mut figures = Figures::default();
        figures.one("punctual_up", Kind::Gauge, "It is.", 1.0);
        figures.several("punctual_x", Kind::Counter, "By name.", [(&[("name", "a\"b\\c\nd")][..], 2.5)]);
        figures.family("punctual_late_seconds", Kind::Histogram, "How late.");
        figures.histogram("punctual_late_seconds", ("channel", "sms"), &[1, 60], &[3, 4, 5], 70.25);
        let expected = r#"# HELP punctual_up It is.
# TYPE punctual_up gauge
punctual_up 1
# HELP punctual_x By name.
# TYPE punctual_x counter
punctual_x{name="a\"b\\c\nd"} 2.5
# HELP punctual_late_seconds How late.
# TYPE punctual_late_seconds histogram
punctual_late_seconds_bucket{channel="sms",le="1"} 3
punctual_late_seconds_bucket{channel="sms",le="60"} 4
punctual_late_seconds_bucket{channel="sms",le="+Inf"} 5
punctual_late_seconds_sum{channel="sms"} 70.25
punctual_late_seconds_count{channel="sms"} 5
"#;
        assert_eq!(figures.to_string(), expected);
    }
}
