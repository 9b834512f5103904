//! Lookups per second of the table-gather kernels, on one and two threads, beside a plain loop over the same data.

use std::time::Duration;

use approx_cpu::{Conv2dShape, LookupTable, MatmulShape, Padding2d, conv2d, matmul};
use burn_approx_benches::{Arguments, measure, random};
use serde::Serialize;

/// What one case does.
#[derive(Clone, Copy)]
enum Work {
    Matmul(MatmulShape),
    Conv2d(Conv2dShape),
}

#[derive(Serialize)]
struct Result {
    case: &'static str,
    table: &'static str,
    implementation: &'static str,
    threads: usize,
    /// 10^9 lookups per second, of the median run.
    giga_lookups_per_second: f64,
    /// 10^9 lookups per second of the fastest run: the better measure on a machine that does other work too.
    fastest_giga_lookups_per_second: f64,
}

fn convolution(
    batch: usize,
    [in_channels, out_channels, groups]: [usize; 3],
    side: usize,
    kernel: usize,
    stride: usize,
) -> Work {
    Work::Conv2d(Conv2dShape {
        batch,
        in_channels,
        out_channels,
        groups,
        input: [side, side],
        kernel: [kernel, kernel],
        stride: [stride, stride],
        dilation: [1, 1],
        padding: Padding2d::symmetric(kernel / 2, kernel / 2),
    })
}

fn cases() -> Vec<(&'static str, Work)> {
    let product = |rows, inner, columns| {
        Work::Matmul(MatmulShape {
            rows,
            inner,
            columns,
        })
    };
    vec![
        ("matmul 1024x1024x1024", product(1024, 1024, 1024)),
        ("matmul 64x512x512", product(64, 512, 512)),
        ("matmul 1x1280x1000", product(1, 1280, 1000)),
        (
            "conv 3x3 64->64, 8x32x32",
            convolution(8, [64, 64, 1], 32, 3, 1),
        ),
        (
            "conv 1x1 96->24, 16x16x16",
            convolution(16, [96, 24, 1], 16, 1, 1),
        ),
        (
            "conv 1x1 96->576, 1x14x14",
            convolution(1, [96, 576, 1], 14, 1, 1),
        ),
        (
            "conv 1x1 960->160, 1x7x7",
            convolution(1, [960, 160, 1], 7, 1, 1),
        ),
        (
            "depthwise 3x3 96, 16x16x16",
            convolution(16, [96, 96, 96], 16, 3, 1),
        ),
        (
            "depthwise 3x3 stride 2 96, 1x112x112",
            convolution(1, [96, 96, 96], 112, 3, 2),
        ),
        (
            "conv 3x3 stride 2 3->32, 1x224x224",
            convolution(1, [3, 32, 1], 224, 3, 2),
        ),
        (
            "conv 3x3 128->128 in 32 groups, 8x28x28",
            convolution(8, [128, 128, 32], 28, 3, 1),
        ),
    ]
}

impl Work {
    fn lookups(&self) -> usize {
        match self {
            Work::Matmul(shape) => shape.rows * shape.inner * shape.columns,
            Work::Conv2d(shape) => {
                let [height, width] = shape.output();
                let taps = shape.in_channels / shape.groups * shape.kernel[0] * shape.kernel[1];
                shape.batch * shape.out_channels * height * width * taps
            }
        }
    }

    /// The lengths of activations and weights.
    fn lengths(&self) -> (usize, usize) {
        match self {
            Work::Matmul(shape) => (shape.rows * shape.inner, shape.inner * shape.columns),
            Work::Conv2d(shape) => (
                shape.batch * shape.in_channels * shape.input[0] * shape.input[1],
                shape.out_channels * shape.in_channels / shape.groups
                    * shape.kernel[0]
                    * shape.kernel[1],
            ),
        }
    }

    fn run(&self, table: &LookupTable, activations: &[u8], weights: &[u8]) {
        let sums = match *self {
            Work::Matmul(shape) => matmul(table, activations, weights, shape),
            Work::Conv2d(shape) => conv2d(table, activations, weights, 128, shape),
        };
        std::hint::black_box(sums.expect("the case is well formed"));
    }

