//! The report as one file of HTML, with its data in it.

use super::ExplorationReport;

/// The page without data.
const TEMPLATE: &str = include_str!("../page/page.html");
/// Where the data goes.
const PLACE: &str = "/*FRONT*/";

/// The page with the data of a report.
pub(super) fn page(report: &ExplorationReport) -> serde_json::Result<String> {
    // Inside of a script element, the text must not look like its end.
    let data = serde_json::to_string(report)?.replace('<', "\\u003c");
    Ok(TEMPLATE.replacen(PLACE, &data, 1))
}
