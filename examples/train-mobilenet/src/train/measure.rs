//! What is read off a model: its accuracy, and its parameters.

use burn::data::dataloader::DataLoader;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::loader::ImageLoader;
use crate::progress::Display;

/// The share of the loader's images that a model classifies rightly, in per cent. `forward` gives its logits; it must be
/// on the loader's device and in evaluation mode.
pub fn accuracy(
    forward: impl Fn(Tensor<4>) -> Tensor<2>,
    loader: &ImageLoader,
    label: &str,
    display: Display,
) -> f64 {
    let bar = display.bar(label, loader.num_items());
    let mut right = 0;
    for batch in loader.iter() {
        let batch = batch.expect("images in memory can always be read");
        let count = batch.labels.dims()[0];
        let found = forward(batch.images).argmax(1).reshape([count]);
        right += found.equal(batch.labels).int().sum().into_scalar::<i64>();
        bar.inc(count as u64);
    }
    bar.finish_and_clear();
    100.0 * right as f64 / loader.num_items() as f64
}

/// The model's parameters as one list of numbers, to compare two trainings by.
pub fn parameters<M: Module>(model: &M) -> Vec<f32> {
    struct Collector(Vec<f32>);
    impl ModuleVisitor for Collector {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>());
        }
    }
    let mut collector = Collector(Vec::new());
    model.visit(&mut collector);
    collector.0
}
