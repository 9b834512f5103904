//! Reader of the reference vectors in `data/golden`, whose README says what they hold.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use approx_multiplier::{Multiplier, OperandFormat};
use npyz::npz::NpzArchive;

use crate::reference::{Conv2d, LayerGeometry};

/// The path of a file in `data/golden`.
fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("data/golden")
        .join(file)
}

/// An open `.npz` file.
pub struct Archive {
    name: String,
    arrays: NpzArchive<BufReader<File>>,
}

/// The values of an array, row by row, and its shape.
#[derive(Clone, Debug)]
pub struct Array<T> {
    /// The values.
    pub values: Vec<T>,
    /// The shape.
    pub shape: Vec<usize>,
}

impl Archive {
    /// Opens `<name>.npz`.
    pub fn open(name: &str) -> Self {
        let path = path(&format!("{name}.npz"));
        let arrays = NpzArchive::open(&path)
            .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        Self {
            name: name.into(),
            arrays,
        }
    }

    fn array<T: npyz::Deserialize>(&mut self, array: &str) -> Array<T> {
        let name = &self.name;
        let file = self
            .arrays
            .by_name(array)
            .unwrap_or_else(|error| panic!("{name}: {array} is not readable: {error}"))
            .unwrap_or_else(|| panic!("{name} has no array {array}"));
        assert_eq!(file.order(), npyz::Order::C, "{name}: {array} in C order");
        let shape = file.shape().iter().map(|size| *size as usize).collect();
        let values = file
            .into_vec()
            .unwrap_or_else(|error| panic!("{name}: {array} is not of the type: {error}"));
        Array { values, shape }
    }

    /// An array of float32.
    pub fn floats(&mut self, array: &str) -> Array<f32> {
        self.array(array)
    }

    /// An array of int32.
    pub fn integers(&mut self, array: &str) -> Array<i32> {
        self.array(array)
    }

    /// An array of int8, widened.
    pub fn codes(&mut self, array: &str) -> Array<i32> {
        let Array { values, shape } = self.array::<i8>(array);
        Array {
            values: values.into_iter().map(i32::from).collect(),
            shape,
        }
    }

    fn scalar<T: npyz::Deserialize + Copy>(&mut self, array: &str) -> T {
        self.array(array).values[0]
    }
}

/// The random table of the source in its operand order for linear layers, `table[activation][weight]`.
pub fn random_multiplier() -> Multiplier {
    Multiplier::from_npy(
        path("lut_random.npy"),
        OperandFormat::INT8,
        OperandFormat::INT8,
    )
    .expect("the reference table is readable")
}

/// One recorded layer. Weights are in this library's layout, `[in, out]` for a linear layer.
pub struct Vector {
    /// What is multiplied with what.
    pub geometry: LayerGeometry,
    /// The activation's codes.
    pub activation_codes: Vec<i32>,
    /// The weight's codes.
    pub weight_codes: Vec<i32>,
    /// The activation, as the operator is fed it.
    pub activation: Vec<f32>,
    /// The weight, as the operator is fed it.
    pub weight: Vec<f32>,
    /// The activation's scale.
    pub activation_scale: f32,
    /// The activation's zero point.
    pub activation_zero: i32,
    /// The weight's scale.
    pub weight_scale: f32,
    /// The weight's zero point.
    pub weight_zero: i32,
    /// Accumulators under the exact table.
    pub exact_accumulators: Vec<i64>,
    /// Accumulators under the random table, transposed for convolutions.
    pub random_accumulators: Vec<i64>,
    /// Outputs under the exact table.
    pub exact_outputs: Vec<f32>,
    /// Outputs under the random table, transposed for convolutions.
    pub random_outputs: Vec<f32>,
    /// The gradient that arrives at the output.
    pub output_gradient: Vec<f32>,
    /// The activation's gradient.
    pub activation_gradient: Vec<f32>,
    /// The weight's gradient.
    pub weight_gradient: Vec<f32>,
}

impl Vector {
    /// Reads `<name>.npz`.
    pub fn read(name: &str) -> Self {
        let mut archive = Archive::open(name);
        let x = archive.codes("x_int");
        let w = archive.codes("w_int");
        let [stride, padding, dilation, groups] = ["stride", "padding", "dilation", "groups"]
            .map(|name| archive.scalar::<i32>(name) as usize);
        let geometry = match (x.shape.as_slice(), w.shape.as_slice()) {
            ([rows, inputs], [outputs, _]) => LayerGeometry::Linear {
                leading: vec![*rows],
                inputs: *inputs,
                outputs: *outputs,
            },
            ([batch, _, height, width], [outputs, inputs, kernel_height, kernel_width]) => {
                LayerGeometry::Conv2d(Conv2d {
                    batch: *batch,
                    groups,
                    group_inputs: *inputs,
                    group_outputs: outputs / groups,
                    input: [*height, *width],
                    kernel: [*kernel_height, *kernel_width],
                    stride: [stride; 2],
                    dilation: [dilation; 2],
                    padding: [(padding, padding); 2],
                })
            }
            shapes => panic!("{name}: operands of shapes {shapes:?}"),
        };
        let [w_float, w_gradient] = ["w", "grad_w"].map(|name| archive.floats(name).values);
        let wide = |array: Array<i32>| array.values.into_iter().map(i64::from).collect();
        Self {
            activation_codes: x.values,
            weight_codes: to_layout(&geometry, w.values),
            activation: archive.floats("x").values,
            weight: to_layout(&geometry, w_float),
            activation_scale: archive.scalar("x_scale"),
            activation_zero: archive.scalar("x_zero_point"),
            weight_scale: archive.scalar("w_scale"),
            weight_zero: archive.scalar("w_zero_point"),
            exact_accumulators: wide(archive.integers("acc_exact")),
            random_accumulators: wide(archive.integers("acc_random")),
            exact_outputs: archive.floats("y_exact").values,
            random_outputs: archive.floats("y_random").values,
            output_gradient: archive.floats("grad_out").values,
            activation_gradient: archive.floats("grad_x").values,
            weight_gradient: to_layout(&geometry, w_gradient),
            geometry,
        }
    }

    /// The random table in the operand order of this vector's accumulators.
    pub fn random_multiplier(&self) -> Multiplier {
        match self.geometry {
            LayerGeometry::Conv2d(_) => random_multiplier().swapped(),
            _ => random_multiplier(),
        }
    }
}

/// A weight of the source in this library's layout: transposed for a linear layer.
pub fn to_layout<T: Copy>(geometry: &LayerGeometry, weight: Vec<T>) -> Vec<T> {
    match geometry {
        LayerGeometry::Linear {
            inputs, outputs, ..
        } => (0..*inputs)
            .flat_map(|input| (0..*outputs).map(move |output| output * inputs + input))
            .map(|index| weight[index])
            .collect(),
        _ => weight,
    }
}
