//! What `check` shows of a file's fields: its codes, its columns, and what looks wrong about the settings.

use gristmill_engine::{SalesLayout, Survey};

use super::output;

/// Prints a survey.
pub(super) fn print(survey: &Survey, sales: Option<&SalesLayout>) -> std::io::Result<()> {
    if let Some(sales) = sales.filter(|_| !survey.codes.is_empty()) {
        output::line(format!("  codes: {}", codes(survey, sales)))?;
    }
    let rows = survey.columns.iter().map(|column| {
        let more = if column.has_more { " or more" } else { "" };
        [
            column.name.clone(),
            column.filled.to_string(),
            format!("{}{more}", column.distinct),
            output::or_dash(column.least.as_ref()),
            output::or_dash(column.most.as_ref()),
            column.samples.join(", "),
        ]
    });
    output::table(
        ["column", "filled", "distinct", "least", "most", "first values"],
        rows,
        "  no column: no line could be cut into fields",
    )?;
    for suggestion in &survey.suggestions {
        output::line(format!("  Note: {suggestion}."))?;
    }
    Ok(())
}

/// Says how often each code occurs, and what is made of it.
fn codes(survey: &Survey, sales: &SalesLayout) -> String {
    let mut words: Vec<_> = survey
        .codes
        .iter()
        .map(|(code, count)| match sales.measure_of(code) {
            Some(measure) => format!("{count} × {code} ({})", measure.name),
            None => format!("{count} × {code} (not asked for)"),
        })
        .collect();
    if survey.other_codes > 0 {
        words.push(format!("{} × others", survey.other_codes));
    }
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(", "),
    }
}
