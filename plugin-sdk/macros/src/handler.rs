//! `#[wharf::handler]` and `#[wharf::endpoint]`.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Error, FnArg, ImplItem, ImplItemFn, ItemFn, ItemImpl, Result, ReturnType, Type, parse_quote};

use crate::arguments::Arguments;
use crate::{check_async, export};

pub(crate) fn of_function(wharf: &Tokens, function: &ItemFn) -> Result<Tokens> {
    let name = &function.sig.ident;
    let handle = handle(wharf, &arguments(function)?.answer(wharf, None, &quote!(#name)));
    let export = export(wharf, &quote!(Function));
    Ok(quote! {
        #function

        const _: () = {
            struct Function;

            #[allow(refining_impl_trait)]
            impl #wharf::Handler for Function {
                async fn start() -> #wharf::Result<Self> {
                    ::core::result::Result::Ok(Function)
                }

                #handle
            }

            #export
        };
    })
}

/// The trait's method, with `answer` as its body.
fn handle(wharf: &Tokens, answer: &Tokens) -> Tokens {
    quote! {
        async fn handle(
            &self,
            request: #wharf::Request,
            context: #wharf::Context,
        ) -> #wharf::Result<#wharf::Response> {
            #answer
        }
    }
}

/// The function as it is, and code beside it that compiles only if a router can call it.
pub(crate) fn check_endpoint(wharf: &Tokens, function: &ItemFn) -> Result<Tokens> {
    let name = &function.sig.ident;
    let answer = arguments(function)?.answer(wharf, None, &quote!(#name));
    Ok(quote! {
        #function

        const _: () = {
            #[allow(dead_code)]
            async fn check(
                request: #wharf::Request,
                context: #wharf::Context,
            ) -> #wharf::Result<#wharf::Response> {
                #answer
            }
        };
    })
}

fn arguments(function: &ItemFn) -> Result<Arguments> {
    let signature = &function.sig;
    check_async(signature, "a handler")?;
    if let Some(receiver @ FnArg::Receiver(_)) = signature.inputs.first() {
        return Err(Error::new(
            receiver.span(),
            "a handler function has no `self`; for state, put `#[wharf::handler]` on `impl Handler for ...`, \
             or `#[wharf::router]` on an `impl` with routes",
        ));
    }
    Arguments::of(signature)
}

pub(crate) fn of_impl(wharf: &Tokens, mut implementation: ItemImpl) -> Result<Tokens> {
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
    let ty = implementation.self_ty.clone();
    let mut own = None;
    for item in &mut implementation.items {
        let ImplItem::Fn(method) = item else { continue };
        if !matches!(&method.sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::ImplTrait(_))) {
            check_async(&method.sig, "a handler")?;
        }
        if method.sig.ident == "handle"
            && let Some((of_trait, of_type)) = with_extractors(wharf, &ty, method)?
        {
            *method = of_trait;
            own = Some(of_type);
        }
    }
    let own = own.map(|method| quote!(impl #ty { #method }));
    let export = export(wharf, &quote!(#ty));
    Ok(quote! {
        // `handle` may name what it returns although the trait only says `impl IntoResponse`.
        #[allow(refining_impl_trait)]
        #implementation

        #own

        const _: () = { #export };
    })
}

/// A `handle` that takes something else than the trait's becomes a method of the type, and the trait's
/// calls it.
fn with_extractors(
    wharf: &Tokens,
    ty: &Type,
    method: &ImplItemFn,
) -> Result<Option<(ImplItemFn, ImplItemFn)>> {
    let arguments = Arguments::of(&method.sig)?;
    if arguments.are_the_traits() {
        return Ok(None);
    }
    let mut own = method.clone();
    own.sig.ident = format_ident!("__wharf_handle", span = method.sig.ident.span());
    let name = &own.sig.ident;
    let answer = arguments.answer(wharf, Some(&quote!(self)), &quote!(<#ty>::#name));
    let handle = handle(wharf, &answer);
    let of_trait = parse_quote!(#handle);
    own.attrs.push(parse_quote!(#[doc(hidden)]));
    Ok(Some((of_trait, own)))
}
