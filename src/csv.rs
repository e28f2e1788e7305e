//! Writes tables as CSV for spreadsheets.

/// Appends a row to a table.
pub(crate) fn push_row<'c>(csv: &mut String, cells: impl IntoIterator<Item = &'c str>) {
    let cells: Vec<_> = cells.into_iter().map(cell).collect();
    csv.push_str(&cells.join(","));
    csv.push_str("\r\n");
}

/// Returns a text as a cell. A spreadsheet must not take it for a formula; a number it may take for one.
fn cell(text: &str) -> String {
    let is_number = text
        .trim_start_matches('-')
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number;
    let guard = if is_formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        let mut csv = String::new();
        push_row(&mut csv, ["=1+1", "a \"b\", c", "-12.50", "-1+1", "@SUM(A1)"]);
        assert_eq!(
            csv,
            "\"'=1+1\",\"a \"\"b\"\", c\",\"-12.50\",\"'-1+1\",\"'@SUM(A1)\"\r\n"
        );
    }
}
