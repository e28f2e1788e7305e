//! Warehouse URLs as they may be shown: without what is secret in them.

/// A URL without its password, for messages and logs.
///
/// Passwords are often written raw, with `@`, `/` or `?` in them, so this hides everything from the first `:` after
/// the scheme to the last `@`, and the value of every parameter whose name speaks of a password or a key. It may hide
/// too much; it never shows too much.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not a URL: it may be a libpq string such as `host=… password=…`.
        return if url.contains('=') || url.contains('@') {
            "***".into()
        } else {
            url.into()
        };
    };
    let rest = match rest.rsplit_once('@') {
        Some((credentials, after)) => match credentials.split_once(':') {
            Some((user, _)) => format!("{user}:***@{after}"),
            None => rest.into(),
        },
        None => rest.into(),
    };
    let Some((base, query)) = rest.split_once('?') else {
        return format!("{scheme}://{rest}");
    };
    let parameters: Vec<String> = query.split('&').map(shown_parameter).collect();
    format!("{scheme}://{base}?{}", parameters.join("&"))
}

fn shown_parameter(parameter: &str) -> String {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    // A percent sign could spell "password" so that it is not recognised.
    let secret = ["pass", "key", "secret", "token", "%"]
        .iter()
        .any(|word| name.to_lowercase().contains(word));
    if secret {
        format!("{name}=***")
    } else {
        parameter.into()
    }
}

#[cfg(test)]
mod tests {
    use super::redacted;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        for (url, shown) in [
            (
                "postgres://u:hunter2@db.example:5432/mart",
                "postgres://u:***@db.example:5432/mart",
            ),
            (
                "postgres://u:hun/t@er?2@db/mart?sslmode=disable",
                "postgres://u:***@db/mart?sslmode=disable",
            ),
            (
                "postgresql://db/mart?user=u&password=hunter2",
                "postgresql://db/mart?user=u&password=***",
            ),
            (
                "postgres://db/mart?%70assword=hunter2",
                "postgres://db/mart?%70assword=***",
            ),
            ("host=db password=hunter2", "***"),
            ("u:hunter2@db", "***"),
        ] {
            assert_eq!(redacted(url), shown);
        }
    }

    #[test]
    fn what_is_not_secret_stays() {
        for url in [
            "sqlite://data/warehouse.db",
            "postgres://u@db:5432/mart?connect_timeout=3",
            "nonsense",
        ] {
            assert_eq!(redacted(url), url);
        }
    }
}
