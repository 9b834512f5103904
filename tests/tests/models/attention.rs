//! Attention and transformers of drop-in layers: Burn's numbers in float, bit for bit, and layers like any others once
//! converted.

use approx_multiplier::evoapprox;
use burn::prelude::*;
use burn_approx::convert::{ApproxConfig, LayerRule, approx_layers, calibrate, convert};
use burn_approx::nn::LayerKind;
use burn_approx::plan::PlanChoice;
use burn_approx::{ApproxError, Mode, load, load_plain_record, plain_record, save};

use crate::networks::{Sequence, values};

fn tokens(count: usize, seed: u32, device: &Device) -> Tensor<3> {
    Sequence(seed).tensor([3, count, 8], 1.5, device)
}

/// Every other key of the second sequence.
fn padding(keys: usize, device: &Device) -> Tensor<2, Bool> {
    let padded: Vec<bool> = (0..3 * keys)
        .map(|index| index / keys == 1 && index % 2 == 1)
        .collect();
    Tensor::from_data(TensorData::new(padded, [3, keys]), device)
}

/// Modules of one of the libraries, with the same weights, and what they make of the same inputs.
macro_rules! modules {
    ($name:ident, $($library:ident)::+) => {
        mod $name {
            use super::*;
            use $($library)::+::attention::{
                MhaCache, MhaInput, MhaOutput, MultiHeadAttention, MultiHeadAttentionConfig,
                generate_autoregressive_mask,
            };
            use $($library)::+::transformer::{
                TransformerDecoder, TransformerDecoderConfig, TransformerDecoderInput,
                TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput,
            };

            pub fn attention(quiet: bool, device: &Device) -> MultiHeadAttention {
                MultiHeadAttentionConfig::new(8, 2)
                    .with_quiet_softmax(quiet)
                    .with_key_bias(false)
                    .init(device)
                    .map(&mut Sequence(3))
            }

            pub fn encoder(norm_first: bool, device: &Device) -> TransformerEncoder {
                TransformerEncoderConfig::new(8, 12, 2, 2)
                    .with_norm_first(norm_first)
                    .init(device)
                    .map(&mut Sequence(4))
            }

            pub fn decoder(norm_first: bool, device: &Device) -> TransformerDecoder {
                TransformerDecoderConfig::new(8, 12, 2, 2)
                    .with_norm_first(norm_first)
                    .init(device)
                    .map(&mut Sequence(5))
            }

            /// Outputs and weights without masks, with masks, and token by token.
            pub fn attend(attention: &MultiHeadAttention) -> Vec<Vec<f32>> {
                let device = &attention.devices()[0];
                let mut found = Vec::new();
                let mut add = |MhaOutput { weights, context }| {
                    found.push(values(weights));
                    found.push(values(context));
                };
                let [own, memory] = [tokens(4, 6, device), tokens(5, 7, device)];
                add(attention.forward(MhaInput::self_attn(own.clone())));
                let value = tokens(5, 8, device);
                let input = MhaInput::new(own.clone(), memory.clone(), value);
                let mask = generate_autoregressive_mask(3, 5, device).narrow(1, 0, 4);
                add(attention.forward(input.mask_pad(padding(5, device)).mask_attn(mask)));
                let mut growing = MhaCache::autoregressive();
                let mut fixed = MhaCache::autoregressive_cross_attention();
                for count in 1..=4 {
                    let own = own.clone().narrow(1, 0, count);
                    let input = MhaInput::self_attn(own.clone());
                    add(attention.forward_cache(input, &mut growing));
                    let input = MhaInput::new(own, memory.clone(), memory.clone());
                    add(attention.forward_cache(input.mask_pad(padding(5, device)), &mut fixed));
                }
                found
            }

            /// Outputs without masks, with masks, and token by token.
            pub fn encode(encoder: &TransformerEncoder) -> Vec<Vec<f32>> {
                let device = &encoder.devices()[0];
                let own = tokens(4, 6, device);
                let plain = TransformerEncoderInput::new(own.clone());
                let masked = TransformerEncoderInput::new(own.clone())
                    .mask_pad(padding(4, device))
                    .mask_attn(generate_autoregressive_mask(3, 4, device));
                let mut found: Vec<_> = [plain, masked].map(|input| values(encoder.forward(input))).into();
                let mut cache = encoder.new_autoregressive_cache();
                for count in 1..=4 {
                    let input = TransformerEncoderInput::new(own.clone().narrow(1, 0, count));
                    found.push(values(encoder.forward_autoregressive_inference(input, &mut cache)));
                }
                found
            }

            /// Outputs without masks, with masks, and token by token.
            pub fn decode(decoder: &TransformerDecoder) -> Vec<Vec<f32>> {
                let device = &decoder.devices()[0];
                let [own, memory] = [tokens(4, 6, device), tokens(5, 7, device)];
                let plain = TransformerDecoderInput::new(own.clone(), memory.clone());
                let masked = TransformerDecoderInput::new(own.clone(), memory.clone())
                    .target_mask_pad(padding(4, device))
                    .target_mask_attn(generate_autoregressive_mask(3, 4, device))
                    .memory_mask_pad(padding(5, device))
                    .memory_mask_attn(generate_autoregressive_mask(3, 5, device).narrow(1, 0, 4));
                let mut found: Vec<_> = [plain, masked].map(|input| values(decoder.forward(input))).into();
                let mut cache = decoder.new_autoregressive_cache();
                for count in 1..=4 {
                    let own = own.clone().narrow(1, 0, count);
                    let input = TransformerDecoderInput::new(own, memory.clone());
                    found.push(values(decoder.forward_autoregressive_inference(input, &mut cache)));
                }
                found
            }
        }
    };
}

