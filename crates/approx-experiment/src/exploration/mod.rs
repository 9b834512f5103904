//! Which multiplier in which layer of a network: what [`approx_explore`] needs to know of networks, images and energy.
//!
//! [`NetworkMeasure`] measures assignments on images; of captured networks it computes once what several assignments
//! share. [`predict`](prediction::predict) tells what single changes will cost from one pass forward and some passes
//! back. [`energies`](energy::energies) says what multiplications take, and [`report`] shows what was found.
//!
//! Any network that classifies images can be explored: a captured one as it is, one of drop-in layers once it is an
//! [`ImageClassifier`](crate::training::ImageClassifier) and says `impl AssignableNetwork for Mine {}`.
//!
//! ```
//! use approx_experiment::calibration::calibrate;
//! use approx_experiment::data::{DataSource, ReadOptions, Selection, Split};
//! use approx_experiment::exploration::energy::{EnergySettings, energies};
//! use approx_experiment::exploration::{NetworkMeasure, blocks};
//! use approx_experiment::{loader::ImageLoader, progress::Display};
//! use approx_explore::evaluator::Evaluator;
//! use approx_explore::search::{Settings, additive};
//! use approx_explore::space::{Choice, Layer, Space};
//! use approx_models::{MobileNetV2Config, Stem};
//! use approx_multiplier::evoapprox::multiplier;
//! use burn::tensor::Device;
//! use burn_approx::{ApproxConfig, approx_layers, convert};
//!
//! let device = Device::flex();
//! let data = DataSource::DIGITS.read(&ReadOptions::default())?;
//! let held_back = Selection { validation: 20, ..Selection::default() };
//! let validation = data.dataset.select(Split::Validation, &held_back)?;
//! let train = data.dataset.select(Split::Train, &held_back)?.drawn(50, 1);
//!
//! // A network on the exact multiplier; untrained, here.
//! let config = MobileNetV2Config::new(10).with_in_channels(1).with_width(0.25);
//! let network = config.with_stem(Stem::Small).init(&device);
//! let (network, _) = convert(network, &ApproxConfig::bundled("mul8s_1KV6"))?;
//! let images = ImageLoader::in_order(train, data.normalisation(), 50, &device);
//! calibrate(&network, |network, images| drop(network.forward(images)), &images, 1, Display::hidden())?;
//!
//! let multipliers = [multiplier("mul8s_1KV6")?, multiplier("mul8s_1L2J")?, multiplier("mul8s_1L2L")?];
//! let energies = energies(&multipliers[0], &multipliers, &EnergySettings::default())?;
//! let layers = approx_layers(&network);
//! let layers = layers.iter().map(|layer| Layer {
//!     path: layer.path().to_string(),
//!     multiplications: layer.multiplications().unwrap_or(0),
//! });
//! let choices = multipliers.iter().zip(&energies.relative).map(|(multiplier, energy)| Choice {
//!     name: multiplier.name().to_string(),
//!     hash: multiplier.hash().to_string(),
//!     energy: *energy,
//! });
//! let space = Space::new(layers.collect(), choices.collect())?;
//!
//! let blocks = blocks(&validation, &data.normalisation(), (10, 10), 1, &device);
//! let measure = NetworkMeasure::new(&network, &space, &multipliers, blocks, Display::hidden())?;
//! let mut evaluator = Evaluator::new(space, measure).with_budget(3_000);
//! for point in additive(&mut evaluator, &Settings::default())?.points() {
//!     println!("{:.3} of the energy: {:.1} %", point.energy, point.accuracy());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assigned;
mod correction;
pub mod energy;
mod error;
mod measuring;
mod population;
pub mod prediction;
pub mod report;

pub use self::assigned::{AssignableNetwork, each_by_itself};
pub use self::error::ExplorationError;
pub use self::measuring::{NetworkMeasure, blocks};
