//! Reads a `redshift://` URL: where the warehouse is, who loads it, where rows are staged, how a new table is laid out.

use std::path::PathBuf;
use std::time::Duration;

use gristmill_servers::url::{check_password, redacted, take};
use tokio_postgres::Config;

use crate::target::KEYS;
use crate::{LoadError, Target};

/// How long a server may take to answer a connection. A workgroup that was paused takes a few seconds.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long sent bytes may stay unacknowledged, or a statement unanswered, before the server counts as gone, unless the
/// URL says otherwise; and how long a connection may be idle before it is probed.
const SILENCE: Duration = Duration::from_secs(60);

/// All parameters after the question mark.
const PARAMETERS: [&str; 12] = [
    "iam_role",
    "bucket",
    "prefix",
    "region",
    "endpoint",
    "cluster",
    "workgroup",
    "sslmode",
    "sslrootcert",
    "distkey",
    "sortkey",
    "tcp_user_timeout",
];

const FORM: &str = "write redshift://user:password@host:5439/database?iam_role=arn:aws:iam::…&bucket=…";

/// The contents of a `redshift://` URL.
pub(super) struct Settings {
    /// Host, port, database, and the user if the URL names one.
    pub config: Config,
    /// How long a session may be silent before the server is asked what it does.
    pub silence: Duration,
    pub host: String,
    pub port: u16,
    pub database: String,
    pub login: Login,
    pub tls: Tls,
    pub staging: Staging,
    pub layout: Layout,
}

/// How to log in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// With the user and password in the URL.
    Password,
    /// With temporary credentials for this cluster.
    Cluster(String),
    /// With temporary credentials for this workgroup of Redshift Serverless.
    Workgroup(String),
}

/// How the connection to the warehouse is protected.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tls {
    /// Not at all: for test servers.
    Off,
    /// By TLS, with the certificate authorities of this PEM file, or the system's; the host name is checked.
    Verified(Option<PathBuf>),
}

/// Where rows are staged before they are copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Staging {
    pub bucket: String,
    /// Empty, or without a slash at either end.
    pub prefix: String,
    /// `None`: the region of the AWS settings.
    pub region: Option<String>,
    /// `None`: Amazon's.
    pub endpoint: Option<String>,
    /// The role with which COPY reads the bucket: an ARN, or `default`.
    pub iam_role: String,
}

/// How Redshift lays out a table that gristmill creates. Redshift decides what is not set.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub distkey: Option<String>,
    pub sortkey: Vec<String>,
}

impl Settings {
    pub(super) fn read(url: &str, target: &Target) -> Result<Self, LoadError> {
        parse(url, target).map_err(|reason| LoadError::BadUrl {
            url: redacted(url),
            reason,
        })
    }
}

fn parse(url: &str, target: &Target) -> Result<Settings, String> {
    check_password(url)?;
    let (address, values) = take(url, PARAMETERS)?;
    if let Some((_, others)) = address
        .rsplit_once('@')
        .unwrap_or(("", &address))
        .1
        .split_once('?')
    {
        return Err(format!(
            "its parameters contain {others}, which is not known; there are {}",
            PARAMETERS.join(", ")
        ));
    }
    let [
        iam_role,
        bucket,
        prefix,
        region,
        endpoint,
        cluster,
        workgroup,
        sslmode,
        sslrootcert,
        distkey,
        sortkey,
        silence,
    ] = values;
    let login = match (cluster, workgroup) {
        (None, None) => Login::Password,
        (Some(cluster), None) => Login::Cluster(cluster),
        (None, Some(workgroup)) => Login::Workgroup(workgroup),
        (Some(_), Some(_)) => {
            return Err("it names a cluster and a workgroup; name only one".into());
        }
    };
    let tls = match (sslmode.as_deref(), sslrootcert) {
        (None | Some("verify-full"), file) => Tls::Verified(file.map(PathBuf::from)),
        (Some("disable"), None) => Tls::Off,
        (Some("disable"), Some(_)) => {
            return Err("sslrootcert has no effect with sslmode=disable; remove one of them".into());
        }
        (Some(_), _) => {
            return Err("sslmode must be verify-full (the default), or disable for a test server".into());
        }
    };
    let staging = Staging {
        bucket: bucket.ok_or("it lacks the bucket in which rows are staged; add bucket=…")?,
        prefix: prefix.unwrap_or_default().trim_matches('/').into(),
        region,
        endpoint,
        iam_role: iam_role
            .ok_or("it lacks the role with which COPY reads the bucket; add iam_role=arn:aws:iam::…")?,
    };
    let layout = Layout {
        distkey: distkey.map(|name| name.to_ascii_lowercase()),
        sortkey: sortkey
            .map(|names| names.split(',').map(str::to_ascii_lowercase).collect())
            .unwrap_or_default(),
    };
    let named = layout.distkey.iter().chain(&layout.sortkey);
    let is_a_column = |name: &&String| KEYS.contains(&name.as_str()) || target.measures.contains(name);
    if let Some(other) = named.into_iter().find(|name| !is_a_column(name)) {
        return Err(format!(
            "distkey and sortkey must name columns of the target, which has no {other}"
        ));
    }
    let silence = match silence.as_deref().map(str::parse) {
        None => SILENCE,
        Some(Ok(seconds)) if seconds > 0 => Duration::from_secs(seconds),
        Some(_) => return Err("tcp_user_timeout must be a number of seconds, such as 60".into()),
    };
    let config = config(&address, silence)?;
    let host = match config.get_hosts() {
        [tokio_postgres::config::Host::Tcp(host)] => host.clone(),
        _ => return Err(format!("it names no host; {FORM}")),
    };
    let database = config
        .get_dbname()
        .ok_or_else(|| format!("it names no database; {FORM}"))?;
    match login {
        Login::Password if config.get_user().is_none() || config.get_password().is_none() => {
            return Err(format!(
                "it has no user and password, and no cluster=… or workgroup=… for temporary ones; {FORM}"
            ));
        }
        Login::Cluster(_) | Login::Workgroup(_) if config.get_user().is_some() => {
            return Err("with cluster=… or workgroup=… AWS supplies the user; leave it out".into());
        }
        _ => {}
    }
    Ok(Settings {
        database: database.into(),
        port: config.get_ports().first().copied().unwrap_or(5439),
        host,
        login,
        tls,
        staging,
        layout,
        config,
        silence,
    })
}

/// Parses the URL up to its parameters, which has the form of a Postgres URL.
fn config(address: &str, silence: Duration) -> Result<Config, String> {
    let address = address.strip_prefix("redshift://").unwrap_or(address);
    let mut config: Config = format!("postgres://{address}")
        .parse()
        .map_err(|_| format!("it cannot be parsed; {FORM}"))?;
    if config.get_ports().is_empty() {
        config.port(5439);
    }
    config
        .application_name("gristmill")
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_user_timeout(silence)
        .keepalives_idle(SILENCE)
        .keepalives_interval(SILENCE / 4);
    Ok(config)
}
