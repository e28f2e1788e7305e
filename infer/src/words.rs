//! The words that tills use for columns and codes, in the languages of stores that have been seen.

use crate::role::Role;

/// Names of columns, as [`normal`] writes them.
const NAMES: [(Role, &[&str]); 5] = [
    (
        Role::Store,
        &[
            "store",
            "shop",
            "site",
            "location",
            "loc",
            "outlet",
            "branch",
            "restaurant",
            "unit",
            "filiale",
            "markt",
            "magasin",
            "succursale",
            "tienda",
            "sucursal",
            "negozio",
            "store location",
            "store site",
        ],
    ),
    (
        Role::Amount,
        &[
            "amount",
            "net amount",
            "value",
            "betrag",
            "montant",
            "importe",
            "net",
            "line total",
            "extended price",
            "ext price",
            "extended amount",
            "amt",
            "net amt",
            "line amount",
            "umsatz",
            "sum",
            "total",
        ],
    ),
    (
        Role::Code,
        &[
            "code",
            "trx",
            "kind",
            "type",
            "trans type",
            "transaction type",
            "trans code",
            "transaction code",
            "tran type",
            "trx type",
            "trx code",
            "typ",
            "art",
            "tipo",
            "record code",
            "amount type",
            "measure",
        ],
    ),
    (
        Role::Item,
        &[
            "item",
            "sku",
            "plu",
            "upc",
            "article",
            "artikel",
            "product",
            "producto",
            "produit",
            "prodotto",
            "menu item",
            "material",
            "ware",
            "item sku",
            "product sku",
            "articulo",
        ],
    ),
    (
        Role::Date,
        &[
            "date",
            "trans date",
            "transaction date",
            "business date",
            "day",
            "datum",
            "fecha",
            "jour",
            "business day",
            "sale date",
            "sales date",
            "date of sale",
            "trx date",
            "geschaftstag",
            "data",
            "tran date",
        ],
    ),
];

/// Names of columns with amounts side by side, and names of codes, in the order of sale, tax and discount.
const MEASURES: [&[&str]; 3] = [
    &[
        "sale",
        "sales",
        "net sales",
        "gross sales",
        "sales amount",
        "sale amount",
        "umsatz",
        "vente",
        "ventes",
        "vte",
        "venta",
        "ventas",
        "verkauf",
        "sls",
    ],
    &[
        "tax",
        "taxes",
        "sales tax",
        "tax amount",
        "vat",
        "gst",
        "hst",
        "tps",
        "tvq",
        "tva",
        "mwst",
        "ust",
        "iva",
        "taxe",
        "impuesto",
    ],
    &[
        "discount",
        "discounts",
        "disc",
        "discount amount",
        "rabatt",
        "rabais",
        "remise",
        "rab",
        "descuento",
        "promo",
        "dsc",
        "promotion",
    ],
];

/// Returns a name in small letters, without marks, and without words such as `id` that say nothing.
pub(crate) fn normal(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let says = |word: &&&str| {
        !matches!(
            **word,
            "id" | "no" | "nr" | "num" | "number" | "nummer" | "numero"
        )
    };
    let kept: Vec<&str> = words.iter().filter(says).copied().collect();
    let mut kept = if kept.is_empty() { words } else { kept };
    // `item code` is an item, `code` is a code, and so is `trans code`.
    if kept.len() > 1
        && matches!(kept.last(), Some(&"code" | &"name"))
        && !matches!(kept[0], "trans" | "transaction" | "trx" | "record")
    {
        kept.pop();
    }
    kept.join(" ")
}

/// Returns what a column of this name holds, if one of the usual names is meant.
pub(crate) fn role(name: &str) -> Option<Role> {
    let name = normal(name);
    NAMES
        .iter()
        .find(|(_, names)| names.contains(&name.as_str()))
        .map(|(role, _)| *role)
}

/// Returns which of sale (0), tax (1) and discount (2) a name means.
pub(crate) fn measure(name: &str) -> Option<usize> {
    let name = normal(name);
    MEASURES.iter().position(|names| names.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_however_they_are_written() {
        for (name, wanted) in [
            ("store_id", Role::Store),
            ("Store #", Role::Store),
            ("Item  No.", Role::Item),
            ("NET AMOUNT", Role::Amount),
            ("Trx", Role::Code),
            ("Business Date", Role::Date),
            ("item code", Role::Item),
            ("trans code", Role::Code),
            ("trans_date", Role::Date),
        ] {
            assert_eq!(role(name), Some(wanted), "{name}");
        }
        assert_eq!(role("notes"), None);
        assert_eq!(
            (
                measure("Net Sales"),
                measure("GST"),
                measure("DISC"),
                measure("tip")
            ),
            (Some(0), Some(1), Some(2), None)
        );
    }
}
