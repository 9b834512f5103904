//! What can be wrong with a network's configuration or with the images given to it.

/// A configuration that no network can be built from, or images that the network cannot take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// A count that must be at least one is zero.
    #[error("{network}: {what} is 0; at least 1 is needed")]
    Zero {
        /// The network being built.
        network: &'static str,
        /// The setting that is zero.
        what: &'static str,
    },
    /// A width multiplier that is not a positive, finite number.
    #[error("{network}: the width multiplier is {value}; it must be a finite number above 0")]
    Width {
        /// The network being built.
        network: &'static str,
        /// The value given.
        value: f64,
    },
    /// A dropout probability outside of [0, 1).
    #[error("{network}: the dropout probability is {value}; it must lie in 0 <= p < 1")]
    Dropout {
        /// The network being built.
        network: &'static str,
        /// The value given.
        value: f64,
    },
    /// Lists that describe the same stages differ in length.
    #[error(
        "{network}: {widths} stage widths but {blocks} block counts; give one of each per stage"
    )]
    Stages {
        /// The network being built.
        network: &'static str,
        /// How many widths were given.
        widths: usize,
        /// How many block counts were given.
        blocks: usize,
    },
    /// A depth for which the family has no member.
    #[error("{network}: there is no network of depth {depth}; {known}")]
    Depth {
        /// The family.
        network: &'static str,
        /// The depth asked for.
        depth: usize,
        /// The depths there are.
        known: &'static str,
    },
    /// A shortcut of zero channels where they cannot be shared out evenly.
    #[error(
        "{network}: a shortcut from {channels_in} to {channels_out} channels has no even number of new ones to fill with zeros; \
         widths that grow by even numbers would do, or projections"
    )]
    PaddedShortcut {
        /// The network being built.
        network: &'static str,
        /// Channels that the block reads.
        channels_in: usize,
        /// Channels that the block gives.
        channels_out: usize,
    },
    /// Images with another number of channels than the network was built for.
    #[error("{network}: the images have {found} channels; this network was built for {expected}")]
    Channels {
        /// The network called.
        network: &'static str,
        /// Channels that the network reads.
        expected: usize,
        /// Channels of the images.
        found: usize,
    },
    /// Images that are too small, or not of the one size that the network takes.
    #[error("{network}: the images are {height} x {width}; this network takes {expected}")]
    ImageSize {
        /// The network called.
        network: &'static str,
        /// Height of the images.
        height: usize,
        /// Width of the images.
        width: usize,
        /// The sizes that it takes, in words.
        expected: String,
    },
    /// A name that stands for no network.
    #[error("no network is called \"{name}\"; there are {known}")]
    UnknownName {
        /// The name given.
        name: String,
        /// The names there are.
        known: String,
    },
}

/// Fails when `value` is zero, naming the network and the setting.
pub(crate) fn at_least_one(
    network: &'static str,
    what: &'static str,
    value: usize,
) -> Result<(), ModelError> {
    if value == 0 {
        return Err(ModelError::Zero { network, what });
    }
    Ok(())
}

/// Fails when the images do not have the channels that the network reads, or have no pixels.
pub(crate) fn check_images(
    network: &'static str,
    channels: usize,
    [_, found, height, width]: [usize; 4],
) -> Result<(), ModelError> {
    if found != channels {
        return Err(ModelError::Channels {
            network,
            expected: channels,
            found,
        });
    }
    if height == 0 || width == 0 {
        return Err(ModelError::ImageSize {
            network,
            height,
            width,
            expected: "at least 1 x 1".into(),
        });
    }
    Ok(())
}
