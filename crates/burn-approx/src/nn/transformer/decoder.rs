//! The drop-in for Burn's transformer decoder.
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
use crate::nn::attention::{self, MhaCache, MhaInput, MhaOutput, MultiHeadAttention};
use crate::nn::cache::{Step, TensorCache};
use crate::nn::drop_in::drop_in;

/// What the module is called in messages.
const OPERATOR: &str = "transformer decoder";

/// Configuration of a [`TransformerDecoder`], as [`burn::nn::transformer::TransformerDecoderConfig`].
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::transformer::{TransformerDecoderConfig, TransformerDecoderInput};
///
/// let device = Device::default();
/// let decoder = TransformerDecoderConfig::new(8, 16, 2, 3).init(&device);
/// let [target, memory] = [5, 7].map(|tokens| Tensor::<3>::ones([4, tokens, 8], &device));
/// assert_eq!(decoder.forward(TransformerDecoderInput::new(target, memory)).dims(), [4, 5, 8]);
/// ```
#[derive(Config, Debug)]
pub struct TransformerDecoderConfig {
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

impl TransformerDecoderConfig {
    /// Initialises a decoder, with the parameters that Burn's own would have.
    pub fn init(&self, device: &Device) -> TransformerDecoder {
        self.burns_own().init(device).into()
    }

    /// Initialises a decoder.
    ///
    /// # Errors
    /// If a size is 0, the heads do not divide the features, or `dropout` is not at least 0 and below 1.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::nn::transformer::TransformerDecoderConfig;
    ///
    /// let error = TransformerDecoderConfig::new(8, 16, 3, 2).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("3 heads"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<TransformerDecoder, ApproxError> {
        attention::check_config(OPERATOR, [self.d_model, self.n_heads], self.dropout)?;
        geometry::matmul::check_config(OPERATOR, [self.d_model, self.d_ff])?;
        Ok(self.init(device))
    }

    fn burns_own(&self) -> burn::nn::transformer::TransformerDecoderConfig {
        burn::nn::transformer::TransformerDecoderConfig::new(
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

/// A stack of layers in which tokens attend to each other and to those of a memory; drop-in for
/// [`burn::nn::transformer::TransformerDecoder`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct TransformerDecoder {
    /// The layers.
    pub layers: Vec<TransformerDecoderLayer>,
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
    TransformerDecoder for burn::nn::transformer::TransformerDecoder {
        d_model, d_ff, n_heads, n_layers, dropout, norm_first, quiet_softmax,
    }
    vectors { layers }
}

/// The input of a [`TransformerDecoder`], as [`burn::nn::transformer::TransformerDecoderInput`].
#[derive(Clone, Debug)]
pub struct TransformerDecoderInput {
    target: Tensor<3>,
    target_mask_pad: Option<Tensor<2, Bool>>,
    target_mask_attn: Option<Tensor<3, Bool>>,
    memory: Tensor<3>,
    memory_mask_pad: Option<Tensor<2, Bool>>,
    memory_mask_attn: Option<Tensor<3, Bool>>,
}

impl TransformerDecoderInput {
    /// A target `[batch, tokens, d_model]` and the memory `[batch, memory tokens, d_model]` that it attends to.
    pub fn new(target: Tensor<3>, memory: Tensor<3>) -> Self {
        Self {
            target,
            target_mask_pad: None,
            target_mask_attn: None,
            memory,
            memory_mask_pad: None,
            memory_mask_attn: None,
        }
    }

    /// Lets nobody attend to tokens of the memory where `[batch, memory tokens]` is true.
    pub fn memory_mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.memory_mask_pad = Some(mask_pad);
        self
    }

    /// Lets a token of the target not attend to some of the memory where `[batch, tokens, memory tokens]` is true.
    pub fn memory_mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.memory_mask_attn = Some(mask_attn);
        self
    }

    /// Lets nobody attend to tokens of the target where `[batch, tokens]` is true.
    pub fn target_mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.target_mask_pad = Some(mask_pad);
        self
    }

    /// Lets a token of the target not attend to others where `[batch, tokens, tokens]` is true.
    pub fn target_mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.target_mask_attn = Some(mask_attn);
        self
    }
}

impl TransformerDecoder {
    /// Makes layers of the products of activations in every attention, or leaves them in float; see
    /// [`MultiHeadAttention::with_products_of_activations`].
    pub fn with_products_of_activations(mut self, products_of_activations: bool) -> Self {
        let layers = self.layers.into_iter();
        self.layers = layers
            .map(|layer| layer.with_products_of_activations(products_of_activations))
            .collect();
        self
    }

