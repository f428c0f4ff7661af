//! Scales: from values to places on an axis, with ticks at round numbers.

/// How an axis writes its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Fractions as per cent: 0.25 is `25`. The unit stands in the axis title.
    Percent,
    /// Large numbers with k, M, G.
    Short,
    /// As few decimals as needed.
    Plain,
}

/// The range of an axis, its ticks, and whether it is logarithmic.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<f64>,
    format: Format,
}

impl Scale {
    /// A linear scale that covers all values, widened to round numbers, with about `ticks` ticks. Values that are not
    /// finite are left out; without any value the scale is 0 to 1.
    pub fn linear(values: impl IntoIterator<Item = f64>, ticks: usize, format: Format) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let margin = if high > low { 0.0 } else { (low.abs() * 0.1).max(0.01) };
        let step = round_step((high - low + 2.0 * margin) / ticks.max(1) as f64);
        let first = ((low - margin) / step + 1e-9).floor();
        let last = ((high + margin) / step - 1e-9).ceil();
        let ticks = (0..=((last - first) as usize)).map(|i| (first + i as f64) * step).collect();
        Self { low: first * step, high: last * step, log: false, ticks, format }
    }

    /// A scale for counts: from 0, and only whole ticks.
    pub fn count(high: usize, ticks: usize) -> Self {
        let high = high.max(1) as f64;
        let step = round_step(high / ticks.max(1) as f64).max(1.0);
        let ticks = (0..=((high / step).floor() as usize)).map(|i| i as f64 * step).collect();
        Self { low: 0.0, high, log: false, ticks, format: Format::Short }
    }

    /// Fractions from 0 to 1.
    pub fn fraction() -> Self {
        let ticks = vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        Self { low: 0.0, high: 1.0, log: false, ticks, format: Format::Percent }
    }

    /// A logarithmic scale that covers all positive values with a small margin.
    pub fn log(values: impl IntoIterator<Item = f64>, format: Format) -> Self {
        let (low, high) = extent(values.into_iter().filter(|v| *v > 0.0)).unwrap_or((1.0, 10.0));
        let margin = (high / low).powf(0.06).max(1.12);
        let (low, high) = (low / margin, high * margin);
        let decades = (high / low).log10();
        let steps: &[f64] = match decades {
            d if d > 4.0 => &[1.0],
            d if d > 1.6 => &[1.0, 3.0],
            d if d > 0.7 => &[1.0, 2.0, 5.0],
            d if d > 0.3 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            _ => &[],
        };
        let mut ticks: Vec<f64> = (low.log10().floor() as i32..=high.log10().ceil() as i32)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|tick| (low..=high).contains(tick))
            .collect();
        if ticks.len() < 3 {
            // within a third of a decade a logarithmic axis is nearly linear: so are its ticks
            let step = round_step((high - low) / 4.0);
            let even = (0..8).map(|i| ((low / step).ceil() + f64::from(i)) * step).filter(|tick| *tick <= high);
            let even: Vec<f64> = even.collect();
            if even.len() > ticks.len() {
                ticks = even;
            }
        }
        Self { low, high, log: true, ticks, format }
    }

    /// Place of a value: 0 at the low end, 1 at the high end; values outside stay at the ends.
    pub fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Range and kind for a program: `0 120 line plain`, `0.1 3 log short`.
    pub fn words(&self) -> String {
        let kind = if self.log { "log" } else { "line" };
        let format = match self.format {
            Format::Percent => "percent",
            Format::Short => "short",
            Format::Plain => "plain",
        };
        format!("{} {} {kind} {format}", self.low, self.high)
    }

    /// The smallest value that it shows.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The largest value that it shows.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Values of the ticks, with their texts.
    pub fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        let step = self.ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        self.ticks.iter().map(move |tick| (*tick, self.format.text(*tick, step)))
    }
}

impl Format {
    /// The number as a tick `step` apart from the next.
    fn text(self, value: f64, step: f64) -> String {
        match self {
            Format::Percent => decimals(value * 100.0, step * 100.0),
            Format::Plain => decimals(value, step),
            Format::Short => short(value),
        }
    }
}

/// A count with at most three digits and a unit: 950, 12.3k, 4.5M.
pub fn short(value: f64) -> String {
    let (scaled, unit) = match value.abs() {
        v if v >= 0.9995e12 => (value / 1e12, "T"),
        v if v >= 0.9995e9 => (value / 1e9, "G"),
        v if v >= 0.9995e6 => (value / 1e6, "M"),
        v if v >= 999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        v if v >= 99.95 || v.fract() == 0.0 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

/// The value with as many decimals as a multiple of `step` needs.
fn decimals(value: f64, step: f64) -> String {
    let whole = |scaled: f64| (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1.0) && scaled.round() >= 1.0;
    let places = (0..9).find(|places| whole(step * 10f64.powi(*places))).unwrap_or(2) as usize;
    let text = format!("{value:.places$}");
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') { "0".into() } else { text }
}

/// 1, 2 or 5 times a power of ten, not below the value.
fn round_step(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| value <= f * power * (1.0 + 1e-9)).unwrap_or(10.0);
    factor * power
}

fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values.into_iter().filter(|v| v.is_finite()).fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((low.min(v), high.max(v))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: &Scale) -> Vec<String> {
        scale.ticks().map(|(_, text)| text).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_cover_the_values() {
        let scale = Scale::linear([0.23, 0.61], 5, Format::Percent);
        assert_eq!(texts(&scale), ["20", "30", "40", "50", "60", "70"]);
        assert!(scale.place(0.2).abs() < 1e-9 && (scale.place(0.7) - 1.0).abs() < 1e-9);
        let narrow = Scale::linear([0.501, 0.502], 4, Format::Percent);
        assert!(texts(&narrow).iter().all(|t| t.starts_with("50.")), "{:?}", texts(&narrow));
    }

    #[test]
    fn one_value_and_no_value_still_have_a_scale() {
        for scale in [
            Scale::linear([0.4], 5, Format::Percent),
            Scale::linear([f64::NAN], 5, Format::Plain),
            Scale::log([], Format::Short),
            Scale::log([7.0], Format::Short),
            Scale::count(0, 5),
        ] {
            assert!(scale.ticks().count() >= 2, "{scale:?}");
            assert!(scale.place(0.4).is_finite());
        }
    }

    #[test]
    fn log_ticks_fit_their_range() {
        assert_eq!(texts(&Scale::log([1e3, 1e6], Format::Short)), ["1k", "3k", "10k", "30k", "100k", "300k", "1M"]);
        assert!(texts(&Scale::log([3.9e5, 4.1e5], Format::Short)).len() >= 2);
        assert_eq!(texts(&Scale::log([17e3, 28e3], Format::Short)), ["20k", "25k", "30k"]);
    }

    #[test]
    fn short_numbers() {
        let cases = [(0.0, "0"), (950.0, "950"), (999.9, "1k"), (12345.0, "12.3k"), (4.5e6, "4.5M"), (2e9, "2G")];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn counts_have_whole_ticks() {
        assert_eq!(texts(&Scale::count(3, 6)), ["0", "1", "2", "3"]);
        assert_eq!(texts(&Scale::count(64, 6)), ["0", "20", "40", "60"]);
    }
}
