//! The error of a multiplier over the codes of its operands, or how it differs from another one.

use approx_experiment::plot::{Drawing, Drawn, FONT};
use approx_multiplier::{Multiplier, OperandFormat};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::mark;

/// Cells along an axis at most, and the pixels of the map along each.
const CELLS: usize = 128;
const SIDE: i32 = 512;
/// Codes of a cell along an axis that are looked at, at most.
const LOOKED_AT: usize = 4;

const LEFT: i32 = 100;
const TOP: i32 = 72;
const BAR_LEFT: i32 = LEFT + SIDE + 36;
const BAR_WIDTH: i32 = 20;
/// Steps of the colour bar.
const STEPS: i32 = 128;

/// The picture.
pub struct HeatMap {
    title: String,
    /// What the values are, and what one is called.
    formula: String,
    value: &'static str,
    activation: OperandFormat,
    weight: OperandFormat,
    /// Cells along the activation and the weight.
    cells: [usize; 2],
    /// Row by row, from the lowest activation code: the error of largest magnitude in each cell.
    errors: Vec<f64>,
    /// Whether all codes of the cells were looked at.
    complete: bool,
    /// The largest magnitude of an error.
    largest: f64,
}

impl HeatMap {
    /// The map of a multiplier's error.
    pub fn of(multiplier: &Multiplier) -> Self {
        let exact = Multiplier::exact(multiplier.activation(), multiplier.weight());
        Self {
            title: format!("Error of {}", multiplier.name()),
            formula: "m(a, b) - a b".into(),
            value: "error",
            ..Self::between(multiplier, &exact)
        }
    }

    /// The map of the products of one multiplier minus those of another one, of the same operands.
    pub fn between(multiplier: &Multiplier, other: &Multiplier) -> Self {
        let (activation, weight) = (multiplier.activation(), multiplier.weight());
        let cells = [activation, weight].map(|format| format.cardinality().min(CELLS));
        let errors: Vec<f64> = (0..cells[0] * cells[1])
            .map(|cell| {
                let (row, column) = (cell / cells[1], cell % cells[1]);
                let mut largest = 0f64;
                for a in codes(activation, cells[0], row) {
                    for b in codes(weight, cells[1], column) {
                        let error = multiplier.evaluate(a, b) - other.evaluate(a, b);
                        if error.abs() > largest.abs() {
                            largest = error;
                        }
                    }
                }
                largest
            })
            .collect();
        let largest = errors
            .iter()
            .fold(0f64, |largest, error| largest.max(error.abs()));
        let complete =
            |format: OperandFormat, cells: usize| format.cardinality() / cells <= LOOKED_AT;
        Self {
            title: format!("{} minus {}", multiplier.name(), other.name()),
            formula: "the first minus the second".into(),
            value: "difference",
            activation,
            weight,
            cells,
            errors,
            complete: complete(activation, cells[0]) && complete(weight, cells[1]),
            largest,
        }
    }
}

/// The codes of a cell along one axis that are looked at: evenly spread, the ends included.
fn codes(format: OperandFormat, cells: usize, cell: usize) -> impl Iterator<Item = i32> {
    let size = format.cardinality() / cells;
    let count = size.min(LOOKED_AT);
    let first = format.min_code() + (cell * size) as i32;
    (0..count).map(move |index| {
        let offset = index * (size - 1) / (count - 1).max(1);
        first + offset as i32
    })
}

/// Blue for -1, white for 0, red for 1.
fn color(value: f64) -> RGBColor {
    // The root lets small errors be seen beside large ones of other colours; the bar has the same scale.
    let strength = value.abs().clamp(0.0, 1.0).sqrt();
    let [r, g, b] = if value < 0.0 {
        [25.0, 80.0, 180.0]
    } else {
        [190.0, 30.0, 30.0]
    };
    let blend = |end: f64| (255.0 + (end - 255.0) * strength).round() as u8;
    RGBColor(blend(r), blend(g), blend(b))
}

impl Drawing for HeatMap {
    const SIZE: (u32, u32) = (776, 664);

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let centred = |size: i32| {
            (FONT, size)
                .into_font()
                .color(&BLACK)
                .pos(Pos::new(HPos::Center, VPos::Center))
        };
        let middle = LEFT + SIDE / 2;
        area.draw(&Text::new(self.title.clone(), (middle, 24), centred(23)))?;
        let codes = self.activation.cardinality() / self.cells[0];
        let others = self.weight.cardinality() / self.cells[1];
        let note = match (codes * others, self.complete) {
            (1, _) => format!("{} for every pair of codes", self.formula),
            (_, true) => format!(
                "{}: the largest in magnitude of each {codes} x {others} pairs of codes",
                self.formula
            ),
            (_, false) => {
                let [some, others_of] = [codes, others].map(|count| count.min(LOOKED_AT));
                format!(
                    "{}: the largest in magnitude of {some} x {others_of} of each {codes} x {others} pairs",
                    self.formula
                )
            }
        };
        area.draw(&Text::new(note, (middle, 50), centred(16)))?;

