//! A job file: the whole way of the data in one place.
//!
//! ```text
//!   solder.yaml ──▶ document   checked as a whole, parameters put in
//!                 │            options: keys of sections, as the command line has them
//!                 ▶ steps      commands of `ingest` and `engine`, and what each waits for
//!                 ▶ run        processes, as many at a time as may be ──▶ report
//! ```
//!
//! A step is what people would type, so that a job does nothing that cannot be done, tried or repeated by
//! hand, and a scheduler in the cloud can run the same commands as tasks of its own (`--plan=json`).

mod document;
mod options;
mod places;
mod report;
mod run;
mod steps;

pub(crate) use document::{Job, schema};
pub(crate) use places::{folder, places};
pub(crate) use report::{JobReport, StepReport, plan_text, summary};
pub(crate) use run::{RunSettings, program, run};
pub(crate) use steps::{Program, select, steps};
