//! The drop-in for Burn's multi-head attention.
//!
//! Its four linear layers are drop-ins. The two products between them, queries by keys and attention weights by values,
//! multiply activations; they stay in float unless
//! [`with_products_of_activations`](MultiHeadAttention::with_products_of_activations) makes layers of them, as the
//! option of that name does for captured models. That is asked of the layer and not of its configuration, which has
//! Burn's fields and no others, so that one that Burn's layer was saved with still loads.

use burn::config::Config;
use burn::module::{Content, DisplaySettings, Initializer, Module, ModuleDisplay};
use burn::nn::{Dropout, Gelu};
use burn::prelude::*;
use burn::tensor::activation::{quiet_softmax, softmax};

use super::cache::{MhaCache, Steps};
use super::products::AttentionProducts;
use super::{MhaOutput, check_config};
use crate::error::{ApproxError, or_panic};
use crate::geometry::shape_error;
use crate::nn::drop_in::drop_in;
use crate::nn::linear::Linear;
use crate::ops;

/// What the layer is called in messages.
const OPERATOR: &str = "multi-head attention";

/// Configuration of a [`MultiHeadAttention`], as [`burn::nn::attention::MultiHeadAttentionConfig`].
///
/// ```
/// use burn::prelude::*;
/// use burn_approx::nn::attention::{MhaInput, MultiHeadAttentionConfig};
///
/// let device = Device::default();
/// let attention = MultiHeadAttentionConfig::new(8, 2).with_dropout(0.0).init(&device);
/// let output = attention.forward(MhaInput::self_attn(Tensor::ones([3, 5, 8], &device)));
/// assert_eq!(output.context.dims(), [3, 5, 8]);
/// assert_eq!(output.weights.dims(), [3, 2, 5, 5]);
/// ```
#[derive(Config, Debug)]
pub struct MultiHeadAttentionConfig {
    /// The features of a token.
    pub d_model: usize,
    /// The heads, which share the features evenly.
    pub n_heads: usize,
    /// The share of attention weights that training drops.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// What a masked score becomes.
    #[config(default = -1.0e4)]
    pub min_float: f64,
    /// Whether the weights of a token may add up to less than 1.
    #[config(default = false)]
    pub quiet_softmax: bool,
    /// How the parameters are initialised.
    #[config(default = "Initializer::KaimingUniform{gain:1.0/3.0f64.sqrt(), fan_out_only:false}")]
    pub initializer: Initializer,
    /// If a bias should be added to keys.
    #[config(default = true)]
    pub key_bias: bool,
    /// If a bias should be added to values.
    #[config(default = true)]
    pub value_bias: bool,
    /// If a bias should be added to queries.
    #[config(default = true)]
    pub query_bias: bool,
    /// If a bias should be added to the output.
    #[config(default = true)]
    pub output_bias: bool,
}

impl MultiHeadAttentionConfig {
    /// Initialises a layer, with the parameters that Burn's own would have.
    pub fn init(&self, device: &Device) -> MultiHeadAttention {
        burn::nn::attention::MultiHeadAttentionConfig::new(self.d_model, self.n_heads)
            .with_dropout(self.dropout)
            .with_min_float(self.min_float)
            .with_quiet_softmax(self.quiet_softmax)
            .with_initializer(self.initializer.clone())
            .with_key_bias(self.key_bias)
            .with_value_bias(self.value_bias)
            .with_query_bias(self.query_bias)
            .with_output_bias(self.output_bias)
            .init(device)
            .into()
    }

    /// Initialises a layer.
    ///
    /// # Errors
    /// If a size is 0, the heads do not divide the features, or `dropout` is not at least 0 and below 1.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::nn::attention::MultiHeadAttentionConfig;
    ///
    /// let error = MultiHeadAttentionConfig::new(8, 3).try_init(&Device::default()).unwrap_err();
    /// assert!(error.to_string().contains("3 heads"));
    /// ```
    pub fn try_init(&self, device: &Device) -> Result<MultiHeadAttention, ApproxError> {
        check_config(OPERATOR, [self.d_model, self.n_heads], self.dropout)?;
        Ok(self.init(device))
    }
}

/// Attention of several heads, `softmax(Q K^T / sqrt(d_k)) V` between linear layers; drop-in for
/// [`burn::nn::attention::MultiHeadAttention`].
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct MultiHeadAttention {
    /// The layer that makes queries.
    pub query: Linear,
    /// The layer that makes keys.
    pub key: Linear,
    /// The layer that makes values.
    pub value: Linear,
    /// The layer that joins the heads.
    pub output: Linear,
    /// What drops attention weights in training.
    pub dropout: Dropout,
    /// Burn's layer has this field; attention does not use it.
    pub activation: Gelu,
    /// The features of a token.
    pub d_model: usize,
    /// The heads.
    pub n_heads: usize,
    /// The features of a token in one head.
    pub d_k: usize,
    /// What a masked score becomes.
    pub min_float: f64,
    /// Whether the weights of a token may add up to less than 1.
    pub quiet_softmax: bool,
    /// The products of activations, where they are layers.
    pub matmul: Option<AttentionProducts>,
}

