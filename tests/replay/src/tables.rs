//! Tables whose rows are like real ones: no two rows of a block are alike, and they compress as real data does.
//!
//! Every table begins with a key `id` that counts. A block has so many rows that no page of a file contains it twice.

use crate::tokens::{LATIN1, characters, chunked, columns, long, row, short, utf16};
use crate::words::{CITIES, FIRST_NAMES, LAST_NAMES, STREETS};

/// The rows of a block, except for wide ones.
const BLOCK_ROWS: usize = 65_536;
/// The rows of a block of wide text.
const WIDE_BLOCK_ROWS: usize = 8_192;

/// The function that makes a row by its number: its encoded values.
type Encode = fn(&mut Random, u64) -> Vec<Vec<u8>>;

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name in reports.
    pub name: &'static str,
    /// Its columns.
    pub columns: Vec<Column>,
    block_rows: usize,
    encode: Encode,
}

/// A column, which is nullable unless it is the key.
#[derive(Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type as it is declared.
    pub sql_type: &'static str,
    type_info: Vec<u8>,
}

const fn column(name: &'static str, sql_type: &'static str, type_info: Vec<u8>) -> Column {
    Column {
        name,
        sql_type,
        type_info,
    }
}

impl Table {
    /// Returns COLMETADATA.
    pub(crate) fn head(&self) -> Vec<u8> {
        let named: Vec<_> = self
            .columns
            .iter()
            .map(|column| (column.name, column.type_info.clone()))
            .collect();
        columns(&named)
    }

    /// Returns the block's rows, and the places where they start and the last ends.
    pub(crate) fn block(&self) -> (Vec<u8>, Vec<usize>) {
        let mut random = Random::default();
        let (mut block, mut starts) = (Vec::new(), vec![0]);
        for index in 0..self.block_rows as u64 {
            block.extend(row(&(self.encode)(&mut random, index)));
            starts.push(block.len());
        }
        (block, starts)
    }
}

/// Makes a table with six columns of whole numbers: keys that are spread and skewed, a count, a code, and a flag that
/// is often NULL.
#[must_use]
pub fn narrow() -> Table {
    Table {
        name: "narrow",
        columns: vec![
            column("id", "bigint", vec![0x26, 8]),
            column("customer", "int", vec![0x26, 4]),
            column("product", "int", vec![0x26, 4]),
            column("quantity", "smallint", vec![0x26, 2]),
            column("store", "smallint", vec![0x26, 2]),
            column("channel", "tinyint", vec![0x26, 1]),
        ],
        block_rows: BLOCK_ROWS,
        encode: |random, index| {
            vec![
                short(&index.to_le_bytes()),
                short(&(random.below(2_000_000) as i32).to_le_bytes()),
                short(&(random.skewed(40_000) as i32).to_le_bytes()),
                short(&(1 + random.skewed(50) as i16).to_le_bytes()),
                short(&(random.below(900) as i16).to_le_bytes()),
                if random.below(10) < 4 {
                    short(&[])
                } else {
                    short(&[random.below(6) as u8])
                },
            ]
        },
    }
}

/// Makes a table with ten mixed columns, 154 bytes a row on the wire: a key, a customer, one of four statuses, an
/// amount, a name and address, when it was ordered (growing, with seven digits) and modified, a measurement, a random
/// identifier, and a flag.
#[must_use]
pub fn mixed() -> Table {
    Table {
        name: "mixed",
        columns: vec![
            column("id", "bigint", vec![0x26, 8]),
            column("customer", "int", vec![0x26, 4]),
            column("status", "varchar(10)", characters(0xA7, 10, LATIN1)),
            column("price", "decimal(18,4)", vec![0x6A, 9, 18, 4]),
            column("name", "nvarchar(40)", characters(0xE7, 80, LATIN1)),
            column("ordered", "datetime2(7)", vec![0x2A, 7]),
            column("modified", "datetime", vec![0x6F, 8]),
            column("ratio", "float", vec![0x6D, 8]),
            column("code", "uniqueidentifier", vec![0x24, 16]),
            column("active", "bit", vec![0x68, 1]),
        ],
        block_rows: BLOCK_ROWS,
        encode: mixed_row,
    }
}

