//! Experiments with networks on approximate multipliers, for any network and any data: from a data set as a command
//! line names it to accuracies, retrained networks, tables and plots.
//!
//! | module | what it holds |
//! |---|---|
//! | [`data`] | data sets: handwritten digits that come with the library, MNIST, CIFAR-10 and -100, folders of images, NumPy's arrays; their preparation in torchvision's conventions, and their splits |
//! | [`loader`] | batches, prepared while the network computes |
//! | [`evaluation`] | accuracy and loss in one pass |
//! | [`calibration`] | the ranges of a converted network's activations |
//! | [`training`], [`checkpoint`] | training by burn-train, which goes on where it was killed |
//! | [`report`], [`plot`] | one network on several multipliers: JSON, CSV, a table, accuracy over power |
//! | [`device`], [`progress`], [`files`] | where to compute, what to show meanwhile, and writing files in one step |
//!
//! One network on two multipliers:
//!
//! ```
//! use approx_experiment::calibration::calibrate;
//! use approx_experiment::data::{DataSource, ReadOptions, Selection, Split};
//! use approx_experiment::evaluation::evaluate;
//! use approx_experiment::loader::ImageLoader;
//! use approx_experiment::progress::Display;
//! use approx_models::{MobileNetV2Config, Stem};
//! use burn::tensor::Device;
//! use burn_approx::{ApproxConfig, convert};
//!
//! let device = Device::flex();
//! let source: DataSource = "digits".parse()?; // or the path of a data set
//! let data = source.read(&ReadOptions::default())?;
//! let loader = |images| ImageLoader::in_order(images, data.normalisation(), 32, &device);
//! let few = Selection { limit: Some(64), ..Selection::default() };
//! let test = loader(data.dataset.select(Split::Test, &few)?);
//! let for_ranges = loader(data.dataset.images(Split::Train)?.drawn(64, 1));
//!
//! let config = MobileNetV2Config::new(10).with_in_channels(1).with_width(0.25);
//! let model = config.with_stem(Stem::Small).init(&device); // untrained, here
//! for name in ["mul8s_1L2J", "mul8s_1L2L"] {
//!     let (model, _) = convert(model.clone(), &ApproxConfig::bundled(name))?;
//!     let batches = for_ranges.num_batches();
//!     calibrate(&model, |model, images| drop(model.forward(images)), &for_ranges, batches, Display::hidden())?;
//!     let found = evaluate(|images| model.forward(images), &test, |_| {})?;
//!     println!("{name}: {:.2} %, loss {:?}", found.top1, found.loss);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod calibration;
pub mod checkpoint;
pub mod data;
pub mod device;
pub mod evaluation;
pub mod exploration;
pub mod files;
pub mod loader;
pub mod plot;
pub mod progress;
pub mod report;
pub mod training;
