//! Records go both ways between a captured model and the original, and captured models move between devices.

use burn::module::Module;
use burn_approx::convert::{ApproxConfig, GraphTensors, approx_layers, calibrate, convert};
use burn_approx::{load_plain_record, plain_record};

use crate::models::{Subject, convolutional, transformer_encoder, values};

fn records_go_both_ways<M: Module, I: GraphTensors>(subject: Subject<M, I>) {
    let device = crate::device();
    let model = subject.model(&device);
    let input = || (subject.input)(4, &device);
    let expected = values((subject.forward)(&model, input()));
    let config = ApproxConfig::bundled("mul8s_1L2J");
    let (captured, _) = convert(subject.capture(&model), &config).unwrap();
    // To the original's type, and to the graph of another model of that type.
    let other = (subject.build)(&device).load_record(plain_record(&captured));
    assert_eq!(values((subject.forward)(&other, input())), expected);
    let (fresh, _) = convert(subject.capture(&(subject.build)(&device)), &config).unwrap();
    let fresh = load_plain_record(fresh, model.into_record()).unwrap();
    approx_layers(&fresh)
        .set_mode(burn_approx::Mode::Baseline)
        .unwrap();
    assert_eq!(values(fresh.forward(input())), expected);
}

on_every_model!(records_go_both_ways);

/// Loading into a captured model leaves the original alone, its running statistics too.
#[test]
fn the_original_keeps_its_running_statistics() {
    let device = crate::device();
    let subject = convolutional();
    for device in [device.clone(), device.autodiff()] {
        let model = subject.model(&device);
        let plain = crate::device();
        let output = || {
            let input = (subject.input)(4, &plain);
            values((subject.forward)(&model.valid(), input))
        };
        let before = output();
        let other = (subject.build)(&device);
        let captured = subject.capture(&model);
        let captured = load_plain_record(captured, other.into_record()).unwrap();
        assert_eq!(output(), before);
        assert_ne!(
            values(captured.valid().forward((subject.input)(4, &plain))),
            before
        );
    }
}

/// On another device, the numbers are those of the original there.
#[test]
fn captured_models_move() {
    let [from, to] = crate::two_devices();
    let subject = transformer_encoder();
    let model = subject.model(&from);
    let captured = subject.capture(&model).to_device(&to);
    let input = || (subject.input)(4, &to);
    let expected = values((subject.forward)(&model.to_device(&to), input()));
    assert_eq!(values(captured.forward(input())), expected);
    assert_eq!(captured.devices(), std::slice::from_ref(&to));
    let (captured, _) = convert(captured, &ApproxConfig::bundled("mul8s_1L2J")).unwrap();
    calibrate(&captured, |captured| drop(captured.forward(input()))).unwrap();
    assert_ne!(values(captured.forward(input())), expected);
}
