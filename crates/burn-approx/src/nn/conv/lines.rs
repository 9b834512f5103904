//! Lines as images of height 1, which is how convolutions of lines are computed. Shapes may hold sizes of 0.

use burn::prelude::*;

use crate::ops::reshaped;

/// `[a, b, length]` as `[a, b, 1, length]`.
pub(super) fn as_images(lines: Tensor<3>) -> Tensor<4> {
    let [outer, inner, length] = lines.dims();
    reshaped(lines, [outer, inner, 1, length])
}

/// `[a, b, 1, length]` as `[a, b, length]`.
pub(super) fn as_lines(images: Tensor<4>) -> Tensor<3> {
    let [outer, inner, _, length] = images.dims();
    reshaped(images, [outer, inner, length])
}
