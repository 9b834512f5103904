//! The windows of convolutions and poolings: sizes, steps, and what is around the input.

use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;

/// Windows along each axis of lines, images or volumes.
#[derive(Clone)]
pub(super) struct Windows {
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    /// What is around the input, before and after it.
    pub(super) sides: Vec<(usize, usize)>,
}

/// What is around the input.
pub(super) enum Padding {
    /// As much before as after.
    Even(Vec<usize>),
    /// More on one side.
    Uneven(Vec<(usize, usize)>),
}

/// Who decides what is around the input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Automatic {
    /// The file, by numbers.
    No,
    /// As much as outputs need that are as many as the steps, the odd one after the input.
    Upper,
    /// Likewise, the odd one before the input.
    Lower,
    /// There is nothing around it.
    Nothing,
}

impl Automatic {
    pub(super) fn of(call: &Call<'_>) -> Result<Self, Problem> {
        let choices = [
            ("NOTSET", Self::No),
            ("SAME_UPPER", Self::Upper),
            ("SAME_LOWER", Self::Lower),
            ("VALID", Self::Nothing),
        ];
        call.choice("auto_pad", "NOTSET", &choices)
    }

    /// An amount before and after the input.
    pub(super) fn halves(self, amount: usize) -> (usize, usize) {
        let smaller = amount / 2;
        match self {
            Self::Upper => (smaller, amount - smaller),
            _ => (amount - smaller, smaller),
        }
    }
}

/// Numbers of a setting, one for each axis, none negative, and none so large that sums and products of two overflow.
pub(super) fn sizes_of(name: &str, values: &[i64], count: usize) -> Result<Vec<usize>, Problem> {
    let wrong = || {
        Problem::new(format!(
            "its setting {name:?} is {values:?}, but must be {count} numbers from 0 to {}",
            i32::MAX
        ))
    };
    if values.len() != count {
        return Err(wrong());
    }
    let values = values.iter().map(|&value| match i32::try_from(value) {
        Ok(value) => usize::try_from(value).map_err(|_| wrong()),
        Err(_) => Err(wrong()),
    });
    values.collect()
}

impl Windows {
    pub(super) fn new(
        call: &Call<'_>,
        sizes: &[usize],
        kernel: Vec<usize>,
    ) -> Result<Self, Problem> {
        let axes = kernel.len();
        let numbers = |name: &str, count, default| match call.ints(name)? {
            None => Ok(vec![default; count]),
            Some(values) => sizes_of(name, &values, count),
        };
        let stride = numbers("strides", axes, 1)?;
        let dilation = numbers("dilations", axes, 1)?;
        if [&kernel, &stride, &dilation]
            .iter()
            .any(|values| values.contains(&0))
        {
            return Err(Problem::new(
                "its kernel, strides and dilations must be above 0",
            ));
        }
        let amounts = numbers("pads", 2 * axes, 0)?;
        let automatic = Automatic::of(call)?;
        let sides = (0..axes).map(|axis| {
            let reach = (kernel[axis] - 1) * dilation[axis] + 1;
            match automatic {
                Automatic::No => (amounts[axis], amounts[axis + axes]),
                Automatic::Nothing => (0, 0),
                Automatic::Upper | Automatic::Lower => {
                    let outputs = sizes[axis].div_ceil(stride[axis]);
                    let needed = (outputs - 1) * stride[axis] + reach;
                    let missing = needed.saturating_sub(sizes[axis]);
                    automatic.halves(missing)
                }
            }
        });
        let sides: Vec<_> = sides.collect();
        let padded = sizes.iter().zip(&sides);
        let padded = padded.map(|(size, (before, after))| size + before + after);
        check_size(&padded.collect::<Vec<_>>())?;
        for axis in 0..axes {
            let reach = (kernel[axis] - 1) * dilation[axis] + 1;
            if sizes[axis] + sides[axis].0 + sides[axis].1 < reach {
                return Err(Problem::new(format!(
                    "its windows reach over {reach} places of an axis of size {}",
                    sizes[axis]
                )));
            }
        }
        Ok(Self {
            kernel,
            stride,
            dilation,
            sides,
        })
    }

    /// Those along some of the axes alone.
    pub(super) fn only(&self, axes: std::ops::Range<usize>) -> Self {
        Self {
            kernel: self.kernel[axes.clone()].to_vec(),
            stride: self.stride[axes.clone()].to_vec(),
            dilation: self.dilation[axes.clone()].to_vec(),
            sides: self.sides[axes].to_vec(),
        }
    }

    pub(super) fn padding(&self) -> Padding {
        match self.sides.iter().all(|(before, after)| before == after) {
            true => Padding::Even(self.sides.iter().map(|(before, _)| *before).collect()),
            false => Padding::Uneven(self.sides.clone()),
        }
    }

    /// How far the last window reaches beyond what is around the input if every place is to be in one.
    pub(super) fn overhang(&self, axis: usize, size: usize) -> usize {
        let reach = (self.kernel[axis] - 1) * self.dilation[axis] + 1;
        let (before, after) = self.sides[axis];
        let stride = self.stride[axis];
        let mut outputs = (size + before + after - reach).div_ceil(stride) + 1;
        // A window that begins behind the input has nothing in it.
        if (outputs - 1) * stride >= size + before {
            outputs -= 1;
        }
        ((outputs - 1) * stride + reach).saturating_sub(size + before + after)
    }
}
