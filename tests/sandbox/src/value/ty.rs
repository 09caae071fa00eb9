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
    /// `hierarchyid`, as its bytes
    HierarchyId,
    /// `geometry`, as its bytes
    Geometry,
    /// `geography`, as its bytes
    Geography,
}

use Ty::*;

/// The properties of a type: its name, its number in `sys.types`, its rank in expressions (lowest first), its bytes and
/// its digits where they are always the same, and its tokens on the wire, where it cannot be NULL (or 0) and where it
/// can.
struct Kind(Ty, &'static str, i64, u8, i64, i64, u8, u8);

/// All types, each as long and as exact as it can be.
const KINDS: [Kind; 31] = [
    Kind(Bit, "bit", 104, 13, 1, 1, 0x32, 0x68),
    Kind(TinyInt, "tinyint", 48, 14, 1, 3, 0x30, 0x26),
    Kind(SmallInt, "smallint", 52, 15, 2, 5, 0x34, 0x26),
    Kind(Int, "int", 56, 16, 4, 10, 0x38, 0x26),
    Kind(BigInt, "bigint", 127, 17, 8, 19, 0x7F, 0x26),
    Kind(Decimal(38, 38), "decimal", 106, 20, 17, 38, 0, 0x6A),
    Kind(SmallMoney, "smallmoney", 122, 18, 4, 10, 0x7A, 0x6E),
    Kind(Money, "money", 60, 19, 8, 19, 0x3C, 0x6E),
    Kind(Real, "real", 59, 21, 4, 24, 0x3B, 0x6D),
    Kind(Float, "float", 62, 22, 8, 53, 0x3E, 0x6D),
    Kind(Date, "date", 40, 24, 3, 10, 0, 0x28),
    Kind(Time(7), "time", 41, 23, 5, 16, 0, 0x29),
    Kind(SmallDateTime, "smalldatetime", 58, 25, 4, 16, 0x3A, 0x6F),
    Kind(DateTime, "datetime", 61, 26, 8, 23, 0x3D, 0x6F),
    Kind(DateTime2(7), "datetime2", 42, 27, 8, 27, 0, 0x2A),
    Kind(DateTimeOffset(7), "datetimeoffset", 43, 28, 10, 34, 0, 0x2B),
    Kind(Char(8000), "char", 175, 4, 8000, 0, 0, 0xAF),
    Kind(VarChar(8000), "varchar", 167, 5, 8000, 0, 0, 0xA7),
    Kind(Text, "text", 35, 11, 16, 0, 0, 0x23),
    Kind(NChar(4000), "nchar", 239, 6, 8000, 0, 0, 0xEF),
    Kind(NVarChar(4000), "nvarchar", 231, 7, 8000, 0, 0, 0xE7),
    Kind(NText, "ntext", 99, 12, 16, 0, 0, 0x63),
    Kind(Binary(8000), "binary", 173, 2, 8000, 0, 0, 0xAD),
    Kind(VarBinary(8000), "varbinary", 165, 3, 8000, 0, 0, 0xA5),
    Kind(Image, "image", 34, 10, 16, 0, 0, 0x22),
    Kind(Guid, "uniqueidentifier", 36, 8, 16, 0, 0, 0x24),
    Kind(Xml, "xml", 241, 29, -1, 0, 0, 0xF1),
    Kind(RowVersion, "timestamp", 189, 9, 8, 0, 0, 0xAD),
    Kind(HierarchyId, "hierarchyid", 240, 31, 892, 0, 0, 0xF0),
    Kind(Geometry, "geometry", 240, 31, -1, 0, 0, 0xF0),
    Kind(Geography, "geography", 240, 31, -1, 0, 0, 0xF0),
];

/// Returns the rows of `sys.types`: name, number, number of the user's type, bytes, type.
pub fn named() -> impl Iterator<Item = (&'static str, i64, i64, i64, Ty)> {
    let others = [
        ("numeric", 108, 108, 17, Decimal(38, 38)),
        ("sysname", 231, 256, 256, NVarChar(128)),
    ];
    let own = KINDS
        .iter()
        .map(|kind| (kind.1, kind.2, kind.0.user_type_id(), kind.4, kind.0));
    own.chain(others)
}

impl Ty {
    fn index(self) -> usize {
        let same = |kind: &Kind| std::mem::discriminant(&kind.0) == std::mem::discriminant(&self);
        KINDS.iter().position(same).unwrap_or_default()
    }

    fn kind(self) -> &'static Kind {
        &KINDS[self.index()]
    }

    /// Returns the type of this name, as long and as exact as it can be.
    pub fn of_name(name: &str) -> Option<Ty> {
        KINDS.iter().find(|kind| kind.1 == name).map(|kind| kind.0)
    }

    /// Returns the type of a token on the wire. `bytes` is `None` for a token whose values always have the same length.
    pub fn of_token(token: u8, bytes: Option<u8>) -> Option<Ty> {
        let found = KINDS.iter().find(|kind| match bytes {
            None => kind.6 == token && token != 0,
            Some(bytes) => kind.7 == token && kind.4 == i64::from(bytes),
        });
        found.map(|kind| kind.0)
    }

    /// Returns the tokens on the wire: the one for values that cannot be NULL, or 0, and the one for values that can.
    pub fn tokens(self) -> (u8, u8) {
        (self.kind().6, self.kind().7)
    }

    /// Returns the type as one number, for the functions of SQLite.
    pub fn code(self) -> i64 {
        let (a, b) = match self {
            Decimal(p, s) => (u16::from(p), s),
            Time(n) | DateTime2(n) | DateTimeOffset(n) => (0, n),
            _ => (self.length().unwrap_or(0), 0),
        };
        i64::try_from(self.index()).unwrap_or_default() << 24 | i64::from(a) << 8 | i64::from(b)
    }

    /// Reads what [`Ty::code`] wrote.
    pub fn from_code(code: i64) -> Option<Ty> {
        let a = u16::try_from((code >> 8) & 0xFFFF).ok()?;
        let b = u8::try_from(code & 0xFF).ok()?;
        Some(match KINDS.get(usize::try_from(code >> 24).ok()?)?.0 {
            Decimal(..) => Decimal(u8::try_from(a).ok()?, b),
            Time(_) => Time(b),
            DateTime2(_) => DateTime2(b),
            DateTimeOffset(_) => DateTimeOffset(b),
            Char(_) => Char(a),
            VarChar(_) => VarChar(a),
            NChar(_) => NChar(a),
            NVarChar(_) => NVarChar(a),
            Binary(_) => Binary(a),
            VarBinary(_) => VarBinary(a),
            other => other,
        })
    }

    /// Returns the name in the catalog.
    pub fn name(self) -> &'static str {
        self.kind().1
    }

    /// Returns the name in error messages, where decimal is numeric.
    pub fn message_name(self) -> &'static str {
        if let Decimal(..) = self { "numeric" } else { self.name() }
    }

    /// Returns whether it is `bit` or an integer.
    pub fn is_int(self) -> bool {
        matches!(self, Bit | TinyInt | SmallInt | Int | BigInt)
    }

    /// Returns whether it is `float` or `real`.
    pub fn is_approx(self) -> bool {
        matches!(self, Float | Real)
    }

    /// Returns whether it is a number.
    pub fn is_number(self) -> bool {
        self.is_int() || self.is_approx() || matches!(self, Decimal(..) | Money | SmallMoney)
    }

    /// Returns whether it is text or XML.
    pub fn is_string(self) -> bool {
        matches!(self, Char(_) | VarChar(_) | Text | NChar(_) | NVarChar(_) | NText | Xml)
    }

    /// Returns whether it is text in UTF-16.
    pub fn is_unicode(self) -> bool {
        matches!(self, NChar(_) | NVarChar(_) | NText | Xml)
    }

    /// Returns whether it is a CLR type, which is kept as its bytes.
    pub fn is_clr(self) -> bool {
        matches!(self, HierarchyId | Geometry | Geography)
    }

    /// Returns whether it is a type of bytes.
    pub fn is_binary(self) -> bool {
        self.is_clr() || matches!(self, Binary(_) | VarBinary(_) | Image | RowVersion)
    }

    /// Returns whether it is a date or a time.
    pub fn is_temporal(self) -> bool {
        matches!(
            self,
            Date | Time(_) | SmallDateTime | DateTime | DateTime2(_) | DateTimeOffset(_)
        )
    }

    /// Returns whether it cannot be compared or sorted.
    pub fn is_incomparable(self) -> bool {
        matches!(self, Text | NText | Image | Xml | Geometry | Geography)
    }

    /// Returns the rank of the type in an expression of several types, of which the highest wins.
    pub fn precedence(self) -> u8 {
        self.kind().3
    }

    /// Returns the declared length of characters or bytes, [`MAX`] for `(max)`.
    pub fn length(self) -> Option<u16> {
        match self {
            Char(n) | VarChar(n) | NChar(n) | NVarChar(n) | Binary(n) | VarBinary(n) => Some(n),
            RowVersion => Some(8),
            _ => None,
        }
    }

    /// Returns `sys.columns.max_length`: the bytes, or -1 for `(max)`.
    pub fn max_length(self) -> i64 {
        match self {
            Decimal(p, _) => decimal_bytes(p),
            Time(n) => i64::from(time_bytes(n)),
            DateTime2(n) => i64::from(time_bytes(n)) + 3,
            DateTimeOffset(n) => i64::from(time_bytes(n)) + 5,
            _ => match self.length() {
                Some(MAX) => -1,
                Some(n) if self.is_unicode() => i64::from(n) * 2,
                Some(n) => i64::from(n),
                None => self.kind().4,
            },
        }
    }

    /// Returns `sys.columns.precision`.
    pub fn precision(self) -> i64 {
        let dot = |n: u8| if n == 0 { 0 } else { i64::from(n) + 1 };
        match self {
            Decimal(p, _) => i64::from(p),
            Time(n) => 8 + dot(n),
            DateTime2(n) => 19 + dot(n),
            DateTimeOffset(n) => 26 + dot(n),
            _ => self.kind().5,
        }
    }

    /// Returns `sys.columns.scale`.
    pub fn scale(self) -> u8 {
        match self {
            Decimal(_, s) => s,
            Money | SmallMoney => 4,
            Time(n) | DateTime2(n) | DateTimeOffset(n) => n,
            DateTime => 3,
            _ => 0,
        }
    }

    /// Returns `sys.columns.system_type_id`.
    pub fn system_type_id(self) -> i64 {
        self.kind().2
    }

    /// Returns `sys.columns.user_type_id`, in which the CLR types have numbers of their own.
    pub fn user_type_id(self) -> i64 {
        match self {
            HierarchyId => 128,
            Geometry => 129,
            Geography => 130,
            ty => ty.system_type_id(),
        }
    }

    /// Returns the declaration of its columns in SQLite.
    pub fn sqlite_decl(self) -> &'static str {
        match self {
            Real | Float => "REAL",
            Decimal(..) | DateTimeOffset(_) | Guid => "BLOB",
            _ if self.is_binary() => "BLOB",
            _ if self.is_string() => "TEXT",
            _ => "INT",
        }
    }
}

/// Returns the bytes of a time of the given scale.
pub fn time_bytes(scale: u8) -> u8 {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}

/// Returns the storage bytes of a decimal of the given precision.
pub fn decimal_bytes(precision: u8) -> i64 {
    match precision {
        0..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}
