//! The module of an interface: its types, and the trait that a service implements.

use anyhow::{Result, anyhow};
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use wit_bindgen_core::wit_parser::{Docs, Type, TypeDefKind};

use super::contract::Contract;
use super::function::{Flow, Output, Shape};
use super::types::{definition, type_name};
use super::{Module, ident, tokens};

/// The module of an interface that is not served, but whose types are used.
pub(super) fn types_alone(contract: &Contract, module: &Module) -> Tokens {
    let Module { name, path, .. } = module;
    let docs = docs(&contract.resolve.interfaces[module.id].docs);
    quote! {
        #docs
        pub mod #name {
            #[allow(unused_imports, unreachable_pub)]
            pub use super::#path::*;
        }
    }
}

/// The module of an interface that is served.
pub(super) fn service(wharf: &Tokens, contract: &Contract, module: &Module) -> Result<Tokens> {
    let Module { name, path, .. } = module;
    let interface = &contract.resolve.interfaces[module.id];
    let mut types = Vec::new();
    for (wit, id) in &interface.types {
        let is_value = !matches!(
            definition(&contract.resolve, Type::Id(*id)),
            Some((_, TypeDefKind::Resource | TypeDefKind::Handle(_)))
        );
        let name = type_name(wit);
        if name == "Service" || name == "Interface" {
            return Err(anyhow!(
                "the type `{wit}` of the interface `{}` would have the name of its Rust trait: rename it",
                interface.name.as_deref().unwrap_or_default()
            ));
        }
        if is_value {
            types.push(ident(&name));
        }
    }
    let types = (!types.is_empty()).then(|| {
        quote! {
            #[allow(unused_imports, unreachable_pub)]
            pub use super::#path::{#(#types),*};
        }
    });
    let methods = module
        .functions
        .iter()
        .map(|function| method(wharf, contract, module, function))
        .collect::<Result<Vec<_>>>()?;
    let docs = docs(&interface.docs);
    let marker = ident(&type_name(interface.name.as_deref().unwrap_or_default()));
    Ok(quote! {
        #docs
        // The WIT decides how many parameters there are.
        #[allow(missing_docs, clippy::too_many_arguments)]
        pub mod #name {
            #types

            /// The functions of the interface. `#[wharf::service]` on an implementation serves them.
            pub trait Service: Sized + 'static {
                #(#methods)*
            }

            // For `#[wharf::service]`. It is the crate's own, so that what serves it may be, too.
            pub(crate) use self::interface::#marker as Interface;

            mod interface {
                // The compiler calls it so when nothing serves it.
                #[derive(Debug)]
                pub(crate) enum #marker {}
            }
        }
    })
}

/// A function, as a method of the trait.
fn method(wharf: &Tokens, contract: &Contract, module: &Module, function: &Shape) -> Result<Tokens> {
    let docs = docs(&function.function.docs);
    let name = ident(&function.name);
    let mut params = Vec::new();
    for param in &function.params {
        let name = ident(&param.name);
        let ty = if param.streamed { streaming(wharf, &param.ty)? } else { tokens(&param.ty)? };
        params.push(quote!(#name: #ty));
    }
    let wrap = |ok: Tokens| -> Result<Tokens> {
        Ok(match &function.error {
            Some(error) => {
                let error = tokens(error)?;
                quote!(::core::result::Result<#ok, #error>)
            }
            None => ok,
        })
    };
    let mut is_async = function.function.kind.is_async();
    let returned = match &function.output {
        Output::Value(ty) => wrap(tokens(ty)?)?,
        Output::Scalars(item) => {
            let item = piece(wharf, item)?;
            wrap(quote!(impl #wharf::service::Stream<Item = #item>))?
        }
        Output::Resource(id) => {
            let flow = Flow::of(&contract.resolve, &contract.resolve.interfaces[module.id], *id)?;
            let error = tokens(&flow.error)?;
            if let Some((name, ty)) = &flow.pushed {
                is_async = true;
                let taken = function.params.iter().any(|param| param.name == *name);
                let name = ident(&if taken { format!("{name}_") } else { name.clone() });
                let ty = tokens(ty)?;
                params.push(quote!(#name: #wharf::service::Streaming<#ty>));
            }
            match (&flow.next, &flow.finished) {
                (Some(item), finished) => {
                    let item = tokens(item)?;
                    let stream = quote! {
                        impl #wharf::service::Stream<Item = ::core::result::Result<#item, #error>>
                    };
                    match finished {
                        // A conversation may fail before it has a stream, whatever the function itself returns.
                        Some(_) => quote!(::core::result::Result<#stream, #error>),
                        None => wrap(stream)?,
                    }
                }
                (None, finished) => {
                    let summary = tokens(finished.as_deref().unwrap_or("()"))?;
                    quote!(::core::result::Result<#summary, #error>)
                }
            }
        }
    };
    let returned = if is_async { quote!(impl ::core::future::Future<Output = #returned>) } else { returned };
    Ok(quote! {
        #docs
        fn #name(&self, #(#params),*) -> #returned;
    })
}

/// The type of a stream that a function takes.
pub(super) fn streaming(wharf: &Tokens, item: &str) -> Result<Tokens> {
    let item = piece(wharf, item)?;
    Ok(quote!(#wharf::service::Streaming<#item>))
}

/// What a stream gives at once: bytes in pieces, everything else one by one.
fn piece(wharf: &Tokens, item: &str) -> Result<Tokens> {
    if item == "u8" { Ok(quote!(#wharf::Bytes)) } else { tokens(item) }
}

fn docs(docs: &Docs) -> Tokens {
    docs.contents.as_ref().map_or_else(Tokens::new, |text| quote!(#[doc = #text]))
}
