//! Where these tests have their databases: each its own on a server of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use gristmill_servers::Passwords;
use gristmill_servers::postgres::Server;
use gristmill_state::{Answerer, Place, ReaderRole};
use gristmill_testkit::postgres::{execute, shared};

use crate::support::Fixture;

/// What must outlive a database: nothing, since the server ends with this process.
pub type Kept = ();

pub fn new_place() -> (Place, Kept) {
    (at(&shared().create_database()), ())
}

/// Returns the place with a URL.
pub fn at(url: &str) -> Place {
    let server = Server::new(url, &Passwords::default(), "gristmill state").unwrap();
    Arc::new(server).into()
}

/// Returns who answers questions about a database: a role that may read the views, and no table.
pub fn answerer(f: &Fixture) -> Answerer {
    let Place::Postgres(server, _) = &f.place else {
        panic!("it is in a file");
    };
    let role = new_role(server.url());
    let grants = format!(
        "DO $$ DECLARE view text; BEGIN
             FOR view IN SELECT viewname FROM pg_views WHERE schemaname = 'public' LOOP
                 EXECUTE format('GRANT SELECT ON %I TO {role}', view);
             END LOOP;
         END $$"
    );
    execute(server.url(), &grants);
    answering(server.url(), &role)
}

/// Creates a role that may log in, and nothing else, and returns its name.
pub fn new_role(url: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let role = format!("reader_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    execute(url, &format!("CREATE ROLE {role} LOGIN"));
    role
}

/// Has a role answer about the database of a URL.
pub fn answering(url: &str, role: &str) -> Answerer {
    let url = url.replace("postgres@", &format!("{role}@"));
    Answerer::Role(ReaderRole::new(&url, &Passwords::default()).unwrap())
}
