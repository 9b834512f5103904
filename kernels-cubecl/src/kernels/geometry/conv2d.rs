//! The geometry of the convolution of codes in two dimensions, as products of matrices that are never unfolded:
//!
//! ```text
//! acc[b, o, y, x] = sum over c, i, j of p(input[b, c, s_y y + d_y i - t, s_x x + d_x j - l], weight[o, c, i, j])
//! ```
//!
//! with strides `s`, dilations `d`, padding `t` above and `l` to the left, and `c` the input channels of the group of
//! `o`. A tap outside the input holds the padding's code and is multiplied like any other. Each group is a product of
//! matrices: rows are the pixels of all images, columns the group's output channels, and the depth runs over
//! `(c, i, j)`.

use cubecl::prelude::*;
use cubecl::std::FastDivmod;

use crate::kernels::geometry::{Geometry, GeometryExpand, OUTSIDE};

/// The shape of a convolution: input `[batch, groups * in_per_group, in_height, in_width]`, weight
/// `[groups * out_per_group, in_per_group, kernel_height, kernel_width]`.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Conv2dGeometry {
    batch: u32,
    groups: u32,
    in_per_group: u32,
    out_per_group: u32,
    in_height: u32,
    in_width: u32,
    out_height: FastDivmod<u32>,
    out_width: FastDivmod<u32>,
    kernel_height: FastDivmod<u32>,
    kernel_width: FastDivmod<u32>,
    /// The number of output pixels of an image.
    plane: u32,
    /// `in_per_group * kernel_height * kernel_width`.
    depth: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    top: u32,
    left: u32,
}

/// A group of channels.
#[derive(CubeType)]
pub(crate) struct Group {
    index: u32,
    /// The first elements of its input channels of the first image and of its weights.
    activation: u32,
    weight: u32,
}

#[cube]
impl Geometry for Conv2dGeometry {
    type Matrix = Group;

    fn matrices(&self) -> u32 {
        self.groups
    }

    fn rows(&self) -> u32 {
        self.batch * self.plane
    }

    fn columns(&self) -> u32 {
        self.out_per_group
    }

    fn matrix(&self, index: u32) -> Group {
        Group {
            index,
            activation: index * self.in_per_group * self.in_height * self.in_width,
            weight: index * self.out_per_group * self.depth,
        }
    }

    fn depth(&self, _group: &Group) -> u32 {
        self.depth
    }

    fn products(&self, _group: &Group, _row: u32) -> u32 {
        self.depth
    }

    fn activation(&self, group: &Group, pixel: u32, tap: u32) -> u32 {
        let (line, x) = self.out_width.div_mod(pixel);
        let (image, y) = self.out_height.div_mod(line);
        let (kernel_line, j) = self.kernel_width.div_mod(tap);
        let (channel, i) = self.kernel_height.div_mod(kernel_line);
        // Positions before the input wrap to numbers beyond it.
        let y = y * self.stride_y + i * self.dilation_y - self.top;
        let x = x * self.stride_x + j * self.dilation_x - self.left;
        let plane = image * (self.groups * self.in_per_group) + channel;
        let position = group.activation + (plane * self.in_height + y) * self.in_width + x;
        select(
            y < self.in_height && x < self.in_width,
            position,
            OUTSIDE.runtime(),
        )
    }

    fn weight(&self, group: &Group, tap: u32, column: u32) -> u32 {
        group.weight + column * self.depth + tap
    }

    fn output(&self, group: &Group, pixel: u32, column: u32) -> u32 {
        let image = pixel / self.plane;
        let channel = group.index * self.out_per_group + column;
        let skipped = image * (self.groups * self.out_per_group - 1u32) + channel;
        pixel + skipped * self.plane
    }

    fn channel(&self, group: &Group, column: u32) -> u32 {
        group.index * self.out_per_group + column
    }

    fn skips(&self) -> comptime_type!(bool) {
        false
    }

    fn activation_along_rows(&self) -> comptime_type!(bool) {
        false
    }

    fn weight_along_columns(&self) -> comptime_type!(bool) {
        true
    }
}
