//! The convolution of codes in two dimensions, as products of matrices that are never unfolded:
//!
//! ```text
//! acc[b, o, y, x] = sum over c, i, j of p(input[b, c, s_y y + d_y i - t, s_x x + d_x j - l], weight[o, c, i, j])
//! ```
//!
//! with strides `s`, dilations `d`, padding `t` above and `l` to the left, and `c` the input channels of the group of `o`. A tap
//! outside the input holds the padding's code and is multiplied like any other. Each group is a product of matrices: rows are
//! the pixels of all images, columns the group's output channels, and the depth runs over `(c, i, j)`.

use cubecl::prelude::*;
use cubecl::std::FastDivmod;

use crate::codes::Codes;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::geometry::{Bases, Geometry, OUTSIDE};
use crate::kernels::scalar_product::ScalarProduct;
use crate::kernels::sums::SumKind;
use crate::kernels::tile::{TileSize, multiply_tiles};

/// The shape of a convolution: input `[batch, groups * in_per_group, in_height, in_width]`, weight
/// `[groups * out_per_group, in_per_group, kernel_height, kernel_width]`.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Conv2dGeometry {
    pub(crate) batch: u32,
    pub(crate) groups: u32,
    pub(crate) in_per_group: u32,
    pub(crate) out_per_group: u32,
    pub(crate) in_height: u32,
    pub(crate) in_width: u32,
    pub(crate) out_height: FastDivmod<u32>,
    pub(crate) out_width: FastDivmod<u32>,
    pub(crate) kernel_height: FastDivmod<u32>,
    pub(crate) kernel_width: FastDivmod<u32>,
    /// The number of output pixels of an image.
    pub(crate) plane: u32,
    /// `in_per_group * kernel_height * kernel_width`.
    pub(crate) depth: u32,
    pub(crate) stride_y: u32,
    pub(crate) stride_x: u32,
    pub(crate) dilation_y: u32,
    pub(crate) dilation_x: u32,
    pub(crate) top: u32,
    pub(crate) left: u32,
}

#[cube]
impl Conv2dGeometry {
    /// The number of output pixels of all images.
    pub(crate) fn pixels(&self) -> u32 {
        self.batch * self.plane
    }

    /// Where a group's input channels of the first image and its weights begin.
    pub(crate) fn bases(&self, group: u32) -> Bases {
        Bases {
            activation: group * self.in_per_group * self.in_height * self.in_width,
            weight: group * self.out_per_group * self.depth,
        }
    }

    /// The position of a tap's input, or [`OUTSIDE`].
    pub(crate) fn activation(&self, base: u32, pixel: u32, tap: u32) -> u32 {
        let (line, x) = self.out_width.div_mod(pixel);
        let (image, y) = self.out_height.div_mod(line);
        let (kernel_line, j) = self.kernel_width.div_mod(tap);
        let (channel, i) = self.kernel_height.div_mod(kernel_line);
        // Positions before the input wrap to numbers beyond it.
        let y = y * self.stride_y + i * self.dilation_y - self.top;
        let x = x * self.stride_x + j * self.dilation_x - self.left;
        let plane = image * (self.groups * self.in_per_group) + channel;
        let position = base + (plane * self.in_height + y) * self.in_width + x;
        select(
            y < self.in_height && x < self.in_width,
            position,
            OUTSIDE.runtime(),
        )
    }

    /// The position of a result.
    pub(crate) fn output(&self, group: u32, pixel: u32, column: u32) -> u32 {
        let image = pixel / self.plane;
        let channel = group * self.out_per_group + column;
        let skipped = image * (self.groups * self.out_per_group - 1u32) + channel;
        pixel + skipped * self.plane
    }
}

/// The kernel: cubes of 256 units, any number of them.
#[cube(launch_unchecked)]
pub(crate) fn conv2d(
    activation: &Codes,
    weight: &Codes,
    product: &ScalarProduct,
    geometry: Conv2dGeometry,
    epilogue: &Epilogue,
    output: &mut [u32],
    #[comptime] size: TileSize,
    #[comptime] sums: SumKind,
) {
    let geometry = Geometry::new_Conv2d(geometry);
    multiply_tiles(
        activation, weight, product, &geometry, epilogue, output, size, sums,
    );
}
