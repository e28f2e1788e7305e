//! Headers: which columns a line names, and where.

/// A line with at least so many names of needed columns is taken for a header, wherever it stands.
const CERTAIN: usize = 3;

/// A column that a header must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnName {
    /// What the settings call it.
    pub(crate) name: String,
    /// The names that it may have in a header; the first one that a header has counts.
    pub(crate) names: Vec<String>,
}

impl ColumnName {
    /// Creates a column that has its own name alone.
    pub(crate) fn own(name: &(impl AsRef<str> + ?Sized)) -> Self {
        let name = name.as_ref().to_owned();
        Self {
            names: vec![name.clone()],
            name,
        }
    }
}

/// The columns that a line names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// For each needed column, the position of the first field that is its name.
    positions: Vec<Option<usize>>,
    /// The first needed column whose name occurs twice.
    twice: Option<usize>,
}

/// Why a header cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// It lacks needed columns.
    Missing {
        /// The names that it gives.
        found: Vec<String>,
        /// The needed columns that it does not name.
        missing: Vec<String>,
    },
    /// It names a needed column more than once.
    Twice(String),
    /// It names the columns in another order than the settings, which say that there is no header.
    NotExpected,
}

impl Names {
    /// Finds the needed columns among the fields of a line.
    pub(crate) fn among<'f>(needed: &[ColumnName], fields: impl Iterator<Item = &'f [u8]>) -> Self {
        // For each column: which of its names was found, where, and whether that name was found again.
        let mut found: Vec<Option<(usize, usize, bool)>> = vec![None; needed.len()];
        for (position, field) in fields.enumerate() {
            let Ok(text) = std::str::from_utf8(field) else {
                continue;
            };
            for (column, found) in needed.iter().zip(&mut found) {
                let Some(rank) = column.names.iter().position(|name| is_name(text, name)) else {
                    continue;
                };
                *found = match *found {
                    Some((best, at, _)) if best == rank => Some((best, at, true)),
                    Some(better) if better.0 < rank => Some(better),
                    _ => Some((rank, position, false)),
                };
            }
        }
        Self {
            positions: found.iter().map(|found| found.map(|(_, at, _)| at)).collect(),
            twice: found
                .iter()
                .position(|found| found.is_some_and(|(.., is_twice)| is_twice)),
        }
    }

    /// Returns how many of the needed columns are named.
    pub(crate) fn count(&self) -> usize {
        self.positions.iter().flatten().count()
    }

    /// Returns whether so many are named that the line is no row.
    pub(crate) fn are_certain(&self) -> bool {
        self.count() >= CERTAIN.min(self.positions.len()).max(1)
    }

    /// Returns the positions of the needed columns, or why they are not known. `fields` are all fields of the line.
    pub(crate) fn positions<'f>(
        &self,
        needed: &[ColumnName],
        fields: impl Iterator<Item = &'f [u8]>,
    ) -> Result<Vec<usize>, HeaderFault> {
        let name = |column: usize| needed[column].name.clone();
        let unnamed = (0..needed.len()).filter(|column| self.positions[*column].is_none());
        let missing: Vec<_> = unnamed.map(name).collect();
        if !missing.is_empty() {
            return Err(HeaderFault::Missing {
                found: fields.take(MOST_NAMES).map(shown).collect(),
                missing,
            });
        }
        match self.twice {
            Some(column) => Err(HeaderFault::Twice(name(column))),
            None => Ok(self.positions.iter().flatten().copied().collect()),
        }
    }
}

/// The most names of a header that a message has.
const MOST_NAMES: usize = 20;

/// Returns a name as messages have it: without control characters, and not too long.
fn shown(name: &[u8]) -> String {
    const LONGEST: usize = 40;
    let text = String::from_utf8_lossy(name);
    let text = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(LONGEST).collect()
}

