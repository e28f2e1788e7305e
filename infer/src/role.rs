//! What a column holds.

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Store,
    Amount,
    Code,
    Item,
    Date,
}

/// All roles, in the order of a layout's inputs.
pub(crate) const ROLES: [Role; 5] = [Role::Store, Role::Amount, Role::Code, Role::Item, Role::Date];

impl Role {
    /// Returns its name in the settings.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Self::Store => "store_id",
            Self::Amount => "amount",
            Self::Code => "code",
            Self::Item => "item_id",
            Self::Date => "trans_date",
        }
    }
}
