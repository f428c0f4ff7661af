//! What a column is, and the macro that makes a table from a struct.

use crate::Stage;

/// The type of a column, in the words of its documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Str,
    /// A string that is one of these.
    Enum(&'static [&'static str]),
    /// A string that names a [`Factor`](crate::Factor).
    Factor,
    /// A whole number.
    I64,
    /// A number.
    F64,
    /// True or false.
    Bool,
    /// A list of values of one type.
    List(&'static Kind),
    /// Fields, each with a name and a type.
    Struct(&'static [Column]),
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Str => f.write_str("string"),
            Kind::Enum(names) => write!(f, "one of {}", names.join(", ")),
            Kind::Factor => f.write_str(crate::factor::NAMES),
            Kind::I64 => f.write_str("64-bit integer"),
            Kind::F64 => f.write_str("64-bit float"),
            Kind::Bool => f.write_str("boolean"),
            Kind::List(of) => write!(f, "list of {of}"),
            Kind::Struct(fields) => {
                let names: Vec<_> = fields.iter().map(|field| field.name).collect();
                write!(f, "struct of {}", names.join(", "))
            }
        }
    }
}

/// One column of a table, or one field of a struct column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Whether every row must have a value.
    pub required: bool,
    /// The stage that fills it.
    pub stage: Stage,
    /// Whether the value may differ between two runs of the same configuration (times, memory). Such columns are left
    /// out of tables that must be equal byte for byte, such as the archive.
    pub volatile: bool,
    /// What a row has there whose maker does not know the column.
    pub fill: Option<Fill>,
    /// What it means, in Markdown.
    pub doc: &'static str,
}

/// The value of a column that nobody has given one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Number(i64),
    /// Number of the row in its file, from 0.
    Row,
}

/// A table: a name, its row type's columns.
pub trait Table: serde::Serialize + serde::de::DeserializeOwned {
    /// `candidate`, `curve`, ...
    const NAME: &'static str;
    /// Its columns, in order.
    const COLUMNS: &'static [Column];

    /// The column of this name.
    fn column(name: &str) -> Option<&'static Column> {
        Self::COLUMNS.iter().find(|column| column.name == name)
    }
}

/// A Rust type that a column can have.
pub trait ColumnType {
    /// The column's type.
    const KIND: Kind;
    /// Whether every row must have a value.
    const REQUIRED: bool = true;
}

impl ColumnType for String {
    const KIND: Kind = Kind::Str;
}
impl ColumnType for i64 {
    const KIND: Kind = Kind::I64;
}
impl ColumnType for f64 {
    const KIND: Kind = Kind::F64;
}
impl ColumnType for bool {
    const KIND: Kind = Kind::Bool;
}
impl<T: ColumnType> ColumnType for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);
}
impl<T: ColumnType> ColumnType for Option<T> {
    const KIND: Kind = T::KIND;
    const REQUIRED: bool = false;
}

/// Makes a table of a struct whose fields read `/// doc`, `stage: name: type,` or `stage volatile: name: type,`; `= fill` behind the
/// type says what a row has there whose maker does not know the column.
macro_rules! table {
    (
        $(#[$attribute:meta])*
        pub struct $row:ident = $table:literal {
            $( $(#[doc = $doc:literal])+ $stage:ident $($volatile:ident)? : $name:ident : $type:ty $(= $fill:expr)?, )*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $row {
            $( $(#[doc = $doc])+ pub $name: $type, )*
        }

        impl $crate::Table for $row {
            const NAME: &'static str = $table;
            const COLUMNS: &'static [$crate::Column] = &[ $( $crate::Column {
                name: stringify!($name),
                kind: <$type as $crate::ColumnType>::KIND,
                required: <$type as $crate::ColumnType>::REQUIRED,
                stage: $crate::Stage::$stage,
                volatile: $crate::column::table!(@volatile $($volatile)?),
                fill: $crate::column::table!(@fill $($fill)?),
                doc: concat!($($doc),+).trim_ascii(),
            }, )* ];
        }
    };
    (@fill) => { None };
    (@fill $fill:expr) => { Some($fill) };
    (@volatile) => { false };
    (@volatile volatile) => { true };
}
pub(crate) use table;

/// Makes an enum whose values are strings in the tables.
macro_rules! strings {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident { $( $(#[$of_variant:meta])* $variant:ident = $text:literal, )* }
    ) => {
        $(#[$attribute])*
        #[allow(missing_docs, reason = "a documented value has an entry of its own in the JSON Schema")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub enum $name { $( $(#[$of_variant])* #[serde(rename = $text)] $variant, )* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[ $( $name::$variant, )* ];
            /// Their spellings, in the same order.
            pub const NAMES: &'static [&'static str] = &[ $( $text, )* ];

            /// Its spelling in the tables.
            pub const fn as_str(self) -> &'static str {
                match self { $( $name::$variant => $text, )* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $( $text => Ok($name::$variant), )*
                    _ => Err(format!("`{text}` is none of {}", Self::NAMES.join(", "))),
                }
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool { self.as_str() == other }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool { self.as_str() == *other }
        }

        impl $crate::ColumnType for $name {
            const KIND: $crate::Kind = $crate::Kind::Enum(Self::NAMES);
        }
    };
}
pub(crate) use strings;
