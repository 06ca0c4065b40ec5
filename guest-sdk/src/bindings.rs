//! The contract of `wit/` as Rust types.

wit_bindgen::generate!({
    path: "../wit",
    world: "check",
    export_macro_name: "export_component",
    pub_export_macro: true,
    default_bindings_module: "aviary_guest::bindings",
    additional_derives: [PartialEq],
});

impl PartialEq for aviary::check::http::Rest {
    /// Whether both are the same handle: each stands for a body of its own.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}
