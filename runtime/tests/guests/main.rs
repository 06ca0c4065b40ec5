//! Real guests in the real sandbox, named for their use or their crime.

mod capabilities;
mod cluster;
mod crimes;
mod daemon;
mod dns;
mod examples;
mod gallery;
#[path = "../cluster/given.rs"]
mod given;
mod http;
mod inventory;
mod kubernetes;
mod ledger;
mod limits;
mod manifests;
mod rounds;
mod scheduler;
mod scheduling;
mod signing;
mod start;
mod support;
mod tenants;

// The compiler tells of a guest that no test uses.
macro_rules! guest {
    ($name:ident $path:literal) => {
        const $name: &str = $path;
    };
}
test_guests::for_each!(guest);
