//! The attribute macros of `wharf-sdk`, which documents them. They write the glue between a plugin's own
//! code and the exports of its component; everything that can be a library function is one.

use proc_macro::TokenStream;
use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream as Tokens};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ImplItem, Item, ItemFn, ItemImpl, Result, ReturnType, Signature, Type};

/// Makes a handler plugin of an `async fn`, or of an `impl Handler for T`: see `wharf_sdk::handler`.
#[proc_macro_attribute]
pub fn handler(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let original = Tokens::from(item.clone());
    expand(arguments.into(), item)
        .unwrap_or_else(|error| {
            // The item stays, so that its uses elsewhere are not errors of their own.
            let error = error.into_compile_error();
            quote!(#original #error)
        })
        .into()
}

fn expand(arguments: Tokens, item: TokenStream) -> Result<Tokens> {
    if !arguments.is_empty() {
        return Err(Error::new(arguments.span(), "`#[wharf::handler]` takes no arguments"));
    }
    let wharf = sdk()?;
    match syn::parse::<Item>(item)? {
        Item::Fn(function) => of_function(&wharf, &function),
        Item::Impl(implementation) => of_impl(&wharf, &implementation),
        other => Err(Error::new(
            other.span(),
            "`#[wharf::handler]` belongs on an `async fn` or on an `impl Handler for ...`",
        )),
    }
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

fn of_function(wharf: &Tokens, function: &ItemFn) -> Result<Tokens> {
    let signature = &function.sig;
    check_async(signature)?;
    if !signature.generics.params.is_empty() {
        return Err(Error::new(signature.generics.span(), "a handler cannot be generic: the host calls it"));
    }
    let mut arguments = Vec::new();
    for (argument, name) in signature.inputs.iter().zip(["request", "context"]) {
        let FnArg::Typed(argument) = argument else {
            return Err(Error::new(
                argument.span(),
                "a handler function has no `self`; for state, put `#[wharf::handler]` on `impl Handler for ...`",
            ));
        };
        // With the span of the type, a wrong type is reported where it is written.
        arguments.push(syn::Ident::new(name, argument.ty.span()));
    }
    if let Some(third) = signature.inputs.iter().nth(2) {
        return Err(Error::new(
            third.span(),
            format!(
                "a handler takes at most two arguments: `async fn {}(request: Request, context: Context)`",
                signature.ident
            ),
        ));
    }
    let name = &signature.ident;
    let output = match &signature.output {
        ReturnType::Default => signature.span(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    // With the span of the return type, a type that is no response is reported there.
    let handle = quote_spanned! {output=>
        async fn handle(
            &self,
            request: #wharf::Request,
            context: #wharf::Context,
        ) -> impl #wharf::IntoResponse {
            let _ = (&request, &context);
            #name(#(#arguments),*).await
        }
    };
    let export = export(wharf, &quote!(Function));
    Ok(quote! {
        #function

        const _: () = {
            struct Function;

            impl #wharf::Handler for Function {
                async fn start() -> #wharf::Result<Self> {
                    Ok(Function)
                }

                #handle
            }

            #export
        };
    })
}

fn of_impl(wharf: &Tokens, implementation: &ItemImpl) -> Result<Tokens> {
    let is_handler = implementation
        .trait_
        .as_ref()
        .and_then(|(_, path, _)| path.segments.last())
        .is_some_and(|segment| segment.ident == "Handler");
    if !is_handler {
        return Err(Error::new(
            implementation.self_ty.span(),
            "`#[wharf::handler]` belongs on an implementation of the trait `Handler`: `impl Handler for ...`",
        ));
    }
    if !implementation.generics.params.is_empty() {
        return Err(Error::new(
            implementation.generics.span(),
            "a handler cannot be generic: a component exports one type",
        ));
    }
    for item in &implementation.items {
        if let ImplItem::Fn(method) = item
            && !matches!(&method.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_)))
        {
            check_async(&method.sig)?;
        }
    }
    let ty = &implementation.self_ty;
    let export = export(wharf, &quote!(#ty));
    Ok(quote! {
        // `handle` may name what it returns although the trait only says `impl IntoResponse`.
        #[allow(refining_impl_trait)]
        #implementation

        const _: () = { #export };
    })
}

fn check_async(signature: &Signature) -> Result<()> {
    if signature.asyncness.is_some() {
        return Ok(());
    }
    Err(Error::new(
        signature.fn_token.span,
        format!("a handler is asynchronous: write `async fn {}`", signature.ident),
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
