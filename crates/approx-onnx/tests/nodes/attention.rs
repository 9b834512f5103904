//! Attention with a past, grouped heads and hidden places, beside the plain loop over queries and keys.

use approx_onnx::OnnxModel;
use burn::prelude::*;
use burn::tensor::{Distribution, Tolerance};
use burn_approx::AnyTensor;

use crate::common::{Builder, Setting};

const BATCH: usize = 2;
const FEATURES: usize = 3;

/// What a case has besides 4 heads of queries, 2 of keys, and 3 queries.
#[derive(Clone, Copy)]
struct Case {
    past: usize,
    keys: usize,
    is_causal: bool,
    softcap: f32,
    mask: Mask,
}

#[derive(Clone, Copy, PartialEq)]
enum Mask {
    None,
    /// Truth values; the second query sees nothing.
    Truths,
    /// What is added, minus infinity among it.
    Added,
    /// How many keys of each batch are in use, by a mask that is shorter than the keys.
    Used,
}

fn tensor(shape: [usize; 4]) -> Tensor<4> {
    Tensor::random(shape, Distribution::Uniform(-2.0, 2.0), &Device::flex())
}

fn values(tensor: &Tensor<4>) -> Vec<f32> {
    tensor.to_data().iter().collect()
}

impl Case {
    /// What is added to the score of a key, minus infinity where it is hidden.
    fn bias(&self, batch: usize, query: usize, key: usize) -> f32 {
        let used = [4, 2][batch];
        let offset = match self.mask {
            Mask::Used => used as i64 - 3,
            _ => self.past as i64,
        };
        let is_later = self.is_causal && key as i64 > query as i64 + offset;
        let bias = match self.mask {
            Mask::None => 0.0,
            Mask::Truths if query == 1 || key == 1 => f32::NEG_INFINITY,
            Mask::Truths => 0.0,
            Mask::Added if (query + key) % 3 == 1 => f32::NEG_INFINITY,
            Mask::Added => key as f32 / 4.0,
            Mask::Used if key >= used || key >= 3 => f32::NEG_INFINITY,
            Mask::Used => 0.0,
        };
        if is_later { f32::NEG_INFINITY } else { bias }
    }
}

#[test]
fn attention_is_a_mean_of_values_weighted_by_softmax() {
    let plain = Case {
        past: 0,
        keys: 3,
        is_causal: false,
        softcap: 0.0,
        mask: Mask::None,
    };
    let cases = [
        plain,
        Case {
            is_causal: true,
            ..plain
        },
        Case {
            past: 2,
            is_causal: true,
            ..plain
        },
        Case {
            past: 2,
            keys: 1,
            softcap: 1.5,
            ..plain
        },
        Case {
            mask: Mask::Truths,
            is_causal: true,
            ..plain
        },
        Case {
            mask: Mask::Added,
            past: 1,
            softcap: 0.7,
            ..plain
        },
        Case {
            mask: Mask::Used,
            keys: 5,
            ..plain
        },
        Case {
            mask: Mask::Used,
            keys: 5,
            is_causal: true,
            ..plain
        },
    ];
    for case in cases {
        check(case);
    }
}

