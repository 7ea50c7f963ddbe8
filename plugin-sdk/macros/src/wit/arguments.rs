//! What `wharf::wit!` is given.

use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, LitStr, Path, Result, Token, parenthesized};

/// Where the WIT is, and what is wanted of it.
pub(crate) struct Arguments {
    pub(crate) source: Source,
    /// The world whose exports are served; `None` when the package has at most one.
    pub(crate) world: Option<LitStr>,
    /// What the generated types derive besides what they always do.
    pub(crate) derives: Vec<Path>,
    /// Whether the crate has a handler, whose hooks are the services', too.
    pub(crate) handler: bool,
}

pub(crate) enum Source {
    /// A folder or a file, relative to the crate.
    Path(String),
    /// The text itself.
    Inline(LitStr),
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut path = None;
        let mut inline: Option<LitStr> = None;
        let mut arguments = Arguments {
            source: Source::Path("wit".to_owned()),
            world: None,
            derives: Vec::new(),
            handler: false,
        };
        while !input.is_empty() {
            if input.peek(LitStr) {
                let text: LitStr = input.parse()?;
                if path.replace(text.value()).is_some() {
                    return Err(Error::new(text.span(), "the WIT is in one folder"));
                }
            } else {
                let name: Ident = input.parse()?;
                match name.to_string().as_str() {
                    "handler" => arguments.handler = true,
                    "world" => {
                        input.parse::<Token![=]>()?;
                        arguments.world = Some(input.parse()?);
                    }
                    "inline" => {
                        input.parse::<Token![=]>()?;
                        inline = Some(input.parse()?);
                    }
                    "derive" => {
                        let list;
                        parenthesized!(list in input);
                        arguments.derives.extend(Punctuated::<Path, Token![,]>::parse_terminated(&list)?);
                    }
                    other => {
                        return Err(Error::new(
                            name.span(),
                            format!(
                                "there is no `{other}` here: `wharf::wit!(\"wit\", world = \"name\", \
                                 derive(Eq, Hash), handler)`, all of which may be left out"
                            ),
                        ));
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        arguments.source = match (path, inline) {
            (Some(_), Some(inline)) => {
                return Err(Error::new(inline.span(), "the WIT is in a folder or here, not both"));
            }
            (_, Some(inline)) => Source::Inline(inline),
            (Some(path), None) => Source::Path(path),
            (None, None) => arguments.source,
        };
        Ok(arguments)
    }
}
