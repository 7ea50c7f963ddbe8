//! From the entry points of the component to the services.

use anyhow::Result;
use heck::ToSnakeCase;
use proc_macro2::{Ident, Literal, TokenStream as Tokens};
use quote::{format_ident, quote};
use wit_bindgen_core::wit_parser::abi::{AbiVariant, WasmType};
use wit_bindgen_core::wit_parser::{Function, InterfaceId, SizeAlign, TypeDefKind};

use super::arguments::Arguments;
use super::contract::Contract;
use super::function::{Flow, Output, Shape};
use super::{Module, entry_name, ident, tokens};

/// Everything that is exported, and the section with the WIT.
pub(super) fn all(
    wharf: &Tokens,
    arguments: &Arguments,
    contract: &Contract,
    modules: &[Module],
) -> Result<Tokens> {
    let mut sizes = SizeAlign::default();
    sizes.fill(&contract.resolve);
    let guests = modules.iter().map(|module| guest(wharf, contract, module)).collect::<Result<Vec<_>>>()?;
    let mut entries = Vec::new();
    for module in modules {
        entries.push(entry_points(contract, &sizes, module)?);
    }
    let interfaces = modules.iter().map(|module| &module.name);
    let lifecycle = contract.lifecycle.map(|id| {
        let interfaces = interfaces.clone();
        let export = export_macro(contract, id);
        let path = quote!(__wit::exports::wharf::plugin::lifecycle);
        quote! {
            impl #path::Guest for WharfComponent {
                async fn start() -> ::core::result::Result<(), #wharf::bindings::wharf::plugin::types::Failure> {
                    #wharf::__private::service::prepare();
                    #(#wharf::__private::service::start::<#interfaces::Interface>().await?;)*
                    ::core::result::Result::Ok(())
                }

                async fn health() -> ::core::result::Result<(), #wharf::bindings::wharf::plugin::types::Failure> {
                    #wharf::__private::service::health().await
                }

                async fn stop() {
                    #wharf::__private::service::stop().await;
                }
            }

            #[cfg(target_family = "wasm")]
            #path::#export!(WharfComponent with_types_in #path);
        }
    });
    let handlers = arguments.handler.then(|| {
        quote! {
            // The hooks are the handler's, so what is served is the handler.
            const fn is_the_handler<T: #wharf::Handler>() {}
            #(const _: () = is_the_handler::<
                <#interfaces::Interface as #wharf::__private::service::Serves>::Service
            >();)*
        }
    });
    let text = Literal::byte_string(contract.text.as_bytes());
    let length = contract.text.len();
    Ok(quote! {
        #[allow(dead_code, unused_variables, clippy::all, clippy::pedantic)]
        const _: () = {
            struct WharfComponent;

            #(#guests)*
            #lifecycle
            #handlers
            #(#entries)*

            // The host reads the documentation there: components themselves carry none.
            #[cfg(target_family = "wasm")]
            #[used]
            #[unsafe(link_section = "wharf:wit")]
            static WIT: [u8; #length] = *#text;
        };
    })
}

