//! Real guests in the real sandbox, named for their use or their crime.

mod capabilities;
mod crimes;
mod daemon;
mod rounds;
mod support;

// The compiler tells of a guest that no test uses.
macro_rules! guest {
    ($name:ident $path:literal) => {
        const $name: &str = $path;
    };
}
test_guests::for_each!(guest);
