//! Accuracy over power, as a picture.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::EvaluationReport;
use super::front::{Point, front};
use crate::plot::labels::Labels;
use crate::plot::{self, Drawing, Drawn, FONT};

/// The size of the letters of multipliers' names.
const NAME_SIZE: i32 = 13;
const BEATEN: RGBColor = RGBColor(31, 119, 180);
const FRONT: RGBColor = RGBColor(214, 39, 40);
const QUANTIZED: RGBColor = RGBColor(44, 160, 44);

/// Accuracy over power: a disc for every multiplier, a line through those that no other beats, and the network in
/// floating point and with exact products as dashed lines.
impl Drawing for EvaluationReport {
    const SIZE: (u32, u32) = (960, 600);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let points = self.points();
        let front = front(&points);
        let is_in_front = |point: &Point| {
            front
                .iter()
                .any(|other| std::ptr::eq(other.result, point.result))
        };
        let beaten: Vec<Point> = points
            .iter()
            .filter(|point| !is_in_front(point))
            .copied()
            .collect();
        let levels = [
            ("float", self.float(), BLACK.mix(0.6)),
            (
                "quantised, exact products",
                self.quantized(),
                QUANTIZED.mix(1.0),
            ),
        ];
        let lowest = levels
            .iter()
            .filter_map(|(_, evaluation, _)| Some((*evaluation)?.top1))
            .chain(points.iter().map(|point| point.accuracy))
            .fold(99.0, f64::min);
        let bottom = (lowest / 10.0).floor() * 10.0;
        let highest = points.iter().map(|point| point.power).fold(0.0, f64::max);
        let right = if highest > 0.0 { 1.06 * highest } else { 1.0 };

        let data = &self.data;
        let caption = format!(
            "{} on {}, {} {} images",
            self.network.name, data.source, data.images, data.split
        );
        let mut chart = plot::chart(area, &caption, 0.0..right, bottom..102.0)?;
        chart
            .configure_mesh()
            .x_desc("power of a multiplier, mW")
            .y_desc("accuracy (top-1), %")
            .y_label_formatter(&|accuracy| format!("{accuracy:.0}"))
            .light_line_style(WHITE)
            .label_style((FONT, 14))
            .draw()?;

        let corner = chart.backend_coord(&(0.0, 102.0));
        let opposite = chart.backend_coord(&(right, bottom));
        let mut labels = Labels::within([corner.0, corner.1, opposite.0, opposite.1], NAME_SIZE);
        for (label, evaluation, color) in levels {
            let Some(evaluation) = evaluation else {
                continue;
            };
            let level = evaluation.top1;
            plot::level(
                &mut chart,
                [0.0, right],
                level,
                format!("{label}: {level:.2} %"),
                color,
            )?;
            let ends = [0.0, right].map(|power| chart.backend_coord(&(power, level)));
            labels.avoid_line(ends[0], ends[1]);
        }
        if !front.is_empty() {
            chart
                .draw_series(LineSeries::new(
                    front.iter().map(|point| (point.power, point.accuracy)),
                    FRONT.stroke_width(1),
                ))?
                .label("no other needs less power and is as accurate")
                .legend(|(x, y)| {
                    EmptyElement::at((x, y))
                        + PathElement::new([(0, 0), (18, 0)], FRONT.stroke_width(1))
                        + Circle::new((9, 0), 4, FRONT.filled())
                });
        }
        let groups = [(&beaten, BEATEN), (&front, FRONT)];
        for (points, color) in groups {
            let discs = points.iter().map(|point| (point.power, point.accuracy));
            chart.draw_series(discs.map(|place| Circle::new(place, 4, color.filled())))?;
        }
        for point in &points {
            labels.avoid_point(chart.backend_coord(&(point.power, point.accuracy)));
        }
        for pair in front.windows(2) {
            let [from, to] = [&pair[0], &pair[1]]
                .map(|point| chart.backend_coord(&(point.power, point.accuracy)));
            labels.avoid_line(from, to);
        }
        // Those in front come first where room is scarce.
        for (points, color) in groups.into_iter().rev() {
            for point in points {
                let name = point.result.subject.label();
                let place = chart.backend_coord(&(point.power, point.accuracy));
                let Some(place) = labels.place(name, place) else {
                    continue;
                };
                let style = (FONT, NAME_SIZE)
                    .into_font()
                    .color(&color)
                    .pos(Pos::new(HPos::Left, VPos::Top));
                area.draw(&Text::new(name, place, style))?;
            }
        }
        plot::legend(&mut chart, SeriesLabelPosition::UpperLeft)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use crate::plot;

    #[test]
    fn every_multiplier_of_known_power_is_a_disc() {
        let picture = plot::svg(&example()).unwrap();
        // Three multipliers, and one in the legend.
        assert_eq!(picture.matches("<circle").count(), 3 + 1);
        for part in [
            "mine.onnx on digits, 360 test images",
            "cheap",
            "costly",
            "float: 98.00 %",
        ] {
            assert!(picture.contains(part), "{part}");
        }
        assert_eq!(picture.matches("costly").count(), 1);
        assert!(!picture.contains("unknown"));
    }

    #[test]
    fn a_report_without_multipliers_can_be_drawn() {
        let mut report = example();
        report.results.clear();
        let picture = plot::svg(&report).unwrap();
        assert!(!picture.contains("<circle") && !picture.contains("NaN"));
    }
}
