//! Power against error of the bundled multipliers, with those that no other beats in both.

use approx_multiplier::evoapprox::{self, PublishedFigures};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{BLUE, Drawing, Drawn, FONT, RED, mark};
use crate::error::CliError;

/// About the width of a letter of the names beside points, and the height of a line.
const LETTER: i32 = 7;
const LINE: i32 = 13;

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
        let mut taken = Vec::new();
        let (_, floor) = chart.backend_coord(&(high, 0.0));
        for group in &self.groups {
            let place = |point: &Point| chart.backend_coord(&(point.error, point.power));
            if let Some(power) = group.exact {
                let ends = [low, high].map(|error| chart.backend_coord(&(error, power)));
                taken.extend(along(ends[0], ends[1]).map(|dot| around(dot, 1)));
            }
            taken.extend(group.points.iter().map(|point| around(place(point), 5)));
            for pair in group.front().windows(2) {
                taken.extend(along(place(&pair[0]), place(&pair[1])).map(|dot| around(dot, 1)));
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
                let (x, y) = chart.backend_coord(&(point.error, point.power));
                let width = LETTER * point.name.len() as i32 * 5 / 4;
                // Above to the right, below to the left, and further around the point.
                let places = [
                    (7, -LINE - 1),
                    (-width - 7, 1),
                    (7, 1),
                    (-width - 7, -LINE - 1),
                    (-width / 2, -LINE - 7),
                    (-width / 2, 7),
                    (9, -LINE / 2),
                    (-width - 9, -LINE / 2),
                ];
                let free = places.into_iter().find_map(|(right, down)| {
                    let place = [x + right, y + down, x + right + width, y + down + LINE];
                    let is_free =
                        place[3] < floor && taken.iter().all(|other| !overlap(&place, other));
                    is_free.then_some(place)
                });
                let Some(place) = free else { continue };
                taken.push(place);
                let style = (FONT, 15)
                    .into_font()
                    .color(&color)
                    .pos(Pos::new(HPos::Left, VPos::Top));
                area.draw(&Text::new(point.name, (place[0], place[1]), style))?;
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

/// Whether two rectangles, given as left, top, right and bottom, overlap.
fn overlap(one: &[i32; 4], other: &[i32; 4]) -> bool {
    one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3]
}

/// The rectangle that reaches so far around a point.
fn around((x, y): (i32, i32), reach: i32) -> [i32; 4] {
    [x - reach, y - reach, x + reach, y + reach]
}

/// Dots along a line.
fn along(from: (i32, i32), to: (i32, i32)) -> impl Iterator<Item = (i32, i32)> {
    let (right, down) = (to.0 - from.0, to.1 - from.1);
    let count = (right.abs().max(down.abs()) / 3).max(1);
    (0..=count).map(move |index| {
        (
            from.0 + right * index / count,
            from.1 + down * index / count,
        )
    })
}
