//! Tables that fit the terminal without breaking a word: narrower if need be, or else each row as a block of lines.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

/// A rule below the headings, and no other lines.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Words up to this length are never broken.
const LONGEST_WORD: u16 = 40;

/// The blanks before and after the text of a cell. One more separates two columns.
const USUAL: (u16, u16) = (1, 1);
const NARROW: (u16, u16) = (0, 0);

/// Lays out rows under headings, at most as wide as `width` says or, without it, as wide as they are.
pub(super) fn layout<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
    width: Option<u16>,
) -> String {
    let Some(width) = width else {
        return table(rows, USUAL).set_header(headings).to_string();
    };
    let words = |text: &str| text.split_whitespace().map(columns_of).max().unwrap_or(0);
    let longest = |column: usize| {
        let cells = rows.iter().map(|row| words(&row[column]));
        cells.fold(words(headings[column]), u16::max).min(LONGEST_WORD)
    };
    let least: [u16; N] = std::array::from_fn(longest);
    for padding in [USUAL, NARROW] {
        let around = padding.0 + padding.1 + 1;
        let needed: u16 = least.iter().map(|least| least + around).sum();
        if needed <= width.saturating_add(1) {
            let mut table = table(rows, padding);
            table.set_header(headings).set_width(width);
            for (column, least) in least.into_iter().enumerate() {
                if let Some(column) = table.column_mut(column) {
                    column.set_padding(padding);
                    let bound = Width::Fixed(least + padding.0 + padding.1);
                    column.set_constraint(ColumnConstraint::LowerBoundary(bound));
                }
            }
            return table.to_string();
        }
    }
    let blocks: Vec<_> = rows.iter().map(|row| block(headings, row, width)).collect();
    blocks.join("\n\n")
}

fn table<const N: usize>(rows: &[[String; N]], padding: (u16, u16)) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .add_rows(rows.iter().map(|row| row.each_ref().map(Cell::new)));
    for column in table.column_iter_mut() {
        column.set_padding(padding);
    }
    table
}

/// Lays out one row as lines of heading and text. What is empty is left out.
fn block<const N: usize>(headings: [&str; N], row: &[String; N], width: u16) -> String {
    let named = headings.into_iter().zip(row);
    let filled = named.filter(|(_, text)| !text.is_empty() && *text != "–");
    let mut block = Table::new();
    block
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .add_rows(filled.map(|(heading, text)| [heading, text]));
    if let Some(column) = block.column_mut(0) {
        let longest = headings.into_iter().map(columns_of).max().unwrap_or(0);
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(longest + 2)));
    }
    block.to_string()
}

/// Returns how many columns of the terminal a word takes, as far as counting its characters can tell.
fn columns_of(word: &str) -> u16 {
    u16::try_from(word.chars().count()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [[String; 4]; 2] {
        [
            [
                "illinois-20261128T194055",
                "COMPLETED",
                "2026-11-28 19:40:55Z",
                "",
            ],
            [
                "california",
                "FAILED",
                "2026-11-28 19:40:49Z",
                "the disk is full: free some space",
            ],
        ]
        .map(|row| row.map(str::to_owned))
    }

    fn at(width: u16) -> String {
        let shown = layout(["run", "state", "queued", "error"], &rows(), Some(width));
        assert!(
            shown
                .lines()
                .all(|line| line.chars().count() <= usize::from(width)),
            "{width}: {shown}"
        );
        shown
    }

    #[test]
    fn no_word_is_broken_however_narrow_the_terminal() {
        for width in [200, 120, 80, 66, 58, 40] {
            let shown = at(width);
            for word in [
                "illinois-20261128T194055",
                "COMPLETED",
                "2026-11-28",
                "19:40:55Z",
                "space",
            ] {
                assert!(shown.contains(word), "{width}: {word} is broken: {shown}");
            }
        }
    }

    #[test]
    fn rows_become_blocks_where_their_words_do_not_fit_side_by_side() {
        assert_eq!(at(66).lines().filter(|line| line.contains("─")).count(), 1);
        let blocks = at(40);
        let lines: Vec<_> = blocks.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[..4],
            [
                " run      illinois-20261128T194055",
                " state    COMPLETED",
                " queued   2026-11-28 19:40:55Z",
                ""
            ]
        );
    }

    #[test]
    fn without_a_terminal_nothing_is_wrapped() {
        let shown = layout(["run", "state", "queued", "error"], &rows(), None);
        assert_eq!(shown.lines().count(), 4, "{shown}");
    }
}