drop_in! {
    MultiHeadAttention for burn::nn::attention::MultiHeadAttention {
        query, key, value, output, dropout, activation, d_model, n_heads, d_k, min_float, quiet_softmax,
    }
    added {
        matmul: |_| None,
    }
}

/// The input of a [`MultiHeadAttention`], as [`burn::nn::attention::MhaInput`].
///
/// Queries are `[batch, queries, d_model]`, keys and values `[batch, keys, d_model]`.
#[derive(Clone, Debug)]
pub struct MhaInput {
    pub(crate) query: Tensor<3>,
    pub(crate) key: Tensor<3>,
    pub(crate) value: Tensor<3>,
    pub(crate) mask_pad: Option<Tensor<2, Bool>>,
    pub(crate) mask_attn: Option<Tensor<3, Bool>>,
}

impl MhaInput {
    /// A sequence that attends to itself.
    pub fn self_attn(tensor: Tensor<3>) -> Self {
        Self::new(tensor.clone(), tensor.clone(), tensor)
    }

    /// Queries that attend to keys and values.
    pub fn new(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Self {
        Self {
            query,
            key,
            value,
            mask_pad: None,
            mask_attn: None,
        }
    }

    /// Leaves keys out, where `[batch, keys]` is true.
    pub fn mask_pad(mut self, mask_pad: Tensor<2, Bool>) -> Self {
        self.mask_pad = Some(mask_pad);
        self
    }

    /// Leaves keys out of single queries, where `[batch, queries, keys]` is true.
    pub fn mask_attn(mut self, mask_attn: Tensor<3, Bool>) -> Self {
        self.mask_attn = Some(mask_attn);
        self
    }
}

impl MultiHeadAttention {
    /// Makes layers of the two products of activations, or leaves them in float; layers that are there already stay as
    /// they are.
    ///
    /// Their paths are `matmul` (queries by keys) and `matmul.2` (attention weights by values) below the attention's
    /// own. The second operand takes the weight's place: it has the weight's codes, but one scale, and is observed as
    /// activations are.
    ///
    /// ```
    /// use burn::prelude::*;
    /// use burn_approx::approx_layers;
    /// use burn_approx::nn::attention::MultiHeadAttentionConfig;
    ///
    /// let attention = MultiHeadAttentionConfig::new(8, 2).init(&Device::default()).with_products_of_activations(true);
    /// let layers = approx_layers(&attention);
    /// let paths: Vec<_> = layers.iter().map(|layer| layer.path()).collect();
    /// assert_eq!(paths, ["query", "key", "value", "output", "matmul", "matmul.2"]);
    /// ```
    pub fn with_products_of_activations(self, products_of_activations: bool) -> Self {
        Self {
            matmul: products_of_activations.then(|| self.matmul.unwrap_or_default()),
            ..self
        }
    }

    /// Applies the layer.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward`](Self::try_forward) returns.
    #[track_caller]
    pub fn forward(&self, input: MhaInput) -> MhaOutput {
        or_panic(self.try_forward(input))
    }

    /// Applies the layer.
    ///
    /// # Errors
    /// Inputs or masks whose sizes do not fit, or a converted layer that is not calibrated for its mode.
    pub fn try_forward(&self, input: MhaInput) -> Result<MhaOutput, ApproxError> {
        self.attend(input, Steps::new(None))
    }

    /// Applies the layer to a sequence of which `cache` knows all but the last token.
    ///
    /// # Panics
    /// With the text of the error that [`try_forward_cache`](Self::try_forward_cache) returns.
    #[track_caller]
    pub fn forward_cache(&self, input: MhaInput, cache: &mut MhaCache) -> MhaOutput {
        or_panic(self.try_forward_cache(input, cache))
    }

    /// Applies the layer to a sequence of which `cache` knows all but the last token.
    ///
    /// # Errors
    /// As [`try_forward`](Self::try_forward), or a sequence that does not go on from what the cache holds; the cache is
    /// what it was then.
    pub fn try_forward_cache(
        &self,
        input: MhaInput,
        cache: &mut MhaCache,
    ) -> Result<MhaOutput, ApproxError> {
        let mut next = cache.clone();
        let output = self.attend(input, Steps::new(Some(&mut next)))?;
        *cache = next;
        Ok(output)
    }

    fn attend(&self, input: MhaInput, mut steps: Steps<'_>) -> Result<MhaOutput, ApproxError> {
        self.check(&input)?;
        let [batch, length, _] = input.query.dims();
        let query = (steps.query).run(input.query, |x| self.heads(&self.query, x))?;
        let key = (steps.key).run(input.key, |x| self.heads(&self.key, x))?;
        let value = (steps.value).run(input.value, |x| self.heads(&self.value, x))?;
        let key = key.transpose();
        let scores = match &self.matmul {
            Some(products) => products.scores.try_forward(query, key)?,
            None => query.matmul(key),
        };
        let scores = scores.div_scalar((self.d_k as f32).sqrt());
        let weights = self.weights(self.masked(scores, input.mask_pad, input.mask_attn)?);
        let context = match &self.matmul {
            Some(products) => products.context.try_forward(weights.clone(), value)?,
            None => weights.clone().matmul(value),
        };
        let context = ops::reshaped(context.swap_dims(1, 2), [batch, length, self.d_model]);
        let context = (steps.output).run(context, |x| self.output.try_forward(x))?;
        Ok(MhaOutput { weights, context })
    }

