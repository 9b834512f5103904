//! Elements and parts written, or read, where indices say, beside the plain loop over the indices.

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use burn_approx::AnyTensor;

use crate::common::{Builder, Setting};

const REDUCTIONS: [&str; 5] = ["none", "add", "mul", "max", "min"];

/// Rows of one, two and three indices of 3 x 4 x 5 elements, with their shapes.
const ROWS: [(&[i64], &[i64]); 3] = [
    (&[2, -3], &[2, 1]),
    (&[0, 1, -1, -4, 1, 3, 2, 2], &[2, 2, 2]),
    (&[0, 1, -5, 2, -1, 4], &[2, 3]),
];

fn combined(reduction: &str, old: f32, new: f32) -> f32 {
    match reduction {
        "none" => new,
        "add" => old + new,
        "mul" => old * new,
        "max" => old.max(new),
        _ => old.min(new),
    }
}

fn random(count: usize) -> Vec<f32> {
    let tensor = Tensor::<1>::random([count], Distribution::Uniform(-1.0, 1.0), &Device::flex());
    tensor.into_data().iter().collect()
}

/// The place of an index, which may count from the end.
fn place(index: i64, size: usize) -> usize {
    index.rem_euclid(size as i64) as usize
}

/// Which part a row of indices names.
fn start(row: &[i64], shape: [usize; 3]) -> usize {
    let named = row.iter().zip(shape);
    named.fold(0, |start, (&index, size)| start * size + place(index, size))
}

