//! The geometry of the transposed convolution of codes in two dimensions:
//!
//! ```text
//! acc[b, o, y, x] = sum over c, i, j, u, v with s_y u + d_y i - t = y and s_x v + d_x j - l = x of
//!                   p(input[b, c, u, v], weight[o, c, i, j])
//! ```
//!
//! with strides `s`, dilations `d`, `t` and `l` the lines above and to the left that are cropped, and `c` the input
//! channels of the group of `o`. Only inputs that are there are multiplied: neither zeros between them nor anything
//! around them.
//!
//! Along an axis, an output `f + s m` of phase `f < s` meets only every `s / gcd(s, d)`-th tap, from the first tap
//! `i_f` on, and
//!
//! ```text
//! tap i_f + n s / gcd(s, d) meets input u_f + m - n d / gcd(s, d)         u_f = (f + t - d i_f) / s
//! ```
//!
//! so that a phase is a convolution of stride 1 with a part of the kernel. Each group and pair of phases is a product
//! of matrices: rows are the phase's pixels of all images, columns the group's output channels, and the depth runs over
//! `(taps, c)`. All phases have as many pixels as the longest; what the others lack is outside the output.

use cubecl::prelude::*;
use cubecl::std::FastDivmod;

use crate::kernels::geometry::{Geometry, GeometryExpand, OUTSIDE};

/// The shape of a transposed convolution: input `[batch, groups * in_per_group, ..]`, weight
/// `[groups * out_per_group, in_per_group, ..]`, output `[batch, groups * out_per_group, ..]`.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct ConvTranspose2dGeometry {
    batch: u32,
    groups: u32,
    in_per_group: u32,
    out_per_group: u32,
    /// Divides by `in_per_group`.
    tap: FastDivmod<u32>,
    vertical: Axis,
    horizontal: Axis,
    /// What [`AxisPhase`] needs to know of the vertical phases, then of the horizontal ones.
    phases: Box<[u32]>,
}

/// One of the two axes.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Axis {
    input: u32,
    output: u32,
    kernel: u32,
    stride: u32,
    /// The number of phases that have an output.
    phases: u32,
    /// The outputs of the longest phase.
    length: u32,
    /// Divides by `length`.
    position: FastDivmod<u32>,
    /// The distance of taps of one phase.
    tap_step: u32,
    /// The distance of the inputs that they meet.
    input_step: u32,
}

/// The numbers of a phase in the buffer: taps, first tap, and the input that it meets at the phase's first output.
pub(crate) const PHASE_WORDS: usize = 3;

/// A phase of an axis.
#[derive(CubeType)]
pub(crate) struct AxisPhase {
    /// The first output.
    output: u32,
    taps: u32,
    first_tap: u32,
    /// In two's complement: the first tap may meet an input only further on.
    first_input: u32,
}

/// A group of channels and a phase of each axis.
#[derive(CubeType)]
pub(crate) struct GroupPhase {
    group: u32,
    vertical: AxisPhase,
    horizontal: AxisPhase,
}

#[cube]
impl AxisPhase {
    /// The number of taps that meet an input at one of the phase's outputs.
    fn met(&self, axis: &Axis, position: u32) -> u32 {
        let largest = self.first_input + position;
        let before = largest > 0x7fff_ffffu32;
        let end = select(before, 0u32.runtime(), largest / axis.input_step + 1u32);
        let end = min(end, self.taps);
        let beyond = largest - axis.input;
        let start = select(
            before || largest < axis.input,
            0u32.runtime(),
            beyond / axis.input_step + 1u32,
        );
        end - min(start, end)
    }
}

#[cube]
impl ConvTranspose2dGeometry {
    fn phase(&self, first: u32, output: u32) -> AxisPhase {
        let place = ((first + output) * comptime!(PHASE_WORDS as u32)) as usize;
        AxisPhase {
            output,
            taps: self.phases[place],
            first_tap: self.phases[place + 1],
            first_input: self.phases[place + 2],
        }
    }

