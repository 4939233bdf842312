//! The built-in functions: names, arguments, results (sheet `iothub-and-twins.md` 1.7.7).

use super::Dialect;
use super::plan::Type;

/// A built-in function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Function {
    /// Absolute value.
    Abs,
    /// e to the power of it.
    Exp,
    /// It times itself.
    Square,
    /// Least whole number not below.
    Ceiling,
    /// Greatest whole number not above.
    Floor,
    /// -1, 0 or 1.
    Sign,
    /// Square root; undefined below 0.
    Sqrt,
    /// First to the power of the second.
    Power,
    /// The number that a string spells.
    AsNumber,
    /// Is true or false.
    IsBool,
    /// Is a finite number.
    IsNumber,
    /// Is a string.
    IsString,
    /// Is there, and null.
    IsNull,
    /// Is there.
    IsDefined,
    /// Is an array.
    IsArray,
    /// Is an object.
    IsObject,
    /// Is a bool, number, string or null.
    IsPrimitive,
    /// Strings joined; null counts as empty.
    Concat,
    /// Length of a string.
    Length,
    /// In lower case.
    Lower,
    /// In upper case.
    Upper,
    /// Part of a string, from an index on, with or without a length.
    Substring,
    /// Where a string first holds another, or -1.
    IndexOf,
    /// The first starts with the second.
    StartsWith,
    /// The first ends with the second.
    EndsWith,
    /// The first holds the second.
    Contains,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// Anything.
    Any,
    /// A number, or dynamic.
    Number,
    /// A string, or dynamic.
    String,
    /// A string or a number, or dynamic.
    StringOrNumber,
}

impl Param {
    /// A value of this type may be given.
    pub fn takes(self, ty: Type) -> bool {
        match self {
            Self::Any => true,
            Self::Number => matches!(ty, Type::Number | Type::Dynamic),
            Self::String => matches!(ty, Type::String | Type::Dynamic),
            Self::StringOrNumber => matches!(ty, Type::String | Type::Number | Type::Dynamic),
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Number => "a number",
            Self::String => "a string",
            Self::StringOrNumber => "a string or a number",
        }
    }
}

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// Which function.
    pub function: Function,
    /// Its name; compares without case.
    pub name: &'static str,
    /// Its arguments; the last one is that of all that follow.
    pub params: &'static [Param],
    /// Fewest and most arguments.
    pub arity: (usize, usize),
    /// Its result.
    pub result: Type,
    /// An example for messages.
    pub example: &'static str,
}

const fn signature(
    function: Function,
    name: &'static str,
    params: &'static [Param],
    arity: (usize, usize),
    result: Type,
    example: &'static str,
) -> Signature {
    Signature { function, name, params, arity, result, example }
}

const ANY: &[Param] = &[Param::Any];
const NUMBER: &[Param] = &[Param::Number];
const STRING: &[Param] = &[Param::String];

/// All functions; the first name of each is the one that is printed.
pub const SIGNATURES: [Signature; 28] = [
    signature(Function::Abs, "abs", NUMBER, (1, 1), Type::Number, "abs(x)"),
    signature(Function::Exp, "exp", NUMBER, (1, 1), Type::Number, "exp(x)"),
    signature(Function::Square, "square", NUMBER, (1, 1), Type::Number, "square(x)"),
    signature(Function::Ceiling, "ceiling", NUMBER, (1, 1), Type::Number, "ceiling(x)"),
    signature(Function::Floor, "floor", NUMBER, (1, 1), Type::Number, "floor(x)"),
    signature(Function::Sign, "sign", NUMBER, (1, 1), Type::Number, "sign(x)"),
    signature(Function::Sqrt, "sqrt", NUMBER, (1, 1), Type::Number, "sqrt(x)"),
    signature(Function::Power, "power", NUMBER, (2, 2), Type::Number, "power(x, 2)"),
    signature(Function::AsNumber, "as_number", &[Param::StringOrNumber], (1, 1), Type::Number, "as_number('3.5')"),
    signature(Function::IsBool, "is_bool", ANY, (1, 1), Type::Bool, "is_bool(x)"),
    signature(Function::IsNumber, "is_number", ANY, (1, 1), Type::Bool, "is_number(x)"),
    signature(Function::IsString, "is_string", ANY, (1, 1), Type::Bool, "is_string(x)"),
    signature(Function::IsNull, "is_null", ANY, (1, 1), Type::Bool, "is_null(x)"),
    signature(Function::IsDefined, "is_defined", ANY, (1, 1), Type::Bool, "is_defined(x)"),
    signature(Function::IsArray, "is_array", ANY, (1, 1), Type::Bool, "is_array(x)"),
    signature(Function::IsObject, "is_object", ANY, (1, 1), Type::Bool, "is_object(x)"),
    signature(Function::IsPrimitive, "is_primitive", ANY, (1, 1), Type::Bool, "is_primitive(x)"),
    signature(Function::Concat, "concat", STRING, (2, usize::MAX), Type::String, "concat(a, '-', b)"),
    signature(Function::Length, "length", STRING, (1, 1), Type::Number, "length(x)"),
    signature(Function::Lower, "lower", STRING, (1, 1), Type::String, "lower(x)"),
    signature(Function::Upper, "upper", STRING, (1, 1), Type::String, "upper(x)"),
    signature(
        Function::Substring,
        "substring",
        &[Param::String, Param::Number],
        (2, 3),
        Type::String,
        "substring(x, 0, 3)",
    ),
    signature(Function::IndexOf, "index_of", STRING, (2, 2), Type::Number, "index_of(x, 'part')"),
    signature(Function::StartsWith, "starts_with", STRING, (2, 2), Type::Bool, "starts_with(x, 'part')"),
    signature(Function::StartsWith, "startswith", STRING, (2, 2), Type::Bool, "startswith(x, 'part')"),
    signature(Function::EndsWith, "ends_with", STRING, (2, 2), Type::Bool, "ends_with(x, 'part')"),
    signature(Function::EndsWith, "endswith", STRING, (2, 2), Type::Bool, "endswith(x, 'part')"),
    signature(Function::Contains, "contains", STRING, (2, 2), Type::Bool, "contains(x, 'part')"),
];

impl Signature {
    /// The function of that name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        SIGNATURES.iter().find(|signature| signature.name.eq_ignore_ascii_case(name))
    }

    /// What the argument at `index` may be.
    pub fn param(&self, index: usize) -> Param {
        self.params[index.min(self.params.len() - 1)]
    }
}

impl Function {
    /// Its name.
    pub fn name(self) -> &'static str {
        SIGNATURES.iter().find(|signature| signature.function == self).map_or("", |signature| signature.name)
    }

    /// A filter of that dialect may call it.
    pub fn is_in(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Anabranch | Dialect::IotHub => true,
            Dialect::DigitalTwins => matches!(self, Self::StartsWith | Self::EndsWith | Self::Contains),
            Dialect::EventGrid | Dialect::Mqtt => false,
        }
    }

    pub(super) fn cost(self) -> u32 {
        match self {
            Self::Concat | Self::Lower | Self::Upper | Self::Substring => 8,
            Self::Contains | Self::IndexOf | Self::Length | Self::AsNumber => 4,
            _ => 1,
        }
    }
}
