//! Which sizes in a forward pass follow the batch: recordings at three batch sizes are compared.
//!
//! Two recordings fix a size as a straight line over the batch, the third shows that it is one. Everything else must be
//! the same in all three: the operations, what they take, their settings, and the values of constants. A model that
//! branches on a batch size which was not recorded cannot be found out; one that is recorded the same at three sizes is
//! taken at its word.

use std::ops::RangeInclusive;

use burn::backend::ir::{BaseOperationIr, IrVisitorMut, OperationIr, TensorIr};
use burn::tensor::{Shape, Slice};

use super::capture::Recording;
use super::name;
use super::slots::slot;
use crate::error::ApproxError;

/// A size that grows by the same amount with every row of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    fixed: isize,
    per_row: isize,
}

impl Extent {
    /// The line through the sizes at these batch sizes.
    fn through(points: &[(usize, isize)]) -> Option<Self> {
        let (first, value) = *points.first()?;
        let first = first as isize;
        let per_row = match points.get(1) {
            None => 0,
            Some((second, next)) => {
                let (rise, run) = (next - value, *second as isize - first);
                if rise % run != 0 {
                    return None;
                }
                rise / run
            }
        };
        let line = Self {
            fixed: value - per_row * first,
            per_row,
        };
        let on_line = |(batch, value): &(usize, isize)| line.at(*batch) == *value;
        points.iter().all(on_line).then_some(line)
    }

    pub(super) fn at(self, batch: usize) -> isize {
        self.fixed + self.per_row * batch as isize
    }

    pub(super) fn is_fixed(self) -> bool {
        self.per_row == 0
    }

    /// The batches for which it is a size.
    fn batches(self) -> RangeInclusive<usize> {
        let needed = self.fixed.unsigned_abs();
        let per_row = self.per_row.unsigned_abs();
        match (self.fixed < 0, self.per_row) {
            (true, 1..) => needed.div_ceil(per_row)..=usize::MAX,
            (false, ..0) => 1..=needed / per_row,
            _ => 1..=usize::MAX,
        }
    }
}

/// The sizes of a tensor.
#[derive(Clone, Debug)]
pub(super) struct Extents(Vec<Extent>);

impl Extents {
    pub(super) fn at(&self, batch: usize) -> Shape {
        let dims = self.0.iter().map(|extent| extent.at(batch) as usize);
        Shape::from(dims.collect::<Vec<_>>())
    }

    pub(super) fn is_fixed(&self) -> bool {
        self.0.iter().all(|extent| extent.is_fixed())
    }

    /// Whether the last two sizes are the same for every batch.
    pub(super) fn has_fixed_matrices(&self) -> bool {
        self.0.len() >= 2 && self.0.iter().rev().take(2).all(|extent| extent.is_fixed())
    }

    /// The line through the shapes at these batch sizes.
    fn through(shapes: &[(usize, &Shape)]) -> Option<Self> {
        let rank = shapes.first()?.1.len();
        let extent = |axis: usize| {
            let points = (shapes.iter())
                .map(|(batch, shape)| Some((*batch, *shape.get(axis)? as isize)))
                .collect::<Option<Vec<_>>>()?;
            Extent::through(&points)
        };
        let same_rank = shapes.iter().all(|(_, shape)| shape.len() == rank);
        let extents = (0..rank).map(extent).collect::<Option<Vec<_>>>()?;
        same_rank.then_some(Self(extents))
    }
}

/// What of one operation may follow the batch.
#[derive(Clone, Debug)]
pub(super) struct Sizes {
    /// The shapes of its outputs.
    pub(super) outputs: Vec<Extents>,
    /// The start and end of its slices.
    pub(super) ranges: Vec<(Extent, Option<Extent>)>,
    /// How often it repeats.
    pub(super) times: Extent,
}

impl Sizes {
    /// The batches for which all of them are sizes.
    pub(super) fn batches(&self) -> RangeInclusive<usize> {
        let shapes = self.outputs.iter().flat_map(|extents| &extents.0);
        let bounds = self
            .ranges
            .iter()
            .flat_map(|(start, end)| [Some(start), end.as_ref()]);
        let all = shapes.chain(bounds.flatten()).chain([&self.times]);
        all.map(|extent| extent.batches())
            .fold(1..=usize::MAX, both)
    }

    pub(super) fn is_fixed(&self) -> bool {
        let range = |(start, end): &(Extent, Option<Extent>)| {
            start.is_fixed() && end.is_none_or(Extent::is_fixed)
        };
        self.outputs.iter().all(Extents::is_fixed)
            && self.ranges.iter().all(range)
            && self.times.is_fixed()
    }
}

/// What lies in both ranges.
pub(super) fn both(
    first: RangeInclusive<usize>,
    second: RangeInclusive<usize>,
) -> RangeInclusive<usize> {
    *first.start().max(second.start())..=*first.end().min(second.end())
}

