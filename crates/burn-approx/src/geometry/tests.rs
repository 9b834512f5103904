//! The rules of every geometry against a plain loop over the products that it means.

use approx_cpu::{Conv2dShape, Padding2d};
use burn::tensor::Shape;
use burn::tensor::ops::ConvOptions;

use super::{Geometry, conv2d, matmul};
use crate::error::ApproxError;

/// One product of an output: the coordinates of what meets, the activation's counted from the corner of the padded
/// input.
struct Tap {
    output: Vec<usize>,
    activation: Vec<usize>,
    weight: Vec<usize>,
}

/// A geometry, the shapes of its operands and, by a plain loop, of its result and all of its products.
struct Case {
    geometry: Geometry,
    activation: Vec<usize>,
    weight: Vec<usize>,
    output: Vec<usize>,
    taps: Vec<Tap>,
}

/// Every coordinate of a shape, the last axis running fastest.
fn coordinates(shape: &[usize]) -> Vec<Vec<usize>> {
    shape.iter().fold(vec![Vec::new()], |found, size| {
        let extended = |start: &Vec<usize>| {
            let start = start.clone();
            (0..*size).map(move |index| [start.as_slice(), &[index]].concat())
        };
        found.iter().flat_map(extended).collect()
    })
}

fn matmul_case(activation: &[usize], weight: &[usize]) -> Case {
    let rank = activation.len();
    let mut output: Vec<usize> = (0..rank - 2)
        .map(|axis| activation[axis].max(weight[axis]))
        .collect();
    output.extend([activation[rank - 2], weight[rank - 1]]);
    let mut taps = Vec::new();
    for at in coordinates(&output) {
        for k in 0..activation[rank - 1] {
            let along = |sizes: &[usize]| -> Vec<usize> {
                let clipped = |axis: usize| at[axis].min(sizes[axis] - 1);
                (0..rank - 2).map(clipped).collect()
            };
            taps.push(Tap {
                activation: [along(activation), vec![at[rank - 2], k]].concat(),
                weight: [along(weight), vec![k, at[rank - 1]]].concat(),
                output: at.clone(),
            });
        }
    }
    Case {
        geometry: matmul::matmul(activation, weight).unwrap(),
        activation: activation.to_vec(),
        weight: weight.to_vec(),
        output,
        taps,
    }
}

fn linear_case(input: &[usize], weight: [usize; 2]) -> Case {
    let rows = input[..input.len() - 1].iter().product();
    Case {
        geometry: matmul::linear(input, weight).unwrap(),
        ..matmul_case(&[rows, weight[0]], &weight)
    }
}

fn conv2d_case(activation: [usize; 4], weight: [usize; 4], options: ConvOptions<2>) -> Case {
    let [batch, _, height, width] = activation;
    let [outputs, group_inputs, kernel_height, kernel_width] = weight;
    let group_outputs = outputs / options.groups;
    // Windows are counted one by one, for as long as they end within the padded input.
    let windows = |size: usize, kernel: usize, axis: usize| {
        let (before, after) = options.padding[axis];
        let last_tap =
            |window: usize| window * options.stride[axis] + (kernel - 1) * options.dilation[axis];
        (0..)
            .take_while(|window| last_tap(*window) < size + before + after)
            .count()
    };
    let output = vec![
        batch,
        outputs,
        windows(height, kernel_height, 0),
        windows(width, kernel_width, 1),
    ];
    let mut taps = Vec::new();
    for at in coordinates(&output) {
        for tap in coordinates(&[group_inputs, kernel_height, kernel_width]) {
            let channel = at[1] / group_outputs * group_inputs + tap[0];
            let [y, x] = [0, 1].map(|axis| {
                at[2 + axis] * options.stride[axis] + tap[1 + axis] * options.dilation[axis]
            });
            taps.push(Tap {
                activation: vec![at[0], channel, y, x],
                weight: [&[at[1]], tap.as_slice()].concat(),
                output: at.clone(),
            });
        }
    }
    Case {
        geometry: conv2d::conv2d(activation, weight, &options).unwrap(),
        activation: activation.to_vec(),
        weight: weight.to_vec(),
        output,
        taps,
    }
}