modules!(plain, burn::nn);
modules!(ours, burn_approx::nn);

#[test]
fn in_float_everything_is_burns_bit_for_bit() {
    let device = crate::device();
    for choice in [false, true] {
        let expected = plain::attend(&plain::attention(choice, &device));
        let attention = ours::attention(choice, &device);
        assert_eq!(
            ours::attend(&attention),
            expected,
            "quiet softmax: {choice}"
        );
        let attention = attention.with_products_of_activations(true);
        assert_eq!(ours::attend(&attention), expected, "with layers, {choice}");
        assert_eq!(
            ours::encode(&ours::encoder(choice, &device).with_products_of_activations(choice)),
            plain::encode(&plain::encoder(choice, &device)),
            "normalisation first: {choice}"
        );
        assert_eq!(
            ours::decode(&ours::decoder(choice, &device).with_products_of_activations(choice)),
            plain::decode(&plain::decoder(choice, &device)),
            "normalisation first: {choice}"
        );
    }
}

#[test]
fn modules_records_and_configurations_go_both_ways() {
    use burn::nn::transformer as burns;
    use burn_approx::nn::transformer::{
        TransformerDecoder, TransformerDecoderConfig, TransformerEncoder, TransformerEncoderConfig,
    };
    let device = crate::device();
    let (encoder, decoder) = (
        plain::encoder(true, &device),
        plain::decoder(false, &device),
    );
    let [encoded, decoded] = [plain::encode(&encoder), plain::decode(&decoder)];

    let record = encoder.clone().into_record();
    let config = TransformerEncoderConfig::new(8, 12, 2, 2).with_norm_first(true);
    let fresh = config.init(&device).with_products_of_activations(true);
    assert_eq!(fresh.num_params(), encoder.num_params());
    let loaded = fresh.load_record(record);
    assert_eq!(ours::encode(&loaded), encoded);
    let config = burns::TransformerEncoderConfig::new(8, 12, 2, 2).with_norm_first(true);
    let back = config.init(&device).load_record(loaded.into_record());
    assert_eq!(plain::encode(&back), encoded);

    let config = TransformerDecoderConfig::new(8, 12, 2, 2);
    let loaded = config
        .init(&device)
        .load_record(decoder.clone().into_record());
    assert_eq!(ours::decode(&loaded), decoded);

    let (encoder, decoder) = (
        TransformerEncoder::from(encoder),
        TransformerDecoder::from(decoder),
    );
    assert_eq!(ours::encode(&encoder), encoded);
    assert_eq!(ours::decode(&decoder), decoded);
    assert_eq!(plain::encode(&encoder.into()), encoded);
    assert_eq!(plain::decode(&decoder.into()), decoded);

    // What Burn's configurations write, the drop-ins' read, and the other way round.
    let burns_own = burns::TransformerDecoderConfig::new(8, 12, 2, 3).with_quiet_softmax(true);
    let text = serde_json::to_string(&burns_own).unwrap();
    let read: TransformerDecoderConfig = serde_json::from_str(&text).unwrap();
    assert!(read.quiet_softmax && read.n_layers == 3);
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let burns_own = burn::nn::attention::MultiHeadAttentionConfig::new(8, 2);
    let text = serde_json::to_string(&burns_own).unwrap();
    let read: burn_approx::nn::attention::MultiHeadAttentionConfig =
        serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

/// An encoder with its products of activations as layers, calibrated.
fn converted(
    config: &ApproxConfig,
    device: &Device,
) -> burn_approx::nn::transformer::TransformerEncoder {
    let encoder = ours::encoder(false, device).with_products_of_activations(true);
    let (encoder, report) = convert(encoder, config).unwrap();
    assert_eq!(report.converted.len(), 2 * 8);
    calibrate(&encoder, |encoder| drop(ours::encode(encoder))).unwrap();
    encoder
}

#[test]
fn modes_of_a_transformer() {
    let device = crate::device();
    // An exact circuit.
    let encoder = converted(&ApproxConfig::bundled("mul8s_1KV6"), &device);
    let approximate = ours::encode(&encoder);
    let layers = approx_layers(&encoder);
    layers.set_mode(Mode::Quantized).unwrap();
    let quantized = ours::encode(&encoder);
    assert_eq!(approximate, quantized);
    // Noise is for training, and this is none.
    layers.set_mode(Mode::Noise).unwrap();
    assert_eq!(ours::encode(&encoder), quantized);
    for layer in &layers {
        let multiplier = evoapprox::multiplier("mul8s_1L2J").unwrap();
        layer.set_multiplier(multiplier).unwrap();
    }
    layers.set_mode(Mode::Approximate).unwrap();
    let factors = ours::encode(&encoder);
    assert_ne!(factors, quantized);
    for layer in &layers {
        layer.set_plan(PlanChoice::Gather).unwrap();
    }
    assert_eq!(ours::encode(&encoder), factors, "looked up");
    // The products alone change what comes out.
    let products = || {
        layers
            .iter()
            .filter(|layer| layer.kind() == LayerKind::Matmul)
    };
    products().for_each(|layer| layer.set_mode(Mode::Quantized).unwrap());
    assert_ne!(ours::encode(&encoder), factors);
    layers.set_mode(Mode::Baseline).unwrap();
    assert_eq!(
        ours::encode(&encoder),
        plain::encode(&plain::encoder(false, &device))
    );
}

#[test]
fn settings_of_products_by_path_and_kind_saved_and_loaded() {
    let device = crate::device();
    let config = ApproxConfig::bundled("mul8s_1L2J")
        .with_rule(LayerRule::kind(LayerKind::Matmul).with_mode(Mode::Quantized))
        .with_rule(LayerRule::path("layers.1.mha.matmul.2").with_mode(Mode::Baseline));
    let encoder = converted(&config, &device);
    let modes: Vec<_> = (approx_layers(&encoder).iter())
        .filter(|layer| layer.kind() == LayerKind::Matmul)
        .map(|layer| (layer.path().to_string(), layer.settings().unwrap().mode))
        .collect();
    let expected = [
        ("layers.0.mha.matmul", Mode::Quantized),
        ("layers.0.mha.matmul.2", Mode::Quantized),
        ("layers.1.mha.matmul", Mode::Quantized),
        ("layers.1.mha.matmul.2", Mode::Baseline),
    ];
    assert_eq!(modes, expected.map(|(path, mode)| (path.to_string(), mode)));

    let directory = tempfile::tempdir().unwrap();
    save(&encoder, directory.path()).unwrap();
    let fresh = burn_approx::nn::transformer::TransformerEncoderConfig::new(8, 12, 2, 2);
    let fresh = fresh.init(&device).with_products_of_activations(true);
    let loaded = load(fresh, directory.path()).unwrap();
    assert_eq!(ours::encode(&loaded), ours::encode(&encoder));

    // Without the state, the record is Burn's.
    let record = plain_record(&encoder);
    let burns_own = burn::nn::transformer::TransformerEncoderConfig::new(8, 12, 2, 2).init(&device);
    assert_eq!(
        plain::encode(&burns_own.load_record(record.clone())),
        plain::encode(&plain::encoder(false, &device))
    );
    let forgetful = load_plain_record(encoder, record).unwrap();
    let input = burn_approx::nn::transformer::TransformerEncoderInput::new(tokens(4, 6, &device));
    let error = forgetful.try_forward(input).unwrap_err();
    assert!(
        matches!(error, ApproxError::NotCalibrated { .. }),
        "{error}"
    );
}

/// What travels with a module: devices, training, clones.
#[test]
fn the_state_of_products_survives_devices_and_training() {
    let device = crate::device().autodiff();
    let encoder = converted(&ApproxConfig::bundled("mul8s_1L2J"), &device).valid();
    let expected = ours::encode(&encoder);
    let moved = encoder
        .clone()
        .to_device(&device.clone().inner())
        .train()
        .valid();
    assert_eq!(ours::encode(&moved), expected);
    assert_eq!(moved.devices().len(), 1);
    approx_layers(&moved).set_mode(Mode::Baseline).unwrap();
    assert_eq!(ours::encode(&encoder), expected, "a clone is independent");
    // Without its products of activations it has fewer layers, with them again they are new.
    let without = encoder.with_products_of_activations(false);
    assert_eq!(approx_layers(&without).len(), 2 * 6);
    let with = approx_layers(&without.with_products_of_activations(true));
    assert_eq!(
        with.iter().filter(|layer| layer.is_converted()).count(),
        2 * 6
    );
    assert_eq!(with.len(), 2 * 8);
}

#[test]
fn what_does_not_fit_is_an_error_and_leaves_caches_alone() {
    use burn_approx::nn::attention::{MhaCache, MhaInput, MultiHeadAttentionConfig};
    use burn_approx::nn::transformer::{TransformerEncoderConfig, TransformerEncoderInput};
    let device = crate::device();
    let refused = |result: Result<(), ApproxError>, said: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, ApproxError::Shape { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    };
    let attention = ours::attention(false, &device);
    let own = || tokens(4, 6, &device);
    let attend = |input| attention.try_forward(input).map(drop);
    refused(
        attend(MhaInput::self_attn(Tensor::ones([3, 4, 6], &device))),
        "[batch, queries, 8]",
    );
    refused(
        attend(MhaInput::new(own(), own(), tokens(5, 7, &device))),
        "[3, 5, 8]",
    );
    refused(
        attend(MhaInput::self_attn(own()).mask_pad(padding(5, &device))),
        "padding mask has the shape [3, 5]",
    );
    let mask = TensorData::new(vec![false; 24], [3, 4, 2]);
    let mask = Tensor::<3, Bool>::from_data(mask, &device);
    refused(
        attend(MhaInput::self_attn(own()).mask_attn(mask)),
        "attention mask",
    );
    let uneven = MultiHeadAttentionConfig::new(8, 3).init(&device);
    refused(
        uneven.try_forward(MhaInput::self_attn(own())).map(drop),
        "3 heads",
    );
    // One mask for all sequences is none that does not fit.
    let mask = padding(4, &device).narrow(0, 1, 1);
    attend(MhaInput::self_attn(own()).mask_pad(mask)).unwrap();

    // A step that fails, by a mask or by a layer that is not calibrated, is as if it had never been.
    let step = |count, cache: &mut MhaCache, mask: Option<Tensor<2, Bool>>| {
        let mut input = MhaInput::self_attn(own().narrow(1, 0, count));
        input = match mask {
            Some(mask) => input.mask_pad(mask),
            None => input,
        };
        attention
            .try_forward_cache(input, cache)
            .map(|output| values(output.context))
    };
    let [mut disturbed, mut other] = [MhaCache::autoregressive(), MhaCache::autoregressive()];
    for count in 1..=3 {
        let failed = step(count, &mut disturbed, Some(padding(7, &device)));
        refused(failed.map(drop), "padding mask");
        let expected = step(count, &mut other, None).unwrap();
        assert_eq!(step(count, &mut disturbed, None).unwrap(), expected);
    }
    if device == Device::flex() {
        // Other backends have no tensors without elements.
        let input = MhaInput::self_attn(Tensor::zeros([3, 0, 8], &device));
        let failed = attention.try_forward_cache(input, &mut disturbed);
        refused(failed.map(drop), "3 of 0 are given");
    }
    // The same tokens again, one left out, and another batch.
    for (batch, count) in [(3, 3), (3, 5), (2, 4), (4, 4)] {
        let input = MhaInput::self_attn(Tensor::ones([batch, count, 8], &device));
        let failed = attention.try_forward_cache(input, &mut disturbed);
        let said = format!("3 sequences of 4 tokens, but {batch} of {count} are given");
        refused(failed.map(drop), &said);
    }
    let expected = step(4, &mut other, None).unwrap();
    assert_eq!(step(4, &mut disturbed, None).unwrap(), expected);
    // A memory that does not stay.
    let mut cache = MhaCache::autoregressive_cross_attention();
    let mut cross = |count, memory_tokens| {
        let memory = tokens(memory_tokens, 7, &device);
        let own = own().narrow(1, 0, count);
        attention.try_forward_cache(MhaInput::new(own, memory.clone(), memory), &mut cache)
    };
    cross(1, 5).unwrap();
    refused(cross(2, 4).map(drop), "3 sequences of 5 tokens, but 3 of 4");
    cross(2, 5).unwrap();

    let encoder = ours::encoder(false, &device);
    let shallow = TransformerEncoderConfig::new(8, 12, 2, 1).init(&device);
    let mut cache = shallow.new_autoregressive_cache();
    let input = TransformerEncoderInput::new(own());
    let result = encoder.try_forward_autoregressive_inference(input, &mut cache);
    refused(result.map(drop), "the cache is one of 1 layers");
    let mut cache = encoder.new_autoregressive_cache();
    let mut encode = |batch, count| {
        let input = TransformerEncoderInput::new(Tensor::ones([batch, count, 8], &device));
        encoder.try_forward_autoregressive_inference(input, &mut cache)
    };
    encode(3, 1).unwrap();
    refused(
        encode(2, 2).map(drop),
        "3 sequences of 2 tokens, but 2 of 2",
    );
    refused(
        encode(3, 3).map(drop),
        "3 sequences of 2 tokens, but 3 of 3",
    );
    encode(3, 2).unwrap();

    let config = ApproxConfig::bundled("mul8s_1L2J")
        .with_rule(LayerRule::kind(LayerKind::Linear).with_exclude(true));
    let attention = attention.with_products_of_activations(true);
    let (attention, report) = convert(attention, &config).unwrap();
    assert_eq!(report.converted, ["matmul", "matmul.2"]);
    let error = attention
        .try_forward(MhaInput::self_attn(own()))
        .unwrap_err();
    assert!(
        matches!(&error, ApproxError::NotCalibrated { layer, .. } if layer == "matmul"),
        "{error}"
    );
}
