//! What is within arrays and objects, read as [`super::decode`] needs it.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use wharf_call::{Type, Value};

use super::context::{Context, INLINE};
use super::decode::Seed;
use super::error::{Segment, shown};
use super::{Names, text};

/// The items of an array, at most `most`.
pub(super) fn items<'de, A: SeqAccess<'de>>(
    context: &mut Context<'_>,
    seq: &mut A,
    ty: &Type,
    most: usize,
) -> Result<Vec<Value>, A::Error> {
    let mut items = Vec::new();
    loop {
        let at = items.len();
        if at == most {
            end_of(context, seq, most)?;
            return Ok(items);
        }
        let next = seq.next_element_seed(Seed { context, ty });
        match context.at(|| Segment::Item(at), next)? {
            Some(value) => {
                let pushed = context.push(&mut items, value);
                context.at(|| Segment::Item(at), pushed)?;
            }
            None => return Ok(items),
        }
    }
}

/// Refuses what follows an array's last item, without reading it.
pub(super) fn end_of<'de, A: SeqAccess<'de>>(
    context: &mut Context<'_>,
    seq: &mut A,
    n: usize,
) -> Result<(), A::Error> {
    match seq.next_element_seed(Surplus(context, n))? {
        Some(never) => match never {},
        None => Ok(()),
    }
}

struct Surplus<'c, 'p>(&'c mut Context<'p>, usize);

enum Never {}

impl<'de> DeserializeSeed<'de> for Surplus<'_, '_> {
    type Value = Never;

    fn deserialize<D: de::Deserializer<'de>>(self, _: D) -> Result<Never, D::Error> {
        Err(self.0.fail(format!("expected an array of {}, got a longer one", self.1)))
    }
}

/// The flags that an array names.
pub(super) fn flags<'de, A: SeqAccess<'de>>(
    context: &mut Context<'_>,
    seq: &mut A,
    ty: &Type,
    names: &Names,
) -> Result<u32, A::Error> {
    let mut set = 0_u32;
    for at in 0.. {
        let next = seq.next_element_seed(Name { context, ty, names, hint: at });
        let Some(flag) = context.at(|| Segment::Item(at), next)? else { break };
        let bit = 1_u32.checked_shl(flag as u32).unwrap_or(0);
        if set & bit != 0 {
            let twice = context.fail(format!("{:?} is there twice", names.get(flag)));
            return context.at(|| Segment::Item(at), Err(twice));
        }
        set |= bit;
    }
    Ok(set)
}

/// A flag's name.
struct Name<'c, 'p> {
    context: &'c mut Context<'p>,
    ty: &'c Type,
    names: &'c Names,
    hint: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = usize;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        let text = Text(self.context, "the name of a flag");
        let name = deserializer.deserialize_any(text)?;
        self.names.position(&name, self.hint).ok_or_else(|| {
            let text = text::no_such_name(self.context.plan, self.ty, &name);
            self.context.fail(text)
        })
    }
}