fn cases() -> Vec<Case> {
    let options = ConvOptions::new_with_padding;
    vec![
        matmul_case(&[3, 5], &[5, 2]),
        matmul_case(&[2, 4, 3, 5], &[1, 1, 5, 2]),
        matmul_case(&[1, 7], &[7, 1]),
        linear_case(&[5], [5, 3]),
        linear_case(&[2, 3, 5], [5, 4]),
        conv2d_case(
            [2, 3, 5, 6],
            [4, 3, 3, 2],
            options([1, 1], [(0, 0), (0, 0)], [1, 1], 1),
        ),
        conv2d_case(
            [1, 4, 7, 5],
            [6, 2, 2, 3],
            options([2, 1], [(1, 0), (2, 3)], [1, 2], 2),
        ),
        conv2d_case(
            [2, 3, 4, 4],
            [3, 1, 3, 3],
            options([3, 2], [(1, 1), (1, 2)], [1, 1], 3),
        ),
        conv2d_case(
            [1, 2, 1, 9],
            [3, 2, 1, 4],
            options([1, 2], [(0, 0), (3, 1)], [1, 2], 1),
        ),
    ]
}

#[test]
fn counts_are_those_of_a_plain_loop() {
    for Case {
        geometry,
        activation,
        weight,
        output,
        taps,
    } in cases()
    {
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let outputs = elements(&output);
        assert_eq!(geometry.inputs(), elements(&activation), "{geometry:?}");
        assert_eq!(geometry.weights(), elements(&weight), "{geometry:?}");
        assert_eq!(geometry.outputs(), outputs, "{geometry:?}");
        assert_eq!(geometry.products(), taps.len(), "{geometry:?}");
        assert_eq!(geometry.inner(), taps.len() / outputs, "{geometry:?}");
        let [activation, weight] = [activation, weight].map(Shape::from);
        assert_eq!(
            geometry.output_shape(&activation, &weight),
            Shape::from(output),
            "{geometry:?}"
        );
    }
}

/// An output has the channel of every weight that it sums.
#[test]
fn channels_lie_where_a_plain_loop_meets_them() {
    let batched = [
        matmul_case(&[2, 1, 3, 5], &[2, 4, 5, 2]),
        matmul_case(&[1, 3, 5], &[6, 5, 2]),
    ];
    for Case {
        geometry,
        weight,
        output,
        taps,
        ..
    } in cases().into_iter().chain(batched)
    {
        let weight_axis = geometry.weight_channel_axis(weight.len());
        let output_axis = geometry.output_channel_axis(output.len());
        assert_eq!(weight[weight_axis], output[output_axis], "{geometry:?}");
        for tap in taps {
            assert_eq!(
                tap.weight[weight_axis], tap.output[output_axis],
                "{geometry:?}"
            );
        }
    }
}

/// Operands joined along these axes meet with their own alone; so many products share a position there.
#[test]
fn products_of_joined_operands_add_up() {
    for case in cases() {
        let geometry = case.geometry;
        let Some([left, right]) = geometry.joining_axes(case.weight.len()) else {
            assert!(
                matches!(geometry, Geometry::Conv2d(shape) if shape.groups > 1),
                "{geometry:?}"
            );
            continue;
        };
        for tap in &case.taps {
            assert_eq!(tap.activation[left], tap.weight[right], "{geometry:?}");
        }
        let first = &case.taps[0];
        let shared = (case.taps.iter())
            .filter(|tap| tap.output == first.output && tap.weight[right] == first.weight[right]);
        assert_eq!(geometry.taps(), shared.count(), "{geometry:?}");
    }
}