    /// The image and the position in the vertical and the horizontal phase of a row.
    fn pixel(&self, row: u32) -> (u32, u32, u32) {
        let (line, x) = self.horizontal.position.div_mod(row);
        let (image, y) = self.vertical.position.div_mod(line);
        (image, y, x)
    }

    /// The vertical and the horizontal tap and the input channel in the group.
    fn tap(&self, phase: &GroupPhase, inner: u32) -> (u32, u32, u32) {
        let (tap, channel) = self.tap.div_mod(inner);
        let i = tap / phase.horizontal.taps;
        (i, tap - i * phase.horizontal.taps, channel)
    }
}

#[cube]
impl Geometry for ConvTranspose2dGeometry {
    type Matrix = GroupPhase;

    fn matrices(&self) -> u32 {
        self.groups * self.vertical.phases * self.horizontal.phases
    }

    fn rows(&self) -> u32 {
        self.batch * self.vertical.length * self.horizontal.length
    }

    fn columns(&self) -> u32 {
        self.out_per_group
    }

    fn matrix(&self, index: u32) -> GroupPhase {
        let line = index / self.horizontal.phases;
        let group = line / self.vertical.phases;
        GroupPhase {
            group,
            vertical: self.phase(0u32, line - group * self.vertical.phases),
            horizontal: self.phase(self.vertical.phases, index - line * self.horizontal.phases),
        }
    }

    fn depth(&self, phase: &GroupPhase) -> u32 {
        self.in_per_group * phase.vertical.taps * phase.horizontal.taps
    }

    fn products(&self, phase: &GroupPhase, row: u32) -> u32 {
        let (_, y, x) = self.pixel(row);
        let taps =
            phase.vertical.met(&self.vertical, y) * phase.horizontal.met(&self.horizontal, x);
        self.in_per_group * taps
    }

    fn activation(&self, phase: &GroupPhase, row: u32, inner: u32) -> u32 {
        let (image, y, x) = self.pixel(row);
        let (i, j, channel) = self.tap(phase, inner);
        // Positions before the input wrap to numbers beyond it.
        let y = phase.vertical.first_input + y - i * self.vertical.input_step;
        let x = phase.horizontal.first_input + x - j * self.horizontal.input_step;
        let plane = (image * self.groups + phase.group) * self.in_per_group + channel;
        let position = (plane * self.vertical.input + y) * self.horizontal.input + x;
        select(
            y < self.vertical.input && x < self.horizontal.input,
            position,
            OUTSIDE.runtime(),
        )
    }

    fn weight(&self, phase: &GroupPhase, inner: u32, column: u32) -> u32 {
        let (i, j, channel) = self.tap(phase, inner);
        let i = phase.vertical.first_tap + i * self.vertical.tap_step;
        let j = phase.horizontal.first_tap + j * self.horizontal.tap_step;
        let plane = self.channel(phase, column) * self.in_per_group + channel;
        (plane * self.vertical.kernel + i) * self.horizontal.kernel + j
    }

    fn output(&self, phase: &GroupPhase, row: u32, column: u32) -> u32 {
        let (image, y, x) = self.pixel(row);
        let y = phase.vertical.output + y * self.vertical.stride;
        let x = phase.horizontal.output + x * self.horizontal.stride;
        let plane = image * (self.groups * self.out_per_group) + self.channel(phase, column);
        let position = (plane * self.vertical.output + y) * self.horizontal.output + x;
        select(
            y < self.vertical.output && x < self.horizontal.output,
            position,
            OUTSIDE.runtime(),
        )
    }

    fn channel(&self, phase: &GroupPhase, column: u32) -> u32 {
        phase.group * self.out_per_group + column
    }

    fn skips(&self) -> comptime_type!(bool) {
        true
    }

    fn activation_along_rows(&self) -> comptime_type!(bool) {
        false
    }

    fn weight_along_columns(&self) -> comptime_type!(bool) {
        true
    }
}
