//! The two products of an attention as layers, under the paths that a captured attention gives them.
//!
//! Capturing numbers several products of one module: `matmul`, `matmul.2`. No derived module has a child of such a
//! name, so this one is written by hand: the first product is the module itself, the second its child `2`.
//! Configurations, records and saved models then fit a model of drop-ins and a captured one alike.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::prelude::*;

use crate::nn::matmul::Matmul;

/// The two products of an attention, as layers.
#[derive(Clone, Debug, Default)]
pub struct AttentionProducts {
    /// Queries by keys, at the path `matmul` of the attention.
    pub scores: Matmul,
    /// Attention weights by values, at the path `matmul.2` of the attention.
    pub context: Matmul,
}

/// The name of the second product below the first.
const SECOND: &str = "2";
const CONTAINER: &str = "Struct:AttentionProducts";

impl AttentionProducts {
    /// Two products in float.
    pub fn new() -> Self {
        Self::default()
    }

    fn each(self, change: impl Fn(Matmul) -> Matmul) -> Self {
        Self {
            scores: change(self.scores),
            context: change(self.context),
        }
    }
}

impl Module for AttentionProducts {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.scores.visit(visitor);
        visitor.enter_module(SECOND, CONTAINER);
        self.context.visit(visitor);
        visitor.exit_module(SECOND, CONTAINER);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let scores = self.scores.map(mapper);
        mapper.enter_module(SECOND, CONTAINER);
        let context = self.context.map(mapper);
        mapper.exit_module(SECOND, CONTAINER);
        Self { scores, context }
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|product| product.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|product| product.fork(device))
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        self.context
            .collect_devices(self.scores.collect_devices(devices))
    }

    fn materialize(self) -> Self {
        self.each(Module::materialize)
    }

    fn valid(&self) -> Self {
        Self {
            scores: self.scores.valid(),
            context: self.context.valid(),
        }
    }

    fn train(self) -> Self {
        self.each(Module::train)
    }
}

impl ModuleDisplayDefault for AttentionProducts {
    fn content(&self, content: Content) -> Option<Content> {
        content
            .set_top_level_type("AttentionProducts")
            .add("scores", &self.scores)
            .add("context", &self.context)
            .optional()
    }
}

impl ModuleDisplay for AttentionProducts {}