fn check(case: Case) {
    let all = case.past + case.keys;
    let query = tensor([BATCH, 4, 3, FEATURES]);
    let [past_key, past_value] = [(); 2].map(|()| tensor([BATCH, 2, case.past.max(1), FEATURES]));
    let [key, value] = [(); 2].map(|()| tensor([BATCH, 2, case.keys, FEATURES]));
    let mut inputs: Vec<AnyTensor> = [&query, &key, &value]
        .map(|tensor| AnyTensor::from_dispatch(tensor.clone().into_dispatch()))
        .into();
    let open = [None; 4];
    let mut builder = Builder::default()
        .input("q", &open)
        .input("k", &open)
        .input("v", &open);
    let columns = if case.mask == Mask::Used { 3 } else { all };
    let mut names = ["q", "k", "v", "", "", "", ""];
    let biases = (0..3 * columns).map(|place| case.bias(0, place / columns, place % columns));
    match case.mask {
        Mask::None => {}
        Mask::Truths => {
            let seen = (0..3 * columns)
                .map(|place| u8::from(place / columns != 1 && place % columns != 1))
                .collect();
            builder = builder.raw("mask", 9, &[3, columns as i64], seen);
        }
        Mask::Added => {
            let biases: Vec<f32> = biases.collect();
            builder = builder.weight("mask", &[3, columns as i64], &biases);
        }
        Mask::Used => {
            builder = builder
                .raw("mask", 9, &[3, columns as i64], vec![1; 3 * columns])
                .ints("used", &[2], &[4, 2]);
            names[6] = "used";
        }
    }
    if case.mask != Mask::None {
        names[3] = "mask";
    }
    if case.past > 0 {
        builder = builder.input("past_k", &open).input("past_v", &open);
        (names[4], names[5]) = ("past_k", "past_v");
        for tensor in [&past_key, &past_value] {
            inputs.push(AnyTensor::from_dispatch(tensor.clone().into_dispatch()));
        }
    }
    let settings = [
        ("is_causal", Setting::Int(i64::from(case.is_causal))),
        ("softcap", Setting::Float(case.softcap)),
        ("qk_matmul_output_mode", Setting::Int(3)),
    ];
    let file = builder
        .output("y")
        .output("all_k")
        .output("all_v")
        .output("shares")
        .node(
            "Attention",
            &names,
            &["y", "all_k", "all_v", "shares"],
            &settings,
        );
    let model = OnnxModel::from_bytes(file.bytes(24), &Device::flex()).unwrap();
    let outputs: Vec<AnyTensor> = model.forward(inputs).unwrap();
    let (keys, all_values) = match case.past {
        0 => (key, value),
        _ => (
            Tensor::cat(vec![past_key, key], 2),
            Tensor::cat(vec![past_value, value], 2),
        ),
    };
    let (shares, means) = by_hand(case, &values(&query), &values(&keys), &values(&all_values));
    let expected = [
        TensorData::new(means, [BATCH, 4, 3, FEATURES]),
        keys.into_data(),
        all_values.into_data(),
        TensorData::new(shares, [BATCH, 4, 3, all]),
    ];
    for (found, expected) in outputs.into_iter().zip(expected) {
        found
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}

/// The shares that queries give to keys, and the means of values.
fn by_hand(case: Case, query: &[f32], keys: &[f32], values: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let all = case.past + case.keys;
    let row = |data: &[f32], heads: usize, places: usize, [batch, head, place]: [usize; 3]| {
        let start = ((batch * heads + head) * places + place) * FEATURES;
        data[start..start + FEATURES].to_vec()
    };
    let (mut shares, mut means) = (Vec::new(), Vec::new());
    for batch in 0..BATCH {
        for head in 0..4 {
            for place in 0..3 {
                let own = row(query, 4, 3, [batch, head, place]);
                let weights: Vec<f32> = (0..all)
                    .map(|key| {
                        let other = row(keys, 2, all, [batch, head / 2, key]);
                        let product: f32 = own.iter().zip(&other).map(|(one, two)| one * two).sum();
                        let score = product / (FEATURES as f32).sqrt();
                        let score = match case.softcap {
                            0.0 => score,
                            cap => (score / cap).tanh() * cap,
                        };
                        (score + case.bias(batch, place, key)).exp()
                    })
                    .collect();
                // A query that sees nothing gives nothing.
                let sum = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
                let mut mean = vec![0.0; FEATURES];
                for (key, weight) in weights.iter().enumerate() {
                    shares.push(weight / sum);
                    let value = row(values, 2, all, [batch, head / 2, key]);
                    for (mean, value) in mean.iter_mut().zip(value) {
                        *mean += weight / sum * value;
                    }
                }
                means.extend(mean);
            }
        }
    }
    (shares, means)
}
