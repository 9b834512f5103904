//! The drop-in for Burn's transformer encoder.
//!
//! A layer is computed by the same code with and without a cache; what a cache changes is which tokens a step computes.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay};
use burn::nn::activation::ActivationConfig;
use burn::nn::{Dropout, LayerNorm};
use burn::prelude::*;

use super::feed_forward::PositionWiseFeedForward;
use super::{check_cache, check_tokens};
use crate::error::{ApproxError, or_panic};
use crate::geometry;
use crate::nn::attention::{self, MhaCache, MhaInput, MultiHeadAttention};
use crate::nn::cache::{Step, TensorCache};
use crate::nn::drop_in::drop_in;

/// What the module is called in messages.
const OPERATOR: &str = "transformer encoder";

/// Configuration of a [`TransformerEncoder`], as [`burn::nn::transformer::TransformerEncoderConfig`].
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::transformer::{TransformerEncoderConfig, TransformerEncoderInput};
///
/// let device = Device::default();
/// let encoder = TransformerEncoderConfig::new(8, 16, 2, 3).init(&device);
/// let tokens = Tensor::<3>::ones([4, 5, 8], &device);
/// assert_eq!(encoder.forward(TransformerEncoderInput::new(tokens)).dims(), [4, 5, 8]);
/// ```
#[derive(Config, Debug)]
pub struct TransformerEncoderConfig {
    /// The features of a token.
    pub d_model: usize,
    /// The features inside a feed-forward layer.
    pub d_ff: usize,
    /// The heads of attention.
    pub n_heads: usize,
    /// The layers.
    pub n_layers: usize,
    /// The share that training drops.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Whether normalisations come before the other modules instead of after them.
    #[config(default = false)]
    pub norm_first: bool,
    /// Whether the weights of a token may add up to less than 1.
    #[config(default = false)]
    pub quiet_softmax: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(), fan_out_only:false}")]
    pub initializer: Initializer,
    /// The function inside a feed-forward layer.
    #[config(default = "ActivationConfig::Gelu")]
    pub activation: ActivationConfig,
    /// What normalisations add to a variance.
    #[config(default = 1e-5)]
    pub layer_norm_eps: f64,
}

impl TransformerEncoderConfig {
    /// Initialises an encoder, with the parameters that Burn's own would have.
    pub fn init(&self, device: &Device) -> TransformerEncoder {
        self.burns_own().init(device).into()
    }

    /// Initialises an encoder.
    ///
    /// # Errors
    /// If a size is 0, the heads do not divide the features, or `dropout` is not at least 0 and below 1.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::nn::transformer::TransformerEncoderConfig;
    ///
    /// let error = TransformerEncoderConfig::new(8, 16, 3, 2).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("3 heads"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<TransformerEncoder, ApproxError> {
        attention::check_config(OPERATOR, [self.d_model, self.n_heads], self.dropout)?;
        geometry::matmul::check_config(OPERATOR, [self.d_model, self.d_ff])?;
        Ok(self.init(device))
    }

    fn burns_own(&self) -> burn::nn::transformer::TransformerEncoderConfig {
        burn::nn::transformer::TransformerEncoderConfig::new(
            self.d_model,
            self.d_ff,
            self.n_heads,
            self.n_layers,
        )
        .with_dropout(self.dropout)
        .with_norm_first(self.norm_first)
        .with_quiet_softmax(self.quiet_softmax)
        .with_initializer(self.initializer.clone())
        .with_activation(self.activation.clone())
        .with_layer_norm_eps(self.layer_norm_eps)
    }
}

