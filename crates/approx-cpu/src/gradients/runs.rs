//! Runs of elements that lie side by side, by which blocks of lines are copied, and what is made ready for that.

use std::ops::Range;

use crate::arch::LANES;

/// Elements of every line that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Where the first of them goes, counted from the first element that is copied.
    pub(super) to: usize,
    /// Where it is, counted from where the line begins.
    pub(super) from: usize,
    pub(super) length: usize,
}

impl Run {
    /// The parts of the run that go to blocks of 16, which lie apart from each other.
    pub(super) fn cut(self, block: usize) -> impl Iterator<Item = Run> {
        let end = self.to + self.length;
        let blocks = self.to / LANES..end.div_ceil(LANES);
        blocks.map(move |index| {
            let start = self.to.max(index * LANES);
            Run {
                to: index * block + start % LANES,
                from: self.from + start - self.to,
                length: end.min((index + 1) * LANES) - start,
            }
        })
    }

    /// The parts of the run that are vectors, of which the last may be shorter.
    pub(super) fn vectors(self) -> impl Iterator<Item = Run> {
        (0..self.length).step_by(LANES).map(move |done| Run {
            to: self.to + done,
            from: self.from + done,
            length: (self.length - done).min(LANES),
        })
    }

    /// Adds a run to others, or to the last of them if it goes on with it.
    #[inline(always)]
    pub(super) fn join(self, runs: &mut Vec<Run>) {
        if let Some(last) = runs.last_mut()
            && last.from + last.length == self.from
        {
            last.length += self.length;
        } else {
            runs.push(self);
        }
    }
}

/// Lines made ready for copying blocks.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Of which lines and elements that is.
    pub(super) lines: Range<usize>,
    pub(super) elements: Range<usize>,
    /// The part of the planes that windows see, with a border.
    pub(super) bordered: Vec<f32>,
    /// Where each line begins; none if all its elements are 0, which only windows have.
    pub(super) offsets: Vec<Option<usize>>,
    pub(super) runs: Vec<Run>,
    /// The runs, cut into vectors.
    pub(super) cut: Vec<Run>,
}

impl Prepared {
    /// Forgets what has been prepared, but keeps its room.
    pub(super) fn forget(&mut self) {
        self.lines = 0..0;
        self.elements = 0..0;
    }
}

/// Copies elements, mapped, by whole vectors where there is room: what lies after them is overwritten by the runs and lines that
/// follow.
#[inline(always)]
pub(super) fn copy_run(
    from: &[f32],
    length: usize,
    to: &mut [f32],
    map: impl Fn(f32) -> f32 + Copy,
) {
    for done in (0..length).step_by(LANES) {
        let (from, to) = (&from[done..], &mut to[done..]);
        if let (Some(from), Some(to)) = (from.first_chunk::<LANES>(), to.first_chunk_mut::<LANES>())
        {
            *to = std::array::from_fn(|lane| map(from[lane]));
        } else {
            let rest = (length - done).min(LANES);
            let pairs = to.iter_mut().zip(&from[..rest]);
            pairs.for_each(|(to, &from)| *to = map(from));
        }
    }
}
