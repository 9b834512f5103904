//! A device, what is to be measured on it, and the report that comes of it.

use burn::tensor::{Device, TensorData};
use burn_approx_benches::measure_queued;
use cubecl::client::Client;

use crate::device::DeviceError;
use crate::options::Options;
use crate::report::{Goal, Line, Operation, Report};
use crate::works::Size;

/// Work that several cases do.
pub(crate) struct Work {
    pub(crate) name: String,
    pub(crate) operation: Operation,
    /// How many of them it takes, where that is defined.
    pub(crate) operations: Option<u64>,
}

/// A run of the benchmark.
pub(crate) struct Session {
    device: Device,
    client: Client,
    size: Size,
    filter: Option<String>,
    report: Report,
}

impl Session {
    /// Opens the device and starts an empty report.
    pub(crate) fn open(options: &Options) -> Result<Self, DeviceError> {
        let device = options.device.open()?;
        let client = device.client();
        let identity = &client.properties().identity;
        let report = Report::new(options.device, identity, options.size);
        println!(
            "{} ({}), {}",
            report.device,
            report.runtime,
            report.software.join(", ")
        );
        Ok(Self {
            device: Device::new(device),
            client,
            size: options.size,
            filter: options.filter.clone(),
            report,
        })
    }

    /// The device as Burn has it.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The device as kernels are launched on it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// Whether the work of this name is to be run.
    pub(crate) fn selects(&self, work: &str) -> bool {
        let filter = self.filter.as_ref();
        filter.is_none_or(|filter| work.contains(filter.as_str()))
    }

    /// Measures one case of some work. The first case of a work is what others are compared with.
    ///
    /// # Panics
    /// If the device fails.
    pub(crate) fn measure<R>(
        &mut self,
        work: &Work,
        case: &str,
        goal: Option<Goal>,
        run: impl FnMut() -> R,
    ) {
        let wait = || {
            // Burn's operations and kernels launched from here may be in different queues of the device.
            self.device.sync().expect("the device finishes its work");
            cubecl::future::block_on(self.client.sync()).expect("the device finishes its work");
        };
        let timing = measure_queued(self.size.budget(), run, wait);
        let line = Line {
            work: work.name.clone(),
            case: case.to_string(),
            operation: work.operation,
            operations: work.operations,
            seconds: timing.median,
            fastest_seconds: timing.fastest,
            samples: timing.runs,
            // They are meant for the full size alone.
            goal: goal.filter(|_| self.size == Size::Full),
        };
        println!("{line}");
        self.report.lines.push(line);
    }

    pub(crate) fn into_report(self) -> Report {
        self.report
    }
}

/// Checks that what is going to be measured computes numbers: a device reports a failed launch only where its results
/// are read.
///
/// # Panics
/// If a value is not finite.
pub(crate) fn check_finite(values: &TensorData) {
    assert!(
        values.iter::<f32>().all(f32::is_finite),
        "what is measured computes finite numbers"
    );
}