/// What a packed weight is known by is the same for every batch, size of input and window, and tells weights apart.
#[test]
fn a_weights_geometry_depends_on_the_weight_alone() {
    let options = ConvOptions::new_with_padding;
    let plain = || options([1, 1], [(0, 0), (0, 0)], [1, 1], 1);
    let weights = |geometry: Result<Geometry, ApproxError>| geometry.unwrap().of_weight();
    let product = weights(matmul::matmul(&[3, 5], &[5, 2]));
    assert_eq!(product, weights(matmul::matmul(&[9, 5], &[5, 2])));
    assert_eq!(product, weights(matmul::linear(&[2, 7, 5], [5, 2])));
    assert_ne!(product, weights(matmul::matmul(&[3, 2], &[2, 5])));
    let weight = [4, 2, 3, 3];
    let convolution = weights(conv2d::conv2d([1, 2, 5, 5], weight, &plain()));
    for (activation, options) in [
        ([7, 2, 5, 5], plain()),
        ([1, 2, 8, 4], plain()),
        ([1, 2, 5, 5], options([2, 3], [(1, 0), (2, 2)], [2, 1], 1)),
    ] {
        assert_eq!(
            convolution,
            weights(conv2d::conv2d(activation, weight, &options))
        );
    }
    for (activation, weight, groups) in [
        ([1, 2, 5, 5], [5, 2, 3, 3], 1),
        ([1, 3, 5, 5], [4, 3, 3, 3], 1),
        ([1, 4, 5, 5], [4, 2, 3, 3], 2),
        ([1, 2, 5, 5], [4, 2, 3, 2], 1),
    ] {
        let options = options([1, 1], [(0, 0), (0, 0)], [1, 1], groups);
        assert_ne!(
            convolution,
            weights(conv2d::conv2d(activation, weight, &options))
        );
    }
}

/// Burn's own options come back from a geometry, those over lines with a height of 1, those over volumes without their
/// depth.
#[test]
fn options_go_there_and_back() {
    let options = ConvOptions::new_with_padding([2, 1], [(1, 0), (2, 3)], [1, 2], 2);
    let geometry = conv2d::conv2d([1, 4, 7, 5], [6, 2, 2, 3], &options).unwrap();
    let Geometry::Conv2d(shape) = geometry else {
        panic!("a convolution is {geometry:?}");
    };
    assert_eq!(
        shape,
        Conv2dShape {
            batch: 1,
            in_channels: 4,
            out_channels: 6,
            groups: 2,
            input: [7, 5],
            kernel: [2, 3],
            stride: [2, 1],
            dilation: [1, 2],
            padding: Padding2d {
                top: 1,
                bottom: 0,
                left: 2,
                right: 3,
            },
        }
    );
    assert_eq!(
        format!("{:?}", conv2d::options(&shape)),
        format!("{options:?}")
    );
    let lines = ConvOptions::new_with_padding([3], [(2, 1)], [4], 2);
    let expected = ConvOptions::new_with_padding([1, 3], [(0, 0), (2, 1)], [1, 4], 2);
    assert_eq!(
        format!("{:?}", conv2d::over_lines(&lines)),
        format!("{expected:?}")
    );
    let volumes = ConvOptions::new_with_padding([9, 2, 3], [(9, 9), (1, 2), (3, 4)], [9, 5, 6], 2);
    let expected = ConvOptions::new_with_padding([2, 3], [(1, 2), (3, 4)], [5, 6], 2);
    assert_eq!(
        format!("{:?}", conv2d::over_images(&volumes)),
        format!("{expected:?}")
    );
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let refused = |geometry: Result<Geometry, ApproxError>, part: &str| {
        let error = geometry.unwrap_err();
        assert!(matches!(error, ApproxError::Shape { .. }), "{error}");
        assert!(error.to_string().contains(part), "{part} in: {error}");
    };
    refused(matmul::matmul(&[5], &[5]), "rank 2");
    refused(matmul::matmul(&[3, 5], &[4, 2]), "5 and 4");
    refused(matmul::matmul(&[2, 3, 5], &[3, 5, 2]), "2 and 3");
    refused(matmul::linear(&[3, 4], [5, 2]), "5 inputs");
    refused(matmul::linear(&[], [5, 2]), "5 inputs");
    let options = |groups| ConvOptions::new([1, 1], [0, 0], [1, 1], groups);
    refused(conv2d::conv2d([1, 3, 5, 5], [4, 2, 3, 3], &options(1)), "3");
    let too_large = conv2d::conv2d([1, 2, 2, 5], [4, 2, 3, 3], &options(1));
    assert!(matches!(too_large, Err(ApproxError::Kernel(_))));
}
