//! The parameters of a captured model: the original model keeps them, and is walked for them.
//!
//! A graph has one slot per parameter, in the order in which Burn visits them. Layers stand between the parameters
//! without being the model's own, so a walk over a captured model shows each one's approximation where a drop-in layer
//! would: as the child `approximation` of the module whose weight it multiplies by. Records, configurations and
//! listings then have the same paths.

use burn::backend::DispatchTensor;
use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Bool, Device, Float, Int, Tensor};

use super::tensors::{Filling, sealed::Boundary};
use crate::nn::Approximation;

/// A product with a weight that a captured model computes.
#[derive(Clone, Debug)]
pub(super) struct GraphLayer {
    /// The module that holds the weight, or the weight's own path.
    pub(super) module: String,
    /// What the layer is called below the module, if it is no weight's.
    pub(super) name: Option<&'static str>,
    /// Which of several different products under that path this is: 0 for the first.
    pub(super) ordinal: usize,
    pub(super) approximation: Approximation,
}

const CHILD: &str = "approximation";
/// The container that is reported for a layer whose module shows no other child.
const CONTAINER: &str = "Struct:GraphLayer";

impl GraphLayer {
    /// The names below the module, down to the approximation.
    fn names(&self) -> Vec<String> {
        let name = self.name.map(str::to_string);
        let ordinal = (self.ordinal > 0).then(|| (self.ordinal + 1).to_string());
        let names = name.into_iter().chain(ordinal);
        names.chain([CHILD.to_string()]).collect()
    }

    /// The path that listings show.
    pub(super) fn listed_path(&self) -> String {
        let module = Some(self.module.clone()).filter(|module| !module.is_empty());
        let mut names: Vec<String> = module.into_iter().chain(self.names()).collect();
        names.pop();
        names.join(".")
    }

    /// The path, but for the ordinal.
    pub(super) fn path(&self) -> String {
        let parts = [Some(self.module.as_str()), self.name];
        let parts: Vec<&str> = (parts.into_iter().flatten())
            .filter(|part| !part.is_empty())
            .collect();
        parts.join(".")
    }
}

/// The model with other values in its parameters.
pub(super) fn filled<M: Module>(model: M, with: Filling) -> M {
    struct Fill(Filling);

    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.without_autodiff().filled(self.0))
        }

        fn map_int<const D: usize>(
            &mut self,
            param: Param<Tensor<D, Int>>,
        ) -> Param<Tensor<D, Int>> {
            param.map(|tensor| tensor.filled(self.0))
        }

        fn map_bool<const D: usize>(
            &mut self,
            param: Param<Tensor<D, Bool>>,
        ) -> Param<Tensor<D, Bool>> {
            param.map(|tensor| tensor.filled(self.0))
        }
    }

    model.map(&mut Fill(with))
}

/// The model with parameters on this capture device that have sizes and types, but no data.
pub(super) fn without_data<M: Module>(model: M, capture: &Device) -> M {
    struct Empty<'a>(&'a Device);

    macro_rules! empty {
        ($map:ident, $kind:ident) => {
            fn $map<const D: usize>(
                &mut self,
                param: Param<Tensor<D, $kind>>,
            ) -> Param<Tensor<D, $kind>> {
                param.map(|tensor| Tensor::empty(tensor.shape(), (self.0, tensor.dtype())))
            }
        };
    }

    impl ModuleMapper for Empty<'_> {
        empty!(map_float, Float);
        empty!(map_int, Int);
        empty!(map_bool, Bool);
    }

    model.map(&mut Empty(capture))
}

/// The tensors of the parameters, in order.
pub(super) fn values<M: Module>(model: &M) -> Vec<DispatchTensor> {
    #[derive(Default)]
    struct Values(Vec<DispatchTensor>);

    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().into_dispatch());
        }

        fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
            self.0.push(param.val().into_dispatch());
        }

        fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
            self.0.push(param.val().into_dispatch());
        }
    }

    let mut visitor = Values::default();
    model.visit(&mut visitor);
    visitor.0
}

/// The paths of the parameters, in order.
pub(super) fn paths<M: Module>(model: &M) -> Vec<String> {
    #[derive(Default)]
    struct Paths {
        path: Vec<String>,
        found: Vec<String>,
    }

    impl Paths {
        fn found(&mut self) {
            self.found.push(self.path.join("."));
        }
    }

    impl ModuleVisitor for Paths {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
            self.found();
        }

        fn visit_int<const D: usize>(&mut self, _param: &Param<Tensor<D, Int>>) {
            self.found();
        }

        fn visit_bool<const D: usize>(&mut self, _param: &Param<Tensor<D, Bool>>) {
            self.found();
        }
    }

    let mut visitor = Paths::default();
    model.visit(&mut visitor);
    visitor.found
}

