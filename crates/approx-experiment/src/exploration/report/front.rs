//! Accuracy over energy, as a picture.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{ExplorationReport, ReportedPoint, Worth};
use crate::plot::labels::Labels;
use crate::plot::{self, Drawing, Drawn, FONT};

const NAME_SIZE: i32 = 12;
const FRONT: RGBColor = RGBColor(214, 39, 40);
const RETRAINED: RGBColor = RGBColor(148, 103, 189);
const UNIFORM: RGBColor = RGBColor(31, 119, 180);
const EXACT: RGBColor = RGBColor(44, 160, 44);
/// How far below the exact network the picture goes at most, in points: networks that guess are not what one looks for.
const DEPTH: f64 = 30.0;

/// The front, single multipliers in all layers, and the network in floating point and on the exact multiplier as dashed
/// lines. Where accuracies on images that the search never saw are known, the retrained ones are drawn too.
pub(super) struct FrontPicture<'a>(pub(super) &'a ExplorationReport);

impl Drawing for FrontPicture<'_> {
    const SIZE: (u32, u32) = (960, 600);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let report = self.0;
        let exact = report.baseline.worth.validation_accuracy.unwrap_or(100.0);
        let series = |figure: fn(&Worth) -> Option<f64>| {
            let known = |point: &ReportedPoint| Some((100.0 * point.energy, figure(&point.worth)?));
            report.points.iter().filter_map(known).collect::<Vec<_>>()
        };
        let front = series(|worth| worth.validation_accuracy);
        let retrained = series(|worth| worth.retrained_accuracy);
        let uniform: Vec<(f64, f64, &str)> = (report.uniform.iter())
            .map(|point| {
                (
                    100.0 * point.energy,
                    point.validation_accuracy,
                    point.multiplier.as_str(),
                )
            })
            .collect();
        let accuracies = (front
            .iter()
            .chain(&retrained)
            .map(|(_, accuracy)| *accuracy))
        .chain(uniform.iter().map(|(_, accuracy, _)| *accuracy));
        let shown = accuracies.filter(|accuracy| *accuracy >= exact - DEPTH);
        let (lowest, highest) = shown.fold((exact - 1.0, exact), |(low, high), accuracy| {
            (low.min(accuracy), high.max(accuracy))
        });
        let highest = highest.max(report.float.validation_accuracy.unwrap_or(0.0));
        let margin = 0.04 * (highest - lowest);
        let (bottom, top) = (lowest - margin, highest + 3.0 * margin);
        let places = front.iter().chain(&retrained).copied();
        let places = places.chain(
            uniform
                .iter()
                .map(|(energy, accuracy, _)| (*energy, *accuracy)),
        );
        let energies = places
            .filter(|(_, accuracy)| *accuracy >= bottom)
            .map(|(energy, _)| energy);
        let (least, most) = energies.fold((100.0, 100.0), |(low, high): (f64, f64), energy| {
            (low.min(energy), high.max(energy))
        });
        let (left, right) = ((least - 4.0).max(0.0), most + 4.0);

        let data = &report.data;
        let caption = format!(
            "{} on {}, {} images of the search",
            report.network.name, data.name, data.validation_images
        );
        let mut chart = plot::chart(area, &caption, left..right, bottom..top)?;
        chart
            .configure_mesh()
            .x_desc(format!(
                "energy of all multiplications, % of {}",
                report.energy.baseline
            ))
            .y_desc("accuracy (top-1), %")
            .light_line_style(WHITE)
            .label_style((FONT, 14))
            .draw()?;
        let corner = chart.backend_coord(&(left, top));
        let opposite = chart.backend_coord(&(right, bottom));
        let mut labels = Labels::within([corner.0, corner.1, opposite.0, opposite.1], NAME_SIZE);
        let levels = [
            ("float", report.float.validation_accuracy, BLACK.mix(0.6)),
            (
                "exact multiplier",
                report.baseline.worth.validation_accuracy,
                EXACT.mix(1.0),
            ),
        ];
        for (label, level, color) in levels {
            let Some(level) = level else { continue };
            plot::level(
                &mut chart,
                [left, right],
                level,
                format!("{label}: {level:.2} %"),
                color,
            )?;
            let ends = [left, right].map(|energy| chart.backend_coord(&(energy, level)));
            labels.avoid_line(ends[0], ends[1]);
        }
        let is_shown = |accuracy: f64| accuracy >= bottom;
        let lines = [
            ("the front, before retraining", &front, FRONT),
            ("retrained, on test images", &retrained, RETRAINED),
        ];
        for (label, points, color) in lines {
            let points = points
                .iter()
                .copied()
                .filter(|(_, accuracy)| is_shown(*accuracy));
            let points: Vec<(f64, f64)> = points.collect();
            if points.is_empty() {
                continue;
            }
            chart
                .draw_series(LineSeries::new(points.clone(), color.stroke_width(1)))?
                .label(label)
                .legend(move |(x, y)| {
                    EmptyElement::at((x, y))
                        + PathElement::new([(0, 0), (18, 0)], color.stroke_width(1))
                        + Circle::new((9, 0), 4, color.filled())
                });
            let discs = points
                .iter()
                .map(|place| Circle::new(*place, 4, color.filled()));
            chart.draw_series(discs)?;
            let places: Vec<_> = points
                .iter()
                .map(|point| chart.backend_coord(point))
                .collect();
            for place in &places {
                labels.avoid_point(*place);
            }
            for ends in places.windows(2) {
                labels.avoid_line(ends[0], ends[1]);
            }
        }
        let crosses: Vec<_> = uniform
            .iter()
            .filter(|(_, accuracy, _)| is_shown(*accuracy))
            .collect();
        if !crosses.is_empty() {
            let places = crosses
                .iter()
                .map(|(energy, accuracy, _)| (*energy, *accuracy));
            chart
                .draw_series(places.map(|place| Cross::new(place, 4, UNIFORM.stroke_width(2))))?
                .label("one multiplier in all layers")
                .legend(|(x, y)| Cross::new((x + 9, y), 4, UNIFORM.stroke_width(2)));
        }
        let places: Vec<_> = (crosses.iter())
            .map(|(energy, accuracy, _)| chart.backend_coord(&(*energy, *accuracy)))
            .collect();
        for place in &places {
            labels.avoid_point(*place);
        }
        for ((_, _, name), place) in crosses.into_iter().zip(places) {
            if let Some(place) = labels.place(name, place) {
                let style = (FONT, NAME_SIZE).into_font().color(&UNIFORM);
                let style = style.pos(Pos::new(HPos::Left, VPos::Top));
                area.draw(&Text::new(*name, place, style))?;
            }
        }
        plot::legend(&mut chart, SeriesLabelPosition::LowerRight)
    }
}
