//! Gradients of depthwise convolutions whose planes are small: the lanes of a vector are channels.
//!
//! Sixteen channels' planes are transposed, so that a position's elements fill a vector. Every product that there is
//! then is one of vectors; none meets padding, whatever the geometry.

use std::array;
use std::ops::Range;

use super::floats::{Floats, from_lanes, load, splat, store, to_lanes};
use super::{Sizes, in_parts_of_the_batch, run_tasks};
use crate::arch::{InstructionSet, Instructions, Kernel, LANES};
use crate::shapes::Conv2dShape;

/// [`activation_gradient`](super::activation_gradient) of a shape whose input is not empty.
pub(super) fn activation_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    weight: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let sizes = Sizes::new(shape);
    let products = Products::new(shape, |product| product.input, sizes.input);
    let weights = sizes.multiplier * sizes.taps;
    let transposed_weight: Vec<Floats> = blocks(shape)
        .flat_map(|block| {
            let row = move |lane: usize| &weight[block.channel(lane) * weights..][..weights];
            (0..weights).map(move |place| array::from_fn(|lane| row(lane)[place]))
        })
        .collect();
    let images = to.chunks_exact_mut(shape.in_channels * sizes.input);
    let tasks = images.enumerate().flat_map(|(image, to)| {
        let planes = to.chunks_mut(LANES * sizes.input);
        let tasks = blocks(shape).zip(planes).enumerate();
        tasks.map(move |(index, (block, to))| (image, index, block, to))
    });
    run_tasks(
        tasks.collect(),
        LANES * sizes.elements(),
        || Scratch::new(sizes),
        |scratch, (image, index, block, to): (usize, usize, Block, &mut [f32])| {
            let pass = ActivationBlock {
                sizes,
                products: &products,
                weight: &transposed_weight[index * weights..][..weights],
                gradient: image_of(image, shape.out_channels * sizes.output, gradient),
                block,
                scratch,
            };
            set.run(pass, to);
        },
    );
}

/// [`weight_gradient`](super::weight_gradient) of a shape whose input is not empty.
pub(super) fn weight_gradient(
    set: InstructionSet,
    shape: &Conv2dShape,
    activation: &[f32],
    gradient: &[f32],
    to: &mut [f32],
) {
    let sizes = Sizes::new(shape);
    if sizes.multiplier == 0 {
        return;
    }
    let products = Products::new(shape, |product| product.tap, sizes.taps);
    let weights = sizes.multiplier * sizes.taps;
    in_parts_of_the_batch(shape.batch, blocks(shape).count(), to, |parts| {
        let images = parts[0].0.len();
        let tasks = parts.into_iter().flat_map(|(images, to)| {
            let tasks = blocks(shape).zip(to.chunks_mut(LANES * weights));
            tasks.map(move |(block, to)| (images.clone(), block, to))
        });
        run_tasks(
            tasks.collect(),
            images * LANES * sizes.elements(),
            || Scratch::new(sizes),
            |scratch, (images, block, to): (Range<usize>, Block, &mut [f32])| {
                let pass = WeightBlock {
                    sizes,
                    shape,
                    products: &products,
                    activation,
                    gradient,
                    images,
                    block,
                    scratch,
                };
                set.run(pass, to);
            },
        );
    });
}

/// The channels in the lanes of a vector: input channels.
#[derive(Debug, Clone, Copy)]
struct Block {
    first: usize,
    /// Their number, at most [`LANES`].
    count: usize,
}

impl Block {
    /// The channel in a lane. Lanes that are left hold the last channel once more.
    #[inline(always)]
    fn channel(self, lane: usize) -> usize {
        self.first + lane.min(self.count - 1)
    }

    /// The planes of an image that are in the lanes: in every lane the one with a number among the `each` of its
    /// channel.
    #[inline(always)]
    fn planes(self, image: &[f32], size: usize, each: usize, number: usize) -> [&[f32]; LANES] {
        array::from_fn(|lane| &image[(self.channel(lane) * each + number) * size..][..size])
    }
}

/// The blocks of all input channels.
fn blocks(shape: &Conv2dShape) -> impl Iterator<Item = Block> + use<> {
    let channels = shape.in_channels;
    (0..channels).step_by(LANES).map(move |first| Block {
        first,
        count: LANES.min(channels - first),
    })
}

/// The elements of an image.
#[inline(always)]
fn image_of(image: usize, size: usize, elements: &[f32]) -> &[f32] {
    &elements[image * size..][..size]
}

/// Which elements a product is of.
#[derive(Debug, Clone, Copy)]
struct Product {
    tap: usize,
    input: usize,
    output: usize,
}

/// The products of a channel that are inside the input, by what they are summed for.
struct Products {
    all: Vec<Product>,
    /// Where those of every sum end.
    ends: Vec<usize>,
}

impl Products {
    /// The products of a shape for `count` sums; `of` says which of them a product is for.
    fn new(shape: &Conv2dShape, of: impl Fn(&Product) -> usize, count: usize) -> Self {
        let [rows, columns] = [0, 1].map(|axis| axis_products(shape, axis));
        let mut all = Vec::with_capacity(rows.len() * columns.len());
        let output_width = shape.output()[1];
        for row in &rows {
            for column in &columns {
                all.push(Product {
                    tap: row.tap * shape.kernel[1] + column.tap,
                    input: row.input * shape.input[1] + column.input,
                    output: row.output * output_width + column.output,
                });
            }
        }
        // Stable, so that the order of every sum is that of the loops.
        all.sort_by_key(&of);
        let ends = (0..count).map(|sum| all.partition_point(|product| of(product) <= sum));
        Products {
            ends: ends.collect(),
            all,
        }
    }

