//! From JSON text to values.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use wharf_call::units::show_size;
use wharf_call::{Type, Value};

use super::error::{Segment, path, shown};
use super::plan::Named;
use super::{JsonError, Names, Plan, text};

/// What a text may become.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most that the values take in memory, in bytes, as [`Value::footprint`] counts it. Default 4 MiB.
    pub value_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { value_bytes_max: 4 << 20 }
    }
}

/// The value of type `ty` that `json` is the text of.
///
/// # Errors
/// When it is not JSON, or not of the type: with the path of what is wrong.
pub fn decode(plan: &Plan, ty: &Type, json: &[u8], limits: Limits) -> Result<Value, JsonError> {
    let mut context = Context::new(plan, limits);
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let decoded = Seed { context: &mut context, ty }.deserialize(&mut deserializer);
    let decoded = decoded.and_then(|value| deserializer.end().map(|()| value));
    decoded.map_err(|error| context.error(&error))
}

/// What is known while a text is read.
pub(super) struct Context<'p> {
    pub(super) plan: &'p Plan,
    limit: u64,
    left: u64,
    /// What is wrong, when that is known better than the parser does.
    text: Option<String>,
    /// Where, collected on the way out.
    path: Vec<Segment>,
}

const INLINE: u64 = size_of::<Value>() as u64;

impl<'p> Context<'p> {
    pub(super) fn new(plan: &'p Plan, limits: Limits) -> Self {
        let left = limits.value_bytes_max;
        Context { plan, limit: left, left, text: None, path: Vec::new() }
    }

    /// What the client is told of `error`.
    pub(super) fn error(&mut self, error: &serde_json::Error) -> JsonError {
        let text = self.text.take().unwrap_or_else(|| format!("this is not JSON: {error}"));
        JsonError { path: path(&self.path), text }
    }

    pub(super) fn fail<E: de::Error>(&mut self, text: String) -> E {
        self.text = Some(text);
        E::custom("")
    }

    fn take<E: de::Error>(&mut self, bytes: u64) -> Result<(), E> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => {
                let max = show_size(self.limit);
                return Err(self
                    .fail(format!("takes more than {max} in memory, which is the most that is taken here")));
            }
        }
        Ok(())
    }

    /// Room for one more item, paid for.
    fn push<T, E: de::Error>(&mut self, items: &mut Vec<T>, item: T) -> Result<(), E> {
        if items.len() == items.capacity() {
            let more = items.len().max(4);
            self.take((more * size_of::<T>()) as u64)?;
            items.reserve_exact(more);
        }
        items.push(item);
        Ok(())
    }

    pub(super) fn at<T, E>(
        &mut self,
        segment: impl FnOnce() -> Segment,
        result: Result<T, E>,
    ) -> Result<T, E> {
        if result.is_err() {
            self.path.push(segment());
        }
        result
    }
}