    /// The loop that anyone would write first, on one thread.
    fn run_naive(&self, table: &[i32], activations: &[u8], weights: &[u8]) -> Vec<i32> {
        let product =
            |activation: u8, weight: u8| table[usize::from(activation) << 8 | usize::from(weight)];
        let mut sums = Vec::new();
        match *self {
            Work::Matmul(shape) => {
                sums.resize(shape.rows * shape.columns, 0i32);
                let rows = activations.chunks_exact(shape.inner);
                for (row, sums) in rows.zip(sums.chunks_exact_mut(shape.columns)) {
                    for (&activation, weights) in
                        row.iter().zip(weights.chunks_exact(shape.columns))
                    {
                        for (sum, &weight) in sums.iter_mut().zip(weights) {
                            *sum = sum.wrapping_add(product(activation, weight));
                        }
                    }
                }
            }
            Work::Conv2d(shape) => {
                let [height, width] = shape.output();
                let inputs = shape.in_channels / shape.groups;
                let outputs = shape.out_channels / shape.groups;
                for n in 0..shape.batch {
                    for o in 0..shape.out_channels {
                        for y in 0..height {
                            for x in 0..width {
                                let mut sum = 0i32;
                                for i in 0..inputs {
                                    let channel = n * shape.in_channels + o / outputs * inputs + i;
                                    for dy in 0..shape.kernel[0] {
                                        for dx in 0..shape.kernel[1] {
                                            let row = (y * shape.stride[0] + dy)
                                                .wrapping_sub(shape.padding.top);
                                            let column = (x * shape.stride[1] + dx)
                                                .wrapping_sub(shape.padding.left);
                                            let activation = if row < shape.input[0]
                                                && column < shape.input[1]
                                            {
                                                activations[(channel * shape.input[0] + row)
                                                    * shape.input[1]
                                                    + column]
                                            } else {
                                                128
                                            };
                                            let weight = ((o * inputs + i) * shape.kernel[0] + dy)
                                                * shape.kernel[1]
                                                + dx;
                                            sum = sum
                                                .wrapping_add(product(activation, weights[weight]));
                                        }
                                    }
                                }
                                sums.push(sum);
                            }
                        }
                    }
                }
            }
        }
        sums
    }
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::from_command_line();
    let mut next = random(1);
    // As wide as signed products of 8 bits; too wide for 16 bits, with sums in 32 bits; as wide as 32 bits, with sums
    // in 64.
    let tables: Vec<(&str, Vec<i32>)> = vec![
        (
            "16-bit",
            (0..1 << 16)
                .map(|_| (next() as i32).rem_euclid(32640) - 16256)
                .collect(),
        ),
        (
            "20-bit",
            (0..1 << 16).map(|_| next() as i32 % 500_000).collect(),
        ),
        ("32-bit", (0..1 << 16).map(|_| next() as i32).collect()),
    ];
    let pools: Vec<rayon::ThreadPool> = [1, 2]
        .into_iter()
        .map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build())
        .collect::<std::result::Result<_, _>>()
        .map_err(std::io::Error::other)?;
    println!("10^9 lookups per second: median of several runs (fastest run)");
    println!(
        "{:42} {:8} {:>8} {:>18} {:>18}",
        "case", "entries", "naive", "1 thread", "2 threads"
    );
    let mut results = Vec::new();
    for (case, work) in cases()
        .into_iter()
        .filter(|(case, _)| arguments.selects(case))
    {
        let (activations, weights) = work.lengths();
        let mut codes = |count| -> Vec<u8> { (0..count).map(|_| next() as u8).collect() };
        let (activations, weights) = (codes(activations), codes(weights));
        for (name, entries) in &tables {
            let table = LookupTable::new(8, 8, entries).expect("the table is complete");
            let mut report = |implementation, threads, timing: burn_approx_benches::Timing| {
                let speed = |seconds: f64| work.lookups() as f64 / seconds / 1e9;
                results.push(Result {
                    case,
                    table: name,
                    implementation,
                    threads,
                    giga_lookups_per_second: speed(timing.median),
                    fastest_giga_lookups_per_second: speed(timing.fastest),
                });
                (speed(timing.median), speed(timing.fastest))
            };
            let naive = measure(Duration::from_millis(1), || {
                work.run_naive(entries, &activations, &weights)
            });
            let naive = report("naive", 1, naive);
            let fast: Vec<(f64, f64)> = pools
                .iter()
                .map(|pool| {
                    let timing = pool.install(|| {
                        measure(Duration::from_millis(400), || {
                            work.run(&table, &activations, &weights)
                        })
                    });
                    report("table-gather", pool.current_num_threads(), timing)
                })
                .collect();
            print!("{case:42} {name:8} {:8.2}", naive.0);
            for (median, fastest) in fast {
                print!(" {median:9.2} ({fastest:6.2})");
            }
            println!();
        }
    }
    arguments.write_json(&results)
}
