//! `wharf::wit!`: Rust of the plugin's WIT, and the exports of the component.
//!
//! `wit-bindgen` makes the types and the entry points of the component. On top of them each interface becomes a
//! module with its types and a trait `Service`, whose methods are the functions as an author wants to write them;
//! the glue between the two is here. Which type implements the trait is told by `#[wharf::service]`, through the
//! trait `Serves` of the module's `Interface`.

mod arguments;
mod contract;
mod exports;
mod function;
mod methods;
mod types;

use std::str::FromStr;

use anyhow::{Context, Result, anyhow};
use heck::ToSnakeCase;
use proc_macro2::{Ident, Span, TokenStream as Tokens};
use quote::quote;
use wit_bindgen_core::wit_parser::{InterfaceId, Type};
use wit_bindgen_core::{Files, WorldGenerator, name_package_module};
use wit_bindgen_rust::{Opts, WithOption, to_rust_ident};

pub(crate) use arguments::Arguments;
use contract::Contract;
use function::Shape;

/// An interface and where its parts are.
struct Module<'a> {
    /// In the crate: `accounts`.
    name: Ident,
    /// In what `wit-bindgen` has generated: `__wit::exports::demo::users::accounts`.
    path: Tokens,
    id: InterfaceId,
    functions: Vec<Shape<'a>>,
}

pub(crate) fn expand(wharf: &Tokens, arguments: &Arguments) -> Result<Tokens> {
    let mut contract = Contract::read(arguments)?;
    let generated = generate(wharf, arguments, &mut contract)?;
    let mut modules = Vec::new();
    for id in &contract.exports {
        modules.push(module(&contract, *id, true)?);
    }
    let mut used = Vec::new();
    for id in &contract.imports {
        let module = module(&contract, *id, false)?;
        if modules.iter().all(|other| other.name != module.name) {
            used.push(module);
        }
    }
    if let Some((at, twice)) =
        modules.iter().enumerate().find(|(at, one)| modules[..*at].iter().any(|other| other.name == one.name))
    {
        let first =
            modules[..at].iter().find(|other| other.name == twice.name).map_or(twice.id, |one| one.id);
        let name = |id| contract.resolve.id_of(id).unwrap_or_default();
        return Err(anyhow!(
            "{} and {} would be one module: rename one of them",
            name(first),
            name(twice.id)
        ));
    }
    let types = used.iter().map(|module| methods::types_alone(&contract, module));
    let services = modules
        .iter()
        .map(|module| methods::service(wharf, &contract, module))
        .collect::<Result<Vec<_>>>()?;
    let exports = exports::all(wharf, arguments, &contract, &modules)?;
    let files = contract.files.iter().map(|file| {
        let file = file.display().to_string();
        quote!(
            const _: &[u8] = include_bytes!(#file);
        )
    });
    Ok(quote! {
        #[doc(hidden)]
        #[allow(
            missing_docs, unreachable_pub, unused_imports, dead_code, clippy::all,
            clippy::pedantic, clippy::undocumented_unsafe_blocks, clippy::unwrap_used
        )]
        #[rustfmt::skip]
        pub mod __wit {
            #generated
        }

        #(#types)*
        #(#services)*
        #exports
        #(#files)*
    })
}

/// What `wit_bindgen::generate!` would write.
fn generate(wharf: &Tokens, arguments: &Arguments, contract: &mut Contract) -> Result<Tokens> {
    let wharf = wharf.to_string().replace(' ', "");
    let derives = arguments.derives.iter().map(|path| quote!(#path).to_string().replace(' ', ""));
    let types = contract.resolve.types.iter();
    let no_values = types.filter(|(id, _)| types::holds_handles(&contract.resolve, Type::Id(*id)));
    let ignored = no_values.filter_map(|(_, ty)| ty.name.clone()).collect();
    // wit-bindgen refuses a replacement for what it does not meet.
    let with = contract.uses_types().then(|| {
        let path = format!("{wharf}::bindings::wharf::plugin::types");
        (contract::TYPES.to_owned(), WithOption::Path(path))
    });
    let options = Opts {
        runtime_path: Some(format!("{wharf}::__private::wit_bindgen::rt")),
        additional_derive_attributes: std::iter::once("PartialEq".to_owned()).chain(derives).collect(),
        additional_derive_ignore: ignored,
        generate_all: true,
        generate_unused_types: true,
        with: with.into_iter().collect(),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut contract.resolve, contract.world, &mut files)?;
    let (_, source) = files.iter().next().context("wit-bindgen has generated nothing")?;
    tokens(std::str::from_utf8(source)?)
}

fn module<'a>(contract: &'a Contract, id: InterfaceId, exported: bool) -> Result<Module<'a>> {
    let interface = &contract.resolve.interfaces[id];
    let (Some(name), Some(package)) = (&interface.name, interface.package) else {
        return Err(anyhow!("an interface without a name or a package cannot be served"));
    };
    let mut path = "__wit::".to_owned();
    if exported {
        path += "exports::";
    }
    let namespace = to_rust_ident(&contract.resolve.packages[package].name.namespace);
    let name = to_rust_ident(name);
    path += &format!("{namespace}::{}::{name}", name_package_module(&contract.resolve, package));
    let functions =
        interface.functions.values().filter(|function| exported && function.kind.resource().is_none());
    let functions = functions.map(|function| {
        Shape::of(&contract.resolve, function).with_context(|| {
            let interface = contract.resolve.id_of(id).unwrap_or_default();
            format!("the function `{}` of {interface} cannot be served", function.name)
        })
    });
    Ok(Module { name: ident(&name), path: tokens(&path)?, id, functions: functions.collect::<Result<_>>()? })
}

fn ident(name: &str) -> Ident {
    Ident::new(name, Span::call_site())
}

fn tokens(text: &str) -> Result<Tokens> {
    Tokens::from_str(text).map_err(|error| anyhow!("{error} in {text}"))
}

/// A name as `wit-bindgen` makes the entry point's of it.
fn entry_name(function: &str) -> String {
    function.to_snake_case().replace('.', "_")
}
