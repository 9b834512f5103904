//! LeNet-5 (LeCun et al., 1998), with ReLU and max pooling as it is built today: the smallest network worth
//! approximating.

use burn::config::Config;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::{Device, Tensor, activation};

use crate::error::{ModelError, at_least_one, check_images};
use crate::layers::{Conv2d, Conv2dConfig, Linear, LinearConfig};

const NETWORK: &str = "LeNet-5";

/// Channels after the two convolutions, and the widths of the two hidden fully connected layers.
const CHANNELS: [usize; 2] = [6, 16];
const HIDDEN: [usize; 2] = [120, 84];

/// What a [`LeNet5`] is built from.
///
/// ```
/// use approx_models::LeNet5Config;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let model = LeNet5Config::new(10).init(&device);
/// assert_eq!(model.forward(Tensor::zeros([2, 1, 28, 28], &device)).dims(), [2, 10]);
/// ```
#[derive(Config, Debug)]
pub struct LeNet5Config {
    /// How many classes the logits tell apart.
    pub classes: usize,
    /// Channels of the images.
    #[config(default = 1)]
    pub in_channels: usize,
    /// Height and width of the images. 28 x 28 pixels are padded to 32 x 32, as in the paper; other sizes are not
    /// padded.
    #[config(default = "[28, 28]")]
    pub image_size: [usize; 2],
}

impl LeNet5Config {
    /// The first convolution's padding, and the size of the last feature map; `None` where nothing would be left.
    fn geometry(&self) -> Option<(usize, [usize; 2])> {
        let padding = if self.image_size == [28, 28] { 2 } else { 0 };
        let shrink = |size: usize| -> Option<usize> {
            let first = (size + 2 * padding).checked_sub(4)? / 2;
            let second = first.checked_sub(4)? / 2;
            (second > 0).then_some(second)
        };
        Some((
            padding,
            [shrink(self.image_size[0])?, shrink(self.image_size[1])?],
        ))
    }

    /// Builds the network with random weights.
    ///
    /// # Errors
    ///
    /// A count of zero, or images too small for two convolutions and two poolings.
    pub fn try_init(&self, device: &Device) -> Result<LeNet5, ModelError> {
        at_least_one(NETWORK, "the number of classes", self.classes)?;
        at_least_one(NETWORK, "the number of input channels", self.in_channels)?;
        let [height, width] = self.image_size;
        let (padding, [rows, columns]) = self.geometry().ok_or(ModelError::ImageSize {
            network: NETWORK,
            height,
            width,
            expected: "at least 16 x 16".into(),
        })?;
        let pool = || MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        Ok(LeNet5 {
            conv1: Conv2dConfig::new([self.in_channels, CHANNELS[0]], [5, 5])
                .with_padding(PaddingConfig2d::Explicit(
                    padding, padding, padding, padding,
                ))
                .init(device),
            conv2: Conv2dConfig::new(CHANNELS, [5, 5]).init(device),
            pool: pool(),
            fc1: LinearConfig::new(CHANNELS[1] * rows * columns, HIDDEN[0]).init(device),
            fc2: LinearConfig::new(HIDDEN[0], HIDDEN[1]).init(device),
            fc3: LinearConfig::new(HIDDEN[1], self.classes).init(device),
            image_size: self.image_size,
        })
    }

    /// As [`try_init`](Self::try_init).
    ///
    /// # Panics
    ///
    /// With the error's text, where `try_init` returns one.
    pub fn init(&self, device: &Device) -> LeNet5 {
        self.try_init(device)
            .unwrap_or_else(|error| panic!("{error}"))
    }
}

/// LeNet-5, made by [`LeNet5Config`].
#[derive(Module, Debug)]
pub struct LeNet5 {
    /// The first convolution, 5 x 5.
    pub conv1: Conv2d,
    /// The second convolution, 5 x 5.
    pub conv2: Conv2d,
    /// The 2 x 2 pooling after either.
    pub pool: MaxPool2d,
    /// The first fully connected layer.
    pub fc1: Linear,
    /// The second fully connected layer.
    pub fc2: Linear,
    /// The fully connected layer to the logits.
    pub fc3: Linear,
    /// Height and width of the images that the first fully connected layer was sized for.
    pub image_size: [usize; 2],
}

impl LeNet5 {
    /// Logits `[batch, classes]` for images `[batch, channels, height, width]`.
    ///
    /// # Panics
    ///
    /// With the error's text, where [`try_forward`](Self::try_forward) returns one.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.try_forward(images)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`forward`](Self::forward).
    ///
    /// # Errors
    ///
    /// Images of another size or with other channels than the network was built for.
    pub fn try_forward(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        Ok(self.fc3.forward(self.features(images)?))
    }

    /// What the last layer reads: `[batch, 84]`.
    ///
    /// # Errors
    ///
    /// As [`try_forward`](Self::try_forward).
    pub fn features(&self, images: Tensor<4>) -> Result<Tensor<2>, ModelError> {
        let dims = images.dims();
        check_images(NETWORK, self.conv1.weight.dims()[1], dims)?;
        if [dims[2], dims[3]] != self.image_size {
            let [height, width] = self.image_size;
            return Err(ModelError::ImageSize {
                network: NETWORK,
                height: dims[2],
                width: dims[3],
                expected: format!("{height} x {width}"),
            });
        }
        let x = self
            .pool
            .forward(activation::relu(self.conv1.forward(images)));
        let x = self.pool.forward(activation::relu(self.conv2.forward(x)));
        let x = activation::relu(self.fc1.forward(x.flatten::<2>(1, 3)));
        Ok(activation::relu(self.fc2.forward(x)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_paper() {
        let device = Device::flex();
        let model = LeNet5Config::new(10).init(&device);
        assert_eq!(model.fc1.weight.dims(), [400, 120]);
        assert_eq!(model.num_params(), 61_706);
        let larger = LeNet5Config::new(10)
            .with_in_channels(3)
            .with_image_size([32, 32])
            .init(&device);
        assert_eq!(larger.fc1.weight.dims(), [400, 120]);
        assert_eq!(
            larger
                .forward(Tensor::zeros([2, 3, 32, 32], &device))
                .dims(),
            [2, 10]
        );
    }

    #[test]
    fn other_sizes_are_refused() {
        let device = Device::flex();
        let error = LeNet5Config::new(10)
            .with_image_size([8, 8])
            .try_init(&device)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "LeNet-5: the images are 8 x 8; this network takes at least 16 x 16"
        );
        let error = LeNet5Config::new(10)
            .init(&device)
            .try_forward(Tensor::zeros([1, 1, 32, 32], &device))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "LeNet-5: the images are 32 x 32; this network takes 28 x 28"
        );
    }
}