    /// Applies the decoder, giving `[batch, tokens, d_model]`.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: TransformerDecoderInput) -> Tensor<3> {
        or_panic(self.try_forward(input))
    }

    /// Applies the decoder, giving `[batch, tokens, d_model]`.
    ///
    /// # Errors
    /// Inputs or masks whose sizes do not fit, or a converted layer that is not calibrated for its mode.
    pub fn try_forward(&self, input: TransformerDecoderInput) -> Result<Tensor<3>, ApproxError> {
        let mut layers = self.layers.iter();
        let output = layers.try_fold(input, |input, layer| layer.try_forward(input))?;
        Ok(output.target)
    }

    /// Applies the decoder to a target of which `cache` knows all but the last token, and a memory that stays that of
    /// the first step.
    ///
    /// # Panics
    /// With the text of the error that
    /// [`try_forward_autoregressive_inference`](Self::try_forward_autoregressive_inference) returns.
    #[track_caller]
    pub fn forward_autoregressive_inference(
        &self,
        input: TransformerDecoderInput,
        cache: &mut TransformerDecoderAutoregressiveCache,
    ) -> Tensor<3> {
        or_panic(self.try_forward_autoregressive_inference(input, cache))
    }

    /// Applies the decoder to a target of which `cache` knows all but the last token, and a memory that stays that of
    /// the first step.
    ///
    /// # Errors
    /// As [`try_forward`](Self::try_forward), a cache of a model with another number of layers, or a sequence that does
    /// not go on from what the cache holds; the cache is what it was then.
    pub fn try_forward_autoregressive_inference(
        &self,
        input: TransformerDecoderInput,
        cache: &mut TransformerDecoderAutoregressiveCache,
    ) -> Result<Tensor<3>, ApproxError> {
        check_cache(OPERATOR, self.layers.len(), cache.layers.len())?;
        let mut next = cache.clone();
        let mut layers = self.layers.iter().zip(&mut next.layers);
        let output = layers.try_fold(input, |input, (layer, cache)| {
            layer.step(input, Some(cache))
        })?;
        *cache = next;
        Ok(output.target)
    }

    /// A cache that knows no token yet.
    pub fn new_autoregressive_cache(&self) -> TransformerDecoderAutoregressiveCache {
        let empty = |_| TransformerDecoderLayerAutoregressiveCache::empty();
        TransformerDecoderAutoregressiveCache {
            layers: self.layers.iter().map(empty).collect(),
        }
    }
}

impl ModuleDisplay for TransformerDecoder {
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

/// One layer of a [`TransformerDecoder`]; drop-in for [`burn::nn::transformer::TransformerDecoderLayer`].
#[derive(Module, Debug)]
pub struct TransformerDecoderLayer {
    /// Tokens attending to the memory.
    pub cross_attn: MultiHeadAttention,
    /// Tokens attending to each other.
    pub self_attn: MultiHeadAttention,
    /// What every token becomes then.
    pub pwff: PositionWiseFeedForward,
    /// The normalisation before attention to the memory, or after attention to each other.
    pub norm_1: LayerNorm,
    /// The normalisation before the feed-forward layer, or after attention to the memory.
    pub norm_2: LayerNorm,
    /// The normalisation before attention to each other, or after the feed-forward layer.
    pub norm_3: LayerNorm,
    /// What drops features of all three in training.
    pub dropout: Dropout,
    /// Whether normalisations come before the other modules instead of after them.
    pub norm_first: bool,
}

drop_in! {
    TransformerDecoderLayer for burn::nn::transformer::TransformerDecoderLayer {
        cross_attn, self_attn, pwff, norm_1, norm_2, norm_3, dropout, norm_first,
    }
}

impl TransformerDecoderLayer {
    /// A layer as a configuration says, with the parameters that Burn's own would have.
    pub fn new(config: &TransformerDecoderConfig, device: &Device) -> Self {
        burn::nn::transformer::TransformerDecoderLayer::new(&config.burns_own(), device).into()
    }

    /// Makes layers of the products of activations in both attentions, or leaves them in float; see
    /// [`MultiHeadAttention::with_products_of_activations`].
    pub fn with_products_of_activations(self, products_of_activations: bool) -> Self {
        let with = |attention: MultiHeadAttention| {
            attention.with_products_of_activations(products_of_activations)
        };
        Self {
            cross_attn: with(self.cross_attn),
            self_attn: with(self.self_attn),
            ..self
        }
    }

    /// Applies the layer, giving the input with another target.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: TransformerDecoderInput) -> TransformerDecoderInput {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer, giving the input with another target.
    ///
    /// # Errors
    /// Inputs or masks whose sizes do not fit, or a converted layer that is not calibrated for its mode.
    pub fn try_forward(
        &self,
        input: TransformerDecoderInput,
    ) -> Result<TransformerDecoderInput, ApproxError> {
        self.step(input, None)
    }

    /// Applies the layer to a target of which `cache` knows all but the last token, and a memory that stays that of the
    /// first step.
    ///
    /// # Panics
    /// With the text of the error that
    /// [`try_forward_autoregressive_inference`](Self::try_forward_autoregressive_inference) returns.
    #[track_caller]
    pub fn forward_autoregressive_inference(
        &self,
        input: TransformerDecoderInput,
        cache: &mut TransformerDecoderLayerAutoregressiveCache,
    ) -> TransformerDecoderInput {
        or_panic(self.try_forward_autoregressive_inference(input, cache))
    }