/// A stack of layers in which tokens attend to each other; drop-in for [`burn::nn::transformer::TransformerEncoder`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct TransformerEncoder {
    /// The layers.
    pub layers: Vec<TransformerEncoderLayer>,
    /// The features of a token.
    pub d_model: usize,
    /// The features inside a feed-forward layer.
    pub d_ff: usize,
    /// The heads of attention.
    pub n_heads: usize,
    /// The number of layers.
    pub n_layers: usize,
    /// The share that training drops.
    pub dropout: f64,
    /// Whether normalisations come before the other modules instead of after them.
    pub norm_first: bool,
    /// Whether the weights of a token may add up to less than 1.
    pub quiet_softmax: bool,
}

drop_in! {
    TransformerEncoder for burn::nn::transformer::TransformerEncoder {
        d_model, d_ff, n_heads, n_layers, dropout, norm_first, quiet_softmax,
    }
    vectors { layers }
}

/// The input of a [`TransformerEncoder`], as [`burn::nn::transformer::TransformerEncoderInput`].
#[derive(Clone, Debug)]
pub struct TransformerEncoderInput {
    tensor: Tensor<3>,
    mask_pad: Option<Tensor<2, Bool>>,
    mask_attn: Option<Tensor<3, Bool>>,
}

impl TransformerEncoderInput {
    /// A sequence `[batch, tokens, d_model]`.
    pub fn new(tensor: Tensor<3>) -> Self {
        Self {
            tensor,
            mask_pad: None,
            mask_attn: None,
        }
    }

    /// Lets nobody attend to tokens where `[batch, tokens]` is true.
    pub fn mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.mask_pad = Some(mask_pad);
        self
    }

    /// Lets a token not attend to others where `[batch, tokens, tokens]` is true.
    pub fn mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.mask_attn = Some(mask_attn);
        self
    }
}

impl TransformerEncoder {
    /// Makes layers of the products of activations in every attention, or leaves them in float; see
    /// [`MultiHeadAttention::with_products_of_activations`].
    pub fn with_products_of_activations(mut self, products_of_activations: bool) -> Self {
        let layers = self.layers.into_iter();
        self.layers = layers
            .map(|layer| layer.with_products_of_activations(products_of_activations))
            .collect();
        self
    }

    /// Applies the encoder, giving `[batch, tokens, d_model]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: TransformerEncoderInput) -> Tensor<3> {
        or_panic(self.try_forward(input))
    }

    /// Applies the encoder, giving `[batch, tokens, d_model]`.
    ///
    /// # Errors
    /// Inputs or masks whose sizes do not fit, or a converted layer that is not calibrated for its mode.
    pub fn try_forward(&self, input: TransformerEncoderInput) -> Result<Tensor<3>, ApproxError> {
        let TransformerEncoderInput {
            tensor,
            mask_pad,
            mask_attn,
        } = input;
        let mut layers = self.layers.iter();
        layers.try_fold(tensor, |x, layer| {
            layer.try_forward(x, mask_pad.clone(), mask_attn.clone())
        })
    }

    /// Applies the encoder to a sequence of which `cache` knows all but the last token.
    ///
    /// # Panics
    /// With the text of the error that
    /// [`try_forward_autoregressive_inference`](Self::try_forward_autoregressive_inference) returns.
    #[track_caller]
    pub fn forward_autoregressive_inference(
        &self,
        input: TransformerEncoderInput,
        cache: &mut TransformerEncoderAutoregressiveCache,
    ) -> Tensor<3> {
        or_panic(self.try_forward_autoregressive_inference(input, cache))
    }

    /// Applies the encoder to a sequence of which `cache` knows all but the last token.
    ///
    /// # Errors
    /// As [`try_forward`](Self::try_forward), a cache of a model with another number of layers, or a sequence that does
    /// not go on from what the cache holds; the cache is what it was then.
    pub fn try_forward_autoregressive_inference(
        &self,
        input: TransformerEncoderInput,
        cache: &mut TransformerEncoderAutoregressiveCache,
    ) -> Result<Tensor<3>, ApproxError> {
        check_cache(OPERATOR, self.layers.len(), cache.layers.len())?;
        let TransformerEncoderInput {
            tensor,
            mask_pad,
            mask_attn,
        } = input;
        let mut next = cache.clone();
        let mut layers = self.layers.iter().zip(&mut next.layers);
        let output = layers.try_fold(tensor, |x, (layer, cache)| {
            layer.step(x, (mask_pad.clone(), mask_attn.clone()), Some(cache))
        })?;
        *cache = next;
        Ok(output)
    }

    /// A cache that knows no token yet.
    pub fn new_autoregressive_cache(&self) -> TransformerEncoderAutoregressiveCache {
        let empty = |_| TransformerEncoderLayerAutoregressiveCache::empty();
        TransformerEncoderAutoregressiveCache {
            layers: self.layers.iter().map(empty).collect(),
        }
    }
}