    /// The products of every sum.
    #[inline(always)]
    fn sums(&self) -> impl Iterator<Item = &[Product]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let products = &self.all[start..end];
            start = end;
            products
        })
    }
}

/// The products along an axis that are inside the input.
fn axis_products(shape: &Conv2dShape, axis: usize) -> Vec<Product> {
    let padding = [shape.padding.top, shape.padding.left][axis];
    let mut products = Vec::new();
    for output in 0..shape.output()[axis] {
        for tap in 0..shape.kernel[axis] {
            let position = output * shape.stride[axis] + tap * shape.dilation[axis];
            let input = position.checked_sub(padding);
            if let Some(input) = input.filter(|&input| input < shape.input[axis]) {
                products.push(Product { tap, input, output });
            }
        }
    }
    products
}

/// What one thread works in.
struct Scratch {
    /// The activations of a block, or their gradients, by positions.
    activation: Vec<Floats>,
    /// The gradients of the outputs that every input channel has.
    gradient: Vec<Floats>,
    /// The gradients of the weights.
    weight: Vec<Floats>,
}

impl Scratch {
    fn new(sizes: Sizes) -> Self {
        Scratch {
            activation: vec![[0.0; LANES]; sizes.input],
            gradient: vec![[0.0; LANES]; sizes.multiplier * sizes.output],
            weight: vec![[0.0; LANES]; sizes.multiplier * sizes.taps],
        }
    }
}

/// Computes the gradient of some channels' activations in an image.
struct ActivationBlock<'a> {
    sizes: Sizes,
    products: &'a Products,
    /// By outputs and taps.
    weight: &'a [Floats],
    /// The image's.
    gradient: &'a [f32],
    block: Block,
    scratch: &'a mut Scratch,
}

impl Kernel for ActivationBlock<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [f32]) {
        let ActivationBlock {
            sizes,
            products,
            weight,
            gradient,
            block,
            scratch,
        } = self;
        let Sizes {
            multiplier,
            output,
            taps,
            ..
        } = sizes;
        if multiplier == 0 {
            to.fill(0.0);
            return;
        }
        for number in 0..multiplier {
            let planes = block.planes(gradient, output, multiplier, number);
            to_lanes(planes, &mut scratch.gradient[number * output..][..output]);
        }
        for (to, products) in scratch.activation.iter_mut().zip(products.sums()) {
            let mut sums = splat(instructions, 0.0);
            let channels = weight
                .chunks_exact(taps)
                .zip(scratch.gradient.chunks_exact(output));
            for (weight, gradient) in channels {
                for product in products {
                    let weight = load(instructions, &weight[product.tap]);
                    let gradient = load(instructions, &gradient[product.output]);
                    sums = instructions.add_float_products(sums, weight, gradient);
                }
            }
            store(instructions, sums, to);
        }
        from_lanes(&scratch.activation, to);
    }
}

/// Computes the gradient of some channels' weights from some images.
struct WeightBlock<'a> {
    sizes: Sizes,
    shape: &'a Conv2dShape,
    products: &'a Products,
    activation: &'a [f32],
    gradient: &'a [f32],
    images: Range<usize>,
    block: Block,
    scratch: &'a mut Scratch,
}

impl Kernel for WeightBlock<'_> {
    type Target = [f32];
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, to: &mut [f32]) {
        /// Sums that products are added to in turns: an addition takes longer than it takes to start the next one.
        const TURNS: usize = 4;
        let WeightBlock {
            sizes,
            shape,
            products,
            activation,
            gradient,
            images,
            block,
            scratch,
        } = self;
        let Sizes {
            multiplier,
            input,
            output,
            taps,
        } = sizes;
        scratch.weight.fill([0.0; LANES]);
        let one = splat(instructions, 1.0);
        for image in images {
            let activation = image_of(image, shape.in_channels * input, activation);
            let gradient = image_of(image, shape.out_channels * output, gradient);
            to_lanes(
                block.planes(activation, input, 1, 0),
                &mut scratch.activation,
            );
            let activation = &scratch.activation[..];
            for (number, weight) in scratch.weight.chunks_exact_mut(taps).enumerate() {
                let lanes = &mut scratch.gradient[..output];
                to_lanes(block.planes(gradient, output, multiplier, number), lanes);
                for (to, products) in weight.iter_mut().zip(products.sums()) {
                    let mut sums = [splat(instructions, 0.0); TURNS];
                    sums[0] = load(instructions, to);
                    let mut add = |turn: usize, product: &Product| {
                        let activation = load(instructions, &activation[product.input]);
                        let gradient = load(instructions, &lanes[product.output]);
                        sums[turn] =
                            instructions.add_float_products(sums[turn], activation, gradient);
                    };
                    let (turns, rest) = products.as_chunks::<TURNS>();
                    for products in turns {
                        for (turn, product) in products.iter().enumerate() {
                            add(turn, product);
                        }
                    }
                    for product in rest {
                        add(0, product);
                    }
                    let [mut total, others @ ..] = sums;
                    for sums in others {
                        total = instructions.add_float_products(total, sums, one);
                    }
                    store(instructions, total, to);
                }
            }
        }
        from_lanes(&scratch.weight, to);
    }
}
