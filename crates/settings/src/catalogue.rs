//! Describes every setting once: the `section!` and `choice!` macros define a struct or enum together with its
//! documentation, defaults and TOML kind, from which the example file, the reference and the environment layer are made.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// What a key holds, as far as conversion from environment text and documentation need to know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Integer,
    /// A number with or without a fraction.
    Number,
    /// Any text, further checked by the field's own type.
    Text,
    /// One of a fixed set of words.
    Choice(&'static [&'static str]),
    /// A list of values of one kind.
    List(&'static Kind),
    /// A table from arbitrary names to text.
    TextTable,
    /// A table with known keys.
    Section(&'static [Field]),
}

impl Kind {
    /// How the documentation names this kind.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Integer => "integer".to_owned(),
            Self::Number => "number".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Choice(words) => words
                .iter()
                .map(|word| format!("`{word}`"))
                .collect::<Vec<_>>()
                .join(" or "),
            Self::List(item) => format!("list of {}", item.label()),
            Self::TextTable => "table of text".to_owned(),
            Self::Section(_) => "table".to_owned(),
        }
    }
}

/// One key of a section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    /// The key as written in TOML.
    pub(crate) name: &'static str,
    /// The lines of the field's doc comment, each with its leading space.
    pub(crate) doc: &'static [&'static str],
    /// What the key holds.
    pub(crate) kind: Kind,
    /// Whether the table is invalid without this key. Only used inside lists of tables.
    pub(crate) required: bool,
    /// The default as TOML, `None` where the key is not set by default.
    pub(crate) default: fn() -> Option<toml::Value>,
    /// A typical value in TOML for a key that has no default.
    pub(crate) example: Option<&'static str>,
}

/// A type that can be the value of a setting.
pub(crate) trait SettingValue {
    /// What the type looks like in TOML.
    const KIND: Kind;

    /// The value as TOML, `None` where it cannot or must not be shown: not set, secret, or a table.
    fn to_toml(&self) -> Option<toml::Value>;
}

/// Implements [`SettingValue`] for types that are one TOML scalar.
macro_rules! scalar {
    ($($kind:ident: $($ty:ty),+ => |$value:ident| $toml:expr;)+) => {
        $($(impl SettingValue for $ty {
            const KIND: Kind = Kind::$kind;
            fn to_toml(&self) -> Option<toml::Value> {
                let $value = self;
                $toml
            }
        })+)+
    };
}

scalar! {
    Flag: bool => |value| Some(toml::Value::Boolean(*value));
    Integer: u32 => |value| Some(toml::Value::Integer(i64::from(*value)));
    Integer: u64, usize => |value| i64::try_from(*value).ok().map(toml::Value::Integer);
    Integer: NonZeroU32 => |value| Some(toml::Value::Integer(i64::from(value.get())));
    Number: f64 => |value| Some(toml::Value::Float(*value));
    Text: String => |value| Some(toml::Value::String(value.clone()));
    Text: SocketAddr => |value| Some(toml::Value::String(value.to_string()));
    Text: PathBuf => |value| value.to_str().map(|text| toml::Value::String(text.to_owned()));
}

impl<T: SettingValue> SettingValue for Option<T> {
    const KIND: Kind = T::KIND;

    fn to_toml(&self) -> Option<toml::Value> {
        self.as_ref().and_then(T::to_toml)
    }
}

impl<T: SettingValue> SettingValue for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);

    fn to_toml(&self) -> Option<toml::Value> {
        self.iter()
            .map(T::to_toml)
            .collect::<Option<Vec<_>>>()
            .map(toml::Value::Array)
    }
}

/// Defines a table of settings. Each field reads `name: Type = default;`, optionally followed by `=> required` and
/// `, example "TOML"` before the semicolon. Unknown keys are errors, missing keys take the default.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $field:ident: $ty:ty = $default:expr $(=> $required:ident)? $(, example $example:literal)?;
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $field_doc])* pub $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl $name {
            /// Every key of this table, in the order of the documentation.
            pub(crate) const FIELDS: &'static [$crate::catalogue::Field] = &[$(
                $crate::catalogue::Field {
                    name: stringify!($field),
                    doc: &[$($field_doc),*],
                    kind: <$ty as $crate::catalogue::SettingValue>::KIND,
                    required: $crate::catalogue::section!(@required $($required)?),
                    default: || {
                        let value: $ty = $default;
                        $crate::catalogue::SettingValue::to_toml(&value)
                    },
                    example: $crate::catalogue::section!(@example $($example)?),
                },
            )*];
        }

        impl $crate::catalogue::SettingValue for $name {
            const KIND: $crate::catalogue::Kind = $crate::catalogue::Kind::Section(Self::FIELDS);

            fn to_toml(&self) -> Option<toml::Value> {
                None
            }
        }
    };
    (@required required) => { true };
    (@required) => { false };
    (@example $example:literal) => { Some($example) };
    (@example) => { None };
}
pub(crate) use section;

/// Defines an enum whose values are fixed words in TOML. The first one is the default.
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident {
            $(#[doc = $first_doc:literal])* $first:ident = $first_word:literal,
            $($(#[doc = $other_doc:literal])* $other:ident = $other_word:literal,)*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
        pub enum $name {
            $(#[doc = $first_doc])* #[default] #[serde(rename = $first_word)] $first,
            $($(#[doc = $other_doc])* #[serde(rename = $other_word)] $other,)*
        }

        impl $name {
            /// The word that stands for this value in the settings.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$other => $other_word,)*
                }
            }
        }

        impl $crate::catalogue::SettingValue for $name {
            const KIND: $crate::catalogue::Kind =
                $crate::catalogue::Kind::Choice(&[$first_word, $($other_word),*]);

            fn to_toml(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.as_str().to_owned()))
            }
        }
    };
}
pub(crate) use choice;
