use approx_models::{MobileNetV2Config, Stem};
use burn::tensor::Device;
use train_mobilenet::{data::digits, progress::Display, train::*};

fn main() {
    let arg = |n: usize, d: f64| std::env::args().nth(n).map_or(d, |v| v.parse().unwrap());
    let (epochs, lr, width, batch, drop) = (arg(1, 3.) as usize, arg(2, 3e-3), arg(3, 0.25), arg(4, 64.) as usize, arg(5, 0.2));
    let device = Device::flex().autodiff();
    device.seed(arg(6, 0.) as u64);
    let dataset = digits::read().unwrap();
    let model = MobileNetV2Config::new(10)
        .with_in_channels(1)
        .with_width(width)
        .with_stem(Stem::Small)
        .with_dropout(drop)
        .init(&device);
    let data = TrainingData::new(&dataset, batch, 1, &device);
    let start = std::time::Instant::now();
    let (model, _) = fit(model, &data, &Phase { name: "float", directory: "/tmp/digits-run".into(), epochs, learning_rate: lr, resume: std::env::var("RESUME").is_ok() }, Display::new(false)).unwrap();
    println!("{:?}", start.elapsed());
    let test = TrainingData::new(&dataset, 64, 1, &Device::flex());
    let start = std::time::Instant::now();
    println!("{} {:?}", accuracy(&model, test.test(), "float", Display::new(false)), start.elapsed());
    println!("{}", parameters(&model).iter().map(|&v| v as f64).sum::<f64>());
}