/// Reads a value of `ty`.
pub(super) struct Seed<'c, 'p, 't> {
    pub(super) context: &'c mut Context<'p>,
    pub(super) ty: &'t Type,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'t> Seed<'_, '_, 't> {
    /// The type within an option that shows its value bare, and whether there is such an option.
    fn bare(&self) -> (&'t Type, bool) {
        match self.ty {
            Type::Option(inner) if !matches!(**inner, Type::Option(_)) => (inner, true),
            ty => (ty, false),
        }
    }

    fn wrap<E: de::Error>(self, value: Value) -> Result<Value, E> {
        if self.bare().1 {
            self.context.take(INLINE)?;
            return Ok(Value::some(value));
        }
        Ok(value)
    }

    /// `value`, or that `got` is none of the type.
    fn scalar<E: de::Error>(self, value: Option<Value>, got: impl FnOnce() -> String) -> Result<Value, E> {
        match value {
            Some(value) => self.wrap(value),
            None => Err(self.wrong(&got())),
        }
    }

    fn wrong<E: de::Error>(self, got: &str) -> E {
        let expected = self.context.plan.describe(self.ty);
        self.context.fail(format!("expected {expected}, got {got}"))
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context.plan.describe(self.ty))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        let decoded = matches!(self.bare().0, Type::Bool).then_some(Value::Bool(value));
        self.scalar(decoded, || value.to_string())
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Value, E> {
        let decoded = match self.bare().0 {
            ty @ (Type::F32 | Type::F64) => text::float(ty, n as f64),
            ty => {
                let signed = || i64::try_from(n).ok().and_then(|n| text::signed(ty, n));
                text::unsigned(ty, n).or_else(signed)
            }
        };
        self.scalar(decoded, || format!("the number {n}"))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Value, E> {
        let decoded = match self.bare().0 {
            ty @ (Type::F32 | Type::F64) => text::float(ty, n as f64),
            ty => text::signed(ty, n),
        };
        self.scalar(decoded, || format!("the number {n}"))
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<Value, E> {
        // `1.0` and `1e3` are whole numbers, too. Beyond 2^53 nobody knows which.
        let whole = n.fract() == 0.0 && n.abs() < 9_007_199_254_740_992.0;
        let decoded = match self.bare().0 {
            ty @ (Type::F32 | Type::F64) => text::float(ty, n),
            ty if whole && n < 0.0 => text::signed(ty, n as i64),
            ty if whole => text::unsigned(ty, n as u64).or_else(|| text::signed(ty, n as i64)),
            _ => None,
        };
        self.scalar(decoded, || format!("the number {n:?}"))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        match self.ty {
            Type::Option(_) => Ok(Value::NONE),
            _ => Err(self.wrong("null")),
        }
    }

    fn visit_str<E: de::Error>(self, string: &str) -> Result<Value, E> {
        let decoded = match self.bare().0 {
            Type::String => {
                self.context.take(string.len() as u64)?;
                Some(Value::String(string.to_owned()))
            }
            Type::Char => text::char_from(string),
            Type::Bytes(length) => {
                self.context.take(string.len() as u64)?;
                let bytes = text::bytes_from(string);
                bytes.filter(|bytes| length.is_none_or(|n| bytes.len() == n as usize)).map(Value::Bytes)
            }
            ty @ (Type::F32 | Type::F64) => text::float_named(ty, string),
            ty @ (Type::S64 | Type::U64) => text::integer_from(ty, string),
            ty @ Type::Named(id) => match self.context.plan.named(*id) {
                named @ (Named::Enum(names) | Named::Variant(names, _)) => {
                    let Some((at, position)) = names
                        .position(string, 0)
                        .and_then(|position| Some((u32::try_from(position).ok()?, position)))
                    else {
                        let text = text::no_such_name(self.context.plan, ty, string);
                        return Err(self.context.fail(text));
                    };
                    match named {
                        Named::Variant(_, types) if types[position].is_some() => {
                            let text = format!(r#"the case {string:?} has a value: write {{"{string}": …}}"#);
                            return Err(self.context.fail(text));
                        }
                        Named::Variant(..) => Some(Value::Variant(at, None)),
                        _ => Some(Value::Enum(at)),
                    }
                }
                _ => None,
            },
            _ => None,
        };
        self.scalar(decoded, || format!("the string {:?}", shown(string)))
    }

    fn visit_string<E: de::Error>(self, string: String) -> Result<Value, E> {
        self.visit_str(&string)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let plan = self.context.plan;
        let (ty, _) = self.bare();
        let value = match ty {
            Type::List(item) => Value::List(items(self.context, &mut seq, item, usize::MAX)?),
            Type::FixedList(item, n) => {
                let items = items(self.context, &mut seq, item, *n as usize)?;
                if items.len() != *n as usize {
                    return Err(self
                        .context
                        .fail(format!("expected an array of {n}, got one of {}", items.len())));
                }
                Value::List(items)
            }
            Type::Tuple(types) => {
                self.context.take(types.len() as u64 * INLINE)?;
                let mut values = Vec::with_capacity(types.len());
                for (at, ty) in types.iter().enumerate() {
                    let next = seq.next_element_seed(Seed { context: self.context, ty });
                    match self.context.at(|| Segment::Item(at), next)? {
                        Some(value) => values.push(value),
                        None => {
                            let text = format!("expected an array of {}, got one of {at}", types.len());
                            return Err(self.context.fail(text));
                        }
                    }
                }
                end_of(self.context, &mut seq, types.len())?;
                Value::Tuple(values)
            }
            Type::Named(id) => match plan.named(*id) {
                Named::Flags(names) => Value::Flags(flags(self.context, &mut seq, ty, names)?),
                _ => return Err(self.wrong("an array")),
            },
            _ => return Err(self.wrong("an array")),
        };
        self.wrap(value)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let plan = self.context.plan;
        if let Type::Option(inner) = self.ty
            && matches!(**inner, Type::Option(_))
        {
            let (_, value) = single(self.context, &mut map, self.ty, &["some"], &[Some(inner)])?;
            return Ok(Value::Option(value));
        }
        let (ty, _) = self.bare();
        let value = match ty {
            Type::Map(key, value) => Value::Map(entries(self.context, &mut map, key, value)?),
            Type::Result(ok, error) => {
                let types = [ok.as_deref(), error.as_deref()];
                let (at, value) = single(self.context, &mut map, ty, &["ok", "error"], &types)?;
                Value::Result(if at == 0 { Ok(value) } else { Err(value) })
            }
            Type::Named(id) => match plan.named(*id) {
                Named::Record(names, types) => {
                    self.context.take(types.len() as u64 * INLINE)?;
                    let mut slots = vec![None; types.len()];
                    members(self.context, &mut map, names, types, &mut slots)?;
                    Value::Record(complete(self.context, names, types, slots)?)
                }
                Named::Variant(names, types) => {
                    let cases: Vec<_> = names.iter().collect();
                    let types: Vec<_> = types.iter().map(Option::as_ref).collect();
                    let (at, value) = single(self.context, &mut map, ty, &cases, &types)?;
                    if types[at].is_none() {
                        let name = cases[at];
                        let text = format!("the case {name:?} has no value: write {name:?} alone");
                        return Err(self.context.fail(text));
                    }
                    Value::Variant(at as u32, value)
                }
                _ => return Err(self.wrong("an object")),
            },
            _ => return Err(self.wrong("an object")),
        };
        self.wrap(value)
    }
}

fn items<'de, A: SeqAccess<'de>>(
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
fn end_of<'de, A: SeqAccess<'de>>(context: &mut Context<'_>, seq: &mut A, n: usize) -> Result<(), A::Error> {
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

fn flags<'de, A: SeqAccess<'de>>(
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
pub(super) struct Text<'c, 'p>(pub(super) &'c mut Context<'p>, pub(super) &'static str);

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

/// The one member of an object that says which of several it is. Where there is no type, its value is null.
fn single<'de, A: MapAccess<'de>>(
    context: &mut Context<'_>,
    map: &mut A,
    of: &Type,
    names: &[&str],
    types: &[Option<&Type>],
) -> Result<(usize, Option<Box<Value>>), A::Error> {
    let expected = |context: &mut Context<'_>, got: &str| {
        let expected = context.plan.describe(of);
        context.fail(format!("expected {expected}, got {got}"))
    };
    let Some(name) = map.next_key::<String>()? else { return Err(expected(context, "an empty object")) };
    let Some(at) = names.iter().position(|has| *has == name) else {
        let text = match of {
            Type::Named(_) => text::no_such_name(context.plan, of, &name),
            _ => format!("expected {}, got the member {:?}", context.plan.describe(of), shown(&name)),
        };
        return Err(context.fail(text));
    };
    let segment = || Segment::Member(name.clone());
    let value = match types[at] {
        Some(ty) => {
            let value = map.next_value_seed(Seed { context, ty });
            let value = context.at(segment, value)?;
            context.take(INLINE)?;
            Some(Box::new(value))
        }
        None => {
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

fn entries<'de, A: MapAccess<'de>>(
    context: &mut Context<'_>,
    map: &mut A,
    key_ty: &Type,
    ty: &Type,
) -> Result<Vec<(Value, Value)>, A::Error> {
    let mut entries = Vec::new();
    let mut known = std::collections::HashSet::new();
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