impl HeaderFault {
    /// Says what is wrong with the header in a line; line 0 stands for the names that a table has besides its records.
    pub(crate) fn text(&self, line: u64) -> String {
        let header = match line {
            0 => "its table".to_owned(),
            _ => format!("the header in line {line}"),
        };
        match self {
            Self::Missing { found, missing } => format!(
                "{header} does not name {}; the names found are {}: list the names that \
                 this file uses in fields (store_id = [\"store_id\", \"Store\"]), or write header_names = \"ignore\" to read \
                 columns by position",
                missing.join(", "),
                if found.iter().all(String::is_empty) {
                    "none".to_owned()
                } else {
                    found.join(", ")
                }
            ),
            Self::Twice(name) => {
                format!("{header} names {name} twice: which one counts is not certain")
            }
            Self::NotExpected => format!(
                "line {line} names the columns in another order than the settings, but header = \"never\" says that \
                 there is no header: correct columns, or header"
            ),
        }
    }
}

/// Returns whether a field of a header is the name of a column, whatever its letter case and the blanks around and
/// between its words.
pub fn is_name(text: &str, name: &str) -> bool {
    let is_blank = |c: char| c.is_whitespace() || c == '\u{feff}';
    let words = |text| str::split(text, is_blank).filter(|word| !word.is_empty());
    let (mut found, mut wanted) = (words(text), words(name));
    loop {
        match (found.next(), wanted.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if is_same_word(one, other) => {}
            _ => return false,
        }
    }
}

fn is_same_word(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
        || (!one.is_ascii() && !other.is_ascii() && one.to_lowercase() == other.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed() -> [ColumnName; 3] {
        ["store_id", "amount", "code"].map(ColumnName::own)
    }

    fn names(line: &str) -> Names {
        Names::among(&needed(), line.split('|').map(str::as_bytes))
    }

    fn positions(line: &str) -> Result<Vec<usize>, HeaderFault> {
        let fields = || line.split('|').map(str::as_bytes);
        names(line).positions(&needed(), fields())
    }

    #[test]
    fn case_and_blanks_do_not_matter() {
        for text in ["Net Sales", " net  SALES ", "NET\u{a0}sales", "\u{feff}net sales"] {
            assert!(is_name(text, "Net Sales"), "{text:?}");
        }
        assert!(is_name("ÉTAT", "état"));
        for text in ["NetSales", "Net", "Net Sales Tax", "", "Net_Sales"] {
            assert!(!is_name(text, "Net Sales"), "{text:?}");
        }
    }

    #[test]
    fn names_give_positions_in_any_order() {
        assert_eq!(positions("x|CODE| store_id|amount"), Ok(vec![2, 3, 1]));
        assert!(names("x|CODE| store_id|amount").are_certain());
        assert!(!names("x|CODE| store_id|sum").are_certain());
    }

    #[test]
    fn the_first_of_several_names_counts() {
        let needed = [ColumnName {
            name: "store_id".into(),
            names: vec!["store_id".into(), "Store".into(), "Shop".into()],
        }];
        let find = |line: &str| {
            let fields = || line.split('|').map(str::as_bytes);
            Names::among(&needed, fields()).positions(&needed, fields())
        };
        assert_eq!(find("x|Shop|STORE"), Ok(vec![2]));
        assert_eq!(
            find("Store|x|Shop|Shop"),
            Ok(vec![0]),
            "a lesser name may occur twice"
        );
        assert_eq!(find("store|Store|store_id"), Ok(vec![2]));
        assert_eq!(find("Shop|shop"), Err(HeaderFault::Twice("store_id".into())));
        assert!(!Names::among(&[], ["x"].map(str::as_bytes).into_iter()).are_certain());
    }

    #[test]
    fn a_fault_says_what_was_found_and_what_is_missing() {
        let missing = positions("Store|amount|Art\u{1b}").unwrap_err().text(3);
        for part in ["line 3", "store_id, code", "Store, amount, Art", "header_names"] {
            assert!(missing.contains(part), "{missing}");
        }
        let twice = positions("store_id|amount|Amount|code").unwrap_err().text(1);
        assert!(twice.contains("amount twice"), "{twice}");
        assert!(positions("||").unwrap_err().text(1).contains("found are none"));
    }
}
