//! The attribute macros of `wharf-sdk`, which documents them. They write the glue between a plugin's own
//! code and the exports of its component; everything that can be a library function is one.

mod arguments;
mod handler;
mod router;
mod service;
mod socket;
mod wit;

use proc_macro::TokenStream;
use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream as Tokens};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, Item, ItemFn, Result, Signature};

/// Makes a handler plugin of an `async fn`, or of an `impl Handler for T`: see `wharf_sdk::handler`.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute("handler", arguments, item, |wharf, item| match item {
        Item::Fn(function) => handler::of_function(wharf, &function),
        Item::Impl(implementation) => handler::of_impl(wharf, implementation),
        other => Err(Error::new(
            other.span(),
            "`#[wharf::handler]` belongs on an `async fn` or on an `impl Handler for ...`",
        )),
    })
}

/// Makes a handler plugin of a function that returns a router, or of an `impl` whose methods are its routes:
/// see `wharf_sdk::router`.
#[proc_macro_attribute]
pub fn router(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute("router", arguments, item, |wharf, item| match item {
        Item::Fn(function) => router::of_function(wharf, &function),
        Item::Impl(implementation) => router::of_impl(wharf, implementation),
        other => Err(Error::new(
            other.span(),
            "`#[wharf::router]` belongs on a function that returns a `Router`, or on an `impl` with routes",
        )),
    })
}

/// Checks a function that a router is given: see `wharf_sdk::endpoint`.
#[proc_macro_attribute]
pub fn endpoint(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute("endpoint", arguments, item, |wharf, item| match item {
        Item::Fn(function) => handler::check_endpoint(wharf, &function),
        other => Err(Error::new(other.span(), "`#[wharf::endpoint]` belongs on an `async fn`")),
    })
}

/// Serves an interface of the plugin's WIT with a type: see `wharf_sdk::service`.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute("service", arguments, item, |wharf, item| match item {
        Item::Impl(implementation) => service::of_impl(wharf, &implementation),
        other => Err(Error::new(
            other.span(),
            "`#[wharf::service]` belongs on an implementation of an interface's trait: \
             `impl accounts::Service for ...`",
        )),
    })
}

/// Makes a socket plugin of an `async fn`: see `wharf_sdk::socket`.
#[proc_macro_attribute]
pub fn socket(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute("socket", arguments, item, |wharf, item| match item {
        Item::Fn(function) => socket::of_function(wharf, &function),
        other => Err(Error::new(other.span(), "`#[wharf::socket]` belongs on an `async fn`")),
    })
}

/// Makes Rust of the plugin's WIT: see `wharf_sdk::service`.
#[proc_macro]
pub fn wit(arguments: TokenStream) -> TokenStream {
    let expanded = syn::parse::<wit::Arguments>(arguments).and_then(|arguments| {
        wit::expand(&sdk()?, &arguments)
            // The whole chain: where it was looked for, and what is wrong there.
            .map_err(|error| Error::new(Span::call_site(), format!("{error:#}")))
    });
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

/// Makes a test of an `async fn`: see `wharf_sdk::test`.
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, item: TokenStream) -> TokenStream {
    attribute("test", arguments, item, |wharf, item| match item {
        Item::Fn(function) => of_test(wharf, function),
        other => Err(Error::new(other.span(), "`#[wharf::test]` belongs on an `async fn`")),
    })
}

fn of_test(wharf: &Tokens, function: ItemFn) -> Result<Tokens> {
    check_async(&function.sig, "a test with `#[wharf::test]`")?;
    if let Some(argument) = function.sig.inputs.first() {
        return Err(Error::new(argument.span(), "a test takes no arguments"));
    }
    let ItemFn { attrs, vis, mut sig, block } = function;
    sig.asyncness = None;
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attrs)*
        #vis #sig {
            #wharf::testing::block_on(async move #block)
        }
    })
}

fn attribute(
    name: &str,
    arguments: TokenStream,
    item: TokenStream,
    expand: impl FnOnce(&Tokens, Item) -> Result<Tokens>,
) -> TokenStream {
    let original = Tokens::from(item.clone());
    let arguments = Tokens::from(arguments);
    let parsed = syn::parse::<Item>(item);
    let expanded = if arguments.is_empty() {
        sdk().and_then(|wharf| expand(&wharf, parsed.clone()?))
    } else {
        Err(Error::new(arguments.span(), format!("`#[wharf::{name}]` takes no arguments")))
    };
    expanded
        .unwrap_or_else(|error| {
            // The item stays, so that its uses elsewhere are not errors of their own.
            let error = error.into_compile_error();
            match parsed {
                Ok(Item::Impl(implementation)) => {
                    let original = router::without_routes(implementation);
                    quote!(#original #error)
                }
                _ => quote!(#original #error),
            }
        })
        .into()
}

/// The SDK's path under the name that the plugin's `Cargo.toml` gives it.
fn sdk() -> Result<Tokens> {
    let name = match crate_name("wharf-sdk") {
        Ok(FoundCrate::Name(name)) => name,
        Ok(FoundCrate::Itself) => "wharf_sdk".to_owned(),
        Err(error) => return Err(Error::new(Span::call_site(), error)),
    };
    let name = syn::Ident::new(&name, Span::call_site());
    Ok(quote!(::#name))
}

fn check_async(signature: &Signature, what: &str) -> Result<()> {
    if signature.asyncness.is_some() {
        return Ok(());
    }
    Err(Error::new(
        signature.fn_token.span,
        format!("{what} is asynchronous: write `async fn {}`", signature.ident),
    ))
}

/// Native builds are for tests: they have no component to export from, but use the handler all the same.
fn export(wharf: &Tokens, ty: &Tokens) -> Tokens {
    quote! {
        type Export = #wharf::__private::Export<#ty>;
        #[cfg(target_family = "wasm")]
        #wharf::bindings::export_handler_plugin!(Export with_types_in #wharf::bindings);
        #[cfg(not(target_family = "wasm"))]
        const _: Option<Export> = None;
    }
}
