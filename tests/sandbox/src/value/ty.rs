//! The SQL Server data types, their names, precedence and catalog numbers.

/// The length that stands for `(max)`.
pub const MAX: u16 = u16::MAX;

/// A SQL Server data type with its length, precision or scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ty {
    /// `bit`
    Bit,
    /// `tinyint`
    TinyInt,
    /// `smallint`
    SmallInt,
    /// `int`
    Int,
    /// `bigint`
    BigInt,
    /// `decimal(p,s)` and `numeric(p,s)`
    Decimal(u8, u8),
    /// `smallmoney`
    SmallMoney,
    /// `money`
    Money,
    /// `real`
    Real,
    /// `float(53)`
    Float,
    /// `date`
    Date,
    /// `time(n)`
    Time(u8),
    /// `smalldatetime`
    SmallDateTime,
    /// `datetime`
    DateTime,
    /// `datetime2(n)`
    DateTime2(u8),
    /// `datetimeoffset(n)`
    DateTimeOffset(u8),
    /// `char(n)`
    Char(u16),
    /// `varchar(n)`, `varchar(max)`
    VarChar(u16),
    /// `text`
    Text,
    /// `nchar(n)`
    NChar(u16),
    /// `nvarchar(n)`, `nvarchar(max)`
    NVarChar(u16),
    /// `ntext`
    NText,
    /// `binary(n)`
    Binary(u16),
    /// `varbinary(n)`, `varbinary(max)`
    VarBinary(u16),
    /// `image`
    Image,
    /// `uniqueidentifier`
    Guid,
    /// `xml`
    Xml,
    /// `rowversion` (`timestamp`)
    RowVersion,
    /// One of the server's own CLR types, held as its serialised bytes
    Clr(Clr),
}

/// The CLR types that come with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Clr {
    /// `hierarchyid`
    HierarchyId,
    /// `geometry`
    Geometry,
    /// `geography`
    Geography,
}

impl Clr {
    /// All of them, in the order of their `user_type_id`, which begins at 128.
    pub const ALL: [Clr; 3] = [Clr::HierarchyId, Clr::Geometry, Clr::Geography];

    /// The class in the assembly `Microsoft.SqlServer.Types`.
    pub fn class(self) -> &'static str {
        match self {
            Clr::HierarchyId => "SqlHierarchyId",
            Clr::Geometry => "SqlGeometry",
            Clr::Geography => "SqlGeography",
        }
    }
}

use Ty::*;

impl Ty {
    /// A number that carries the whole type through SQLite function arguments.
    pub fn code(self) -> i64 {
        let (kind, a, b) = match self {
            Bit => (1, 0, 0),
            TinyInt => (2, 0, 0),
            SmallInt => (3, 0, 0),
            Int => (4, 0, 0),
            BigInt => (5, 0, 0),
            Decimal(p, s) => (6, i64::from(p), i64::from(s)),
            SmallMoney => (7, 0, 0),
            Money => (8, 0, 0),
            Real => (9, 0, 0),
            Float => (10, 0, 0),
            Date => (11, 0, 0),
            Time(n) => (12, 0, i64::from(n)),
            SmallDateTime => (13, 0, 0),
            DateTime => (14, 0, 0),
            DateTime2(n) => (15, 0, i64::from(n)),
            DateTimeOffset(n) => (16, 0, i64::from(n)),
            Char(n) => (17, i64::from(n), 0),
            VarChar(n) => (18, i64::from(n), 0),
            Text => (19, 0, 0),
            NChar(n) => (20, i64::from(n), 0),
            NVarChar(n) => (21, i64::from(n), 0),
            NText => (22, 0, 0),
            Binary(n) => (23, i64::from(n), 0),
            VarBinary(n) => (24, i64::from(n), 0),
            Image => (25, 0, 0),
            Guid => (26, 0, 0),
            Xml => (27, 0, 0),
            RowVersion => (28, 0, 0),
            Clr(clr) => (29, 0, clr as i64),
        };
        (kind << 24) | (a << 8) | b
    }

