//! `#[wharf::socket]`.

use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Result, Type};

use crate::arguments::Arguments;
use crate::check_async;

pub(crate) fn of_function(wharf: &Tokens, function: &ItemFn) -> Result<Tokens> {
    let mut signature = function.sig.clone();
    check_async(&signature, "a socket")?;
    if let Some(receiver @ FnArg::Receiver(_)) = signature.inputs.first() {
        return Err(Error::new(receiver.span(), "a socket function has no `self`"));
    }
    let at = signature.inputs.iter().position(is_incoming).ok_or_else(|| {
        Error::new(
            signature.ident.span(),
            "a socket function takes what the client sends: add the argument `mut incoming: Streaming<Message>`",
        )
    })?;
    // The rest is what a handler could take.
    signature.inputs =
        signature.inputs.into_iter().enumerate().filter(|(n, _)| *n != at).map(|(_, input)| input).collect();
    let name = &function.sig.ident;
    let call = Arguments::of(&signature)?.call(wharf, None, &quote!(#name), Some((at, quote!(incoming))));
    Ok(quote! {
        #function

        const _: () = {
            struct Function;

            impl #wharf::__private::socket::Open for Function {
                async fn open(
                    request: #wharf::Request,
                    context: #wharf::Context,
                    incoming: #wharf::socket::Streaming<#wharf::socket::Message>,
                ) -> #wharf::Result<#wharf::socket::Streaming<#wharf::socket::Message>> {
                    #call
                    #wharf::__private::socket::outgoing(answer)
                }
            }

            type Export = #wharf::__private::socket::Export<Function>;
            #[cfg(target_family = "wasm")]
            #wharf::bindings::socket::export_socket_plugin!(Export with_types_in #wharf::bindings::socket);
            #[cfg(not(target_family = "wasm"))]
            const _: Option<Export> = None;
        };
    })
}

/// Whether it is what the client sends, by its type's name.
fn is_incoming(input: &FnArg) -> bool {
    let FnArg::Typed(argument) = input else { return false };
    match &*argument.ty {
        Type::ImplTrait(_) => true,
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Streaming"),
        _ => false,
    }
}