    /// Checks the inputs' sizes.
    fn check(&self, input: &MhaInput) -> Result<(), ApproxError> {
        let refuse = |problem| Err(shape_error(OPERATOR, problem));
        if self.n_heads * self.d_k != self.d_model {
            return refuse(format!(
                "{} heads of {} features each do not make up the {} features of a token: choose a number of heads that \
                 divides them",
                self.n_heads, self.d_k, self.d_model
            ));
        }
        let [query, key, value] = [&input.query, &input.key, &input.value].map(Tensor::dims);
        let fits = [query, key, value]
            .iter()
            .all(|dims| dims[2] == self.d_model)
            && key == value
            && key[0] == query[0];
        if !fits {
            return refuse(format!(
                "queries {query:?}, keys {key:?} and values {value:?} must be [batch, queries, {0}], [batch, keys, {0}] \
                 and [batch, keys, {0}]",
                self.d_model
            ));
        }
        Ok(())
    }

    /// A linear layer's outputs, parted into heads: `[batch, heads, tokens, d_k]`.
    fn heads(&self, layer: &Linear, tokens: Tensor<3>) -> Result<Tensor<4>, ApproxError> {
        let [batch, length, _] = tokens.dims();
        let outputs = layer.try_forward(tokens)?;
        let [_, _, width] = outputs.dims();
        if width != self.n_heads * self.d_k {
            return Err(shape_error(
                "attention",
                format!(
                    "{} heads of {} take {} values of each token, but a linear layer gives {width}",
                    self.n_heads,
                    self.d_k,
                    self.n_heads * self.d_k
                ),
            ));
        }
        let heads = ops::reshaped(outputs, [batch, length, self.n_heads, self.d_k]);
        Ok(heads.swap_dims(1, 2))
    }

    /// The scores `[batch, heads, queries, keys]`, without those that masks leave out.
    fn masked(
        &self,
        mut scores: Tensor<4>,
        mask_pad: Option<Tensor<2, Bool>>,
        mask_attn: Option<Tensor<3, Bool>>,
    ) -> Result<Tensor<4>, ApproxError> {
        let [batch, _, queries, keys] = scores.dims();
        let check = |name: &str, mask: &[usize], sizes: &[usize]| {
            let fits = |(own, size): (&usize, &usize)| own == size || *own == 1;
            match mask.iter().zip(sizes).all(fits) {
                true => Ok(()),
                false => Err(shape_error(
                    OPERATOR,
                    format!("the {name} has the shape {mask:?}, but the scores call for {sizes:?}"),
                )),
            }
        };
        let device = scores.device();
        if let Some(mask) = &mask_pad {
            check("padding mask", &mask.dims(), &[batch, keys])?;
            ops::check_devices(OPERATOR, &device, [("padding mask", mask.device())])?;
        }
        if let Some(mask) = &mask_attn {
            check("attention mask", &mask.dims(), &[batch, queries, keys])?;
            ops::check_devices(OPERATOR, &device, [("attention mask", mask.device())])?;
        }
        // Burn takes a size of 0 for one that stays.
        if scores.shape().num_elements() == 0 {
            return Ok(scores);
        }
        if let Some(mask) = mask_pad {
            scores = scores.mask_fill(mask.unsqueeze_dims(&[1, 1]), self.min_float);
        }
        if let Some(mask) = mask_attn {
            scores = scores.mask_fill(mask.unsqueeze_dim(1), self.min_float);
        }
        Ok(scores)
    }

    /// How much each query attends to each key.
    fn weights(&self, scores: Tensor<4>) -> Tensor<4> {
        // Burn has no largest of nothing on a GPU.
        if scores.shape().num_elements() == 0 {
            return scores;
        }
        let weights = match self.quiet_softmax {
            true => quiet_softmax(scores, 3),
            false => softmax(scores, 3),
        };
        self.dropout.forward(weights)
    }
}

impl ModuleDisplay for MultiHeadAttention {
    fn custom_settings(&self) -> Option<DisplaySettings> {
        DisplaySettings::new()
            .with_new_line_after_attribute(false)
            .optional()
    }

    fn custom_content(&self, content: Content) -> Option<Content> {
        content
            .add("d_model", &self.d_model)
            .add("n_heads", &self.n_heads)
            .add("d_k", &self.d_k)
            .add("dropout", &self.dropout.prob)
            .add("min_float", &self.min_float)
            .add("quiet_softmax", &self.quiet_softmax)
            .add("products_of_activations", &self.matmul.is_some())
            .optional()
    }
}