fn mixed_row(random: &mut Random, index: u64) -> Vec<Vec<u8>> {
    const SECOND: u64 = 10_000_000;
    const DAY: u64 = 86_400 * SECOND;
    let status = [&b"shipped"[..], b"paid", b"new", b"returned"][random.skewed(4) as usize];
    let mut price = vec![1];
    price.extend((random.skewed(100_000_000) * 100).to_le_bytes());
    let address = format!(
        "{} {}, {} {}, {}",
        random.one_of(&FIRST_NAMES),
        random.one_of(&LAST_NAMES),
        1 + random.skewed(400),
        random.one_of(&STREETS),
        random.one_of(&CITIES)
    );
    let address: String = address.chars().take(40).collect();
    let moment = index * 3 * SECOND + random.below(6 * SECOND);
    let mut ordered = (moment % DAY).to_le_bytes()[..5].to_vec();
    ordered.extend(&(738_000 + (moment / DAY) as u32).to_le_bytes()[..3]);
    let mut modified = (44_500 + random.skewed(700) as i32).to_le_bytes().to_vec();
    modified.extend((random.below(25_920_000) as u32).to_le_bytes());
    vec![
        short(&index.to_le_bytes()),
        short(&(random.skewed(500_000) as i32).to_le_bytes()),
        long(Some(status)),
        short(&price),
        long(Some(&utf16(&address))),
        short(&ordered),
        short(&modified),
        if random.below(20) == 0 {
            short(&[])
        } else {
            short(&(random.below(1 << 53) as f64 / (1_u64 << 40) as f64).to_le_bytes())
        },
        short(&[random.next().to_le_bytes(), random.next().to_le_bytes()].concat()),
        short(&[u8::from(random.below(10) > 0)]),
    ]
}

/// Makes a table with text of some hundred to some thousand characters, in rows of about 5 KB on the wire.
#[must_use]
pub fn wide_text() -> Table {
    Table {
        name: "wide-text",
        columns: vec![
            column("id", "bigint", vec![0x26, 8]),
            column("title", "nvarchar(200)", characters(0xE7, 400, LATIN1)),
            column("body", "nvarchar(4000)", characters(0xE7, 8_000, LATIN1)),
            column("remarks", "varchar(8000)", characters(0xA7, 8_000, LATIN1)),
        ],
        block_rows: WIDE_BLOCK_ROWS,
        encode: |random, index| {
            let (title, body, remarks) = (random.below(120), random.below(3_600), random.below(3_000));
            vec![
                short(&index.to_le_bytes()),
                long(Some(&utf16(&random.text(20 + title as usize)))),
                long(Some(&utf16(&random.text(200 + body as usize)))),
                long(Some(random.text(remarks as usize).as_bytes())),
            ]
        },
    }
}

/// Makes a table with values of `nvarchar(max)` and `varbinary(max)` up to 24 MB, one or both in a row.
#[must_use]
pub fn max_types() -> Table {
    /// The sizes of both values in KiB on the wire.
    const SIZES: [(usize, usize); 8] = [
        (4, 1_024),
        (2_048, 64),
        (24_576, 0),
        (512, 4_096),
        (64, 16),
        (0, 24_576),
        (6_144, 2_048),
        (1_024, 512),
    ];
    Table {
        name: "max-types",
        columns: vec![
            column("id", "bigint", vec![0x26, 8]),
            column("document", "nvarchar(max)", characters(0xE7, 0xFFFF, LATIN1)),
            column("scan", "varbinary(max)", vec![0xA5, 0xFF, 0xFF]),
        ],
        block_rows: SIZES.len(),
        encode: |random, index| {
            let (document, scan) = SIZES[index as usize % SIZES.len()];
            let scan: Vec<u8> = (0..scan * 128).flat_map(|_| random.next().to_le_bytes()).collect();
            vec![
                short(&index.to_le_bytes()),
                chunked(&utf16(&random.text(document * 512)), true),
                chunked(&scan, true),
            ]
        },
    }
}

/// Makes all of them.
#[must_use]
pub fn all() -> [Table; 4] {
    [narrow(), mixed(), wide_text(), max_types()]
}

/// Marsaglia's xorshift, which is the same in every run.
struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }
}

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Returns a number below `bound`, small ones far more often than large ones.
    fn skewed(&mut self, bound: u64) -> u64 {
        let fraction = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        (fraction * fraction * fraction * bound as f64) as u64
    }

    fn one_of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }

    /// Returns words of a vocabulary of some thousand, of which some are far more frequent than others, as in a
    /// language.
    fn text(&mut self, characters: usize) -> String {
        const SYLLABLES: [&str; 24] = [
            "an", "ber", "co", "den", "el", "fa", "gis", "har", "in", "jo", "kel", "la", "mor", "ni", "os", "pra",
            "que", "ris", "sta", "to", "ur", "ves", "wil", "zé",
        ];
        let mut text = String::with_capacity(characters + 16);
        let mut length = 0;
        while length < characters {
            let mut word = self.skewed(24 * 24 * 12) as usize;
            for _ in 0..3 {
                let syllable = SYLLABLES[word % SYLLABLES.len()];
                text.push_str(syllable);
                length += syllable.chars().count();
                word /= SYLLABLES.len();
                if word == 0 {
                    break;
                }
            }
            text.push(if self.below(12) == 0 { '.' } else { ' ' });
            length += 1;
        }
        text.chars().take(characters).collect()
    }
}