    /// Applies the layer to a target of which `cache` knows all but the last token, and a memory that stays that of the
    /// first step.
    ///
    /// # Errors
    /// As [`try_forward`](Self::try_forward), or a sequence that does not go on from what the cache holds; the cache is
    /// what it was then.
    pub fn try_forward_autoregressive_inference(
        &self,
        input: TransformerDecoderInput,
        cache: &mut TransformerDecoderLayerAutoregressiveCache,
    ) -> Result<TransformerDecoderInput, ApproxError> {
        let mut next = cache.clone();
        let output = self.step(input, Some(&mut next))?;
        *cache = next;
        Ok(output)
    }

    /// The layer with or without a cache, which an error may leave half changed.
    fn step(
        &self,
        input: TransformerDecoderInput,
        mut cache: Cache<'_>,
    ) -> Result<TransformerDecoderInput, ApproxError> {
        let (target, memory) = (input.target, input.memory);
        check_tokens(OPERATOR, &target, self.self_attn.d_model)?;
        let norm_1 = |x: Tensor<3>, cache: &mut Cache<'_>| {
            Step::last(cache, |cache| &mut cache.norm_1).run(x, |x| Ok(self.norm_1.forward(x)))
        };
        let norm_2 = |x: Tensor<3>, cache: &mut Cache<'_>| {
            Step::last(cache, |cache| &mut cache.norm_2).run(x, |x| Ok(self.norm_2.forward(x)))
        };
        let norm_3 = |x: Tensor<3>, cache: &mut Cache<'_>| {
            Step::last(cache, |cache| &mut cache.norm_3).run(x, |x| Ok(self.norm_3.forward(x)))
        };

        let residual = match self.norm_first {
            true => norm_3(target.clone(), &mut cache)?,
            false => target.clone(),
        };
        let residual = MhaInput {
            mask_pad: input.target_mask_pad.clone(),
            mask_attn: input.target_mask_attn.clone(),
            ..MhaInput::self_attn(residual)
        };
        let own = cache.as_deref_mut().map(|cache| &mut cache.self_attn);
        let residual = attend(&self.self_attn, residual, own)?.context;
        let mut x = target + self.dropout.forward(residual);

        let residual = norm_1(x.clone(), &mut cache)?;
        if !self.norm_first {
            x = residual.clone();
        }
        let residual = MhaInput {
            mask_pad: input.memory_mask_pad.clone(),
            mask_attn: input.memory_mask_attn.clone(),
            ..MhaInput::new(residual, memory.clone(), memory.clone())
        };
        let own = cache.as_deref_mut().map(|cache| &mut cache.cross_attn);
        let residual = attend(&self.cross_attn, residual, own)?.context;
        let mut x = x + self.dropout.forward(residual);

        let residual = norm_2(x.clone(), &mut cache)?;
        if !self.norm_first {
            x = residual.clone();
        }
        let residual = Step::last(&mut cache, |cache| &mut cache.pwff)
            .run(residual, |x| self.pwff.try_forward(x))?;
        let x = x + self.dropout.forward(residual);
        let target = match self.norm_first {
            true => x,
            false => norm_3(x, &mut cache)?,
        };
        Ok(TransformerDecoderInput {
            target,
            memory,
            ..input
        })
    }
}

/// Attention with or without a cache.
fn attend(
    attention: &MultiHeadAttention,
    input: MhaInput,
    cache: Option<&mut MhaCache>,
) -> Result<MhaOutput, ApproxError> {
    match cache {
        Some(cache) => attention.try_forward_cache(input, cache),
        None => attention.try_forward(input),
    }
}

/// The cache of a layer, if a step has one.
type Cache<'a> = Option<&'a mut TransformerDecoderLayerAutoregressiveCache>;

/// What one layer of a decoder computed for the tokens so far; drop-in for
/// [`burn::nn::transformer::TransformerDecoderLayerAutoregressiveCache`].
#[derive(Clone, Debug)]
pub struct TransformerDecoderLayerAutoregressiveCache {
    /// That of attention to the memory.
    pub cross_attn: MhaCache,
    /// That of attention to each other.
    pub self_attn: MhaCache,
    /// The feed-forward layer's.
    pub pwff: TensorCache<3>,
    /// The first normalisation's.
    pub norm_1: TensorCache<3>,
    /// The second normalisation's.
    pub norm_2: TensorCache<3>,
    /// The third normalisation's.
    pub norm_3: TensorCache<3>,
}

impl TransformerDecoderLayerAutoregressiveCache {
    /// Nothing computed yet.
    pub fn empty() -> Self {
        Self {
            cross_attn: MhaCache::autoregressive_cross_attention(),
            self_attn: MhaCache::autoregressive(),
            pwff: TensorCache::empty(),
            norm_1: TensorCache::empty(),
            norm_2: TensorCache::empty(),
            norm_3: TensorCache::empty(),
        }
    }
}

/// What a decoder computed for the tokens so far, made by [`TransformerDecoder::new_autoregressive_cache`].
#[derive(Clone, Debug)]
pub struct TransformerDecoderAutoregressiveCache {
    layers: Vec<TransformerDecoderLayerAutoregressiveCache>,
}
