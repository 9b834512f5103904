//! The outputs of a phase some of whose taps lie outside the input, and what is taken off their sums.
//!
//! The input is padded with the elements of some code, so that all outputs of a phase have the same taps. What padded
//! taps have added too much depends on which taps they are: on the output's row and column, each of which belongs to
//! one of a few classes.

use std::ops::Range;

use super::phases::{Phase, WindowTaps};
use crate::accumulators::Accumulator;
use crate::shapes::Conv2dShape;

/// Where taps of a phase lie outside the input.
#[derive(Debug, Clone)]
pub(crate) struct Border {
    rows: AxisBorder,
    columns: AxisBorder,
}

/// The border along one axis.
#[derive(Debug, Clone)]
struct AxisBorder {
    taps: usize,
    /// Neighbouring positions that form a class, in order, and which of their taps lie inside.
    classes: Vec<(Range<usize>, Range<usize>)>,
}

impl AxisBorder {
    /// The border of so many positions under a window of stride 1 whose input starts after `before` positions.
    fn new(taps: WindowTaps, positions: usize, before: usize, input: usize) -> Self {
        let mut classes: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for position in 0..positions {
            let first = position + taps.first;
            let end = (before + input).saturating_sub(first).div_ceil(taps.step);
            let end = end.min(taps.count);
            let start = before.saturating_sub(first).div_ceil(taps.step).min(end);
            match classes.last_mut() {
                Some((positions, inside)) if *inside == (start..end) => positions.end += 1,
                _ => classes.push((position..position + 1, start..end)),
            }
        }
        AxisBorder {
            taps: taps.count,
            classes,
        }
    }

    fn is_full(&self, class: usize) -> bool {
        self.classes[class].1.len() == self.taps
    }
}

impl Border {
    /// The border of a phase with outputs at so many places.
    pub(crate) fn new(window: &Conv2dShape, phase: &Phase, places: [usize; 2]) -> Self {
        let before = [window.padding.top, window.padding.left];
        let [rows, columns] = [0, 1].map(|axis| {
            let taps = phase.taps[axis];
            AxisBorder::new(taps, places[axis], before[axis], window.input[axis])
        });
        Border { rows, columns }
    }

    /// What is added to sums, `[channels, classes]`, to take off what every padded tap has added, `[channels, taps]`.
    fn corrections(&self, per_tap: &[i64]) -> Vec<i64> {
        let mut corrections = Vec::new();
        let area = self.rows.taps * self.columns.taps;
        for taps in per_tap.chunks_exact(area) {
            for (_, rows) in &self.rows.classes {
                for (_, columns) in &self.columns.classes {
                    let outside = taps.iter().enumerate().filter(|(tap, _)| {
                        let (row, column) = (tap / self.columns.taps, tap % self.columns.taps);
                        !(rows.contains(&row) && columns.contains(&column))
                    });
                    let added = outside.fold(0i64, |sum, (_, &add)| sum.wrapping_add(add));
                    corrections.push(added.wrapping_neg());
                }
            }
        }
        corrections
    }

    /// Neighbouring places of a row some of whose taps lie outside, and their class.
    fn runs(&self, row: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
        let rows = self.rows.classes.iter();
        let class = rows.take_while(|(rows, _)| rows.end <= row).count();
        let columns = self.columns.classes.iter().enumerate();
        columns
            .filter(move |&(column, _)| !(self.rows.is_full(class) && self.columns.is_full(column)))
            .map(move |(column, (places, _))| {
                (places.clone(), class * self.columns.classes.len() + column)
            })
    }

    fn places(&self, rows: Range<usize>, pitch: usize) -> Vec<ClassPlaces> {
        let first = rows.start;
        rows.flat_map(|row| {
            self.runs(row).map(move |(columns, class)| {
                let start = (row - first) * pitch;
                ClassPlaces {
                    places: start + columns.start..start + columns.end,
                    class,
                }
            })
        })
        .collect()
    }
}

/// Neighbouring places of one class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassPlaces {
    places: Range<usize>,
    class: usize,
}

/// What is added to the sums of a phase to take off what padded taps have added.
#[derive(Debug, Clone)]
pub(crate) struct Corrections {
    border: Border,
    classes: usize,
    /// `[channels, classes]`
    values: Vec<i64>,
}

impl Corrections {
    /// Those for what every padded tap has added, `[channels, taps]`; none if that is nothing.
    pub(crate) fn new(border: Border, per_tap: &[i64]) -> Option<Self> {
        let values = border.corrections(per_tap);
        let has_any = values.iter().any(|&correction| correction != 0);
        has_any.then_some(Corrections {
            classes: border.rows.classes.len() * border.columns.classes.len(),
            border,
            values,
        })
    }

    /// The places of some rows some of whose taps lie outside, in ascending order, where a row starts `pitch` places
    /// after the one above.
    pub(crate) fn places(&self, rows: Range<usize>, pitch: usize) -> Vec<ClassPlaces> {
        self.border.places(rows, pitch)
    }

    /// Corrects the sums of a range of places, those of channels from one on.
    pub(crate) fn add<S: Accumulator>(
        &self,
        channel: usize,
        places: &[ClassPlaces],
        range: Range<usize>,
        sums: &mut [impl AsMut<[S]>],
    ) {
        let first = places.partition_point(|class| class.places.end <= range.start);
        for ClassPlaces { places, class } in &places[first..] {
            if places.start >= range.end {
                break;
            }
            let start = places.start.max(range.start) - range.start;
            let end = places.end.min(range.end) - range.start;
            let of_class = self.values[channel * self.classes + class..].iter();
            for (sums, &correction) in sums.iter_mut().zip(of_class.step_by(self.classes)) {
                let correction = S::from_i64(correction);
                for sum in &mut sums.as_mut()[start..end] {
                    *sum = sum.plus(correction);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three taps of a window, at distances 0, 2 and 4, over an input of four positions after a border of two.
    const TAPS: WindowTaps = WindowTaps {
        first: 0,
        step: 2,
        count: 3,
    };

    #[test]
    fn neighbours_with_the_same_taps_inside_are_a_class() {
        let border = AxisBorder::new(TAPS, 5, 2, 4);
        let classes = [(0..2, 1..3), (2..4, 0..2), (4..5, 0..1)];
        assert_eq!(border.classes, classes);
    }

    #[test]
    fn what_taps_outside_have_added_is_taken_off() {
        let border = Border {
            rows: AxisBorder::new(TAPS, 5, 2, 4),
            columns: AxisBorder::new(WindowTaps { count: 1, ..TAPS }, 6, 1, 4),
        };
        // Rows have their last two taps inside, their first two, or the first one only; the columns one tap or none.
        let corrections = border.corrections(&[1, 20, 300]);
        assert_eq!(
            corrections,
            [-321, -1, -321, -321, -300, -321, -321, -320, -321]
        );
        let corrections = Corrections::new(border, &[7, 7, 7, 1, 20, 300]).unwrap();
        let places = corrections.places(3..5, 10);
        let mut sums = [[1000i32; 20]];
        corrections.add(1, &places, 0..20, &mut sums);
        let row = |class: [i32; 3]| [class[0], class[1], class[1], class[1], class[1], class[2]];
        assert_eq!(sums[0][..6], row([679, 700, 679]));
        assert_eq!(sums[0][6..10], [1000; 4]);
        assert_eq!(sums[0][10..16], row([679, 680, 679]));
        let mut part = [[1000i32; 4]; 2];
        corrections.add(0, &places, 9..13, &mut part);
        assert_eq!(part, [[1000, 979, 986, 986], [1000, 679, 680, 680]]);
    }
}
