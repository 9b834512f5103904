//! Networks under several assignments at once.
//!
//! Every multiplier has a copy of the network of its own, all of whose layers are on it: what a layer keeps of its weight
//! for a multiplier is then kept as long as the copies. An assignment takes each layer from one of the copies.

use std::collections::BTreeMap;

use approx_models::{LeNet5, MobileNetV2, ResNet};
use burn::module::Module;
use burn::tensor::Tensor;
use burn_approx::{ApproxError, GraphModel, LayerTable, PartialPass, approx_layers};

use super::correction;
use crate::training::ImageClassifier;

/// A network whose layers can be taken from copies on different multipliers.
pub trait AssignableNetwork: ImageClassifier + Clone {
    /// The logits of images, `[batch, classes]`, under every assignment: the number of a copy for every layer. `copies`
    /// are copies of one calibrated network, each on one multiplier; `layers` are the paths of the layers that are
    /// assigned, all others are those of the first copy.
    ///
    /// What is done here is [`each_by_itself`]; a network that can, computes once what several share.
    ///
    /// # Errors
    ///
    /// A layer that cannot be simulated.
    fn logits_under(
        copies: &[&Self],
        layers: &[String],
        assignments: &[&[usize]],
        images: &Tensor<4>,
    ) -> Result<Vec<Tensor<2>>, ApproxError> {
        each_by_itself(copies, layers, assignments, images)
    }

    /// This network on multipliers, with the means of outputs that the exact one has on some images: without training,
    /// and without labels.
    ///
    /// What is done here is to estimate the running statistics of batch normalisation again.
    ///
    /// # Errors
    ///
    /// A layer that cannot be simulated.
    fn with_means_of(&self, _exact: &Self, images: &[Tensor<4>]) -> Result<Self, ApproxError> {
        // Copies of a network share running statistics, unless they are made so.
        let network = self.valid().train();
        for images in images.iter().cycle().take(PASSES) {
            drop(network.logits(images.clone().autodiff()));
        }
        Ok(network.valid())
    }
}

/// How many batches running statistics are estimated on: with the usual momentum of 0.1, what they were before then counts
/// for 3 %.
const PASSES: usize = 32;

/// The logits under every assignment, one after the other: for networks that can compute nothing once for several.
///
/// # Errors
///
/// A layer that cannot be simulated.
pub fn each_by_itself<N: AssignableNetwork>(
    copies: &[&N],
    layers: &[String],
    assignments: &[&[usize]],
    images: &Tensor<4>,
) -> Result<Vec<Tensor<2>>, ApproxError> {
    let mut assigned = Assigned::new(copies, layers);
    let logits = assignments.iter().map(|assignment| {
        assigned.assign(assignment)?;
        Ok(assigned.network.logits(images.clone()))
    });
    logits.collect()
}

/// A network whose layers are set to the multipliers of copies.
pub(super) struct Assigned<'a, N> {
    pub(super) network: N,
    own: LayerTable,
    copies: Vec<LayerTable>,
    layers: &'a [String],
    /// Which copy's multiplier each layer has.
    current: Vec<usize>,
}

impl<'a, N: AssignableNetwork> Assigned<'a, N> {
    /// A copy of the first network, with its multipliers.
    pub(super) fn new(copies: &[&N], layers: &'a [String]) -> Self {
        let network = copies[0].clone();
        Self {
            own: approx_layers(&network),
            network,
            copies: copies.iter().map(|copy| approx_layers(*copy)).collect(),
            layers,
            current: vec![0; layers.len()],
        }
    }

    /// Sets every layer to the multiplier of a copy.
    pub(super) fn assign(&mut self, assignment: &[usize]) -> Result<(), ApproxError> {
        let layers = self.layers.iter().zip(assignment).zip(&mut self.current);
        // What a layer has kept of its weight is lost with every change.
        for ((path, copy), current) in layers.filter(|((_, copy), current)| *copy != *current) {
            let of_copy = self.copies[*copy].get(path);
            let settings = of_copy.and_then(|layer| layer.settings());
            if let (Some(layer), Some(settings)) = (self.own.get(path), settings) {
                layer.set_multiplier(settings.multiplier().clone())?;
            }
            *current = *copy;
        }
        Ok(())
    }
}

impl AssignableNetwork for LeNet5 {}
impl AssignableNetwork for ResNet {}
impl AssignableNetwork for MobileNetV2 {}

impl<M: Module> AssignableNetwork for GraphModel<M, Tensor<4>, Tensor<2>> {
    fn logits_under(
        copies: &[&Self],
        layers: &[String],
        assignments: &[&[usize]],
        images: &Tensor<4>,
    ) -> Result<Vec<Tensor<2>>, ApproxError> {
        let numbers = layers.iter().enumerate();
        let tree = Tree {
            copies,
            layers: numbers
                .map(|(number, path)| (path.as_str(), number))
                .collect(),
            assignments,
        };
        let mut logits = vec![None; assignments.len()];
        let all = (0..assignments.len()).collect();
        tree.descend(copies[0].begin(images.clone())?, all, &mut logits)?;
        let logits = logits
            .into_iter()
            .map(|logits| logits.expect("every branch ends"));
        Ok(logits.collect())
    }

    fn with_means_of(&self, exact: &Self, images: &[Tensor<4>]) -> Result<Self, ApproxError> {
        correction::with_means_of(exact, self, images)
    }
}

/// Assignments as branches of one forward pass: they part where a layer first differs.
struct Tree<'a, M> {
    copies: &'a [&'a GraphModel<M, Tensor<4>, Tensor<2>>],
    layers: BTreeMap<&'a str, usize>,
    assignments: &'a [&'a [usize]],
}

impl<'a, M: Module> Tree<'a, M> {
    /// Goes on with a pass that these assignments share so far.
    fn descend(
        &self,
        mut pass: PartialPass<'a, Tensor<2>>,
        mut sharing: Vec<usize>,
        logits: &mut [Option<Tensor<2>>],
    ) -> Result<(), ApproxError> {
        loop {
            let next = pass.next_layers();
            let Some(first) = next.first() else { break };
            pass.run_to(first)?;
            let mut branches: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
            for assignment in sharing {
                let choices = next.iter().map(|path| self.choice(assignment, path));
                branches
                    .entry(choices.collect())
                    .or_default()
                    .push(assignment);
            }
            let (choices, last) = branches.pop_last().expect("a pass has an assignment");
            for (choices, of_branch) in branches {
                let branch = self.on_branch(pass.clone(), &next, &choices)?;
                self.descend(branch, of_branch, logits)?;
            }
            pass = self.on_branch(pass, &next, &choices)?;
            sharing = last;
        }
        let found = pass.finish()?;
        for assignment in sharing {
            logits[assignment] = Some(found.clone());
        }
        Ok(())
    }

    /// The pass with these layers from these copies, after them.
    fn on_branch(
        &self,
        mut pass: PartialPass<'a, Tensor<2>>,
        layers: &[String],
        choices: &[usize],
    ) -> Result<PartialPass<'a, Tensor<2>>, ApproxError> {
        for (path, copy) in layers.iter().zip(choices) {
            pass.replace(path, self.copies[*copy])?;
        }
        pass.run_layers()?;
        Ok(pass)
    }

    /// Which copy a layer is taken from.
    fn choice(&self, assignment: usize, path: &str) -> usize {
        let layer = self.layers.get(path);
        layer.map_or(0, |layer| self.assignments[assignment][*layer])
    }
}
