use super::*;
use crate::tls::Roots;

fn read(url: &str) -> Result<Server, String> {
    Server::new(url)
}

#[test]
fn modes_mean_what_they_mean_for_postgres() {
    let file = || Roots::File("/ca.pem".into());
    use Check::{Chain, ChainAndName, Nothing};
    use Encryption::{Off, Preferred, Required};
    for (parameters, encryption) in [
        ("", Preferred(Nothing)),
        ("sslmode=disable&sslrootcert=/ca.pem", Off),
        ("sslmode=require", Required(Nothing)),
        ("sslmode=require&sslrootcert=/ca.pem", Required(Chain(file()))),
        (
            "sslmode=verify-full&sslrootcert=/ca.pem",
            Required(ChainAndName(file())),
        ),
        ("sslrootcert=system", Required(ChainAndName(Roots::System))),
        ("socket=/run/db.sock&sslmode=verify-full&sslrootcert=/ca.pem", Off),
    ] {
        let server = read(&format!("mysql://u@db/mart?{parameters}")).unwrap();
        assert_eq!(server.encryption, encryption, "{parameters}");
    }
}

#[test]
fn a_url_is_read_with_its_escapes_and_its_defaults() {
    let server = read("mysql://us%40er:hun%3Ater%2F2@[::1]/my%20mart").unwrap();
    let options = Opts::from(server.options.clone());
    assert_eq!(
        (options.user(), options.pass()),
        (Some("us@er"), Some("hun:ter/2"))
    );
    assert_eq!((options.ip_or_hostname(), options.tcp_port()), ("::1", 3306));
    assert_eq!(server.database().as_deref(), Some("my mart"));
    assert_eq!(
        (server.connect_timeout, server.silence),
        (CONNECT_TIMEOUT, SILENCE)
    );
    let url = "mysql://u@db:3307?connect_timeout=3&tcp_user_timeout=9&socket=/run/db.sock";
    let server = read(url).unwrap();
    let options = Opts::from(server.options.clone());
    assert_eq!(
        (options.tcp_port(), options.socket()),
        (3307, Some("/run/db.sock"))
    );
    assert_eq!(
        (server.connect_timeout.as_secs(), server.silence.as_secs()),
        (3, 9)
    );
    assert_eq!(server.database(), None);
}

#[test]
fn a_url_that_cannot_be_used_is_reported_without_its_password() {
    for (url, expected) in [
        ("mysql://u:hunter2@db:notaport/mart", "write mysql://"),
        (
            "mysql://u:hunter2@db/mart?colour=red",
            "colour=red, which is not known",
        ),
        ("mysql://u:hunter2@/mart", "write mysql://"),
        ("mysql://db/mart", "names no user"),
        ("mysql://u:hunter2@db/mart?sslmode=allow", "sslmode is not known"),
        (
            "mysql://u:hunter2@db/mart?sslmode=verify-ca",
            "write sslrootcert=",
        ),
        ("mysql://u:hunter2@db/mart?sslkey=k.pem", "go together"),
        (
            "mysql://u:hunter2@db/mart?connect_timeout=0",
            "must be a number of seconds",
        ),
        ("mysql://u:hun@ter2@db/mart", "write each `@`"),
    ] {
        let error = read(url).err().unwrap();
        assert!(
            error.contains(expected) && !error.contains("hunter2") && !error.contains("ter2@"),
            "{error}"
        );
    }
}