fn floats<const D: usize>(values: &[f32], shape: [usize; D]) -> AnyTensor {
    AnyTensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

/// Runs one node on a tensor, indices and updates, with the indices as an input and as a constant of the file.
fn run(
    operator: &str,
    settings: &[(&str, Setting)],
    data: &AnyTensor,
    indices: (&[i64], &[i64]),
    updates: &AnyTensor,
) -> [TensorData; 2] {
    let open = |rank: usize| vec![None; rank];
    let (values, shape) = indices;
    let sizes: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
    let builder = |builder: Builder| {
        let ranks = [data, updates].map(|tensor| tensor.shape().to_vec().len());
        let file = builder
            .input("data", &open(ranks[0]))
            .input("updates", &open(ranks[1]))
            .output("y")
            .node(operator, &["data", "indices", "updates"], &["y"], settings);
        OnnxModel::from_bytes(file.bytes(18), &Device::flex()).unwrap()
    };
    let given = builder(Builder::default().typed_input("indices", 7, &open(shape.len())));
    let index = TensorData::new(values.to_vec(), sizes);
    let index = AnyTensor::from_data(index, &Device::flex());
    let known = builder(Builder::default().ints("indices", shape, values));
    let (data, updates) = (data.clone(), updates.clone());
    let outputs: [Vec<AnyTensor>; 2] = [
        given
            .forward(vec![index, data.clone(), updates.clone()])
            .unwrap(),
        known.forward(vec![data, updates]).unwrap(),
    ];
    outputs.map(|mut outputs| outputs.remove(0).into_data())
}

#[test]
fn elements_are_written_where_their_indices_say() {
    let shape = [3, 4, 5];
    for (axis, part) in [
        (0, [2, 4, 5]),
        (1, [3, 2, 5]),
        (2, [3, 4, 1]),
        (1, [2, 3, 4]),
        (-1, [1, 2, 2]),
    ] {
        let along = place(axis, 3);
        let count: usize = part.iter().product();
        let (data, updates) = (random(60), random(count));
        // Some count from the end.
        let turn = |place: usize| match along {
            0 => place / (part[1] * part[2]),
            1 => place / part[2] % part[1],
            _ => place % part[2],
        };
        let indices: Vec<i64> = (0..count)
            .map(|place| {
                let index = (turn(place) + place % 2 * part[along].div_ceil(2)) as i64
                    % shape[along] as i64;
                if turn(place) % 2 == 1 {
                    index - shape[along] as i64
                } else {
                    index
                }
            })
            .collect();
        for reduction in REDUCTIONS {
            let mut expected = data.clone();
            for (place_of, (&index, &update)) in indices.iter().zip(&updates).enumerate() {
                let mut at = [
                    place_of / (part[1] * part[2]),
                    place_of / part[2] % part[1],
                    place_of % part[2],
                ];
                at[along] = place(index, shape[along]);
                let own = &mut expected[(at[0] * shape[1] + at[1]) * shape[2] + at[2]];
                *own = combined(reduction, *own, update);
            }
            let settings = [
                ("axis", Setting::Int(axis)),
                ("reduction", Setting::Text(reduction)),
            ];
            let sizes: Vec<i64> = part.iter().map(|&size| size as i64).collect();
            let found = run(
                "ScatterElements",
                &settings,
                &floats(&data, shape),
                (&indices, &sizes),
                &floats(&updates, part),
            );
            for found in found {
                let expected = TensorData::new(expected.clone(), shape);
                found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
            }
        }
    }
}

#[test]
fn parts_are_written_where_rows_of_indices_say() {
    let shape = [3, 4, 5];
    for (indices, sizes) in ROWS {
        let named = sizes[sizes.len() - 1] as usize;
        let part: usize = shape[named..].iter().product();
        let rows = indices.len() / named;
        let (data, updates) = (random(60), random(rows * part));
        for reduction in REDUCTIONS {
            let mut expected = data.clone();
            for (row, update) in indices.chunks(named).zip(updates.chunks(part)) {
                let start = start(row, shape);
                for (own, &update) in expected[start * part..].iter_mut().zip(update) {
                    *own = combined(reduction, *own, update);
                }
            }
            let outer = sizes[..sizes.len() - 1].iter().map(|&size| size as usize);
            let shape_of_updates: Vec<usize> =
                outer.chain(shape[named..].iter().copied()).collect();
            let updates = TensorData::new(updates.clone(), shape_of_updates);
            let found = run(
                "ScatterND",
                &[("reduction", Setting::Text(reduction))],
                &floats(&data, shape),
                (indices, sizes),
                &AnyTensor::from_data(updates, &Device::flex()),
            );
            for found in found {
                let expected = TensorData::new(expected.clone(), shape);
                found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
            }
        }
    }
}

#[test]
fn parts_are_read_where_rows_of_indices_say() {
    let shape = [3, 4, 5];
    let data = random(60);
    for (indices, sizes) in ROWS {
        let named = sizes[sizes.len() - 1] as usize;
        let part: usize = shape[named..].iter().product();
        let expected: Vec<f32> = indices
            .chunks(named)
            .flat_map(|row| data[start(row, shape) * part..][..part].to_vec())
            .collect();
        let file = Builder::default()
            .input("data", &[None; 3])
            .output("y")
            .ints("indices", sizes, indices)
            .node("GatherND", &["data", "indices"], &["y"], &[]);
        let model = OnnxModel::from_bytes(file.bytes(18), &Device::flex()).unwrap();
        let found: Vec<AnyTensor> = model.forward(vec![floats(&data, shape)]).unwrap();
        let found = found[0].clone().into_data();
        let outer = sizes[..sizes.len() - 1].iter().map(|&size| size as usize);
        let wanted: Vec<usize> = outer.chain(shape[named..].iter().copied()).collect();
        assert_eq!(found.shape().to_vec(), wanted);
        assert_eq!(found.iter::<f32>().collect::<Vec<f32>>(), expected);
    }
}

#[test]
fn indices_outside_and_shapes_that_do_not_fit_are_refused() {
    let refused = |operator: &str, shape: &[i64], indices: &[i64], updates: &[i64]| {
        let count: i64 = updates.iter().product();
        let file = Builder::default()
            .input("data", &[Some(3), Some(4)])
            .output("y")
            .ints("indices", shape, indices)
            .weight("updates", updates, &vec![1.0; count as usize])
            .node(operator, &["data", "indices", "updates"], &["y"], &[]);
        let model = OnnxModel::from_bytes(file.bytes(18), &Device::flex()).unwrap();
        let data = Tensor::<2>::ones([3, 4], &Device::flex());
        let error = model.forward::<_, Tensor<2>>(data).unwrap_err().to_string();
        assert!(error.contains(operator), "{error}");
        error
    };
    let outside = refused("ScatterElements", &[1, 1], &[3], &[1, 1]);
    assert!(outside.contains("index 3"), "{outside}");
    let outside = refused("ScatterND", &[1, 2], &[2, -5], &[1]);
    assert!(outside.contains("index -5"), "{outside}");
    for (operator, updates) in [("ScatterElements", [1, 2]), ("ScatterND", [1, 3])] {
        let shapes = refused(operator, &[1, 1], &[0], &updates);
        assert!(shapes.contains(&format!("{updates:?}")), "{shapes}");
    }
}
