//! URLs of servers: hides their secrets for messages, and takes out the parameters that gristmill reads itself.

use percent_encoding::percent_decode_str;

/// Takes parameters out of a URL's query. Returns the URL without them, and their values in the order of `names`. If a
/// parameter occurs twice, the last one counts, as in libpq. Error texts continue a sentence about the URL.
pub fn take<const N: usize>(url: &str, names: [&str; N]) -> Result<(String, [Option<String>; N]), String> {
    let mut taken = [const { None }; N];
    // A raw password may hold a question mark.
    let after_password = url.find('@').unwrap_or(0);
    let Some(at) = url[after_password..].find('?') else {
        return Ok((url.into(), taken));
    };
    let (base, query) = url.split_at(after_password + at);
    let decode = |text| {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded.map_err(|_| "a parameter in it is not UTF-8".to_string())
    };
    let mut rest = Vec::new();
    for parameter in query[1..].split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let name = decode(name)?;
        match names.iter().position(|known| *known == name) {
            Some(at) => taken[at] = Some(decode(value)?.into_owned()),
            None => rest.push(parameter),
        }
    }
    let rest = rest.join("&");
    let mark = if rest.is_empty() { "" } else { "?" };
    Ok((format!("{base}{mark}{rest}"), taken))
}

/// Refuses a URL in which an `@` of the password could be taken for the one before the host. Error texts continue a
/// sentence about the URL.
pub fn check_password(url: &str) -> Result<(), String> {
    let Some((_, rest)) = url.split_once("://") else {
        return Ok(());
    };
    // A parameter behind the host may hold any number of them.
    let after_password = rest.find('@').map_or(0, |at| at + 1);
    let end = rest[after_password..]
        .find('?')
        .map_or(rest.len(), |at| after_password + at);
    // The value of a parameter may have one; a part of a password has no `=` before it.
    let query = &rest[end..];
    let is_behind_mark = query.find('@').is_some_and(|at| !query[..at].contains('='));
    match is_behind_mark || rest[after_password..end].contains('@') {
        true => Err(
            "it has more than one `@`, so it is not certain where the password ends: write each `@` of the password as \
             %40, and `/`, `?`, `#`, `%` as %2F, %3F, %23, %25"
                .into(),
        ),
        false => Ok(()),
    }
}

/// A URL without its password, for messages and logs.
///
/// Passwords are often written raw, with `@`, `/` or `?` in them, so this hides everything from the first `:` after
/// the scheme to the last `@`, and the value of every parameter whose name suggests a password or a key. Without an `@`,
/// as where it was mistyped, it hides what follows a `:` that no port follows. It may hide too much, but never shows too
/// much.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // Not a URL: it may be a libpq string such as `host=… password=…`.
        return if url.contains(['=', '@', ':']) {
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
        None => without_false_port(rest),
    };
    let Some((base, query)) = rest.split_once('?') else {
        return format!("{scheme}://{rest}");
    };
    let parameters: Vec<String> = query.split('&').map(shown_parameter).collect();
    format!("{scheme}://{base}?{}", parameters.join("&"))
}

/// Hides what follows the first `:` before the path, unless it is the port of a host.
fn without_false_port(rest: &str) -> String {
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    match authority.split_once(':') {
        Some((host, port)) if !host.starts_with('[') && !port.chars().all(|c| c.is_ascii_digit()) => {
            format!("{host}:***")
        }
        _ => rest.into(),
    }
}

fn shown_parameter(parameter: &str) -> String {
    let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
    // Percent-encoding could disguise the word "password".
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
    use super::{check_password, redacted, take};

    #[test]
    fn parameters_are_taken_out_and_the_rest_stays_as_it_was() {
        for (url, rest, mode, roots) in [
            ("postgres://u:a?b@db/mart", "postgres://u:a?b@db/mart", None, None),
            (
                "postgres://db/mart?sslmode=require",
                "postgres://db/mart",
                Some("require"),
                None,
            ),
            (
                "postgres://u:a?sslmode=x@db?options=-ca%3Db&sslmode=disable&sslmode=verify%2Dca&port=1&sslrootcert=%2Fa%20b",
                "postgres://u:a?sslmode=x@db?options=-ca%3Db&port=1",
                Some("verify-ca"),
                Some("/a b"),
            ),
            (
                "postgres://db?sslmode&%73slrootcert=c",
                "postgres://db",
                Some(""),
                Some("c"),
            ),
        ] {
            let (mode, roots) = (mode.map(String::from), roots.map(String::from));
            let taken = take(url, ["sslmode", "sslrootcert"]);
            assert_eq!(taken, Ok((rest.into(), [mode, roots])), "{url}");
        }
        assert!(take("postgres://db?sslmode=%ff", ["sslmode"]).is_err());
    }

    #[test]
    fn an_at_sign_in_a_password_must_be_encoded() {
        for (url, is_certain) in [
            ("postgres://u:hunter2@db/mart", true),
            ("postgres://u:hun%40ter2@db/mart?user=a@b", true),
            ("postgres://u:a?b@db/mart", true),
            ("postgres://u:a/b@db/mart", true),
            ("postgres://db/mart", true),
            ("host=db user=u", true),
            ("postgres://u:hun@ter2@db/mart", false),
            ("postgres://u:hun/t@er?2@db/mart", false),
        ] {
            assert_eq!(check_password(url).is_ok(), is_certain, "{url}");
        }
    }

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
            ("u:hunter2", "***"),
            ("postgres://u:hunter2db/mart", "postgres://u:***"),
            ("postgres://u:hun/ter2db/mart", "postgres://u:***"),
            ("postgres://db:5432/mart", "postgres://db:5432/mart"),
            ("postgres://[::1]:5432/mart", "postgres://[::1]:5432/mart"),
            ("sqlite:///data/a:b.db", "sqlite:///data/a:b.db"),
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
