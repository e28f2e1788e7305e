use super::*;
use crate::tls::{Check, Roots};

fn read(url: &str) -> Result<Server, String> {
    Server::new(url, &Passwords::default(), "gristmill state")
}

#[test]
fn modes_mean_what_libpq_means() {
    let file = || Roots::File("/ca.pem".into());
    use Check::{Chain, ChainAndName, Nothing};
    use Encryption::{Off, Preferred, Required};
    for (parameters, encryption) in [
        ("", Preferred(Nothing)),
        ("sslrootcert=/ca.pem", Preferred(Chain(file()))),
        ("sslmode=disable&sslrootcert=/ca.pem", Off),
        ("sslmode=prefer", Preferred(Nothing)),
        ("sslmode=require", Required(Nothing)),
        ("sslmode=require&sslrootcert=/ca.pem", Required(Chain(file()))),
        ("sslmode=verify-ca&sslrootcert=%2Fca.pem", Required(Chain(file()))),
        (
            "sslmode=verify-full&sslrootcert=/ca.pem",
            Required(ChainAndName(file())),
        ),
        ("sslrootcert=system", Required(ChainAndName(Roots::System))),
        ("host=/tmp&sslmode=verify-full&sslrootcert=/ca.pem", Off),
    ] {
        let host = if parameters.contains("host=") { "" } else { "db" };
        let server = read(&format!("postgres://u@{host}/mart?{parameters}")).unwrap();
        assert_eq!(server.encryption, encryption, "{parameters}");
    }
}

#[test]
fn a_url_that_cannot_be_used_is_reported_without_its_password() {
    for (url, expected) in [
        ("postgres://u:hunter2@db:notaport/mart", "write postgres://"),
        ("postgres://u:hunter2@db/mart?colour=red", "write postgres://"),
        ("postgres://u:hunter2@/mart", "names no host"),
        (
            "postgres://u:hunter2@db/mart?sslmode=allow",
            "sslmode is not known",
        ),
        (
            "postgres://u:hunter2@db/mart?sslmode=verify-ca",
            "write sslrootcert=",
        ),
        (
            "postgres://u:hunter2@db/mart?sslmode=verify-full",
            "write sslrootcert=",
        ),
        (
            "postgres://u:hunter2@db/mart?sslmode=require&sslrootcert=system",
            "write sslmode=verify-full",
        ),
        ("postgres://u:hunter2@db/mart?sslcert=c.pem", "go together"),
    ] {
        let error = read(url).err().unwrap();
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_the_url_says_goes_before_the_defaults() {
    let server = read("postgres://u@db/mart").unwrap().config;
    assert_eq!(server.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(
        (server.get_keepalives_idle(), server.get_tcp_user_timeout()),
        (SILENCE, Some(&SILENCE))
    );
    assert_eq!(server.get_application_name(), Some("gristmill state"));
    let url = "postgres://u@db/mart?connect_timeout=3&keepalives_idle=7&keepalives_interval=5&tcp_user_timeout=9\
               &application_name=mill";
    let server = read(url).unwrap().config;
    let seconds = Duration::from_secs;
    assert_eq!(server.get_connect_timeout(), Some(&seconds(3)));
    assert_eq!(server.get_keepalives_idle(), seconds(7));
    assert_eq!(server.get_keepalives_interval(), Some(seconds(5)));
    assert_eq!(server.get_tcp_user_timeout(), Some(&seconds(9)));
    assert_eq!(server.get_application_name(), Some("mill"));
}