impl ModuleDisplay for TransformerEncoder {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("d_model", &self.d_model)
            .add("d_ff", &self.d_ff)
            .add("n_heads", &self.n_heads)
            .add("n_layers", &self.n_layers)
            .add("dropout", &self.dropout)
            .add("norm_first", &self.norm_first)
            .add("quiet_softmax", &self.quiet_softmax)
            .optional()
    }
}

/// One layer of a [`TransformerEncoder`]; drop-in for [`burn::nn::transformer::TransformerEncoderLayer`].
#[derive(Module, Debug)]
pub struct TransformerEncoderLayer {
    /// Tokens attending to each other.
    pub mha: MultiHeadAttention,
    /// What every token becomes then.
    pub pwff: PositionWiseFeedForward,
    /// The normalisation before the feed-forward layer, or after attention.
    pub norm_1: LayerNorm,
    /// The normalisation before attention, or after the feed-forward layer.
    pub norm_2: LayerNorm,
    /// What drops features of both in training.
    pub dropout: Dropout,
    /// Whether normalisations come before the other modules instead of after them.
    pub norm_first: bool,
}

drop_in! {
    TransformerEncoderLayer for burn::nn::transformer::TransformerEncoderLayer {
        mha, pwff, norm_1, norm_2, dropout, norm_first,
    }
}

/// The masks of padding and attention.
type Masks = (Option<Tensor<2, Bool>>, Option<Tensor<3, Bool>>);

impl TransformerEncoderLayer {
    /// A layer as a configuration says, with the parameters that Burn's own would have.
    pub fn new(config: &TransformerEncoderConfig, device: &Device) -> Self {
        burn::nn::transformer::TransformerEncoderLayer::new(&config.burns_own(), device).into()
    }

    /// Makes layers of the products of activations in attention, or leaves them in float; see
    /// [`MultiHeadAttention::with_products_of_activations`].
    pub fn with_products_of_activations(self, products_of_activations: bool) -> Self {
        Self {
            mha: self
                .mha
                .with_products_of_activations(products_of_activations),
            ..self
        }
    }

    /// Applies the layer to `[batch, tokens, d_model]`, giving the same shape; masks are those of
    /// [`TransformerEncoderInput`].
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(
        &self,
        input: Tensor<3>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
    ) -> Tensor<3> {
        or_panic(self.try_forward(input, mask_pad, mask_attn))
    }

    /// Applies the layer to `[batch, tokens, d_model]`, giving the same shape; masks are those of
    /// [`TransformerEncoderInput`].
    ///
    /// # Errors
    /// Inputs or masks whose sizes do not fit, or a converted layer that is not calibrated for its mode.
    pub fn try_forward(
        &self,
        input: Tensor<3>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
    ) -> Result<Tensor<3>, ApproxError> {
        self.step(input, (mask_pad, mask_attn), None)
    }

    /// Applies the layer to a sequence of which `cache` knows all but the last token.
    ///
    /// # Panics
    /// With the text of the error that
    /// [`try_forward_autoregressive_inference`](Self::try_forward_autoregressive_inference) returns.
    #[track_caller]
    pub fn forward_autoregressive_inference(
        &self,
        input: Tensor<3>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
        cache: &mut TransformerEncoderLayerAutoregressiveCache,
    ) -> Tensor<3> {
        or_panic(self.try_forward_autoregressive_inference(input, mask_pad, mask_attn, cache))
    }

