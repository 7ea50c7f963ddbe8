//! Messages for what is no message in WIT: tuples, results, and what a place cannot hold.

use wharf_call::Type;

use super::Compiler;
use super::fields::plain;
use crate::file::MessageBuilder;
use crate::plan::{Case, MessageId, Shape, Single};

impl Compiler<'_> {
    /// The message of a declared error: itself if it is one, or else one that holds it.
    pub(super) fn error(&mut self, package: &str, ty: &Type) -> MessageId {
        if !matches!(ty, Type::List(_) | Type::FixedList(..) | Type::Map(..) | Type::Option(_))
            && let Single::Message(id) = self.single(package, ty).0
        {
            return id;
        }
        let key = (package.to_owned(), ty.clone());
        if let Some(id) = self.errors.get(&key) {
            return *id;
        }
        let name = format!("ErrorOf{}", self.describe(ty));
        let id = self.wrapper_message(package, name, "error", ty);
        self.errors.insert(key, id);
        id
    }

    pub(super) fn wrapper(&mut self, package: &str, ty: &Type) -> MessageId {
        let key = (package.to_owned(), ty.clone());
        if let Some(id) = self.wrappers.get(&key) {
            return *id;
        }
        let name = self.describe(ty);
        let id = match ty {
            Type::Tuple(types) => {
                let (name, mut message) = self.named_message(package, name);
                let fields = types.iter().zip(1..).map(|(ty, number)| {
                    let (plan, proto) = self.field(package, number, plain(&format!("f{}", number - 1)), ty);
                    message.field(proto, &Default::default());
                    plan
                });
                let shape = Shape::Tuple(fields.collect());
                self.message_id(package, message, name, shape)
            }
            Type::Result(ok, error) => {
                let (name, mut message) = self.named_message(package, name);
                let none = Default::default();
                let types = [("ok", ok.as_deref(), &none), ("error", error.as_deref(), &none)];
                let mut cases = self.cases(package, &mut message, &types).into_iter();
                let mut next = || cases.next().unwrap_or(Case { name: String::new(), payload: None });
                let shape = Shape::Result([next(), next()]);
                self.message_id(package, message, name, shape)
            }
            Type::Map(..) => self.wrapper_message(package, name, "entries", ty),
            Type::Option(_) => self.wrapper_message(package, name, "value", ty),
            _ => self.wrapper_message(package, name, "items", ty),
        };
        self.wrappers.insert(key, id);
        id
    }

    /// A message with one field.
    pub(super) fn wrapper_message(
        &mut self,
        package: &str,
        name: String,
        field: &str,
        ty: &Type,
    ) -> MessageId {
        let (name, mut message) = self.named_message(package, name);
        let (plan, proto) = self.field(package, 1, plain(field), ty);
        message.field(proto, &Default::default());
        self.message_id(package, message, name, Shape::Wrapper(plan))
    }

    pub(super) fn named_message(&mut self, package: &str, name: String) -> (String, MessageBuilder) {
        let name = self.file(package).scope().take([name]);
        (format!("{package}.{name}"), MessageBuilder::new(&name, &Default::default()))
    }

    /// What `ty` is called in the name of a message that holds it.
    pub(super) fn describe(&self, ty: &Type) -> String {
        let both = |types: &[&Type], between: &str| {
            types.iter().map(|ty| self.describe(ty)).collect::<Vec<_>>().join(between)
        };
        match ty {
            Type::Bytes(None) => "Bytes".to_owned(),
            Type::Bytes(Some(length)) => format!("{length}Bytes"),
            Type::List(item) => format!("ListOf{}", self.describe(item)),
            Type::FixedList(item, length) => format!("ListOf{length}{}", self.describe(item)),
            Type::Map(key, value) => format!("MapOf{}", both(&[key, value], "To")),
            Type::Tuple(types) if types.is_empty() => "TupleOfNothing".to_owned(),
            Type::Tuple(types) => format!("TupleOf{}", both(&types.iter().collect::<Vec<_>>(), "And")),
            Type::Option(inner) => format!("OptionOf{}", self.describe(inner)),
            Type::Result(ok, error) => {
                let part =
                    |ty: &Option<Box<Type>>| ty.as_ref().map_or("Nothing".into(), |ty| self.describe(ty));
                format!("ResultOf{}Or{}", part(ok), part(error))
            }
            Type::Named(id) => self.type_names[id.0 as usize].0.clone(),
            scalar => format!("{scalar:?}"),
        }
    }
}
