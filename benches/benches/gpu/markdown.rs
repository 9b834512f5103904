//! The report as one markdown table, other programs' times of the same work joined in, beside what is meant to be
//! reached.

use std::fmt::Write;

use crate::report::{Line, Report};

/// A line of a report, and the program that it is of.
struct Row<'a> {
    line: &'a Line,
    /// Empty for the report's own.
    program: &'a str,
}

/// The table, with its heading.
pub(crate) fn table(own: &Report, others: &[Report]) -> String {
    let mut text = String::new();
    heading(&mut text, own);
    for other in others {
        heading(&mut text, other);
    }
    text += "\n| work | case | median, ms | fastest, ms | speed | time / reference | target |\n";
    text += "|---|---|---|---|---|---|---|\n";
    let mut works: Vec<&str> = own.lines.iter().map(|line| line.work.as_str()).collect();
    works.dedup();
    for work in works {
        let rows: Vec<Row> = rows(own, "", work)
            .chain(
                others
                    .iter()
                    .flat_map(|other| rows(other, &other.software[0], work)),
            )
            .collect();
        for row in &rows {
            text += &row.text(&rows);
        }
    }
    text
}

fn heading(text: &mut String, report: &Report) {
    let Report {
        software,
        features,
        device,
        runtime,
        date,
        size,
        ..
    } = report;
    let _ = write!(
        text,
        "- {device} ({runtime}), {date}: {}",
        software.join(", ")
    );
    if !features.is_empty() {
        let _ = write!(text, ", features {}", features.join(", "));
    }
    if report.emulated || size != "full" {
        *text += ". **Not a measurement of speed**: it shows that everything runs";
        *text += if report.emulated {
            ", on a processor in place of a GPU"
        } else {
            ""
        };
        let _ = write!(text, " ({size} size)");
    }
    *text += ".\n";
}

fn rows<'a>(report: &'a Report, program: &'a str, work: &str) -> impl Iterator<Item = Row<'a>> {
    let lines = report.lines.iter().filter(move |line| line.work == work);
    lines.map(move |line| Row { line, program })
}

impl Row<'_> {
    fn text(&self, rows: &[Row]) -> String {
        let Line {
            work,
            seconds,
            fastest_seconds,
            ..
        } = self.line;
        let reference = rows[0].line.seconds;
        format!(
            "| {work} | {} | {:.3} | {:.3} | {} | {:.2} | {} |\n",
            self.name(),
            seconds * 1e3,
            fastest_seconds * 1e3,
            self.line.speed(),
            seconds / reference,
            self.goals(rows)
        )
    }

    fn name(&self) -> String {
        match self.program {
            "" => self.line.case.clone(),
            program => format!("{program}: {}", self.line.case),
        }
    }

    /// What the line is meant to reach, and whether it does.
    fn goals(&self, rows: &[Row]) -> String {
        let Some(goal) = self.line.goal else {
            return String::new();
        };
        let verdict = |met: bool| if met { "met" } else { "**missed**" };
        let mut goals = Vec::new();
        if let (Some(goal), Some(speed)) = (
            goal.operations_per_second,
            self.line.operations_per_second(),
        ) {
            goals.push(format!(
                "at least {} T/s: {}",
                goal / 1e12,
                verdict(speed >= goal)
            ));
        }
        let mut at_most = |factor: Option<f64>, other: &Row| {
            if let Some(factor) = factor {
                let ratio = self.line.seconds / other.line.seconds;
                goals.push(format!(
                    "at most {factor} times {}: {ratio:.2}, {}",
                    other.name(),
                    verdict(ratio <= factor)
                ));
            }
        };
        at_most(goal.times_reference, &rows[0]);
        for other in rows.iter().filter(|row| !row.program.is_empty()) {
            at_most(goal.times_others, other);
        }
        goals.join("; ")
    }
}
