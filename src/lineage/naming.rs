//! The names of data sets, by OpenLineage's rules: <https://openlineage.io/docs/spec/naming>.

use gristmill_watcher::Provider;
use reqwest::Url;

use crate::settings::{BucketPlace, Place, Settings};

/// Returns the namespace and the name of a file.
pub(super) fn input(settings: &Settings, file: &str) -> (String, String) {
    let found = settings.source_of(file).and_then(|(source, path)| {
        let source = settings.sources.get(source)?;
        Some((&source.place, path))
    });
    match found {
        Some((Place::Folder(folder), path)) => {
            let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
            ("file".to_owned(), folder.join(path).display().to_string())
        }
        Some((Place::Bucket(bucket), path)) => (of_bucket(bucket), key(bucket, path)),
        // A source that the settings no longer have.
        None => ("file".to_owned(), file.to_owned()),
    }
}

fn of_bucket(place: &BucketPlace) -> String {
    let address = &place.address;
    match (address.provider(), address.account()) {
        (Provider::S3, _) => format!("s3://{}", address.bucket()),
        (Provider::Google, _) => format!("gs://{}", address.bucket()),
        (Provider::Azure, Some(account)) => {
            format!("abfss://{}@{account}.dfs.core.windows.net", address.bucket())
        }
        // Azure's own configuration names the account.
        (Provider::Azure, None) => address.root().to_owned(),
    }
}

fn key(place: &BucketPlace, path: &str) -> String {
    match place.address.path() {
        "" => path.to_owned(),
        prefix => format!("{prefix}/{path}"),
    }
}

/// Returns the namespace and the name of the table that runs write to.
pub(super) fn output(settings: &Settings) -> (String, String) {
    let target = &settings.target;
    // It was opened before.
    let url = settings.warehouse.get().unwrap_or_default();
    of_table(url, target.schema.as_deref(), &target.table)
}

fn of_table(url: &str, schema: Option<&str>, table: &str) -> (String, String) {
    if let Some(path) = url.strip_prefix("sqlite://") {
        let path = path.split('?').next().unwrap_or(path);
        let path =
            std::path::absolute(path).map_or_else(|_| path.to_owned(), |path| path.display().to_string());
        return (
            format!("sqlite://{path}"),
            format!("{}.{table}", schema.unwrap_or("main")),
        );
    }
    let name = |database: &str| format!("{database}.{}.{table}", schema.unwrap_or("public"));
    let Ok(url) = Url::parse(url) else {
        let scheme = url.split(':').next().unwrap_or(url);
        return (scheme.to_owned(), name(scheme));
    };
    let database = match url.path().trim_start_matches('/') {
        "" => url.username(),
        database => database,
    };
    let host = url.host_str().unwrap_or("localhost");
    if url.scheme() == "mysql" {
        // Where others have a schema, MySQL has a database.
        let namespace = format!("mysql://{host}:{}", url.port().unwrap_or(3306));
        return (namespace, format!("{}.{table}", schema.unwrap_or(database)));
    }
    let namespace = match url.scheme() {
        "redshift" => format!("redshift://{}:{}", cluster(host), url.port().unwrap_or(5439)),
        _ => format!("postgres://{host}:{}", url.port().unwrap_or(5432)),
    };
    (namespace, name(database))
}

/// Returns the name of a cluster or a workgroup, and its region, as far as a host's name says them:
/// `mill.abc123.eu-west-1.redshift.amazonaws.com` is `mill.eu-west-1`.
fn cluster(host: &str) -> String {
    let labels: Vec<&str> = host.split('.').collect();
    let service = labels.iter().position(|label| label.starts_with("redshift"));
    match service {
        Some(service) if service >= 2 => format!("{}.{}", labels[0], labels[service - 1]),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_by_its_server_and_its_place_there() {
        for (url, schema, namespace, name) in [
            (
                "postgres://u:hunter2@db/mart",
                None,
                "postgres://db:5432",
                "mart.public.sales",
            ),
            ("mysql://u:hunter2@db/mart", None, "mysql://db:3306", "mart.sales"),
            (
                "mysql://u@db:3307/mart?a=b",
                Some("other"),
                "mysql://db:3307",
                "other.sales",
            ),
        ] {
            let expected = (namespace.to_owned(), name.to_owned());
            assert_eq!(of_table(url, schema, "sales"), expected, "{url}");
        }
    }

    #[test]
    fn a_cluster_is_named_with_its_region() {
        for (host, name) in [
            ("mill.abc123.eu-west-1.redshift.amazonaws.com", "mill.eu-west-1"),
            (
                "wg.123456789012.us-east-2.redshift-serverless.amazonaws.com",
                "wg.us-east-2",
            ),
            ("127.0.0.1", "127.0.0.1"),
        ] {
            assert_eq!(cluster(host), name);
        }
    }
}
