//! Recognises from the first bytes what is no component.

use wasmtime::Engine;

/// The first bytes of a component: magic, version, layer.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// The first bytes of a core module: magic, version, layer.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Says what is wrong with bytes that cannot be a component.
pub(super) fn recognise(bytes: &[u8]) -> Result<(), &'static str> {
    if bytes.starts_with(COMPONENT) {
        return Ok(());
    }
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(
            "is precompiled code, which is never accepted; give the .wasm component it was made from",
        );
    }
    Err(match bytes {
        [] => "is empty",
        _ if bytes.starts_with(CORE_MODULE) => {
            "is a core module, not a component; build it with `cargo build --release --target wasm32-wasip2`"
        }
        _ if COMPONENT.starts_with(bytes) => "is cut off after its first bytes",
        _ if bytes.starts_with(b"\0asm") => "is a WebAssembly binary of a version this daemon does not know",
        _ if bytes.trim_ascii_start().starts_with(b"(") => {
            "is WebAssembly text; give the binary that it stands for"
        }
        _ => "is not WebAssembly",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_no_component_is_told_apart_by_its_first_bytes() {
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"\0as", "cut off"),
            (CORE_MODULE, "core module"),
            (b"\0asm\x0e\0\x01\0", "version"),
            (b"\n (component)", "text"),
            (b"\x7fELF\x02\x01\x01", "not WebAssembly"),
            (b"hello", "not WebAssembly"),
        ] {
            let refusal = recognise(bytes).expect_err("no component");
            assert!(refusal.contains(says), "{refusal} does not say {says}");
        }
    }

    #[test]
    fn precompiled_code_is_refused() {
        let engine = Engine::default();
        let code = engine.precompile_component(COMPONENT).expect("an empty component");
        assert!(recognise(&code).expect_err("no component").contains("precompiled"));
    }
}
