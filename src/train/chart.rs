//! Line charts as SVG, for loss curves.

use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 52.0;
const COLORS: [&str; 2] = ["#4c72b0", "#dd8452"];
/// Maximum number of points of a line; neighbours are averaged beyond it.
const POINTS: usize = 400;

/// Draws up to two series of (x, y) points, each as a line with its name in the legend. Points that are not finite are
/// left out.
pub fn svg(series: &[(&str, Vec<(f64, f64)>)], x_label: &str, y_label: &str) -> String {
    let series: Vec<(&str, Vec<(f64, f64)>)> = series.iter().map(|(name, points)| (*name, thinned(points))).collect();
    let points = || series.iter().flat_map(|(_, points)| points.iter().copied());
    let x = Axis::new(points().map(|p| p.0), LEFT, WIDTH - RIGHT);
    let y = Axis::new(points().map(|p| p.1), HEIGHT - BOTTOM, TOP);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" \
         height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#444\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    for tick in &y.ticks {
        let at = y.at(*tick);
        let _ = writeln!(
            out,
            "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#e4e4e4\"/><text x=\"{:.1}\" y=\"{:.1}\" \
             text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            y.name(*tick)
        );
    }
    for tick in &x.ticks {
        let at = x.at(*tick);
        let _ = writeln!(
            out,
            "<path d=\"M{at:.1} {bottom}v5\" stroke=\"#999\"/><text x=\"{at:.1}\" y=\"{:.1}\" \
             text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            x.name(*tick)
        );
    }
    let _ = writeln!(out, "<path d=\"M{LEFT} {bottom}H{right}\" stroke=\"#999\"/>");
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_label}</text>",
        (LEFT + right) / 2.0,
        HEIGHT - 12.0
    );
    let _ = writeln!(out, "<text x=\"{LEFT}\" y=\"20\">{y_label}</text>");
    let mut legend = right;
    for ((name, points), color) in series.iter().zip(&COLORS).rev() {
        let place = |&(px, py): &(f64, f64)| format!("{:.1},{:.1}", x.at(px), y.at(py));
        let line: Vec<String> = points.iter().map(place).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>",
            line.join(" ")
        );
        if points.len() < 60 {
            for (px, py) in points {
                let _ = writeln!(
                    out,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\" fill=\"{color}\"/>",
                    x.at(*px),
                    y.at(*py)
                );
            }
        }
        let value = points.last().map_or(String::new(), |p| format!(" {:.3}", p.1));
        legend -= 7.0 * (name.len() + value.len()) as f64 + 30.0;
        let _ = writeln!(
            out,
            "<path d=\"M{legend:.1} 16h16\" stroke=\"{color}\" stroke-width=\"3\"/><text x=\"{:.1}\" y=\"20\">\
             {name}{value}</text>",
            legend + 22.0
        );
    }
    out + "</svg>\n"
}

/// Reduces a series to about [`POINTS`] points, which are means of neighbours.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|p| p.0.is_finite() && p.1.is_finite()).collect();
    let mean = |group: &[(f64, f64)]| {
        let sum = group.iter().fold((0.0, 0.0), |s, p| (s.0 + p.0, s.1 + p.1));
        (sum.0 / group.len() as f64, sum.1 / group.len() as f64)
    };
    points.chunks(points.len().div_ceil(POINTS).max(1)).map(mean).collect()
}

struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    step: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis from the lowest to the highest value, widened to round numbers, drawn between `from` and `to`.
    fn new(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let rough = ((high - low) / 5.0).max(1e-6 * high.abs()).max(1e-9);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= rough).unwrap_or(10.0) * power;
        let (low, high) = ((low / step).floor(), (high / step).ceil());
        let high = if high > low { high } else { low + 1.0 };
        let ticks = (0..=(high - low) as usize).map(|i| (low + i as f64) * step).collect();
        Self { low: low * step, high: high * step, from, to, step, ticks }
    }
    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
    fn name(&self, tick: f64) -> String {
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        format!("{tick:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_hold_their_values() {
        let axis = Axis::new([3.1, 8.7].into_iter(), 0.0, 100.0);
        assert_eq!(axis.ticks, [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert!((axis.at(2.0), axis.at(10.0)) == (0.0, 100.0));
        assert_eq!(axis.name(4.0), "4");
        assert_eq!(Axis::new([0.12, 0.31].into_iter(), 0.0, 1.0).name(0.15), "0.15");
        assert!(!Axis::new(std::iter::empty(), 0.0, 1.0).ticks.is_empty());
        assert!(Axis::new([5.0].into_iter(), 0.0, 1.0).at(5.0).is_finite());
    }

    #[test]
    fn charts_are_well_formed() {
        let line = |n: usize| (0..n).map(|i| (i as f64, 5.0 / (1.0 + i as f64))).collect();
        for n in [0, 1, 5, 5000] {
            let svg = svg(&[("training", line(n)), ("held out", vec![(1.0, f64::NAN)])], "step", "nats per token");
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert_eq!(svg.matches("<polyline").count(), 2);
            assert!(svg.len() < 20_000);
        }
    }
}
