//! The walk through a model that finds its drop-in layers, and the plain Burn layers beside them.

use std::sync::Arc;

use burn::module::{Flag, Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::nn::{LayerKind, LayerState, with_handle};

/// A drop-in layer as the walk met it.
pub(crate) struct Found {
    pub(crate) path: String,
    pub(crate) state: Arc<LayerState>,
    /// Where the layer's weight lies, or the parameters around a layer without.
    pub(crate) device: Device,
}

/// What a model holds: its drop-in layers, and the paths of layers of Burn's own with the same names, in order.
pub(crate) struct Walk {
    pub(crate) layers: Vec<Found>,
    pub(crate) plain: Vec<String>,
}

impl Walk {
    pub(crate) fn through<M: Module>(model: &M) -> Self {
        let mut visitor = Visitor::default();
        model.visit(&mut visitor);
        let Visitor {
            plain,
            layers,
            first_device,
            ..
        } = visitor;
        let elsewhere = first_device.unwrap_or_default();
        let layers = layers.into_iter().map(|(path, state, device)| Found {
            path,
            state,
            device: device.unwrap_or_else(|| elsewhere.clone()),
        });
        Self {
            layers: layers.collect(),
            plain,
        }
    }
}

/// A drop-in reports the same container type as Burn's layer of that name, so the two are told apart by what is met
/// inside: a plain layer has a weight, and no approximation beside it.
#[derive(Default)]
struct Visitor {
    path: Vec<String>,
    /// The paths of the layers of a convertible name whose weight was met but no approximation.
    plain: Vec<String>,
    /// Path and state of each layer, and the device of the last parameter before it.
    layers: Vec<(String, Arc<LayerState>, Option<Device>)>,
    /// Whether the parameter being visited is such a weight.
    at_weight: bool,
    /// The device of the last parameter, which is the layer's own when its approximation is met.
    device: Option<Device>,
    /// The device of the first parameter, for layers without a weight that stand before it.
    first_device: Option<Device>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.at_weight = name == "weight" && LayerKind::is_container_of_any(container);
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
        self.at_weight = false;
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let device = param.lazy_device();
        self.first_device.get_or_insert_with(|| device.clone());
        self.device = Some(device);
        if self.at_weight {
            self.plain.push(self.path[..self.path.len() - 1].join("."));
        }
    }

    fn visit_flag(&mut self, _flag: &Param<Flag>) {
        let Some(state) = with_handle() else { return };
        let path = self.path[..self.path.len().saturating_sub(1)].join(".");
        self.plain.pop_if(|plain| *plain == path);
        self.layers.push((path, state, self.device.clone()));
    }
}