/// The implementation of what `wit-bindgen` wants of an interface.
fn guest(wharf: &Tokens, contract: &Contract, module: &Module) -> Result<Tokens> {
    let path = &module.path;
    let interface = &contract.resolve.interfaces[module.id];
    let mut resources = Vec::new();
    let mut implementations = Vec::new();
    for id in interface.types.values() {
        if !matches!(contract.resolve.types[*id].kind, TypeDefKind::Resource) {
            continue;
        }
        let flow = Flow::of(&contract.resolve, interface, *id)?;
        let (ty, implementation) = resource(wharf, module, &flow)?;
        let name = ident(&flow.name);
        resources.push(quote!(type #name = #ty;));
        implementations.push(implementation);
    }
    let functions = module
        .functions
        .iter()
        .map(|function| call(wharf, contract, module, function))
        .collect::<Result<Vec<_>>>()?;
    Ok(quote! {
        #[allow(clippy::too_many_arguments)]
        const _: () = {
            #[allow(unused_imports)]
            use #path::*;

            #(#implementations)*

            impl #path::Guest for WharfComponent {
                #(#resources)*
                #(#functions)*
            }
        };
    })
}

/// What stands behind a resource, and its methods.
fn resource(wharf: &Tokens, module: &Module, flow: &Flow) -> Result<(Tokens, Tokens)> {
    let private = quote!(#wharf::__private::service);
    let path = &module.path;
    let guest = format_ident!("Guest{}", flow.name);
    let error = tokens(&flow.error)?;
    let optional = |ty: &Option<String>| ty.as_deref().map(tokens).transpose();
    let (next, finished) = (optional(&flow.next)?, optional(&flow.finished)?);
    let pushed = flow.pushed.as_ref().map(|(_, ty)| tokens(ty)).transpose()?;
    let ty = match (&pushed, &next) {
        (None, next) => quote!(#private::Rows<#next, #error>),
        (Some(item), None) => quote!(#private::Upload<#item, #finished, #error>),
        (Some(item), Some(reply)) => quote!(#private::Chat<#item, #reply, #error>),
    };
    let next = next.map(|item| {
        quote! {
            async fn next(&self) -> ::core::result::Result<::core::option::Option<#item>, #error> {
                <#ty>::next(self).await
            }
        }
    });
    let push = pushed.map(|item| {
        quote! {
            async fn push(&self, item: #item) -> ::core::result::Result<(), #error> {
                <#ty>::push(self, item).await
            }

            async fn finish(&self) -> ::core::result::Result<#finished, #error> {
                <#ty>::finish(self).await
            }
        }
    });
    let implementation = quote! {
        impl #path::#guest for #ty {
            #next
            #push
        }
    };
    Ok((ty, implementation))
}

/// A function of the interface, which calls the method of the service.
fn call(wharf: &Tokens, contract: &Contract, module: &Module, shape: &Shape) -> Result<Tokens> {
    let private = quote!(#wharf::__private::service);
    let raw_reader = quote!(#wharf::__private::wit_bindgen::StreamReader);
    let (interface, name, path) = (&module.name, ident(&shape.name), &module.path);
    let mut params = Vec::new();
    let mut arguments = Vec::new();
    for param in &shape.params {
        let (name, ty) = (ident(&param.name), tokens(&param.ty)?);
        if param.streamed {
            params.push(quote!(#name: #raw_reader<#ty>));
            let read = if param.ty == "u8" { quote!(read_bytes) } else { quote!(read) };
            arguments.push(quote!(#private::#read(#name)));
        } else {
            params.push(quote!(#name: #ty));
            arguments.push(quote!(#name));
        }
    }
    let is_async = shape.function.kind.is_async();
    let service = quote!(#private::instance::<#interface::Interface>());
    let method = quote!(#interface::Service::#name);
    let awaited = is_async.then(|| quote!(.await));
    let tried = shape.error.is_some().then(|| quote!(?));
    let (ok, body) = match &shape.output {
        Output::Value(ty) => {
            let ok = tokens(ty)?;
            let value = quote!(#method(#service, #(#arguments),*) #awaited #tried);
            (ok, value)
        }
        Output::Scalars(item) => {
            let write = if item == "u8" { quote!(write_bytes) } else { quote!(write) };
            let item = tokens(item)?;
            let body = quote! {{
                let items = #method(#service, #(#arguments),*) #awaited #tried;
                let (writer, reader) = __wit::wit_stream::new::<#item>();
                #private::#write(items, writer);
                reader
            }};
            (quote!(#raw_reader<#item>), body)
        }
        Output::Resource(id) => {
            let flow = Flow::of(&contract.resolve, &contract.resolve.interfaces[module.id], *id)?;
            let resource = ident(&flow.name);
            let body = match (&flow.pushed, &flow.next) {
                (None, _) => quote! {
                    #path::#resource::new(#private::Rows::new(
                        #method(#service, #(#arguments),*) #awaited #tried
                    ))
                },
                (Some(_), next) => {
                    let kind = if next.is_some() { quote!(Chat) } else { quote!(Upload) };
                    quote! {
                        #path::#resource::new(#private::#kind::new(
                            async move |items| #method(#service, #(#arguments,)* items).await
                        ))
                    }
                }
            };
            (quote!(#path::#resource), body)
        }
    };
    let (returned, body) = match &shape.error {
        Some(error) => {
            let error = tokens(error)?;
            (quote!(::core::result::Result<#ok, #error>), quote!(::core::result::Result::Ok(#body)))
        }
        None => (ok, body),
    };
    let asynchronous = is_async.then(|| quote!(async));
    Ok(quote! {
        #asynchronous fn #name(#(#params),*) -> #returned {
            #body
        }
    })
}

/// The entry points of an interface, with those put right that would leave their arguments behind.
fn entry_points(contract: &Contract, sizes: &SizeAlign, module: &Module) -> Result<Tokens> {
    let path = &module.path;
    let export = export_macro(contract, module.id);
    let functions = contract.resolve.interfaces[module.id].functions.values();
    let fixed = functions.filter_map(|function| fixed(contract, sizes, path, function).transpose());
    let fixed = fixed.collect::<Result<Vec<_>>>()?;
    let name = format_ident!("entries_{}", module.name);
    Ok(quote! {
        #[allow(unused_imports, clippy::too_many_arguments)]
        mod #name {
            pub use super::#path::*;
            #(#fixed)*
        }

        #[cfg(target_family = "wasm")]
        #path::#export!(WharfComponent with_types_in #name);
    })
}

/// An asynchronous entry point with more arguments than fit into the parameters of a function of WebAssembly gets
/// them in a block of memory. wit-bindgen reads them before it returns from there, but frees the block only in
/// entry points that are not asynchronous: without this, each call would leave it behind. A test says when that ends.
fn fixed(
    contract: &Contract,
    sizes: &SizeAlign,
    path: &Tokens,
    function: &Function,
) -> Result<Option<Tokens>> {
    let signature = contract.resolve.wasm_signature(AbiVariant::GuestExportAsync, function);
    if !function.kind.is_async() || !signature.indirect_params {
        return Ok(None);
    }
    let arguments = sizes.record(function.params.iter().map(|param| &param.ty));
    let (size, align) = (arguments.size.size_wasm32(), arguments.align.align_wasm32());
    debug_assert_eq!(signature.params, [WasmType::Pointer]);
    let entry = entry_name(&function.name);
    let name = format_ident!("_export_{entry}_cabi");
    let resource = function.kind.resource().map(|id| {
        let name = contract.resolve.types[id].name.as_deref().unwrap_or_default();
        super::types::type_name(name)
    });
    let guest = format_ident!("Guest{}", resource.unwrap_or_default());
    Ok(Some(quote! {
        #[allow(non_snake_case)]
        pub unsafe fn #name<T: super::#path::#guest>(arguments: *mut u8) -> i32 {
            const ARGUMENTS: ::std::alloc::Layout =
                match ::std::alloc::Layout::from_size_align(#size, #align) {
                    ::core::result::Result::Ok(layout) => layout,
                    ::core::result::Result::Err(_) => ::core::unreachable!(),
                };
            // SAFETY: the caller is the generated entry point. The task that it starts is polled once before it
            // returns, and reads the arguments first of all; the host got them from `cabi_realloc` with this
            // size and alignment, and nobody has them any more.
            unsafe {
                let status = super::#path::#name::<T>(arguments);
                ::std::alloc::dealloc(arguments, ARGUMENTS);
                status
            }
        }
    }))
}

/// The macro that exports an interface, as `wit-bindgen` names it.
fn export_macro(contract: &Contract, id: InterfaceId) -> Ident {
    let name = contract.resolve.id_of(id).unwrap_or_default().to_snake_case();
    let name: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
    format_ident!("__export_{name}_cabi")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn the_arguments_of_an_asynchronous_function_are_freed_once() {
        let of = |wit: &str| {
            let arguments: Arguments = syn::parse_str(&format!("inline = {wit:?}")).unwrap();
            let code = crate::wit::expand(&quote!(::wharf), &arguments).unwrap().to_string();
            let code: String = code.split_whitespace().collect();
            let count = |text: &str| code.matches(text).count();
            // What wit-bindgen frees, and what is freed after it.
            (count("cabi_dealloc(arg0,"), count("dealloc(arguments,ARGUMENTS)"))
        };
        let params: String = ('a'..='i').map(|name| format!("{name}: string,")).collect();
        assert_eq!(of(&format!("package a:b; interface i {{ f: async func({params}); }}")), (0, 1));
        assert_eq!(of(&format!("package a:b; interface i {{ f: func({params}); }}")), (1, 0));
        assert_eq!(of("package a:b; interface i { f: async func(a: string); }"), (0, 0));
    }
}