    /// Applies the layer to a sequence of which `cache` knows all but the last token.
    ///
    /// # Errors
    /// As [`try_forward`](Self::try_forward), or a sequence that does not go on from what the cache holds; the cache is
    /// what it was then.
    pub fn try_forward_autoregressive_inference(
        &self,
        input: Tensor<3>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
        cache: &mut TransformerEncoderLayerAutoregressiveCache,
    ) -> Result<Tensor<3>, ApproxError> {
        let mut next = cache.clone();
        let output = self.step(input, (mask_pad, mask_attn), Some(&mut next))?;
        *cache = next;
        Ok(output)
    }

    /// The layer with or without a cache, which an error may leave half changed.
    fn step(
        &self,
        input: Tensor<3>,
        (mask_pad, mask_attn): Masks,
        mut cache: Cache<'_>,
    ) -> Result<Tensor<3>, ApproxError> {
        check_tokens(OPERATOR, &input, self.mha.d_model)?;
        let norm_1 = |x: Tensor<3>, cache: &mut Cache<'_>| {
            Step::last(cache, |cache| &mut cache.norm_1).run(x, |x| Ok(self.norm_1.forward(x)))
        };
        let norm_2 = |x: Tensor<3>, cache: &mut Cache<'_>| {
            Step::last(cache, |cache| &mut cache.norm_2).run(x, |x| Ok(self.norm_2.forward(x)))
        };
        let residual = match self.norm_first {
            true => norm_2(input.clone(), &mut cache)?,
            false => input.clone(),
        };
        let residual = MhaInput {
            mask_pad,
            mask_attn,
            ..MhaInput::self_attn(residual)
        };
        let residual = match cache.as_deref_mut() {
            Some(cache) => self.mha.try_forward_cache(residual, &mut cache.mha)?,
            None => self.mha.try_forward(residual)?,
        };
        let mut x = input + self.dropout.forward(residual.context);
        let residual = norm_1(x.clone(), &mut cache)?;
        if !self.norm_first {
            x = residual.clone();
        }
        let residual = Step::last(&mut cache, |cache| &mut cache.pwff)
            .run(residual, |x| self.pwff.try_forward(x))?;
        let x = x + self.dropout.forward(residual);
        match self.norm_first {
            true => Ok(x),
            false => norm_2(x, &mut cache),
        }
    }
}

/// The cache of a layer, if a step has one.
type Cache<'a> = Option<&'a mut TransformerEncoderLayerAutoregressiveCache>;

/// What one layer of an encoder computed for the tokens so far; drop-in for
/// [`burn::nn::transformer::TransformerEncoderLayerAutoregressiveCache`].
#[derive(Clone, Debug)]
pub struct TransformerEncoderLayerAutoregressiveCache {
    /// Attention's.
    pub mha: MhaCache,
    /// The feed-forward layer's.
    pub pwff: TensorCache<3>,
    /// The first normalisation's.
    pub norm_1: TensorCache<3>,
    /// The second normalisation's.
    pub norm_2: TensorCache<3>,
}

impl TransformerEncoderLayerAutoregressiveCache {
    /// Nothing computed yet.
    pub fn empty() -> Self {
        Self {
            mha: MhaCache::autoregressive(),
            pwff: TensorCache::empty(),
            norm_1: TensorCache::empty(),
            norm_2: TensorCache::empty(),
        }
    }
}

/// What an encoder computed for the tokens so far, made by [`TransformerEncoder::new_autoregressive_cache`].
#[derive(Clone, Debug)]
pub struct TransformerEncoderAutoregressiveCache {
    layers: Vec<TransformerEncoderLayerAutoregressiveCache>,
}
