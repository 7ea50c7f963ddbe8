//! What a function takes, and how it is taken from a call.

use proc_macro2::{Span, TokenStream as Tokens};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericParam, Ident, Result, ReturnType, Signature, Type};

/// As many as `Endpoint` is implemented for.
const MAX: usize = 8;

/// The types of a function's arguments, without a receiver, and where its result is written.
pub(crate) struct Arguments {
    types: Vec<Type>,
    output: Span,
    has_lifetimes: bool,
}

impl Arguments {
    /// Checks what the types alone do not say.
    pub(crate) fn of(signature: &Signature) -> Result<Self> {
        // Lifetimes are left to the compiler.
        let generic =
            signature.generics.params.iter().find(|generic| !matches!(generic, GenericParam::Lifetime(_)));
        if let Some(generic) = generic {
            return Err(Error::new(generic.span(), "a handler cannot be generic: the host calls it"));
        }
        let mut types = Vec::new();
        for argument in &signature.inputs {
            let FnArg::Typed(argument) = argument else { continue };
            match &*argument.ty {
                Type::ImplTrait(ty) => {
                    return Err(Error::new(
                        ty.span(),
                        "a handler's argument needs a type: the host calls it",
                    ));
                }
                ty => types.push(ty.clone()),
            }
        }
        if let Some(ninth) = signature.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).nth(MAX)
        {
            return Err(Error::new(
                ninth.span(),
                format!(
                    "a handler takes at most {MAX} arguments: put some into one type that implements `Extract`"
                ),
            ));
        }
        let output = match &signature.output {
            ReturnType::Default => signature.ident.span(),
            ReturnType::Type(_, ty) => ty.span(),
        };
        let has_lifetimes = !signature.generics.params.is_empty();
        Ok(Arguments { types, output, has_lifetimes })
    }

    /// Whether the request and the context can be handed on as they are, by the names of their types.
    fn plain(&self) -> Option<Vec<Ident>> {
        let name = |ty: &Type| match ty {
            Type::Path(path) => path.path.segments.last().map(|last| (last.ident.to_string(), ty.span())),
            _ => None,
        };
        let names: Vec<_> = self.types.iter().map(name).collect::<Option<_>>()?;
        match names.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>()[..] {
            [] | ["Request"] | ["Context"] | ["Request", "Context"] | ["Context", "Request"] => {}
            _ => return None,
        }
        // With the span of the type, a wrong type is reported where it is written.
        Some(names.iter().map(|(name, span)| Ident::new(&name.to_lowercase(), *span)).collect())
    }

    /// Whether these are the arguments of the trait's own `handle`.
    pub(crate) fn are_the_traits(&self) -> bool {
        self.types.len() == 2 && self.plain().is_some_and(|plain| plain[0] == "request")
    }

    /// Code that answers `request` and `context` with a call of `function`.
    pub(crate) fn answer(&self, wharf: &Tokens, receiver: Option<&Tokens>, function: &Tokens) -> Tokens {
        let call = self.call(wharf, receiver, function, None);
        // With the span of the return type, a type that is no response is reported there.
        let into_response = quote_spanned!(self.output=> #wharf::IntoResponse::into_response(answer));
        quote! {
            #call
            #into_response
        }
    }

    /// Code that calls `function` with what it takes of `request` and `context`, and with one argument more at that place;
    /// `answer` is what it returns.
    pub(crate) fn call(
        &self,
        wharf: &Tokens,
        receiver: Option<&Tokens>,
        function: &Tokens,
        more: Option<(usize, Tokens)>,
    ) -> Tokens {
        let receiver = receiver.map(|receiver| quote!(#receiver,));
        let with_more = |mut arguments: Vec<Tokens>| {
            if let Some((at, argument)) = &more {
                arguments.insert(*at, argument.clone());
            }
            arguments
        };
        if let Some(plain) = self.plain() {
            let plain = with_more(plain.iter().map(|name| quote!(#name)).collect());
            return quote! {
                let _ = (&request, &context);
                let answer = #function(#receiver #(#plain),*).await;
            };
        }
        let places: Vec<_> = self
            .types
            .iter()
            .enumerate()
            .map(|(at, ty)| format_ident!("place_{at}", span = ty.span()))
            .collect();
        let types = &self.types;
        let fill = (0..3_u8).flat_map(|turn| {
            types.iter().zip(&places).map(move |(ty, place)| {
                quote_spanned! {ty.span()=>
                    #wharf::__private::fill::<#ty, #turn>(&mut #place, &mut call).await?;
                }
            })
        });
        let takes = types.iter().map(|ty| quote_spanned!(ty.span()=> <#ty as #wharf::Extract>::TAKES));
        let check = quote!(#wharf::__private::Takes::check(&[#(#takes),*]));
        // As an item it fails in `cargo check` already, but an item cannot name the function's lifetimes.
        let check =
            if self.has_lifetimes { quote!(const { #check };) } else { quote!(const _: () = #check;) };
        let taken = with_more(places.iter().map(|place| quote!(#place)).collect());
        quote! {
            #check
            let mut call = #wharf::Call::new(request, context);
            #(let mut #places = ::core::option::Option::None;)*
            #(#fill)*
            let (#(::core::option::Option::Some(#places),)*) = (#(#places,)*) else {
                ::core::unreachable!("each extractor has a turn")
            };
            let answer = #function(#receiver #(#taken),*).await;
        }
    }
}
