//! The curve of accuracy over epochs, in training and in retraining, as an SVG picture.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::files::write_atomically;
use crate::report::Report;
use crate::train::EpochMetrics;

const SIZE: (u32, u32) = (900, 520);
const FONT: &str = "sans-serif";
const TRAINING: RGBColor = RGBColor(31, 119, 180);
const RETRAINING: RGBColor = RGBColor(214, 39, 40);
const QUANTIZED: RGBColor = RGBColor(44, 160, 44);
const APPROXIMATE: RGBColor = RGBColor(255, 127, 14);

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// It cannot be drawn.
    #[error("the plot cannot be drawn: {0}")]
    Draw(String),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

/// Draws test accuracy over epochs, with the levels of the float, quantised and approximate network as dashed lines.
///
/// # Errors
///
/// A file that cannot be written.
pub fn save(report: &Report, path: &Path) -> Result<(), PlotError> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        draw(report, &area).map_err(|error| PlotError::Draw(error.to_string()))?;
    }
    Ok(write_atomically(path, picture.as_bytes())?)
}

type DrawResult<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(report: &Report, area: &DrawingArea<SVGBackend<'a>, Shift>) -> DrawResult<'a> {
    let accuracy = report.accuracy;
    let trained = report.settings.epochs as f64;
    let last = trained + report.settings.retrain_epochs as f64;
    let lowest = report
        .training
        .iter()
        .chain(&report.retraining)
        .map(|epoch| epoch.test_accuracy)
        .chain([accuracy.quantized, accuracy.approximate, accuracy.float])
        .fold(100.0, f64::min);
    let bottom = (lowest / 10.0).floor() * 10.0;

    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!(
                "MobileNetV2 on {}, {}",
                report.dataset.name, report.multiplier.name
            ),
            (FONT, 20),
        )
        .margin(14)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last + 0.5, bottom..102.0)?;
    chart
        .configure_mesh()
        .x_desc("epoch")
        .y_desc("test accuracy, %")
        .x_label_formatter(&|epoch| format!("{epoch:.0}"))
        .y_label_formatter(&|accuracy| format!("{accuracy:.0}"))
        .light_line_style(WHITE)
        .label_style((FONT, 14))
        .draw()?;

    for (label, level, color) in [
        ("float", accuracy.float, TRAINING),
        ("quantised", accuracy.quantized, QUANTIZED),
        (
            "approximate, before retraining",
            accuracy.approximate,
            APPROXIMATE,
        ),
    ] {
        let line = [(0.0, level), (last + 0.5, level)];
        chart
            .draw_series(DashedLineSeries::new(line, 6, 4, color.stroke_width(1)))?
            .label(format!("{label}: {level:.2} %"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color));
    }

    let points = |epochs: &[EpochMetrics], before: f64| -> Vec<(f64, f64)> {
        epochs
            .iter()
            .map(|epoch| (before + epoch.epoch as f64, epoch.test_accuracy))
            .collect()
    };
    let training = points(&report.training, 0.0);
    // Retraining begins where the conversion has left the network.
    let retraining = if report.retraining.is_empty() {
        Vec::new()
    } else {
        let mut points = points(&report.retraining, trained);
        points.insert(0, (trained, accuracy.approximate));
        points
    };
    for (label, points, color) in [
        ("training in floating point", training, TRAINING),
        ("retraining on the multiplier", retraining, RETRAINING),
    ] {
        if points.is_empty() {
            continue;
        }
        chart
            .draw_series(LineSeries::new(
                points.iter().copied(),
                color.stroke_width(2),
            ))?
            .label(label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        chart.draw_series(
            points
                .iter()
                .map(|&point| Circle::new(point, 3, color.filled())),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.4))
        .label_font((FONT, 14))
        .draw()?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::example;

    #[test]
    fn the_picture_shows_both_trainings_and_every_level() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("accuracy.svg");
        save(&example(), &path).unwrap();
        let picture = std::fs::read_to_string(path).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        for part in [
            "61.25 %",
            "98.00 %",
            "retraining on the multiplier",
            "epoch",
        ] {
            assert!(picture.contains(part), "{part}");
        }
        // Two training epochs, and one of retraining after its starting point.
        assert_eq!(picture.matches("<circle").count(), 4);
    }

    #[test]
    fn a_run_without_retraining_or_metrics_can_be_drawn() {
        let directory = tempfile::tempdir().unwrap();
        let mut report = example();
        report.retraining.clear();
        report.training.clear();
        report.settings.retrain_epochs = 0;
        report.accuracy.retrained = None;
        let path = directory.path().join("accuracy.svg");
        save(&report, &path).unwrap();
        let picture = std::fs::read_to_string(path).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"));
        assert!(picture.contains("61.25 %"), "the levels are there still");
        assert!(!picture.contains("retraining on the multiplier"));
        assert_eq!(picture.matches("<circle").count(), 0);
    }
}
