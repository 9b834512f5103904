//! Power against error of the bundled multipliers, with those that no other beats in both.

use approx_experiment::plot::labels::Labels;
use approx_experiment::plot::{Drawing, Drawn, FONT};
use approx_multiplier::evoapprox::{self, PublishedFigures};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{BLUE, RED, mark};
use crate::error::CliError;

/// The size of the letters of multipliers' names.
const NAME_SIZE: i32 = 15;

/// Room above the highest point, for the legend.
const HEADROOM: f64 = 1.36;

/// The picture.
pub struct Pareto {
    bits: u8,
    groups: Vec<Group>,
}

/// The multipliers of one signedness.
struct Group {
    name: &'static str,
    color: RGBColor,
    points: Vec<Point>,
    /// The power of the exact one, in milliwatts.
    exact: Option<f64>,
}

#[derive(Clone)]
struct Point {
    name: String,
    error: f64,
    power: f64,
}

impl Pareto {
    /// The picture of the multipliers of so many bits.
    pub fn of(bits: u8) -> Result<Self, CliError> {
        let group = |name, color, signed: bool| {
            let of_group = |figures: &&PublishedFigures| {
                figures.format.bits() == bits && figures.format.is_signed() == signed
            };
            let all: Vec<Point> = evoapprox::entries()
                .iter()
                .filter(of_group)
                .filter_map(|figures| {
                    Some(Point {
                        name: figures.name.split('_').next_back()?.into(),
                        error: figures.mae_percent,
                        power: figures.hardware.power_mw?,
                    })
                })
                .collect();
            let (exact, points): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|point| point.error == 0.0);
            Group {
                name,
                color,
                points,
                exact: exact.iter().map(|point| point.power).reduce(f64::min),
            }
        };
        let groups = [group("signed", BLUE, true), group("unsigned", RED, false)];
        let groups: Vec<Group> = groups
            .into_iter()
            .filter(|group| !group.points.is_empty())
            .collect();
        match groups.is_empty() {
            true => Err(CliError::Usage(format!(
                "there are no bundled multipliers of {bits} bits: 8, 12 and 16 there are"
            ))),
            false => Ok(Self { bits, groups }),
        }
    }
}

impl Group {
    /// The points that no other beats in both error and power, by increasing error.
    fn front(&self) -> Vec<Point> {
        let mut sorted = self.points.clone();
        sorted.sort_by(|left, right| {
            left.error
                .total_cmp(&right.error)
                .then(left.power.total_cmp(&right.power))
        });
        let mut least = f64::INFINITY;
        sorted.retain(|point| {
            let better = point.power < least;
            least = least.min(point.power);
            better
        });
        sorted
    }
}

impl Drawing for Pareto {
    const SIZE: (u32, u32) = (960, 620);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let points = || self.groups.iter().flat_map(|group| &group.points);
        let errors = || points().map(|point| point.error);
        let low = errors().fold(f64::INFINITY, f64::min) / 2.0;
        let high = errors().fold(0.0, f64::max) * 2.0;
        let exact = self.groups.iter().filter_map(|group| group.exact);
        let top = points()
            .map(|point| point.power)
            .chain(exact)
            .fold(0.0, f64::max)
            * HEADROOM;
        let mut chart = ChartBuilder::on(area)
            .caption(
                format!(
                    "EvoApproxLib, {0} x {0} bits: power against error",
                    self.bits
                ),
                (FONT, 23),
            )
            .margin(16)
            .margin_right(28)
            .x_label_area_size(48)
            .y_label_area_size(64)
            .build_cartesian_2d((low..high).log_scale(), 0.0..top)?;
        chart
            .configure_mesh()
            .x_desc("mean absolute error, % of the output range")
            .y_desc("power, mW (45 nm)")
            .x_label_formatter(&|error| mark(*error))
            .y_label_formatter(&|power| mark(*power))
            .light_line_style(WHITE)
            .label_style((FONT, 16))
            .axis_desc_style((FONT, 18))
            .draw()?;
        // Names must touch neither points nor lines nor each other.
        let (left, ceiling) = chart.backend_coord(&(low, top));
        let (right, floor) = chart.backend_coord(&(high, 0.0));
        let mut labels = Labels::within([left, ceiling, right, floor], NAME_SIZE);
        for group in &self.groups {
            let place = |point: &Point| chart.backend_coord(&(point.error, point.power));
            if let Some(power) = group.exact {
                let ends = [low, high].map(|error| chart.backend_coord(&(error, power)));
                labels.avoid_line(ends[0], ends[1]);
            }
            for point in &group.points {
                labels.avoid_point(place(point));
            }
            for pair in group.front().windows(2) {
                labels.avoid_line(place(&pair[0]), place(&pair[1]));
            }
        }
        for group in &self.groups {
            let Group { name, color, .. } = *group;
            if let Some(power) = group.exact {
                chart
                    .draw_series(DashedLineSeries::new(
                        [(low, power), (high, power)],
                        6,
                        4,
                        color.stroke_width(1),
                    ))?
                    .label(format!("{name}, exact: {} mW", mark(power)))
                    .legend(move |(x, y)| {
                        PathElement::new([(x, y), (x + 8, y)], color.stroke_width(1))
                    });
            }
            let front = group.front();
            chart
                .draw_series(LineSeries::new(
                    front.iter().map(|point| (point.error, point.power)),
                    color.stroke_width(1),
                ))?
                .label(format!(
                    "{name}, {}; line: those that no other beats",
                    group.points.len()
                ))
                .legend(move |(x, y)| {
                    EmptyElement::at((x, y))
                        + PathElement::new([(0, 0), (18, 0)], color.stroke_width(1))
                        + Circle::new((9, 0), 4, color.filled())
                });
            chart.draw_series(
                group
                    .points
                    .iter()
                    .map(|point| Circle::new((point.error, point.power), 4, color.filled())),
            )?;
            for point in front {
                let place = chart.backend_coord(&(point.error, point.power));
                let Some(place) = labels.place(&point.name, place) else {
                    continue;
                };
                let style = (FONT, NAME_SIZE)
                    .into_font()
                    .color(&color)
                    .pos(Pos::new(HPos::Left, VPos::Top));
                area.draw(&Text::new(point.name, place, style))?;
            }
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.4))
            .label_font((FONT, 16))
            .draw()
    }
}