/// Where a walk is, and in which kind of container the last child of each level was.
#[derive(Default)]
struct Position {
    path: Vec<String>,
    containers: Vec<String>,
}

impl Position {
    fn enter(&mut self, name: &str, container: &str) {
        self.containers.truncate(self.path.len());
        self.containers.push(container.to_string());
        self.path.push(name.to_string());
    }

    fn exit(&mut self) {
        self.path.pop();
    }

    /// The container that the children of this place were reported in.
    fn container(&self) -> String {
        let container = self.containers.get(self.path.len());
        container.map_or(CONTAINER, String::as_str).to_string()
    }
}

/// Visits a model, and each layer's approximation at the end of the module that it belongs to.
pub(super) fn visit<M: Module, V: ModuleVisitor>(
    model: &M,
    layers: &[GraphLayer],
    visitor: &mut V,
) {
    let mut visitor = LayerVisitor {
        visitor,
        layers,
        position: Position::default(),
    };
    model.visit(&mut visitor);
    visitor.visit_layers();
}

struct LayerVisitor<'a, V> {
    visitor: &'a mut V,
    layers: &'a [GraphLayer],
    position: Position,
}

impl<V: ModuleVisitor> LayerVisitor<'_, V> {
    /// Visits the layers of the module that the walk is about to leave.
    fn visit_layers(&mut self) {
        let module = self.position.path.join(".");
        let container = self.position.container();
        for layer in self.layers.iter().filter(|layer| layer.module == module) {
            let names = layer.names();
            for name in &names {
                self.visitor.enter_module(name, &container);
            }
            layer.approximation.visit(self.visitor);
            for name in names.iter().rev() {
                self.visitor.exit_module(name, &container);
            }
        }
    }
}

impl<V: ModuleVisitor> ModuleVisitor for LayerVisitor<'_, V> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.visitor.visit_float(param);
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.visitor.visit_int(param);
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.visitor.visit_bool(param);
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.visitor.visit_flag(flag);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.position.enter(name, container);
        self.visitor.enter_module(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.visit_layers();
        self.position.exit();
        self.visitor.exit_module(name, container);
    }

    fn visit_float_with_path<const D: usize>(
        &mut self,
        path: &[String],
        id: ParamId,
        tensor: &Tensor<D>,
    ) {
        self.visitor.visit_float_with_path(path, id, tensor);
    }

    fn visit_int_with_path<const D: usize>(
        &mut self,
        path: &[String],
        id: ParamId,
        tensor: &Tensor<D, Int>,
    ) {
        self.visitor.visit_int_with_path(path, id, tensor);
    }

    fn visit_bool_with_path<const D: usize>(
        &mut self,
        path: &[String],
        id: ParamId,
        tensor: &Tensor<D, Bool>,
    ) {
        self.visitor.visit_bool_with_path(path, id, tensor);
    }
}

/// Maps a model, and each layer's approximation where [`visit`] shows it.
pub(super) fn map<M: Module, P: ModuleMapper>(
    model: M,
    layers: Vec<GraphLayer>,
    mapper: &mut P,
) -> (M, Vec<GraphLayer>) {
    let mut mapper = LayerMapper {
        mapper,
        layers,
        position: Position::default(),
    };
    let model = model.map(&mut mapper);
    mapper.map_layers();
    (model, mapper.layers)
}

struct LayerMapper<'a, P> {
    mapper: &'a mut P,
    layers: Vec<GraphLayer>,
    position: Position,
}

impl<P: ModuleMapper> LayerMapper<'_, P> {
    fn map_layers(&mut self) {
        let module = self.position.path.join(".");
        let container = self.position.container();
        let map = |layer: GraphLayer, mapper: &mut P| {
            let names = layer.names();
            for name in &names {
                mapper.enter_module(name, &container);
            }
            let approximation = layer.approximation.map(mapper);
            for name in names.iter().rev() {
                mapper.exit_module(name, &container);
            }
            GraphLayer {
                approximation,
                ..layer
            }
        };
        let layers = std::mem::take(&mut self.layers).into_iter();
        self.layers = layers
            .map(|layer| match layer.module == module {
                true => map(layer, self.mapper),
                false => layer,
            })
            .collect();
    }
}

impl<P: ModuleMapper> ModuleMapper for LayerMapper<'_, P> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.position.enter(name, container);
        self.mapper.enter_module(name, container);
    }

    fn exit_module(&mut self, name: &str, container: &str) {
        self.map_layers();
        self.position.exit();
        self.mapper.exit_module(name, container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.mapper.map_float(param)
    }

    fn map_int<const D: usize>(&mut self, param: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.mapper.map_int(param)
    }

    fn map_bool<const D: usize>(
        &mut self,
        param: Param<Tensor<D, Bool>>,
    ) -> Param<Tensor<D, Bool>> {
        self.mapper.map_bool(param)
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        self.mapper.map_flag(flag)
    }
}
