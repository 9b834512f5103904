//! Burn's fusion stays on around the operators: what comes before and after one becomes a kernel each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use approx_multiplier::{OperandFormat, evoapprox};
use burn::backend::fusion::observer::{BlockOperations, FusionObservation, FusionObserver};
use burn::backend::ir::OperationIr;
use burn::cubecl::logging::{LaunchObservation, LaunchObserver};
use burn::prelude::*;
use burn::tensor::activation::relu;
use burn::tensor::ops::ConvOptions;
use burn_approx::plan::PlanChoice;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{PreparedMultiplier, ops};
use burn_approx_tests::layer::values;
use burn_approx_tests::random::Random;
use rstest::rstest;

use crate::device;

/// The height and width of the images here, by which their operations are told from those of other tests.
const IMAGE: [usize; 2] = [23, 29];

/// One block: operations that run together, and the kernels that were launched for them.
#[derive(Clone, Debug, Default)]
struct Block {
    operations: Vec<OperationIr>,
    kernels: Vec<&'static str>,
}

impl Block {
    /// Whether it computes element by element: neither an operator of this library nor the coming and going of tensors.
    fn is_elementwise(&self) -> bool {
        self.operations.iter().any(|operation| {
            !matches!(
                operation,
                OperationIr::Custom(_) | OperationIr::Init(_) | OperationIr::Drop(_)
            )
        })
    }
}

/// Watches blocks and the kernels launched between their start and end, which lie on one thread.
#[derive(Default)]
struct Watch {
    running: Mutex<HashMap<ThreadId, Block>>,
    finished: Mutex<Vec<Block>>,
}

impl FusionObserver for Watch {
    fn registered(&self, _operation: &OperationIr) {}

    fn block_starts(&self, block: BlockOperations<'_>) {
        let block = Block {
            operations: block.iter().cloned().collect(),
            kernels: Vec::new(),
        };
        let thread = std::thread::current().id();
        self.running.lock().unwrap().insert(thread, block);
    }

    fn block_ran(&self) {
        let thread = std::thread::current().id();
        if let Some(block) = self.running.lock().unwrap().remove(&thread) {
            self.finished.lock().unwrap().push(block);
        }
    }
}

impl LaunchObserver for Watch {
    fn launched(&self, kernel: &'static str) {
        let thread = std::thread::current().id();
        if let Some(block) = self.running.lock().unwrap().get_mut(&thread) {
            block.kernels.push(kernel);
        }
    }
}

/// The blocks that `work` runs on images of this module, in order.
fn blocks_of<T>(device: &Device, work: impl FnOnce() -> T) -> (T, Vec<Block>) {
    let watch = Arc::new(Watch::default());
    device.sync().unwrap();
    let (fusion, launches) = (
        FusionObservation::new(watch.clone()),
        LaunchObservation::new(watch.clone()),
    );
    let result = work();
    device.sync().unwrap();
    drop((fusion, launches));
    let mut blocks = std::mem::take(&mut *watch.finished.lock().unwrap());
    blocks.retain(|block| {
        let mut tensors = block.operations.iter().flat_map(OperationIr::nodes);
        tensors.any(|tensor| tensor.shape.ends_with(&IMAGE))
    });
    (result, blocks)
}

/// The operands of a small convolution, and what goes before and after it.
struct Chain {
    images: Tensor<4>,
    weight: Tensor<4>,
    scale: Tensor<4>,
    shift: Tensor<4>,
    quantizers: [CodeQuantizer; 2],
}

impl Chain {
    fn new(device: &Device) -> Self {
        let mut random = Random::new(51);
        let mut tensor = |shape: [usize; 4]| {
            let values = random.reals(shape.iter().product(), -1.0, 1.0);
            Tensor::<4>::from_data(TensorData::new(values, shape), device)
        };
        let codes = CodeRange::full(OperandFormat::INT8);
        Self {
            images: tensor([2, 3, IMAGE[0], IMAGE[1]]),
            weight: tensor([4, 3, 3, 3]),
            scale: tensor([1, 4, 1, 1]),
            shift: tensor([1, 4, 1, 1]),
            quantizers: [0.03, 0.01]
                .map(|scale| CodeQuantizer::per_tensor(scale, 0, codes, device).unwrap()),
        }
    }

    /// `relu(operator(relu(x) * 2 + 1) * scale + shift)`.
    fn run(&self, multiplier: &PreparedMultiplier) -> Tensor<4> {
        let [a, w] = &self.quantizers;
        let before = relu(self.images.clone()) * 2.0 + 1.0;
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let weight = self.weight.clone();
        let middle = ops::conv2d(before, weight, None, a, w, multiplier, options).unwrap();
        relu(middle * self.scale.clone() + self.shift.clone())
    }
}

fn multiplier(plan: PlanChoice) -> PreparedMultiplier {
    PreparedMultiplier::new(evoapprox::multiplier("mul8s_1KVA").unwrap()).with_plan(plan)
}

#[rstest]
fn neighbours_of_an_operator_are_fused(
    #[values(PlanChoice::Factored, PlanChoice::Gather)] plan: PlanChoice,
) {
    let device = device();
    let (chain, multiplier) = (Chain::new(&device), multiplier(plan));
    // Blocks of the first run are still being explored.
    values(chain.run(&multiplier));
    let (outputs, blocks) = blocks_of(&device, || values(chain.run(&multiplier)));
    assert!(outputs.iter().any(|output| *output > 0.0));

    let (elementwise, others): (Vec<&Block>, Vec<&Block>) =
        blocks.iter().partition(|block| block.is_elementwise());
    // Three operations before the operator, three after it.
    assert_eq!(elementwise.len(), 2, "{blocks:#?}");
    for block in elementwise {
        assert!(block.operations.len() >= 3, "{block:#?}");
        assert_eq!(block.kernels.len(), 1, "{block:#?}");
    }
    let of_operator = |block: &Block| {
        let mut operations = block.operations.iter();
        operations.any(|operation| matches!(operation, OperationIr::Custom(_)))
    };
    assert!(others.into_iter().any(of_operator), "{blocks:#?}");
}
