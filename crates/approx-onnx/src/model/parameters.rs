//! The parameters of a model, under paths that its file decides.

use std::collections::HashMap;

use burn::backend::DispatchTensor;
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

/// A parameter of any rank.
#[derive(Clone, Debug)]
pub(super) enum AnyParam {
    One(Param<Tensor<1>>),
    Two(Param<Tensor<2>>),
    Three(Param<Tensor<3>>),
    Four(Param<Tensor<4>>),
    Five(Param<Tensor<5>>),
    Six(Param<Tensor<6>>),
}

macro_rules! each {
    ($param:expr, $inner:ident => $body:expr) => {
        match $param {
            AnyParam::One($inner) => $body,
            AnyParam::Two($inner) => $body,
            AnyParam::Three($inner) => $body,
            AnyParam::Four($inner) => $body,
            AnyParam::Five($inner) => $body,
            AnyParam::Six($inner) => $body,
        }
    };
}

macro_rules! map {
    ($param:expr, $inner:ident => $body:expr) => {
        match $param {
            AnyParam::One($inner) => AnyParam::One($body),
            AnyParam::Two($inner) => AnyParam::Two($body),
            AnyParam::Three($inner) => AnyParam::Three($body),
            AnyParam::Four($inner) => AnyParam::Four($body),
            AnyParam::Five($inner) => AnyParam::Five($body),
            AnyParam::Six($inner) => AnyParam::Six($body),
        }
    };
}

impl AnyParam {
    /// A parameter of these values; `None` for a rank that is not covered.
    pub(super) fn new(data: TensorData, device: &Device) -> Option<Self> {
        macro_rules! of_rank {
            ($variant:ident) => {
                // As every layer's own, it takes part in training unless someone freezes it.
                Self::$variant(Param::from_tensor(Tensor::from_data(data, device)))
            };
        }
        Some(match data.rank() {
            1 => of_rank!(One),
            2 => of_rank!(Two),
            3 => of_rank!(Three),
            4 => of_rank!(Four),
            5 => of_rank!(Five),
            6 => of_rank!(Six),
            _ => return None,
        })
    }

    pub(super) fn tensor(&self) -> DispatchTensor {
        each!(self, param => param.val().into_dispatch())
    }

    pub(super) fn data(&self) -> TensorData {
        each!(self, param => param.val().into_data())
    }
}

/// A parameter and what it is called.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// The names of its modules and its own.
    pub(super) path: Vec<String>,
    /// The value that it is in the graph.
    pub(super) name: String,
    pub(super) value: AnyParam,
}

/// All parameters, those of one module next to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<Parameter>);

/// The kind of container that a module of a file is reported as.
const CONTAINER: &str = "Struct:OnnxModule";

/// Goes from the modules around one parameter to those around the next.
fn walk<'a>(
    from: &'a [String],
    to: &'a [String],
    mut exit: impl FnMut(&'a str),
    mut enter: impl FnMut(&'a str),
) {
    let [from, to] = [from, to].map(|path| &path[..path.len().max(1) - 1]);
    let common = from
        .iter()
        .zip(to)
        .take_while(|(from, to)| from == to)
        .count();
    for name in from[common..].iter().rev() {
        exit(name);
    }
    for name in &to[common..] {
        enter(name);
    }
}

impl Parameters {
    /// Parameters in the order of their modules' first appearance.
    pub(super) fn new(parameters: Vec<Parameter>) -> Self {
        let mut place: HashMap<Vec<String>, usize> = HashMap::new();
        for parameter in &parameters {
            for depth in 1..=parameter.path.len() {
                let next = place.len();
                place
                    .entry(parameter.path[..depth].to_vec())
                    .or_insert(next);
            }
        }
        let mut parameters = parameters;
        parameters.sort_by_cached_key(|parameter| {
            let prefixes = (1..=parameter.path.len()).map(|depth| &parameter.path[..depth]);
            prefixes.map(|prefix| place[prefix]).collect::<Vec<_>>()
        });
        Self(parameters)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }
}

impl Module for Parameters {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.0.iter().fold(
            devices,
            |devices, parameter| each!(&parameter.value, param => param.collect_devices(devices)),
        )
    }

    fn fork(self, device: &Device) -> Self {
        self.with(|param| map!(param, inner => inner.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|param| map!(param, inner => inner.to_device(device)))
    }

    fn train(self) -> Self {
        self.with(|param| map!(param, inner => inner.train()))
    }

    fn valid(&self) -> Self {
        self.clone()
            .with(|param| map!(param, inner => inner.valid()))
    }

    fn materialize(self) -> Self {
        self.with(|param| map!(param, inner => inner.materialize()))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        let mut last: &[String] = &[];
        let visitor = std::cell::RefCell::new(visitor);
        let exit = |name: &str| visitor.borrow_mut().exit_module(name, CONTAINER);
        let enter = |name: &str| visitor.borrow_mut().enter_module(name, CONTAINER);
        for parameter in &self.0 {
            walk(last, &parameter.path, exit, enter);
            let own = parameter.path.last().expect("a path has a name");
            enter(own);
            let mut inner = visitor.borrow_mut();
            each!(&parameter.value, param => param.visit(&mut **inner));
            drop(inner);
            exit(own);
            last = &parameter.path;
        }
        walk(last, &[], exit, enter);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let mut mapped: Vec<Parameter> = Vec::with_capacity(self.0.len());
        let mut last: Vec<String> = Vec::new();
        let mapper = std::cell::RefCell::new(mapper);
        let exit = |name: &str| mapper.borrow_mut().exit_module(name, CONTAINER);
        let enter = |name: &str| mapper.borrow_mut().enter_module(name, CONTAINER);
        for Parameter { path, name, value } in self.0 {
            walk(&last, &path, exit, enter);
            let own = path.last().expect("a path has a name");
            enter(own);
            let mut inner = mapper.borrow_mut();
            let value = map!(value, param => Module::map(param, &mut **inner));
            drop(inner);
            exit(own);
            last.clone_from(&path);
            mapped.push(Parameter { path, name, value });
        }
        walk(&last, &[], exit, enter);
        Self(mapped)
    }
}

impl Parameters {
    fn with(self, mut change: impl FnMut(AnyParam) -> AnyParam) -> Self {
        let parameters = self.0.into_iter().map(|parameter| Parameter {
            value: change(parameter.value),
            ..parameter
        });
        Self(parameters.collect())
    }
}
