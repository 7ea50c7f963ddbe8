//! Descriptors and `.proto` text: names, comments, conflicts.

use std::collections::HashMap;

use prost_types::FileDescriptorProto;
use protox::Compiler;
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use wharf_call::{Case, Docs, Output, Schema, Type, TypeDef, TypeId, TypeKind};

use super::random::Dice;
use super::{field, function, interface, package, plan_of, random};
use crate::door::protos;
use crate::merge::merge;
use crate::print::print;

/// Files by name.
struct Texts(HashMap<String, String>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.get(name) {
            Some(text) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// What a stock compiler makes of the text of `files`.
fn compiled(files: &[FileDescriptorProto]) -> Vec<FileDescriptorProto> {
    let texts: HashMap<_, _> = files.iter().map(|file| (file.name().to_owned(), print(file))).collect();
    let shown = format!("{texts:#?}").replace("\\n", "\n");
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(texts));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_source_info(true).include_imports(false);
    for file in files {
        compiler.open_file(file.name()).unwrap_or_else(|error| panic!("{error:?}\n{shown}"));
    }
    let set = compiler.file_descriptor_set();
    files
        .iter()
        .map(|file| set.file.iter().find(|other| other.name() == file.name()).unwrap().clone())
        .collect()
}

fn comments(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let mut comments: Vec<_> = locations
        .filter_map(|location| Some((location.path.clone(), location.leading_comments.clone()?)))
        .collect();
    comments.sort();
    comments
}

fn assert_same(files: &[FileDescriptorProto]) {
    for (ours, theirs) in files.iter().zip(compiled(files)) {
        assert_eq!(comments(ours), comments(&theirs));
        let bare =
            |file: &FileDescriptorProto| FileDescriptorProto { source_code_info: None, ..file.clone() };
        assert_eq!(bare(ours), bare(&theirs), "{}", print(ours));
    }
}

#[test]
fn the_text_of_random_schemas_compiles_to_the_same_descriptors() {
    let mut dice = Dice(7);
    for _ in 0..40 {
        assert_same(&plan_of(&random::schema(&mut dice)).files);
    }
}

fn case(name: &str, ty: Option<Type>) -> Case {
    Case { name: name.into(), docs: Docs::default(), ty }
}

fn type_def(interface: &str, name: &str, kind: TypeKind) -> TypeDef {
    TypeDef {
        name: name.into(),
        package: package("demo:users@1.2.0"),
        interface: interface.into(),
        docs: Docs::default(),
        kind,
    }
}

/// A small service with docs, names that collide, and every kind of type.
fn users() -> Schema {
    let mut user = type_def(
        "accounts",
        "user",
        TypeKind::Record(vec![
            field("id", Type::U64),
            field("name", Type::String),
            field("tags", Type::List(Box::new(Type::List(Box::new(Type::String))))),
            field("state", Type::Named(TypeId(0))),
            field("notes", Type::Map(Box::new(Type::String), Box::new(Type::Option(Box::new(Type::F64))))),
        ]),
    );
    user.docs = Docs::parse("Somebody who can sign in.\n\nNames need not be unique. */ // {}");
    let mut error = type_def(
        "accounts",
        "failure",
        TypeKind::Variant(vec![case("not-found", None), case("invalid", Some(Type::String))]),
    );
    error.docs.deprecated = Some("1.1.0".into());
    let types = vec![
        type_def("accounts", "state", TypeKind::Enum(vec![case("active", None), case("on-hold", None)])),
        user,
        error,
        type_def("admin", "user", TypeKind::Flags(vec![case("root", None)])),
        type_def("accounts", "get-user-request", TypeKind::Record(vec![field("x", Type::Bool)])),
    ];
    let mut get = function("get-user", vec![field("id", Type::U64)], Output::Value(Type::Named(TypeId(1))));
    get.docs = Docs::parse("Finds a user.\n@query");
    get.error = Some(Type::Named(TypeId(2)));
    let mut upload = function("upload", vec![field("into", Type::String)], Output::Nothing);
    upload.input = Some(Type::Bytes(None));
    upload.error = Some(Type::String);
    let watch = function(
        "watch",
        vec![field("item", Type::Named(TypeId(4)))],
        Output::Stream(Type::Option(Box::new(Type::Named(TypeId(1))))),
    );
    let admin = function("get-user", vec![], Output::Value(Type::Named(TypeId(3))));
    Schema {
        interfaces: vec![
            interface("demo:users@1.2.0", "accounts", vec![get, upload, watch]),
            interface("demo:users@1.2.0", "admin", vec![admin]),
        ],
        types,
    }
}

#[test]
fn the_contract_reads_as_somebody_would_write_it() {
    let files = protos(&users()).unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].0, "demo/users/v1.proto");
    assert_eq!(files[0].1, include_str!("users.proto"));
    assert_same(&plan_of(&users()).files);
}

#[test]
fn plugins_that_export_the_same_are_named() {
    let schema = users();
    let problems = merge(&[("one", &schema), ("two", &schema)]).err().unwrap();
    assert_eq!(problems.len(), 2);
    assert!(
        problems[0].contains("\"one\" and \"two\" both export demo:users/accounts@1.2.0"),
        "{}",
        problems[0]
    );
}

#[test]
fn plugins_may_share_types_that_are_the_same_and_only_those() {
    let of = |name: &str, kind| Schema {
        interfaces: vec![interface(
            "demo:users@1.2.0",
            name,
            vec![function("get", vec![], Output::Value(Type::Named(TypeId(0))))],
        )],
        types: vec![type_def("types", "thing", kind)],
    };
    let one = of("one", TypeKind::Record(vec![field("a", Type::Bool)]));
    let same = of("two", TypeKind::Record(vec![field("a", Type::Bool)]));
    let merged = merge(&[("one", &one), ("two", &same)]).unwrap();
    assert_eq!(merged.schema.types.len(), 1);
    let grown = of("two", TypeKind::Record(vec![field("a", Type::Bool), field("b", Type::Bool)]));
    let problems = merge(&[("one", &one), ("two", &grown)]).err().unwrap();
    assert!(
        problems[0].contains("\"one\" and \"two\" define the type demo:users@1.2.0/types.thing differently")
    );
}

#[test]
fn a_type_that_is_too_deep_is_refused() {
    let deep = (0..101).fold(Type::Bool, |ty, _| Type::Option(Box::new(ty)));
    let schema = Schema {
        interfaces: vec![interface(
            "demo:users",
            "a",
            vec![function("f", vec![field("x", deep)], Output::Nothing)],
        )],
        types: vec![],
    };
    assert!(merge(&[("p", &schema)]).err().unwrap()[0].contains("within each other"));
}
