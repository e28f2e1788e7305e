//! Where these tests have their databases: each its own on a server of this process.

use std::sync::Arc;

use gristmill_servers::mysql::Server;
use gristmill_state::Place;
use gristmill_testkit::mariadb::shared;

/// What must outlive a database: nothing, since the server ends with this process.
pub type Kept = ();

pub fn new_place() -> (Place, Kept) {
    (at(&shared().create_database()), ())
}

/// Returns the place with a URL.
pub fn at(url: &str) -> Place {
    Arc::new(Server::new(url).unwrap().for_state()).into()
}
