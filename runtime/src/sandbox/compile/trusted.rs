//! Machine code that may be run. This is the one place with `unsafe`.

use wasmtime::{Engine, component::Component};

/// Machine code that wasmtime has made, unchanged since.
///
/// Only two places make one, and each of them vouches for it. [`super::jail`] read it from its own child.
/// [`super::cache`] read back what such a child had made, and found it authentic.
pub(super) struct Code(Vec<u8>);

impl Code {
    /// Vouches that these bytes are machine code of wasmtime.
    pub(super) fn vouched_for(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes of the code, to be written to the cache.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Loads the code into an engine. An error if it was made by another version of wasmtime or under other
    /// settings.
    pub(super) fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` must only see what `Engine::precompile_component` returned, of whatever version,
        // since it runs the code without looking at it.
        // - From the jail: the bytes are all of what a child of this very program wrote to a pipe that nobody else
        //   holds, and the child then ended with success, which it only does after it wrote the whole result of
        //   `precompile_component`. It was given nothing but the module, could open, reach and start nothing
        //   else, and cut-off output comes with another ending.
        // - From the cache: an HMAC-SHA256 over the bytes was made when they came from the jail, under a key of
        //   32 random bytes that lies in a directory of mode 0700 and a file of mode 0600, both of this user. Who
        //   can read it already acts as this user. The digest of the module and the compatibility hash are under
        //   the HMAC as well, so that no entry passes for another.
        // What a hostile module could do to the compiler itself, it could do when compiled in this process, too.
        #[expect(unsafe_code, reason = "there is no safe way to take in compiled code")]
        unsafe {
            Component::deserialize(engine, &self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::engine;
    use std::hash::{DefaultHasher, Hash, Hasher};

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    fn compatibility(engine: &Engine) -> u64 {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn what_the_child_makes_is_for_the_engine_of_the_daemon() {
        let (child, daemon) =
            (engine::for_compiling().expect("an engine"), engine::build(1).expect("an engine"));
        assert_eq!(compatibility(&child), compatibility(&daemon));
        let code = Code::vouched_for(child.precompile_component(COMPONENT).expect("an empty component"));
        assert!(code.deserialize(&daemon).is_ok());
    }

    #[test]
    fn code_for_other_settings_is_refused() {
        let code = Engine::default().precompile_component(COMPONENT).expect("an empty component");
        let daemon = engine::build(1).expect("an engine");
        assert!(Code::vouched_for(code).deserialize(&daemon).is_err());
    }
}
