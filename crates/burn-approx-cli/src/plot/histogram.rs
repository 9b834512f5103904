//! How often which error occurs.

use approx_experiment::plot::{Drawing, Drawn, FONT};
use approx_multiplier::{Multiplier, OperandFormat};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{BLUE, RED, mark};

/// Bars at most.
const BARS: usize = 81;
/// Codes of an operand that are looked at, at most.
const LOOKED_AT: usize = 2048;
/// The errors that are on the axis in any case, to both sides.
const NARROWEST: f64 = 5.5;
/// The height of the title and what is below it.
const TOP: u32 = 72;
/// The lowest share that is drawn, in percent.
const LOWEST: f64 = 1e-4;

/// The picture.
pub struct Histogram {
    name: String,
    /// The share of all pairs in percent, by the bar's lower and upper end.
    bars: Vec<(f64, f64, f64)>,
    /// The mean error.
    bias: f64,
    /// The share of pairs with an error, in percent.
    wrong: f64,
    pairs: usize,
    complete: bool,
}

impl Histogram {
    /// The histogram of a multiplier.
    pub fn of(multiplier: &Multiplier) -> Self {
        let (activation, weight) = (multiplier.activation(), multiplier.weight());
        let mut errors = Vec::new();
        for a in codes(activation) {
            for b in codes(weight) {
                errors.push(multiplier.evaluate(a, b) - f64::from(a) * f64::from(b));
            }
        }
        let (low, high) = errors.iter().fold((0f64, 0f64), |(low, high), error| {
            (low.min(*error), high.max(*error))
        });
        // Bars are as many whole numbers wide as it takes, and one of them is centred on 0.
        let width = ((high - low + 1.0) / BARS as f64).ceil().max(1.0);
        let bar = |error: f64| (error / width).round() as i64;
        let (first, last) = (bar(low), bar(high));
        let mut counts = vec![0usize; (last - first + 1) as usize];
        for error in &errors {
            counts[(bar(*error) - first) as usize] += 1;
        }
        let pairs = errors.len();
        let percent = |count: usize| 100.0 * count as f64 / pairs as f64;
        let bars = counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(|(index, count)| {
                let centre = (first + index as i64) as f64 * width;
                (centre - width / 2.0, centre + width / 2.0, percent(*count))
            })
            .collect();
        Self {
            name: multiplier.name().into(),
            bars,
            bias: errors.iter().sum::<f64>() / pairs as f64,
            wrong: percent(errors.iter().filter(|error| **error != 0.0).count()),
            pairs,
            complete: activation.cardinality().max(weight.cardinality()) <= LOOKED_AT,
        }
    }
}

/// All codes of an operand, or as many as are looked at, evenly spread.
fn codes(format: OperandFormat) -> impl Iterator<Item = i32> {
    let count = format.cardinality().min(LOOKED_AT);
    // An odd step, so that all remainders occur that low bits have.
    let step = (format.cardinality() / count) | 1;
    (0..count).map(move |index| format.min_code() + (index * step % format.cardinality()) as i32)
}

impl Drawing for Histogram {
    const SIZE: (u32, u32) = (860, 520);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let ends = |pick: fn(&(f64, f64, f64)) -> f64| self.bars.iter().map(pick);
        let low = ends(|bar| bar.0).fold(-NARROWEST, f64::min);
        let high = ends(|bar| bar.1).fold(NARROWEST, f64::max);
        let margin = (high - low) * 0.03;
        let smallest = ends(|bar| bar.2).fold(1.0, f64::min);
        let bottom = 10f64.powf((smallest.max(LOWEST) / 2.0).log10().floor());
        // What a legend would say is above the bars: there is no place among them that is always free.
        let mean = mark((self.bias * 1000.0).round() / 1000.0);
        let wrong = mark((self.wrong * 100.0).round() / 100.0);
        let middle = Self::SIZE.0 as i32 / 2;
        for (text, height, size) in [
            (format!("Errors of {}", self.name), 24, 23),
            (
                format!("{wrong} % of the pairs have an error; the mean, {mean}, is the red line"),
                50,
                16,
            ),
        ] {
            let style = (FONT, size)
                .into_font()
                .color(&BLACK)
                .pos(Pos::new(HPos::Center, VPos::Center));
            area.draw(&Text::new(text, (middle, height), style))?;
        }
        let mut chart = ChartBuilder::on(area)
            .margin(16)
            .margin_top(TOP)
            .margin_right(28)
            .x_label_area_size(48)
            .y_label_area_size(68)
            .build_cartesian_2d(low - margin..high + margin, (bottom..100.0).log_scale())?;
        let pairs = match self.complete {
            true => format!("share of all {} pairs of codes, %", self.pairs),
            false => format!("share of {} pairs of codes, %", self.pairs),
        };
        chart
            .configure_mesh()
            .x_desc("error m(a, b) - a b")
            .y_desc(pairs)
            .x_label_formatter(&|error| mark(*error))
            .y_label_formatter(&|share| mark(*share))
            .x_labels(9)
            .disable_x_mesh()
            .light_line_style(WHITE)
            .label_style((FONT, 16))
            .axis_desc_style((FONT, 18))
            .draw()?;
        chart.draw_series(self.bars.iter().map(|(left, right, share)| {
            Rectangle::new(
                [(*left, bottom), (*right, share.max(bottom))],
                BLUE.mix(0.75).filled(),
            )
        }))?;
        chart.draw_series([PathElement::new(
            [(self.bias, bottom), (self.bias, 100.0)],
            RED.stroke_width(1),
        )])?;
        Ok(())
    }
}
