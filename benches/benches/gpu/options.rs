//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::device::Runtime;
use crate::works::Size;

/// Approximate products on a GPU beside Burn's float there.
#[derive(Parser)]
pub(crate) struct Options {
    /// What computes: wgpu (Vulkan, Metal, DirectX, a software driver) or cuda.
    #[arg(long, value_enum)]
    pub(crate) device: Runtime,
    /// How large the work is; small is to try it out, not to tell speeds.
    #[arg(long, value_enum, default_value_t = Size::Full)]
    pub(crate) size: Size,
    /// Where to write the times as JSON.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,
    /// Where to write them as a markdown table.
    #[arg(long)]
    pub(crate) markdown: Option<PathBuf>,
    /// A JSON report of another program, to join into the markdown table; may be given several times.
    #[arg(long)]
    pub(crate) beside: Vec<PathBuf>,
    /// Only work whose name contains this is run.
    pub(crate) filter: Option<String>,
    /// Given by `cargo bench`, and of no meaning here.
    #[arg(long, hide = true)]
    bench: bool,
}
