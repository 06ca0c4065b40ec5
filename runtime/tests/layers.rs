//! The rooms of `runtime/src` use each other as the table in `docs/architecture.md` says, and only downwards.

use proc_macro2::{TokenStream, TokenTree};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use syn::{
    Attribute, ImplItemFn, Item, ItemFn, ItemImpl, ItemMod, ItemUse, Macro, MetaList, UseTree,
    visit::{self, Visit},
};

/// Rooms that each room uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn each_room_uses_what_the_table_says() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (rooms, mut table) = (read_rooms(&source), table().into_iter().collect::<Uses>());
    for (room, used) in rooms {
        let told = table.remove(&room).unwrap_or_default();
        assert_eq!(used, told, "left: what {room} uses; right: what docs/architecture.md tells of it");
    }
    assert!(table.is_empty(), "docs/architecture.md tells of rooms that are not there: {table:?}");
}

#[test]
fn each_room_stands_above_what_it_uses() {
    let table = table();
    let place = |room: &str| table.iter().position(|(name, _)| name == room);
    for (room, used) in &table {
        for other in used {
            let (above, below) = (place(room), place(other));
            assert!(below.is_some(), "{room} uses {other}, which is not in the table");
            assert!(above < below, "{room} uses {other}, which stands above it");
        }
    }
}

#[test]
fn a_way_up_is_seen_in_each_of_its_forms_and_tests_do_not_count() {
    for code in [
        "use crate::board::Entry;",
        "use crate::{text::cut, board::{self, Entry}};",
        "fn f() { crate::board::new(); }",
        "mod inner { use crate::board as b; }",
        "struct S { entry: crate::board::Entry }",
        "fn f() { println!(\"{}\", crate::board::new()); }",
        "#[error(\"{}\", crate::board::new())] struct S;",
    ] {
        assert!(rooms_in(code).contains("board"), "{code}");
    }
    for code in [
        "#[cfg(test)] use crate::board::Entry;",
        "#[cfg(test)] mod tests { use crate::board::Entry; }",
        "impl S { #[cfg(test)] fn f() { crate::board::new() } }",
        "// use crate::board::Entry;",
    ] {
        assert_eq!(rooms_in(code), BTreeSet::new(), "{code}");
    }
}

/// The rooms of the table from top to bottom, with what each uses: `| room | what it does | what it uses |`.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let page = fs::read_to_string(page).expect("docs/architecture.md");
    let (_, page) = page.split_once("## The rooms").expect("a part about the rooms");
    let rows =
        page.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [room, _, uses] = cells[..] else { panic!("a row has three cells: {row}") };
        let words = uses.split([',', ' ']).filter(|word| !word.is_empty()).map(|word| word.trim_matches('`'));
        (room.trim_matches('`').to_owned(), words.map(str::to_owned).collect())
    })
    .collect()
}

/// What each room uses, in its files that are not tests.
fn read_rooms(source: &Path) -> Uses {
    let rooms = modules(&fs::read_to_string(source.join("lib.rs")).expect("lib.rs"));
    let uses = rooms.into_iter().map(|room| {
        let mut used = read_module(&source.join(&room));
        used.remove(&room);
        (room, used)
    });
    uses.collect()
}

/// The rooms that a module uses with the modules below it, given the path of its file without `.rs`.
fn read_module(path: &Path) -> BTreeSet<String> {
    let file = [path.with_extension("rs"), path.join("mod.rs")].into_iter().find(|file| file.exists());
    let file: PathBuf = file.unwrap_or_else(|| panic!("no file of the module {}", path.display()));
    let code = fs::read_to_string(&file).expect("a file of Rust");
    let below = modules(&code).into_iter().flat_map(|name| read_module(&path.join(name)));
    below.chain(rooms_in(&code)).collect()
}

/// The modules that have a file of their own, tests apart.
fn modules(code: &str) -> Vec<String> {
    let file = syn::parse_file(code).expect("Rust");
    let modules = file.items.into_iter().filter_map(|item| match item {
        Item::Mod(module) if module.content.is_none() && !is_test(&module.attrs) => {
            Some(module.ident.to_string())
        }
        _ => None,
    });
    modules.collect()
}

fn rooms_in(code: &str) -> BTreeSet<String> {
    let mut found = Found::default();
    found.visit_file(&syn::parse_file(code).expect("Rust"));
    found.0
}

fn is_test(attributes: &[Attribute]) -> bool {
    let says_test =
        |attribute: &Attribute| attribute.parse_args::<syn::Ident>().is_ok_and(|word| word == "test");
    attributes.iter().any(|attribute| attribute.path().is_ident("cfg") && says_test(attribute))
}

/// Rooms that were found in `crate::room` paths.
#[derive(Default)]
struct Found(BTreeSet<String>);

impl Found {
    /// The first words of what follows `crate::` in a `use`.
    fn add(&mut self, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => self.0.extend([path.ident.to_string()]),
            UseTree::Name(name) => self.0.extend([name.ident.to_string()]),
            UseTree::Rename(name) => self.0.extend([name.ident.to_string()]),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.add(item)),
            UseTree::Glob(_) => panic!("`use crate::*` does not say which rooms are used"),
        }
    }

    /// The words that follow `crate::` where a macro or an attribute reads them.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (place, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Ident(word) if word == "crate" => {
                    self.0.extend(tokens.get(place + 3).map(ToString::to_string));
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if let (UseTree::Path(path), false) = (&item.tree, is_test(&item.attrs))
            && path.ident == "crate"
        {
            self.add(&path.tree);
        }
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.add_tokens(call.tokens.clone());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        self.add_tokens(list.tokens.clone());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut words = path.segments.iter().map(|segment| segment.ident.to_string());
        if words.next().is_some_and(|word| word == "crate") {
            self.0.extend(words.next());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }
}
