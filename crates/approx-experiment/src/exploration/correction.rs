//! Means put right without training: the first thing to do with a network on new multipliers, and often most of what
//! training wins.
//!
//! A multiplier's error has a mean, and so has the error of each output channel of a layer. Where a channel has a bias, the
//! mean is taken off it: a few numbers that the hardware holds anyway. Where batch normalisation follows, its running
//! statistics are estimated again. Both need some images and no labels (bias correction after Nagel et al. 2019,
//! "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.2, with the errors measured).

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn_approx::nn::LayerKind;
use burn_approx::{ApproxError, GraphModel, PartialPass, approx_layers};

/// A captured network of images.
type Captured<M> = GraphModel<M, Tensor<4>, Tensor<2>>;
/// A pass of the exact network, and one of that whose means are put right.
type Pair<'a> = [PartialPass<'a, Tensor<2>>; 2];

/// A network on multipliers whose layers' output channels have the means that they have in the exact network, on these
/// images. Layers without a bias are left as they are.
///
/// Layers are put right one after the other, each on what those before it give once they are right. All batches are held
/// at once, at one layer each.
///
/// # Errors
///
/// A layer that cannot be simulated, or two networks that are no copies of one.
pub(super) fn with_means_of<M: Module>(
    exact: &Captured<M>,
    assigned: &Captured<M>,
    images: &[Tensor<4>],
) -> Result<Captured<M>, ApproxError> {
    let begin = |images: &Tensor<4>| -> Result<Pair<'_>, ApproxError> {
        Ok([
            exact.begin(images.clone())?,
            assigned.begin(images.clone())?,
        ])
    };
    let mut passes = images.iter().map(begin).collect::<Result<Vec<_>, _>>()?;
    let biases = Biases::of(assigned);
    let mut shifts: BTreeMap<String, Tensor<1>> = BTreeMap::new();
    while let Some([pass, _]) = passes.first() {
        let next = pass.next_layers();
        if next.is_empty() {
            break;
        }
        let outputs = passes
            .iter_mut()
            .map(|[exact, assigned]| Ok([exact.run_layers()?, assigned.run_layers()?]));
        let outputs: Vec<[Tensor<2>; 2]> = outputs.collect::<Result<_, ApproxError>>()?;
        let [path] = &next[..] else { continue };
        let Some(channels) = biases.channels(path) else {
            continue;
        };
        // A weight that is used again has its bias already.
        let shift = shifts
            .entry(path.clone())
            .or_insert_with(|| channels.mean_difference(&outputs));
        for ([_, assigned], [output, _]) in passes.iter_mut().zip(&outputs) {
            assigned.add_to_output(channels.in_rows(shift, output.dims()));
        }
    }
    Ok(assigned.clone().map(&mut Shift {
        path: Vec::new(),
        shifts,
    }))
}

/// Where the channels of a layer's output lie in its rows.
#[derive(Clone, Copy)]
struct Channels {
    count: usize,
    /// Whether they are the last axis, not the first.
    last: bool,
}

impl Channels {
    /// The mean over batches of the exact output minus the other, by channel.
    fn mean_difference(self, outputs: &[[Tensor<2>; 2]]) -> Tensor<1> {
        let sums = outputs.iter().map(|[exact, assigned]| {
            let difference = exact.clone() - assigned.clone();
            let [rows, elements] = difference.dims();
            let others = elements / self.count;
            let sum = match self.last {
                false => difference
                    .reshape([rows, self.count, others])
                    .sum_dim(2)
                    .sum_dim(0),
                true => difference
                    .reshape([rows, others, self.count])
                    .sum_dim(1)
                    .sum_dim(0),
            };
            (sum.reshape([self.count]), rows * others)
        });
        let (sum, count) = sums
            .reduce(|(sum, count), (further, more)| (sum + further, count + more))
            .expect("there is a batch");
        sum / count.max(1) as f64
    }

    /// A number for each channel in rows of outputs.
    fn in_rows(self, shift: &Tensor<1>, [rows, elements]: [usize; 2]) -> Tensor<2> {
        let others = elements / self.count;
        let shift = shift.clone();
        match self.last {
            false => shift
                .reshape([1, self.count, 1])
                .expand([rows, self.count, others]),
            true => shift
                .reshape([1, 1, self.count])
                .expand([rows, others, self.count]),
        }
        .reshape([rows, elements])
    }
}

/// The layers that have a bias: one number for each output channel.
struct Biases(BTreeMap<String, Channels>);

impl Biases {
    fn of<M: Module>(model: &M) -> Self {
        let found = lengths_of_biases(model);
        let table = approx_layers(model);
        let biases = table.iter().filter_map(|layer| {
            let count = layer.shape().outputs()?;
            let length = found.get(layer.path())?;
            let channels = Channels {
                count,
                last: layer.kind() == LayerKind::Linear,
            };
            (*length == count).then(|| (layer.path().to_string(), channels))
        });
        Self(biases.collect())
    }

    fn channels(&self, path: &str) -> Option<Channels> {
        self.0.get(path).copied()
    }
}

/// The lengths of the biases of modules, by their paths.
fn lengths_of_biases<M: Module>(model: &M) -> BTreeMap<String, usize> {
    #[derive(Default)]
    struct Lengths {
        path: Vec<String>,
        found: BTreeMap<String, usize>,
    }

    impl burn::module::ModuleVisitor for Lengths {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let path = self.path.join(".");
            if let (1, Some(module)) = (D, path.strip_suffix(".bias")) {
                self.found.insert(module.to_string(), param.lazy_shape()[0]);
            }
        }
    }

    let mut visitor = Lengths::default();
    model.visit(&mut visitor);
    visitor.found
}

/// Adds to the biases of modules.
struct Shift {
    path: Vec<String>,
    shifts: BTreeMap<String, Tensor<1>>,
}

impl ModuleMapper for Shift {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let module = path.strip_suffix(".bias");
        match module
            .and_then(|module| self.shifts.get(module))
            .filter(|_| D == 1)
        {
            Some(shift) => {
                let shift = shift.clone();
                param.map(|bias| {
                    let shape = bias.dims();
                    let trains = bias.is_require_grad();
                    let shifted = bias.detach() + shift.reshape(shape);
                    shifted.set_require_grad(trains)
                })
            }
            None => param,
        }
    }
}
