//! The picture of a sweep: speed over the number of products that a multiplier takes.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::sweep::{Line, Sweep};

const SIZE: (u32, u32) = (960, 560);
/// The width of a rank along the axis.
const RANK: i32 = 10;
const FONT: &str = "sans-serif";
// Colours that are told apart without red or green, and differ in brightness.
const FACTORED: RGBColor = RGBColor(0, 114, 178);
const LOOKUP: RGBColor = RGBColor(230, 159, 0);
const FLOAT32: RGBColor = RGBColor(60, 60, 60);

/// Draws the picture as an SVG document.
pub(crate) fn draw(caption: &str, sweep: &Sweep) -> Result<String, String> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, SIZE).into_drawing_area();
        draw_on(caption, sweep, &area).map_err(|error| error.to_string())?;
    }
    Ok(picture)
}

type DrawResult<'a> =
    Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw_on<'a>(
    caption: &str,
    sweep: &Sweep,
    area: &DrawingArea<SVGBackend<'a>, Shift>,
) -> DrawResult<'a> {
    let speeds = sweep
        .multipliers
        .iter()
        .flat_map(|line| [Some(line.planned), Some(line.lookup), line.factored])
        .flatten()
        .chain([sweep.float32]);
    let (lowest, highest) = speeds.fold((f64::INFINITY, 0.0f64), |(low, high), speed| {
        (low.min(speed), high.max(speed))
    });
    let (bottom, top) = (lowest * 0.7, highest * 1.6);
    let largest = sweep.largest_rank as i32;
    // Those of a larger rank stand side by side, behind a line.
    let (border, end) = (largest * RANK + RANK, largest * RANK + 8 * RANK);
    let ranks = (0..=largest).step_by(2).map(|rank| rank * RANK);
    let ranks = ranks.chain([(border + end) / 2]).collect::<Vec<_>>();
    let speeds = (-2..4).flat_map(|power| [1.0, 2.0, 5.0].map(|step| step * 10f64.powi(power)));
    let speeds = speeds.filter(|speed| (bottom..top).contains(speed));

    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(area)
        .caption(caption, (FONT, 18))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (-RANK..end).with_key_points(ranks),
            (bottom..top)
                .log_scale()
                .with_key_points(speeds.collect::<Vec<_>>()),
        )?;
    chart
        .configure_mesh()
        .x_desc("products of one-operand functions per multiplication (rank)")
        .y_desc("10^9 multiplications per second")
        .x_labels(20)
        .y_labels(20)
        .x_label_formatter(&|place| match *place {
            place if place > border => format!("more than {largest}"),
            place => format!("{}", place / RANK),
        })
        .y_label_formatter(&|speed| format!("{speed}"))
        .light_line_style(WHITE)
        .label_style((FONT, 14))
        .draw()?;
    chart.draw_series(DashedLineSeries::new(
        [(border, bottom), (border, top)],
        3,
        3,
        FLOAT32.stroke_width(1),
    ))?;

    let without = sweep
        .multipliers
        .iter()
        .filter(|line| line.products.is_none());
    let beyond = without.count() as i32;
    let mut of_larger_rank = 0;
    let places: Vec<(i32, &Line)> = sweep
        .multipliers
        .iter()
        .map(|line| {
            let place = line.products.map_or_else(
                || {
                    of_larger_rank += 1;
                    border + of_larger_rank * (end - border) / (beyond + 1)
                },
                |products| products as i32 * RANK,
            );
            (place, line)
        })
        .collect();

    chart
        .draw_series(DashedLineSeries::new(
            [(-RANK, sweep.float32), (end, sweep.float32)],
            8,
            5,
            FLOAT32.stroke_width(2),
        ))?
        .label(format!("float32, by Burn: {:.0}", sweep.float32))
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], FLOAT32.stroke_width(2)));
    chart
        .draw_series(
            places.iter().map(|&(place, line)| {
                TriangleMarker::new((place, line.lookup), 6, LOOKUP.filled())
            }),
        )?
        .label("a table lookup per multiplication")
        .legend(|(x, y)| TriangleMarker::new((x + 9, y), 6, LOOKUP.filled()));
    chart
        .draw_series(
            places
                .iter()
                .filter(|(_, line)| !line.is_factored)
                .filter_map(|&(place, line)| {
                    let speed = line.factored?;
                    Some(Circle::new((place, speed), 5, FACTORED.stroke_width(1)))
                }),
        )?
        .label("factors, where the planner prefers the lookup")
        .legend(|(x, y)| Circle::new((x + 9, y), 5, FACTORED.stroke_width(1)));
    chart
        .draw_series(
            places
                .iter()
                .filter(|(_, line)| line.is_factored)
                .map(|&(place, line)| Circle::new((place, line.planned), 5, FACTORED.filled())),
        )?
        .label("factors, as planned")
        .legend(|(x, y)| Circle::new((x + 9, y), 5, FACTORED.filled()));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::Coordinate(380, 20))
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.4))
        .label_font((FONT, 14))
        .draw()?;
    area.present()
}
