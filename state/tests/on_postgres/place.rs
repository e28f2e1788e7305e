//! Where these tests have their databases: each its own on a server of this process.

use std::sync::Arc;

use gristmill_servers::Passwords;
use gristmill_servers::postgres::Server;
use gristmill_state::Place;
use gristmill_testkit::postgres::shared;

/// What must outlive a database: nothing, since the server ends with this process.
pub type Kept = ();

pub fn new_place() -> (Place, Kept) {
    (at(&shared().create_database()), ())
}

/// Returns the place with a URL.
pub fn at(url: &str) -> Place {
    let server = Server::new(url, &Passwords::default(), "gristmill state").unwrap();
    Place::Server(Arc::new(server))
}
