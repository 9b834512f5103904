//! The commands, one file or folder each: its arguments, and `run`.

pub mod calibrate;
pub mod compare;
pub mod evaluate;
pub mod explore;
pub mod export;
pub mod factor;
pub mod fit_htp;
pub mod import;
pub mod info;
pub mod inspect;
pub mod layer;
pub mod list;
pub mod metrics;
pub mod plot;
pub mod retrain;
pub mod run;
pub mod trace;
