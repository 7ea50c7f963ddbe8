//! `#[wharf::router]`.

use proc_macro2::TokenStream as Tokens;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Error, ImplItem, ImplItemFn, ItemFn, ItemImpl, LitStr, Result, parse_quote};

use crate::arguments::Arguments;
use crate::{check_async, export};

const METHODS: [&str; 8] = ["get", "post", "put", "patch", "delete", "head", "options", "any"];

pub(crate) fn of_function(wharf: &Tokens, function: &ItemFn) -> Result<Tokens> {
    if let Some(argument) = function.sig.inputs.first() {
        return Err(Error::new(
            argument.span(),
            "a function that makes a router takes no arguments: it runs once, when the instance starts",
        ));
    }
    let name = &function.sig.ident;
    let wait = function.sig.asyncness.map(|_| quote!(.await));
    let output = match &function.sig.output {
        syn::ReturnType::Default => name.span(),
        syn::ReturnType::Type(_, ty) => ty.span(),
    };
    let into_router = quote_spanned!(output=> #wharf::__private::IntoRouter::into_router(#name()#wait));
    let export = export(wharf, &quote!(#wharf::__private::Routed<Source>));
    Ok(quote! {
        #function

        const _: () = {
            struct Source;

            impl #wharf::__private::RouterSource for Source {
                async fn router() -> #wharf::Result<#wharf::Router> {
                    #into_router
                }
            }

            #export
        };
    })
}

pub(crate) fn of_impl(wharf: &Tokens, mut implementation: ItemImpl) -> Result<Tokens> {
    if let Some((_, of_trait, _)) = &implementation.trait_ {
        return Err(Error::new(
            of_trait.span(),
            "`#[wharf::router]` belongs on the type's own `impl`, whose methods are the routes; \
             an `impl Handler` takes `#[wharf::handler]`",
        ));
    }
    if !implementation.generics.params.is_empty() {
        return Err(Error::new(
            implementation.generics.span(),
            "a router cannot be generic: a component exports one type",
        ));
    }
    let ty = implementation.self_ty.clone();
    let mut routes = Vec::new();
    let mut adapters: Vec<ImplItemFn> = Vec::new();
    let mut hooks = Vec::new();
    let mut has_start = false;
    for item in &mut implementation.items {
        let ImplItem::Fn(method) = item else { continue };
        let found = take_routes(&mut method.attrs)?;
        let name = &method.sig.ident;
        if found.is_empty() {
            let hook = name.to_string();
            if matches!(hook.as_str(), "start" | "health" | "stop") {
                check_async(&method.sig, "a hook")?;
                has_start |= hook == "start";
                hooks.push(hook);
            }
            continue;
        }
        check_async(&method.sig, "a route")?;
        match method.sig.receiver() {
            Some(receiver) if receiver.reference.is_none() || receiver.mutability.is_some() => {
                return Err(Error::new(
                    receiver.span(),
                    "a route takes `&self`: the instance serves the next call as well",
                ));
            }
            _ => {}
        }
        let arguments = Arguments::of(&method.sig)?;
        let receiver = method.sig.receiver().map(|_| quote!(this));
        let adapter = format_ident!("__wharf_route_{}", name, span = name.span());
        let answer = arguments.answer(wharf, receiver.as_ref(), &quote!(<#ty>::#name));
        adapters.push(parse_quote! {
            #[doc(hidden)]
            #[allow(unused_variables, non_snake_case)]
            async fn #adapter(this: &'static Self, call: #wharf::Call) -> #wharf::Result<#wharf::Response> {
                // A call keeps its router's states; only its request and context are taken apart here.
                let (request, context) = call.into_parts();
                #answer
            }
        });
        for (verb, pattern) in found {
            let http_method = if verb == "any" {
                quote!(::core::option::Option::None)
            } else {
                let verb = format_ident!("{}", verb.to_uppercase());
                quote!(::core::option::Option::Some(#wharf::Method::#verb))
            };
            routes.push(quote! {
                .__call(#http_method, #pattern, move |call| <#ty>::#adapter(this, call))
            });
        }
    }
    if routes.is_empty() {
        return Err(Error::new(
            ty.span(),
            "no method of this `impl` is a route: put `#[get(\"/\")]`, `#[post(\"/notes\")]` … on some",
        ));
    }
    let start =
        if has_start { quote!(<#ty>::start().await) } else { quote!(Ok(<#ty as Default>::default())) };
    let health = hooks.iter().any(|hook| hook == "health").then(|| {
        quote! { async fn health(&self) -> #wharf::Result<()> { <#ty>::health(self).await } }
    });
    let stop = hooks.iter().any(|hook| hook == "stop").then(|| {
        quote! { async fn stop(&self) { <#ty>::stop(self).await } }
    });
    let export = export(wharf, &quote!(#ty));
    Ok(quote! {
        #implementation

        impl #ty {
            #(#adapters)*
        }

        #[allow(refining_impl_trait)]
        impl #wharf::Handler for #ty {
            async fn start() -> #wharf::Result<Self> {
                #start
            }

            async fn handle(
                &self,
                _: #wharf::Request,
                _: #wharf::Context,
            ) -> #wharf::Result<#wharf::Response> {
                Err(#wharf::Failure::not_found("there is nothing at this address"))
            }

            #health

            #stop

            fn __router(this: &'static Self) -> ::core::option::Option<#wharf::Router> {
                ::core::option::Option::Some(#wharf::Router::new() #(#routes)*)
            }
        }

        const _: () = { #export };
    })
}

/// The `impl` without the attributes that only this macro knows.
pub(crate) fn without_routes(mut implementation: ItemImpl) -> ItemImpl {
    for item in &mut implementation.items {
        if let ImplItem::Fn(method) = item {
            method.attrs.retain(|attribute| !METHODS.iter().any(|verb| attribute.path().is_ident(verb)));
        }
    }
    implementation
}

/// Takes `#[get("/pattern")]` and its like out of a method's attributes.
fn take_routes(attributes: &mut Vec<Attribute>) -> Result<Vec<(String, LitStr)>> {
    let mut routes = Vec::new();
    let mut rest = Vec::new();
    for attribute in attributes.drain(..) {
        let verb = METHODS.iter().find(|verb| attribute.path().is_ident(verb));
        match verb {
            Some(verb) => {
                let pattern = attribute.parse_args::<LitStr>().map_err(|_| {
                    Error::new(
                        attribute.span(),
                        format!("a route has a pattern: `#[{verb}(\"/notes/{{id}}\")]`"),
                    )
                })?;
                if !pattern.value().starts_with('/') {
                    let message = format!("a pattern begins with a slash: write \"/{}\"", pattern.value());
                    return Err(Error::new(pattern.span(), message));
                }
                routes.push(((*verb).to_owned(), pattern));
            }
            None => rest.push(attribute),
        }
    }
    *attributes = rest;
    Ok(routes)
}
