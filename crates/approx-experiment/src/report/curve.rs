//! Accuracy over epochs, with the levels that it is compared with, as a picture.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::plot::{self, Drawing, Drawn, FONT};

const LEVELS: [RGBColor; 3] = [
    RGBColor(31, 119, 180),
    RGBColor(44, 160, 44),
    RGBColor(255, 127, 14),
];
const CURVES: [RGBColor; 2] = [RGBColor(31, 119, 180), RGBColor(214, 39, 40)];

/// One training.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What it is called.
    pub label: String,
    /// Epochs and the accuracy after each, in per cent.
    pub points: Vec<(f64, f64)>,
}

/// Accuracy over epochs, and levels as dashed lines.
///
/// ```
/// use approx_experiment::{plot, report::{AccuracyCurve, Curve}};
///
/// let curve = AccuracyCurve {
///     caption: "mine".into(),
///     epochs: 2.0,
///     levels: vec![("float".into(), 98.0)],
///     curves: vec![Curve { label: "retraining".into(), points: vec![(0.0, 61.25), (1.0, 90.0), (2.0, 96.0)] }],
/// };
/// assert!(plot::svg(&curve)?.contains("float: 98.00 %"));
/// # Ok::<(), plot::PlotError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct AccuracyCurve {
    /// What stands above.
    pub caption: String,
    /// The last epoch.
    pub epochs: f64,
    /// Accuracies that are compared with, in per cent, and what they are of: at most three.
    pub levels: Vec<(String, f64)>,
    /// The trainings, at most two: the second goes on where the first has ended.
    pub curves: Vec<Curve>,
}

/// The number of an epoch; nothing between two, where a short axis has lines too.
fn whole(epoch: &f64) -> String {
    match (epoch - epoch.round()).abs() < 1e-6 {
        true => format!("{epoch:.0}"),
        false => String::new(),
    }
}

impl Drawing for AccuracyCurve {
    const SIZE: (u32, u32) = (900, 520);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let lowest = points
            .map(|(_, accuracy)| *accuracy)
            .chain(self.levels.iter().map(|(_, level)| *level))
            .fold(100.0, f64::min);
        let bottom = (lowest / 10.0).floor() * 10.0;
        let right = self.epochs + 0.5;
        let mut chart = plot::chart(area, &self.caption, 0.0..right, bottom..102.0)?;
        chart
            .configure_mesh()
            .x_desc("epoch")
            .y_desc("test accuracy, %")
            .x_label_formatter(&whole)
            .y_label_formatter(&|accuracy| format!("{accuracy:.0}"))
            .light_line_style(WHITE)
            .label_style((FONT, 14))
            .draw()?;
        for ((label, level), color) in self.levels.iter().zip(LEVELS) {
            let label = format!("{label}: {level:.2} %");
            plot::level(&mut chart, [0.0, right], *level, label, color.mix(1.0))?;
        }
        // The second training is the retraining, also where it is the only one.
        let colors = &CURVES[CURVES.len().saturating_sub(self.curves.len())..];
        for (curve, &color) in self.curves.iter().zip(colors) {
            if curve.points.is_empty() {
                continue;
            }
            let points = curve.points.iter().copied();
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(2)))?
                .label(&curve.label)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2))
                });
            chart.draw_series(points.map(|point| Circle::new(point, 3, color.filled())))?;
        }
        plot::legend(&mut chart, SeriesLabelPosition::LowerRight)
    }
}