/// Compares recordings of one model and gives the sizes of its inputs and of every operation of the first one.
pub(super) fn compare(
    recordings: &[Recording],
    parameters: &[String],
) -> Result<(Vec<Extents>, Vec<Sizes>), ApproxError> {
    let (first, others) = recordings.split_first().expect("a model is recorded");
    let error = |index: usize, problem: String| {
        let operations = &first.operations;
        let index = index.min(operations.len().saturating_sub(1));
        ApproxError::BatchDependent {
            operation: operations.get(index).map(name::of).unwrap_or_default(),
            place: name::place(operations, index, parameters),
            problem,
        }
    };
    let mut sizes = Vec::with_capacity(first.operations.len());
    for (index, operation) in first.operations.iter().enumerate() {
        let mut same = vec![(first.batch, operation)];
        for other in others {
            match other.operations.get(index) {
                Some(operation) => same.push((other.batch, operation)),
                None => {
                    return Err(error(
                        index,
                        format!("with {} inputs the model ends before it", other.batch),
                    ));
                }
            }
        }
        sizes.push(sizes_of(&same).map_err(|problem| error(index, problem))?);
    }
    for other in others {
        if other.operations.len() != first.operations.len() {
            let problem = format!("with {} inputs the model goes on after it", other.batch);
            return Err(error(first.operations.len(), problem));
        }
        for (constant, data) in &first.constants {
            if other.constants.get(constant) != Some(data) {
                let uses = |operation: &OperationIr| {
                    operation.inputs().any(|tensor| slot(tensor) == *constant)
                };
                let user = first.operations.iter().position(uses).unwrap_or_default();
                return Err(error(
                    user,
                    "it takes values that are made for the batch size".to_string(),
                ));
            }
        }
        if other.outputs != first.outputs {
            return Err(error(
                first.operations.len(),
                "the outputs are others".to_string(),
            ));
        }
    }
    let inputs = (0..first.inputs.len())
        .map(|input| {
            let shapes: Vec<_> = recordings
                .iter()
                .map(|recording| (recording.batch, &recording.inputs[input].shape))
                .collect();
            Extents::through(&shapes).expect("inputs were given the batch as their first size")
        })
        .collect();
    Ok((inputs, sizes))
}

/// The sizes of one operation, recorded at several batch sizes.
fn sizes_of(recorded: &[(usize, &OperationIr)]) -> Result<Sizes, String> {
    let mut varying: Vec<(usize, Varying)> = Vec::new();
    for (batch, operation) in recorded {
        varying.push((*batch, Varying::of(operation)));
    }
    let (_, first) = &varying[0];
    for (batch, other) in &varying[1..] {
        if other.rest != first.rest {
            let [here, there] = [&first.rest, &other.rest].map(name::of);
            return Err(match here == there {
                true => format!("its operands or settings are others with {batch} inputs"),
                false => format!("with {batch} inputs `{there}` stands in its place"),
            });
        }
    }
    let line = |value: &dyn Fn(&Varying) -> Option<isize>| {
        let points: Option<Vec<_>> = (varying.iter())
            .map(|(batch, varying)| Some((*batch, value(varying)?)))
            .collect();
        Extent::through(&points?)
    };
    let uneven = |what: &str| format!("{what} do not grow evenly with the batch");
    let outputs = (0..first.outputs.len())
        .map(|output| {
            let shapes: Vec<_> = (varying.iter())
                .map(|(batch, varying)| (*batch, &varying.outputs[output]))
                .collect();
            Extents::through(&shapes).ok_or_else(|| uneven("its output's sizes"))
        })
        .collect::<Result<_, _>>()?;
    let ranges = (0..first.ranges.len())
        .map(|range| {
            let start = line(&|varying| Some(varying.ranges[range].start));
            let start = start.ok_or_else(|| uneven("its ranges"))?;
            let end = line(&|varying| varying.ranges[range].end);
            match (end, first.ranges[range].end) {
                (None, Some(_)) => Err(uneven("its ranges")),
                (end, _) => Ok((start, end)),
            }
        })
        .collect::<Result<_, _>>()?;
    let times = line(&|varying| Some(varying.times as isize));
    Ok(Sizes {
        outputs,
        ranges,
        times: times.ok_or_else(|| uneven("its repetitions"))?,
    })
}

/// An operation taken apart: what may follow the batch, and the rest.
struct Varying {
    outputs: Vec<Shape>,
    ranges: Vec<Slice>,
    times: usize,
    rest: OperationIr,
}

impl Varying {
    fn of(operation: &OperationIr) -> Self {
        let outputs = operation.outputs().map(|tensor| tensor.shape.clone());
        let mut strip = Strip::default();
        let outputs = outputs.collect();
        let mut rest = operation.clone();
        rest.visit_mut(&mut strip);
        let mut times = 1;
        if let OperationIr::BaseFloat(BaseOperationIr::RepeatDim(repeat))
        | OperationIr::BaseInt(BaseOperationIr::RepeatDim(repeat))
        | OperationIr::BaseBool(BaseOperationIr::RepeatDim(repeat)) = &mut rest
        {
            times = std::mem::replace(&mut repeat.times, 1);
        }
        Self {
            outputs,
            ranges: strip.ranges,
            times,
            rest,
        }
    }
}

/// Takes shapes and ranges out of an operation.
#[derive(Default)]
struct Strip {
    ranges: Vec<Slice>,
}

impl IrVisitorMut for Strip {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        tensor.shape = Shape::from(vec![0; tensor.shape.len()]);
    }

    fn visit_range_mut(&mut self, range: &mut Slice) {
        self.ranges.push(*range);
        *range = Slice::new(0, None, range.step);
    }
}