/// Any string.
struct Text<'c, 'p>(&'c mut Context<'p>, &'static str);

impl Text<'_, '_> {
    fn wrong<E: de::Error>(self, got: &str) -> E {
        let text = format!("expected {}, got {got}", self.1);
        self.0.fail(text)
    }
}

impl<'de> Visitor<'de> for Text<'_, '_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Err(self.wrong(if value { "true" } else { "false" }))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<String, E> {
        Err(self.wrong(&format!("the number {n}")))
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<String, E> {
        Err(self.wrong(&format!("the number {n}")))
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<String, E> {
        Err(self.wrong(&format!("the number {n}")))
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Err(self.wrong("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.wrong("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<String, A::Error> {
        Err(self.wrong("an object"))
    }
}

/// The name of a member.
struct MemberName<'c>(&'c Names, usize);

impl<'de> DeserializeSeed<'de> for MemberName<'_> {
    type Value = Result<usize, String>;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for MemberName<'_> {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.position(name, self.1).ok_or_else(|| shown(name)))
    }
}

/// The members of an object with the names `names`, into the slots that are empty.
pub(super) fn members<'de, A: MapAccess<'de>>(
    context: &mut Context<'_>,
    map: &mut A,
    names: &Names,
    types: &[Type],
    slots: &mut [Option<Value>],
) -> Result<(), A::Error> {
    let mut hint = 0;
    while let Some(name) = map.next_key_seed(MemberName(names, hint))? {
        let at = match name {
            Ok(at) => at,
            Err(unknown) => {
                let text = match wharf_call::suggest::nearest(&unknown, names.iter()) {
                    Some(near) => format!("is not known here; did you mean {near:?}?"),
                    None => "is not known here".to_owned(),
                };
                let refused = context.fail(text);
                return context.at(|| Segment::Member(unknown), Err(refused));
            }
        };
        let segment = || Segment::Member(names.get(at).to_owned());
        if slots[at].is_some() {
            let twice = context.fail("is there twice".into());
            return context.at(segment, Err(twice));
        }
        let value = map.next_value_seed(Seed { context, ty: &types[at] });
        slots[at] = Some(context.at(segment, value)?);
        hint = at + 1;
    }
    Ok(())
}

/// A value for each slot: a missing option is none. The values take the slots' place in memory.
pub(super) fn complete<E: de::Error>(
    context: &mut Context<'_>,
    names: &Names,
    types: &[Type],
    slots: Vec<Option<Value>>,
) -> Result<Vec<Value>, E> {
    let values = slots.into_iter().enumerate().map(|(at, slot)| match (slot, &types[at]) {
        (Some(value), _) => Ok(value),
        (None, Type::Option(_)) => Ok(Value::NONE),
        (None, ty) => {
            let missing = context.fail(format!("is missing; expected {}", context.plan.describe(ty)));
            context.at(|| Segment::Member(names.get(at).to_owned()), Err(missing))
        }
    });
    values.collect()
}

/// The one member of an object that says which of several it is: `find` gives the position of a name, and the type of its
/// value. Where a result has no type, its value is null.
pub(super) fn single<'de, 't, A: MapAccess<'de>>(
    context: &mut Context<'_>,
    map: &mut A,
    of: &Type,
    find: impl Fn(&str) -> Option<(usize, Option<&'t Type>)>,
) -> Result<(usize, Option<Box<Value>>), A::Error> {
    let expected = |context: &mut Context<'_>, got: &str| {
        let expected = context.plan.describe(of);
        context.fail(format!("expected {expected}, got {got}"))
    };
    let Some(name) = map.next_key::<String>()? else { return Err(expected(context, "an empty object")) };
    let Some((at, ty)) = find(&name) else {
        return Err(match of {
            Type::Named(_) => {
                let text = text::no_such_name(context.plan, of, &name);
                context.fail(text)
            }
            _ => expected(context, &format!("the member {:?}", shown(&name))),
        });
    };
    let segment = || Segment::Member(name.clone());
    let value = match (ty, of) {
        (Some(ty), _) => {
            let value = map.next_value_seed(Seed { context, ty });
            let value = context.at(segment, value)?;
            context.take(INLINE)?;
            Some(Box::new(value))
        }
        (None, Type::Named(_)) => {
            return Err(context.fail(format!("the case {name:?} has no value: write {name:?} alone")));
        }
        (None, _) => {
            let null = map.next_value_seed(Null(context));
            context.at(segment, null)?;
            None
        }
    };
    if map.next_key::<de::IgnoredAny>()?.is_some() {
        return Err(expected(context, "an object with more than one member"));
    }
    Ok((at, value))
}

/// The null that stands where there is no type.
struct Null<'c, 'p>(&'c mut Context<'p>);

impl<'de> DeserializeSeed<'de> for Null<'_, '_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let null = <() as de::Deserialize>::deserialize(deserializer);
        null.map_err(|_| self.0.fail("expected null".into()))
    }
}

/// The entries of a map, by keys that are all different.
pub(super) fn entries<'de, A: MapAccess<'de>>(
    context: &mut Context<'_>,
    map: &mut A,
    key_ty: &Type,
    ty: &Type,
) -> Result<Vec<(Value, Value)>, A::Error> {
    let mut entries = Vec::new();
    let mut known = HashSet::new();
    while let Some(name) = map.next_key::<String>()? {
        let Some(key) = text::key_from(key_ty, &name) else {
            let expected = context.plan.describe(key_ty);
            return Err(context.fail(format!("expected a key that is {expected}, got {:?}", shown(&name))));
        };
        // The set holds it until the map is read.
        context.take(2 * name.len() as u64 + 64)?;
        let segment = || Segment::Key(shown(&name));
        let value = map.next_value_seed(Seed { context, ty });
        let value = context.at(segment, value)?;
        context.push(&mut entries, (key, value))?;
        if !known.insert(name.clone()) {
            let twice = context.fail("is there twice".into());
            return context.at(segment, Err(twice));
        }
    }
    Ok(entries)
}
