//! The `[feed.values]` table: how the amounts, codes, dates and ids of a feed are written.
//!
//! [`ValuesSpec`] is what a person writes; [`ValueRules`] is the same, checked and ready to use. A text becomes a value
//! here and nowhere else, whatever format it was found in.

mod amounts;
mod codes;
mod dates;
mod ids;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use self::amounts::{Amount, AmountRule};
pub(crate) use self::codes::{CodeRule, CodeText};
pub use self::dates::DateRule;
pub use self::ids::trimmed;
pub(crate) use self::ids::{IdRule, NoId, is_text_for_excel};

/// A `[feed.values]` table as written in the settings file. What is left out has its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValuesSpec {
    /// The mark before the decimal places of an amount.
    pub decimal: Option<String>,
    /// The mark between the thousands of an amount.
    pub thousands: Option<String>,
    /// The ways in which negative amounts are written.
    pub negative: Option<Vec<NegativeForm>>,
    /// Texts to take off an amount.
    pub currency: Option<Vec<String>>,
    /// How many decimal places the digits of an amount without a decimal mark have.
    pub scale: Option<u8>,
    /// What becomes of more than two decimal places.
    pub round: Option<Rounding>,
    /// Texts that are no amount.
    pub no_amount: Option<Vec<NoAmount>>,
    /// Names of codes.
    pub codes: Option<BTreeMap<String, i32>>,
    /// What becomes of a code that is neither a number nor one of these names.
    pub other_codes: Option<OtherCodes>,
    /// The forms of dates, tried in this order.
    pub dates: Option<Vec<String>>,
    /// The time of day, as `04:00`, before which a record belongs to the day before.
    pub day_begins: Option<String>,
    /// How ids are made alike.
    pub ids: Option<IdsSpec>,
}

/// A way in which negative amounts are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum NegativeForm {
    /// `-2.50`, also with other minus signs.
    #[serde(rename = "-")]
    Before,
    /// `2.50-`.
    #[serde(rename = "trailing")]
    Trailing,
    /// `(2.50)`.
    #[serde(rename = "parentheses")]
    Parentheses,
    /// `2.50CR`.
    #[serde(rename = "CR")]
    Credit,
    /// The sign is part of the last digit: `25}` is -250.
    #[serde(rename = "overpunch")]
    Overpunch,
}

impl NegativeForm {
    /// Returns the word for it in the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "-",
            Self::Trailing => "trailing",
            Self::Parentheses => "parentheses",
            Self::Credit => "CR",
            Self::Overpunch => "overpunch",
        }
    }
}

/// What becomes of more than two decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// They are rounded; half a cent to the even neighbour.
    HalfEven,
    /// They are rounded; half a cent away from zero.
    HalfUp,
}

/// A text that is no amount.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(
    untagged,
    expecting = "expected a text, or a table such as { NULL = \"ignore\" }"
)]
pub enum NoAmount {
    /// A record with it is a reject where its code is asked for.
    Text(String),
    /// A record with it is ignored even there.
    Listed(BTreeMap<String, Ignore>),
}

/// The one word of [`NoAmount::Listed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ignore {
    /// The record is ignored.
    Ignore,
}

/// What becomes of a code that is neither a number nor a listed name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherCodes {
    /// Its record is a reject.
    #[default]
    Reject,
    /// Its record is ignored.
    Ignore,
}

/// How ids are made alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdsSpec {
    /// Whether blanks, and characters that are not seen, are taken off the ends.
    pub trim: Option<bool>,
    /// The case that letters are written in.
    pub case: Option<IdCase>,
    /// What becomes of leading zeros of ids that are digits alone.
    pub zeros: Option<IdZeros>,
    /// How many digits ids that are digits alone are filled up to, with zeros before them.
    pub pad: Option<u8>,
    /// Whether a mark that keeps Excel from reading a number is taken off.
    pub excel: Option<bool>,
}

/// The case that the letters of ids are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdCase {
    /// Capital letters.
    Upper,
}

/// What becomes of leading zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IdZeros {
    /// They are taken off.
    Strip,
}

impl ValuesSpec {
    /// Returns this table with what it leaves out taken from another one.
    pub(crate) fn over(&self, other: &Self) -> Self {
        let Self {
            decimal,
            thousands,
            negative,
            currency,
            scale,
            round,
            no_amount,
            codes,
            other_codes,
            dates,
            day_begins,
            ids,
        } = self.clone();
        let ids = match (ids, &other.ids) {
            (Some(ids), Some(others)) => Some(ids.over(others)),
            (ids, others) => ids.or_else(|| others.clone()),
        };
        Self {
            decimal: decimal.or_else(|| other.decimal.clone()),
            thousands: thousands.or_else(|| other.thousands.clone()),
            negative: negative.or_else(|| other.negative.clone()),
            currency: currency.or_else(|| other.currency.clone()),
            scale: scale.or(other.scale),
            round: round.or(other.round),
            no_amount: no_amount.or_else(|| other.no_amount.clone()),
            codes: codes.or_else(|| other.codes.clone()),
            other_codes: other_codes.or(other.other_codes),
            dates: dates.or_else(|| other.dates.clone()),
            day_begins: day_begins.or_else(|| other.day_begins.clone()),
            ids,
        }
    }
}

impl IdsSpec {
    fn over(self, other: &Self) -> Self {
        // A profile that says one of the two does not want the other one.
        let (zeros, pad) = match (self.zeros, self.pad) {
            (None, None) => (other.zeros, other.pad),
            own => own,
        };
        Self {
            trim: self.trim.or(other.trim),
            case: self.case.or(other.case),
            zeros,
            pad,
            excel: self.excel.or(other.excel),
        }
    }
}

/// Returns the text of an amount, a code or a date without the blanks around it.
pub fn without_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\u{a0}', '\u{2007}', '\u{202f}', '\u{200b}', '\u{feff}'])
}

/// A checked `[feed.values]` table.
#[derive(Clone, Debug)]
pub struct ValueRules {
    pub(crate) amounts: AmountRule,
    pub(crate) codes: CodeRule,
    pub(crate) dates: DateRule,
    pub(crate) ids: IdRule,
}

/// The key of a table that is wrong, and what to write instead.
pub(crate) type Problem = (&'static str, String);

impl ValueRules {
    /// Checks the table of a feed whose ids have up to `id_chars` characters. `has_times` says that dates have a time of day
    /// whatever their form.
    pub(crate) fn new(spec: &ValuesSpec, id_chars: usize, has_times: bool) -> Result<Self, Problem> {
        Ok(Self {
            amounts: AmountRule::new(spec)?,
            codes: CodeRule::new(spec)?,
            dates: DateRule::new(spec, has_times)?,
            ids: IdRule::new(spec.ids.as_ref(), id_chars)?,
        })
    }
}