    /// The inverse of [`Ty::code`].
    pub fn from_code(code: i64) -> Option<Ty> {
        let a = u16::try_from((code >> 8) & 0xFFFF).ok()?;
        let b = u8::try_from(code & 0xFF).ok()?;
        let p = u8::try_from(a & 0xFF).ok()?;
        Some(match code >> 24 {
            1 => Bit,
            2 => TinyInt,
            3 => SmallInt,
            4 => Int,
            5 => BigInt,
            6 => Decimal(p, b),
            7 => SmallMoney,
            8 => Money,
            9 => Real,
            10 => Float,
            11 => Date,
            12 => Time(b),
            13 => SmallDateTime,
            14 => DateTime,
            15 => DateTime2(b),
            16 => DateTimeOffset(b),
            17 => Char(a),
            18 => VarChar(a),
            19 => Text,
            20 => NChar(a),
            21 => NVarChar(a),
            22 => NText,
            23 => Binary(a),
            24 => VarBinary(a),
            25 => Image,
            26 => Guid,
            27 => Xml,
            28 => RowVersion,
            29 => Clr(*Clr::ALL.get(usize::from(b))?),
            _ => return None,
        })
    }

    /// The type's own name, as messages and the catalog have it.
    pub fn name(self) -> &'static str {
        match self {
            Bit => "bit",
            TinyInt => "tinyint",
            SmallInt => "smallint",
            Int => "int",
            BigInt => "bigint",
            Decimal(..) => "decimal",
            SmallMoney => "smallmoney",
            Money => "money",
            Real => "real",
            Float => "float",
            Date => "date",
            Time(_) => "time",
            SmallDateTime => "smalldatetime",
            DateTime => "datetime",
            DateTime2(_) => "datetime2",
            DateTimeOffset(_) => "datetimeoffset",
            Char(_) => "char",
            VarChar(_) => "varchar",
            Text => "text",
            NChar(_) => "nchar",
            NVarChar(_) => "nvarchar",
            NText => "ntext",
            Binary(_) => "binary",
            VarBinary(_) => "varbinary",
            Image => "image",
            Guid => "uniqueidentifier",
            Xml => "xml",
            RowVersion => "timestamp",
            Clr(Clr::HierarchyId) => "hierarchyid",
            Clr(Clr::Geometry) => "geometry",
            Clr(Clr::Geography) => "geography",
        }
    }

    /// The name used in conversion messages, where decimals are called numeric.
    pub fn message_name(self) -> &'static str {
        if let Decimal(..) = self { "numeric" } else { self.name() }
    }

    /// True for bit and the integers.
    pub fn is_int(self) -> bool {
        matches!(self, Bit | TinyInt | SmallInt | Int | BigInt)
    }

    /// True for decimal and the money types: exact numbers with a scale.
    pub fn is_exact_fraction(self) -> bool {
        matches!(self, Decimal(..) | Money | SmallMoney)
    }

    /// True for float and real.
    pub fn is_approx(self) -> bool {
        matches!(self, Float | Real)
    }

    /// True for all numbers.
    pub fn is_number(self) -> bool {
        self.is_int() || self.is_exact_fraction() || self.is_approx()
    }

    /// True for character types.
    pub fn is_string(self) -> bool {
        matches!(self, Char(_) | VarChar(_) | Text | NChar(_) | NVarChar(_) | NText | Xml)
    }

    /// True for UTF-16 character types.
    pub fn is_unicode(self) -> bool {
        matches!(self, NChar(_) | NVarChar(_) | NText | Xml)
    }

    /// True for byte strings.
    pub fn is_binary(self) -> bool {
        matches!(self, Binary(_) | VarBinary(_) | Image | RowVersion | Clr(_))
    }

    /// True for dates and times.
    pub fn is_temporal(self) -> bool {
        matches!(
            self,
            Date | Time(_) | SmallDateTime | DateTime | DateTime2(_) | DateTimeOffset(_)
        )
    }

    /// True for the legacy, xml and spatial types that cannot be compared or sorted.
    pub fn is_incomparable(self) -> bool {
        matches!(self, Text | NText | Image | Xml | Clr(Clr::Geometry | Clr::Geography))
    }

    /// Data type precedence: the operand with the higher one decides.
    pub fn precedence(self) -> u8 {
        match self {
            Clr(_) => 31,
            Xml => 29,
            DateTimeOffset(_) => 28,
            DateTime2(_) => 27,
            DateTime => 26,
            SmallDateTime => 25,
            Date => 24,
            Time(_) => 23,
            Float => 22,
            Real => 21,
            Decimal(..) => 20,
            Money => 19,
            SmallMoney => 18,
            BigInt => 17,
            Int => 16,
            SmallInt => 15,
            TinyInt => 14,
            Bit => 13,
            NText => 12,
            Text => 11,
            Image => 10,
            RowVersion => 9,
            Guid => 8,
            NVarChar(_) => 7,
            NChar(_) => 6,
            VarChar(_) => 5,
            Char(_) => 4,
            VarBinary(_) => 3,
            Binary(_) => 2,
        }
    }

    /// The declared length of strings and binaries in characters or bytes.
    pub fn length(self) -> Option<u16> {
        match self {
            Char(n) | VarChar(n) | NChar(n) | NVarChar(n) | Binary(n) | VarBinary(n) => Some(n),
            RowVersion => Some(8),
            _ => None,
        }
    }

    /// `max_length` as `sys.columns` has it: bytes, -1 for `(max)` and xml.
    pub fn max_length(self) -> i64 {
        match self {
            Bit | TinyInt => 1,
            SmallInt => 2,
            Int | Real | SmallMoney | SmallDateTime => 4,
            BigInt | Money | Float | DateTime | RowVersion => 8,
            Decimal(p, _) => decimal_bytes(p),
            Date => 3,
            Time(n) => i64::from(time_bytes(n)),
            DateTime2(n) => i64::from(time_bytes(n)) + 3,
            DateTimeOffset(n) => i64::from(time_bytes(n)) + 5,
            Char(MAX) | VarChar(MAX) | NChar(MAX) | NVarChar(MAX) | Binary(MAX) | VarBinary(MAX) | Xml => -1,
            Clr(Clr::HierarchyId) => 892,
            Clr(_) => -1,
            Char(n) | VarChar(n) | Binary(n) | VarBinary(n) => i64::from(n),
            NChar(n) | NVarChar(n) => i64::from(n) * 2,
            Text | NText | Image | Guid => 16,
        }
    }

    /// `precision` as `sys.columns` has it.
    pub fn precision(self) -> i64 {
        match self {
            Bit => 1,
            TinyInt => 3,
            SmallInt => 5,
            Int | SmallMoney | Date => 10,
            BigInt | Money => 19,
            Decimal(p, _) => i64::from(p),
            Real => 24,
            Float => 53,
            Time(n) => 8 + dot(n),
            SmallDateTime => 16,
            DateTime => 23,
            DateTime2(n) => 19 + dot(n),
            DateTimeOffset(n) => 26 + dot(n),
            _ => 0,
        }
    }

    /// `scale` as `sys.columns` has it.
    pub fn scale(self) -> u8 {
        match self {
            Decimal(_, s) => s,
            Money | SmallMoney => 4,
            Time(n) | DateTime2(n) | DateTimeOffset(n) => n,
            DateTime => 3,
            _ => 0,
        }
    }

    /// `system_type_id` of `sys.types`.
    pub fn system_type_id(self) -> i64 {
        match self {
            Image => 34,
            Text => 35,
            Guid => 36,
            Date => 40,
            Time(_) => 41,
            DateTime2(_) => 42,
            DateTimeOffset(_) => 43,
            TinyInt => 48,
            SmallInt => 52,
            Int => 56,
            SmallDateTime => 58,
            Real => 59,
            Money => 60,
            DateTime => 61,
            Float => 62,
            NText => 99,
            Bit => 104,
            Decimal(..) => 106,
            SmallMoney => 122,
            BigInt => 127,
            VarBinary(_) => 165,
            VarChar(_) => 167,
            Binary(_) => 173,
            Char(_) => 175,
            RowVersion => 189,
            NVarChar(_) => 231,
            NChar(_) => 239,
            Xml => 241,
            Clr(_) => 240,
        }
    }

    /// `user_type_id` of `sys.types`: the CLR types share one `system_type_id`.
    pub fn user_type_id(self) -> i64 {
        match self {
            Clr(clr) => 128 + clr as i64,
            ty => ty.system_type_id(),
        }
    }

    /// How a column of this type is declared in SQLite, without its collation. `INT` and not `INTEGER`: a key must not become the rowid.
    pub fn sqlite_decl(self) -> &'static str {
        match self {
            Real | Float => "REAL",
            Decimal(..) | DateTimeOffset(_) | Binary(_) | VarBinary(_) | Image | Guid | RowVersion | Clr(_) => "BLOB",
            _ if self.is_string() => "TEXT",
            _ => "INT",
        }
    }
}

fn dot(n: u8) -> i64 {
    if n == 0 { 0 } else { i64::from(n) + 1 }
}

/// Bytes of a time of the given scale.
pub fn time_bytes(scale: u8) -> u8 {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

/// Storage bytes of a decimal of the given precision.
pub fn decimal_bytes(precision: u8) -> i64 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}
