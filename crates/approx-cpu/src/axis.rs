//! One axis of a convolution, laid out so that every tap is a fixed distance away from an output's position.

/// How one axis is laid out: positions that differ by a multiple of the stride lie side by side in one phase.
pub(crate) struct Axis {
    /// The phases that some tap meets, ascending.
    pub(crate) phases: Vec<usize>,
    /// Positions of every phase.
    pub(crate) length: usize,
    /// For every tap, the index of its phase and the distance within it.
    pub(crate) taps: Vec<(usize, usize)>,
    stride: usize,
}

impl Axis {
    pub(crate) fn new(taps: usize, stride: usize, dilation: usize, output: usize) -> Self {
        let mut phases: Vec<usize> = (0..taps).map(|tap| tap * dilation % stride).collect();
        phases.sort_unstable();
        phases.dedup();
        let taps: Vec<(usize, usize)> = (0..taps)
            .map(|tap| {
                let phase = phases.binary_search(&(tap * dilation % stride));
                (
                    phase.expect("every tap has its phase"),
                    tap * dilation / stride,
                )
            })
            .collect();
        let reach = taps
            .iter()
            .map(|&(_, distance)| distance)
            .max()
            .unwrap_or(0);
        Axis {
            phases,
            length: output + reach,
            taps,
            stride,
        }
    }

    /// Which positions of a phase lie in the input, which starts after `padding` positions.
    pub(crate) fn inside(&self, phase: usize, padding: usize, input: usize) -> Inside {
        let place = padding.saturating_sub(phase).div_ceil(self.stride);
        let first = place * self.stride + phase - padding;
        let length = input.saturating_sub(first).div_ceil(self.stride);
        if place >= self.length || length == 0 {
            return Inside {
                place: 0,
                first: 0,
                length: 0,
            };
        }
        Inside {
            place,
            first,
            length: length.min(self.length - place),
        }
    }
}

/// The positions of a phase that lie in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inside {
    /// The first of them.
    pub(crate) place: usize,
    /// Where in the input it is.
    pub(crate) first: usize,
    pub(crate) length: usize,
}

/// Copies every `stride`-th element, from the first one on.
#[inline(always)]
pub(crate) fn copy_strided<T: Copy>(to: &mut [T], from: &[T], stride: usize) {
    match stride {
        1 => to.copy_from_slice(&from[..to.len()]),
        // The common case again, in a form that compilers vectorise.
        2 => {
            let (pairs, last) = from.as_chunks::<2>();
            for (to, pair) in to.iter_mut().zip(pairs) {
                *to = pair[0];
            }
            if let (Some(to), Some(&last)) = (to.get_mut(pairs.len()), last.first()) {
                *to = last;
            }
        }
        stride => {
            for (to, &from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                *to = from;
            }
        }
    }
}