        let [rows, columns] = self.cells.map(|count| count as i32);
        let (height, width) = (SIDE / rows, SIDE / columns);
        for (index, error) in self
            .errors
            .iter()
            .enumerate()
            .filter(|(_, error)| **error != 0.0)
        {
            let (row, column) = (index as i32 / columns, index as i32 % columns);
            let (x, y) = (LEFT + column * width, TOP + SIDE - (row + 1) * height);
            let style = color(error / self.largest).filled();
            // Both corners belong to the rectangle in pixels, and to its outline in SVG.
            area.draw(&Rectangle::new([(x, y), (x + width, y + height)], style))?;
        }
        area.draw(&Rectangle::new(
            [(LEFT, TOP), (LEFT + SIDE, TOP + SIDE)],
            BLACK,
        ))?;

        let small = |h, v| (FONT, 16).into_font().color(&BLACK).pos(Pos::new(h, v));
        for part in 0..=4 {
            // A mark is in the middle of its code.
            let mark = |format: OperandFormat| {
                let count = format.cardinality() as i32;
                let code = (count / 4 * part).min(count - 1);
                let place = SIDE * code / count + SIDE / count / 2;
                (place, (format.min_code() + code).to_string())
            };
            let (right, weight) = mark(self.weight);
            let (up, activation) = mark(self.activation);
            let (x, y) = (LEFT + right, TOP + SIDE - up);
            area.draw(&PathElement::new(
                [(x, TOP + SIDE), (x, TOP + SIDE + 5)],
                BLACK,
            ))?;
            area.draw(&PathElement::new([(LEFT - 5, y), (LEFT, y)], BLACK))?;
            let below = Text::new(weight, (x, TOP + SIDE + 9), small(HPos::Center, VPos::Top));
            area.draw(&below)?;
            let beside = Text::new(activation, (LEFT - 9, y), small(HPos::Right, VPos::Center));
            area.draw(&beside)?;
        }
        let below = (middle, TOP + SIDE + 48);
        area.draw(&Text::new(
            format!("weight code b ({})", self.weight),
            below,
            centred(18),
        ))?;
        let upright = centred(18).transform(FontTransform::Rotate270);
        let left = (22, TOP + SIDE / 2);
        area.draw(&Text::new(
            format!("activation code a ({})", self.activation),
            left,
            upright,
        ))?;
        match self.largest > 0.0 {
            true => self.draw_bar(area),
            false => area.draw(&Text::new(
                format!("no {} anywhere", self.value),
                (middle, TOP + SIDE / 2),
                centred(18),
            )),
        }
    }
}

impl HeatMap {
    /// The colour bar, from the largest error down to its opposite.
    fn draw_bar<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>) -> Drawn<B> {
        let text = |h| {
            (FONT, 16)
                .into_font()
                .color(&BLACK)
                .pos(Pos::new(h, VPos::Center))
        };
        let right = BAR_LEFT + BAR_WIDTH;
        area.draw(&Text::new(
            self.value,
            (BAR_LEFT + BAR_WIDTH / 2, TOP - 14),
            text(HPos::Center),
        ))?;
        let step = SIDE / STEPS;
        for index in 0..STEPS {
            let value = 1.0 - 2.0 * (f64::from(index) + 0.5) / f64::from(STEPS);
            let y = TOP + index * step;
            let style = color(value).filled();
            area.draw(&Rectangle::new([(BAR_LEFT, y), (right, y + step)], style))?;
        }
        area.draw(&Rectangle::new(
            [(BAR_LEFT, TOP), (right, TOP + SIDE)],
            BLACK,
        ))?;
        for part in -2..=2 {
            let y = TOP + SIDE / 2 - SIDE / 4 * part;
            area.draw(&PathElement::new([(right, y), (right + 5, y)], BLACK))?;
            let label = mark(self.largest * f64::from(part) / 2.0);
            area.draw(&Text::new(label, (right + 9, y), text(HPos::Left)))?;
        }
        Ok(())
    }
}
