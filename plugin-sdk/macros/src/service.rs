//! `#[wharf::service]`.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemImpl, Path, Result};

pub(crate) fn of_impl(wharf: &Tokens, implementation: &ItemImpl) -> Result<Tokens> {
    let interface = interface(implementation)?;
    if !implementation.generics.params.is_empty() {
        return Err(Error::new(
            implementation.generics.span(),
            "a service cannot be generic: a component exports one type",
        ));
    }
    let ty = &implementation.self_ty;
    let private = quote!(#wharf::__private::service);
    Ok(quote! {
        // A method may name the stream that it returns although the trait only says that it is one.
        #[allow(refining_impl_trait)]
        #implementation

        const _: () = {
            #[allow(unused_imports)]
            use #private::{ByDefault, ByHandler, ByLifecycle};

            impl #private::Serves for #interface {
                type Service = #ty;

                async fn start() -> #wharf::Result<#ty> {
                    (&&&#private::How::<#ty>::new()).make().await
                }

                async fn health(service: &'static #ty) -> #wharf::Result<()> {
                    (&&&#private::How::<#ty>::new()).ask(service).await
                }

                async fn stop(service: &'static #ty) {
                    (&&&#private::How::<#ty>::new()).end(service).await;
                }
            }
        };
    })
}

/// `accounts::Interface`, of `accounts::Service`.
fn interface(implementation: &ItemImpl) -> Result<Path> {
    let misplaced = |span| {
        Error::new(
            span,
            "`#[wharf::service]` belongs on an implementation of an interface's trait, which is named with the \
             interface: `impl accounts::Service for ...`",
        )
    };
    let Some((_, path, _)) = &implementation.trait_ else {
        return Err(misplaced(implementation.self_ty.span()));
    };
    let mut interface = path.clone();
    match interface.segments.last_mut() {
        Some(last) if last.ident == "Service" && path.segments.len() > 1 => {
            last.ident = syn::Ident::new("Interface", last.ident.span());
            Ok(interface)
        }
        _ => Err(misplaced(path.span())),
    }
}
