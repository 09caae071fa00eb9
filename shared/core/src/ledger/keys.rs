//! The keys of a table's data and ledger: pure functions from names to keys.
//!
//! Data and ledger have prefixes of their own, so that readers, crawlers and loaders that take every key below a folder
//! find data only, and a policy can protect the ledger.

use crate::checksum::crc64nvme_hex;
use crate::model::loaders::LoaderManifest;
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::record::Attempt;
use crate::model::slice_id::SliceId;
use crate::model::table::Layout;
use crate::model::window::WindowName;

/// The prefix of every table's ledger, below that of the deployment. A table's folder cannot have this name, because it
/// has a dot.
const LEDGER: &str = "_ledger";
/// The folder of the runs' leases in the ledger, which is no table's because it has no dot.
const RUNS: &str = "_runs";
/// The prefix of what was moved out of the way.
const ARCHIVE: &str = "_archive";
/// The partition key of a window. No column may have this name, because readers prefer the value in the path.
pub const WINDOW_KEY: &str = "tidemark_window";
/// The partition key of the day on which a window was frozen.
pub const LOAD_DATE_KEY: &str = "tidemark_load_date";
/// The digits of the checksum that is added to a name with other characters.
const HASH_DIGITS: usize = 12;
/// The longest segment. A folder on a disk has at most 255 bytes, and some segments get a suffix.
const MAX_SEGMENT: usize = 200;

/// Returns the partition keys of a layout, outermost first.
#[must_use]
pub const fn partition_keys(layout: Layout) -> &'static [&'static str] {
    match layout {
        Layout::Window => &[WINDOW_KEY],
        Layout::LoadDate => &[LOAD_DATE_KEY, WINDOW_KEY],
    }
}

/// Returns a table's name as one segment of a key, `schema.table` of ASCII letters, digits, `_` and `-`.
///
/// Readers over S3 do not agree on escapes, so every other character is replaced by `_`, and digits of a checksum of
/// the whole name are added. They are also added to a name that looks as if it had such digits already, and to what is
/// left of a name that is too long.
#[must_use]
pub fn table_segment(table: &ObjectName) -> String {
    let (schema, name) = (table.schema().as_str(), table.name().as_str());
    let segment = format!("{}.{}", plain(schema), plain(name));
    let is_itself = schema.chars().chain(name.chars()).all(is_plain);
    if is_itself && !ends_like_a_hash(name) && segment.len() <= MAX_SEGMENT {
        return segment;
    }
    hashed(&segment, &whole_name(table))
}

/// Returns the digits of a checksum of a table's whole name, by which two names that are written alike differ.
#[must_use]
pub fn table_hash(table: &ObjectName) -> String {
    hash_digits(&whole_name(table))
}

/// Returns both parts of a table's name. No name has a zero byte, so the texts of two different names are different.
fn whole_name(table: &ObjectName) -> String {
    format!("{}\0{}", table.schema().as_str(), table.name().as_str())
}

/// Returns a run's id as one segment of a key, by the same rules as [`table_segment`]. Whoever starts an execution may
/// name it with other characters.
fn run_segment(run_id: &str) -> String {
    if run_id.chars().all(is_plain) && !ends_like_a_hash(run_id) && (1..=MAX_SEGMENT).contains(&run_id.len()) {
        return run_id.to_owned();
    }
    hashed(&plain(run_id), run_id)
}

/// Cuts a segment where it is too long, and adds digits of a checksum of what it stands for.
fn hashed(segment: &str, of: &str) -> String {
    let segment = segment.get(..MAX_SEGMENT - HASH_DIGITS - 1).unwrap_or(segment);
    format!("{segment}-{}", hash_digits(of))
}

fn hash_digits(of: &str) -> String {
    let mut hash = crc64nvme_hex(of.as_bytes());
    hash.truncate(HASH_DIGITS);
    hash
}

fn plain(text: &str) -> String {
    text.replace(|c: char| !is_plain(c), "_")
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn ends_like_a_hash(name: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    name.rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == HASH_DIGITS && end.chars().all(is_digit))
}

/// Returns the prefix of every table's ledger. The segment of a table follows it.
#[must_use]
pub fn ledgers(prefix: &str) -> String {
    below(prefix, &format!("{LEDGER}/"))
}

/// Returns the segment of the folder that the files of a window lie in.
#[must_use]
pub fn window_segment(window: &WindowName) -> String {
    format!("{WINDOW_KEY}={window}")
}

/// Returns the key below `prefix`, which is taken without slashes at its ends and may be empty.
fn below(prefix: &str, key: &str) -> String {
    match prefix.trim_matches('/') {
        "" => key.to_owned(),
        prefix => format!("{prefix}/{key}"),
    }
}

/// The keys of one table's data and ledger.
#[derive(Debug, Clone)]
pub struct Keys {
    data: String,
    ledger: String,
    archive: String,
    runs: String,
}

impl Keys {
    /// Makes the keys of `table` under `prefix`, which is taken without slashes at its ends and may be empty.
    #[must_use]
    pub fn new(prefix: &str, table: &ObjectName) -> Self {
        Self::of_segment(prefix, &table_segment(table))
    }

    /// Makes the keys of the table with this [segment](table_segment), whose name may not be known.
    #[must_use]
    pub fn of_segment(prefix: &str, table: &str) -> Self {
        Self {
            data: below(prefix, table),
            ledger: below(prefix, &format!("{LEDGER}/{table}")),
            archive: below(prefix, &format!("{ARCHIVE}/{table}")),
            runs: below(prefix, &format!("{LEDGER}/{RUNS}")),
        }
    }

    /// Returns the key of `watermark.json`, where the `s3` watermark store keeps the pointer.
    #[must_use]
    pub fn watermark(&self) -> String {
        format!("{}/watermark.json", self.ledger)
    }

    /// Returns the key of `hold.json`, which says what a person has begun with the table.
    #[must_use]
    pub fn hold(&self) -> String {
        format!("{}/hold.json", self.ledger)
    }

    /// Returns the prefixes of the keys of all the table's objects: those in its first folder, and those in the folders
    /// that reloads began.
    #[must_use]
    pub fn data(&self) -> [String; 2] {
        [format!("{}/", self.data), format!("{}.g", self.data)]
    }

    /// Returns the prefix of the keys of all documents of a window.
    #[must_use]
    pub fn window(&self, window: &WindowName) -> String {
        format!("{}/{window}/", self.ledger)
    }

    /// Returns the prefix of the folders of the table's archive. The name of a folder follows it.
    #[must_use]
    pub fn archive(&self) -> String {
        format!("{}/", self.archive)
    }

    /// Returns the key that an object or document of the table gets in this folder of the archive, or `None` when the
    /// key is not one of the table's.
    ///
    /// The key is `_archive/{table}/{folder}/data/…` for objects that readers saw, and
    /// `_archive/{table}/{folder}/ledger/…` for documents.
    #[must_use]
    pub fn archived(&self, key: &str, folder: &str) -> Option<String> {
        let place = |root: &str, kind: &str, begins: [&str; 2]| {
            let rest = key.strip_prefix(root)?;
            let is_its_own = begins.iter().any(|begin| rest.starts_with(begin));
            is_its_own.then(|| format!("{}/{folder}/{kind}{rest}", self.archive))
        };
        place(&self.ledger, "ledger", ["/", "/"]).or_else(|| place(&self.data, "data", ["/", ".g"]))
    }

    /// Returns the key of `lease.json`, which says who copies the table now.
    #[must_use]
    pub fn lease(&self) -> String {
        format!("{}/lease.json", self.ledger)
    }

    /// Returns the key of `_runs/{run}/lease.json`, which says until when a run counts as alive, and what it has copied.
    #[must_use]
    pub fn run_lease(&self, run_id: &str) -> String {
        format!("{}/{}/lease.json", self.runs, run_segment(run_id))
    }

    /// Returns the prefix of the folders of all windows in the ledger. The name of a window follows it.
    #[must_use]
    pub fn windows(&self) -> String {
        format!("{}/", self.ledger)
    }

    /// Returns the prefix of the folders of all full loads in place of another window. The name of that other window
    /// follows it.
    #[must_use]
    pub fn reinits(&self) -> String {
        format!("{}/reinit-", self.ledger)
    }

    /// Returns the key of `{from}/plan.json`.
    #[must_use]
    pub fn plan(&self, window: &WindowName) -> String {
        format!("{}/{window}/plan.json", self.ledger)
    }

    /// Returns the key of `{from}/record-00000.json`, or `record-00000.00000.json` for the first sub-slice of that
    /// slice. Later attempts, made after an upload expired, have `record-00000-1.json` and so on.
    #[must_use]
    pub fn record(&self, attempt: &Attempt) -> String {
        self.of_attempt("record", attempt)
    }

    /// Returns the key of `{from}/void-00000.json`, whose presence means that the record of this attempt no longer
    /// counts.
    #[must_use]
    pub fn void(&self, attempt: &Attempt) -> String {
        self.of_attempt("void", attempt)
    }

    /// Returns the key of `{from}/previous.json`.
    #[must_use]
    pub fn previous(&self, window: &WindowName) -> String {
        format!("{}/{window}/previous.json", self.ledger)
    }

    /// Returns the key of `{from}/loader-redshift.json` or `symlink/tidemark_window={from}/loader-symlink.txt`. The
    /// folder `symlink` is thus that of a partitioned table; each later generation has a folder of its own,
    /// `symlink-g1` and so on.
    #[must_use]
    pub fn loader(&self, plan: &Plan, loader: LoaderManifest) -> String {
        let (ledger, window) = (&self.ledger, &plan.window);
        match (loader, plan.generation) {
            (LoaderManifest::Redshift, _) => format!("{ledger}/{window}/loader-redshift.json"),
            (LoaderManifest::Symlink, 0) => format!("{ledger}/symlink/{WINDOW_KEY}={window}/loader-symlink.txt"),
            (LoaderManifest::Symlink, later) => {
                format!("{ledger}/symlink-g{later}/{WINDOW_KEY}={window}/loader-symlink.txt")
            }
        }
    }

    /// Returns the key of `{from}/manifest.json`.
    #[must_use]
    pub fn manifest(&self, window: &WindowName) -> String {
        format!("{}/{window}/manifest.json", self.ledger)
    }

    /// Returns the folder of a generation of the table's files: the table's own, then `{table}.g1`, `{table}.g2` and so
    /// on. No table's segment has two dots, so this is no other table's folder.
    #[must_use]
    pub fn folder(&self, generation: u32) -> String {
        match generation {
            0 => self.data.clone(),
            later => format!("{}.g{later}", self.data),
        }
    }

    /// Returns the key of the part of a slice: `tidemark_window={from}/part-00000.parquet` in the table's folder, or
    /// the same below `tidemark_load_date={day}/`. All of it comes from the plan, so that everyone who copies the slice
    /// writes the same object.
    #[must_use]
    pub fn part(&self, plan: &Plan, slice: &SliceId) -> String {
        let day = match plan.layout {
            Layout::Window => String::new(),
            Layout::LoadDate => format!("{LOAD_DATE_KEY}={}/", plan.load_date()),
        };
        let (data, window, extension) = (self.folder(plan.generation), &plan.window, plan.format.extension());
        let slice = slice.key_segment();
        format!("{data}/{day}{}/part-{slice}.{extension}", window_segment(window))
    }

    fn of_attempt(&self, document: &str, attempt: &Attempt) -> String {
        let Attempt {
            window, slice, number, ..
        } = attempt;
        let again = if *number == 0 {
            String::new()
        } else {
            format!("-{number}")
        };
        let slice = slice.key_segment();
        format!("{}/{window}/{document}-{slice}{again}.json", self.ledger)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::model::moment::Moment;
    use crate::testing::documents;

    fn segment(table: &str) -> String {
        table_segment(&table.parse().unwrap())
    }

    #[test]
    fn a_table_has_a_segment_that_needs_no_escape() {
        assert_eq!(segment("sales.Order_lines-2"), "sales.Order_lines-2");
        let odd = segment("sales.[order lines]");
        let hash = odd.strip_prefix("sales.order_lines-").unwrap();
        assert!(hash.len() == HASH_DIGITS && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(segment("dbo.Größe").starts_with("dbo.Gr__e-"));
        assert!(segment("[a.b].c").starts_with("a_b.c-"));
        // The two longest possible names, which begin alike.
        let long = |end: &str| segment(&format!("{}.{}{end}", "s".repeat(128), "t".repeat(127)));
        assert!(long("a").len() == MAX_SEGMENT && long("a") != long("b"));
        // Nobody can give a table the name of another table's segment.
        assert_ne!(segment(&format!("sales.[order_lines-{hash}]")), odd);
    }

    #[test]
    fn a_run_has_a_segment_of_its_own_whatever_its_name_is() {
        let keys = Keys::new("lake", &"t".parse().unwrap());
        let key = |run_id: &str| keys.run_lease(run_id);
        assert_eq!(
            key("2026-11-30T07_00"),
            "lake/_ledger/_runs/2026-11-30T07_00/lease.json"
        );
        let all = [
            "a/b",
            "a_b",
            "a.b",
            "ü",
            "",
            "..",
            "a_b-0123456789ab",
            &"x".repeat(300),
            &"x".repeat(301),
        ];
        let all: std::collections::BTreeSet<_> = all.into_iter().map(key).collect();
        assert_eq!(all.len(), 9);
        assert!(
            all.iter().all(|key| key.split('/').count() == 5 && key.len() < 240),
            "{all:?}"
        );
    }

    proptest! {
        #[test]
        fn different_names_have_different_segments(
            a in "[a-c.%\\] ]{1,4}", b in "[a-c.%\\] ]{1,4}", c in "[a-c.%\\] ]{1,4}", d in "[a-c.%\\] ]{1,4}",
        ) {
            let name = |schema: &str, name: &str| -> ObjectName {
                let part = |text: &str| text.replace(']', "]]");
                format!("[{}].[{}]", part(schema), part(name)).parse().unwrap()
            };
            let (one, other) = (name(&a, &b), name(&c, &d));
            prop_assert_eq!(one == other, table_segment(&one) == table_segment(&other));
        }
    }

    #[test]
    fn a_parts_key_comes_from_the_plan_alone() {
        let keys = Keys::new("lake", &"sales.t".parse().unwrap());
        let sub_slice: SliceId = "7.2.10".parse().unwrap();
        for (layout, slice, key) in [
            (
                Layout::Window,
                &7.into(),
                "lake/sales.t/tidemark_window=initial/part-00007.csv.gz",
            ),
            (
                Layout::LoadDate,
                &7.into(),
                "lake/sales.t/tidemark_load_date=2026-11-22/tidemark_window=initial/part-00007.csv.gz",
            ),
            (
                Layout::Window,
                &sub_slice,
                "lake/sales.t/tidemark_window=initial/part-00007.00002.00010.csv.gz",
            ),
        ] {
            let plan = Plan {
                layout,
                format: serde_json::from_str(r#"{"csv": {"compression": "gzip"}}"#).unwrap(),
                created_at: Moment::of(datetime!(2026-11-22 23:59:59 UTC)),
                ..documents::plan("sales.t", None, 1)
            };
            assert_eq!(keys.part(&plan, slice), key);
        }
    }

    #[test]
    fn the_ledger_has_a_prefix_of_its_own() {
        let keys = Keys::new("/lake/raw/", &"sales.orders".parse().unwrap());
        let window = WindowName::initial();
        let attempt = |slice: &str, number| Attempt {
            window: window.clone(),
            slice: slice.parse().unwrap(),
            number,
            plan: documents::plan("sales.orders", None, 1).id(),
        };
        let ledger = "lake/raw/_ledger/sales.orders";
        assert_eq!(keys.watermark(), format!("{ledger}/watermark.json"));
        assert_eq!(keys.lease(), format!("{ledger}/lease.json"));
        assert_eq!(keys.plan(&window), format!("{ledger}/initial/plan.json"));
        assert_eq!(keys.previous(&window), format!("{ledger}/initial/previous.json"));
        let archived = keys.archived(&keys.plan(&window), "then").unwrap();
        assert_eq!(archived, "lake/raw/_archive/sales.orders/then/ledger/initial/plan.json");
        let part = "lake/raw/sales.orders/tidemark_window=initial/part-00000.csv";
        let archived = keys.archived(part, "then").unwrap();
        assert_eq!(
            archived,
            part.replace("raw/sales.orders", "raw/_archive/sales.orders/then/data")
        );
        let later = "lake/raw/sales.orders.g1/part-00000.csv";
        let archived = keys.archived(later, "then").unwrap();
        assert_eq!(archived, "lake/raw/_archive/sales.orders/then/data.g1/part-00000.csv");
        assert_eq!(keys.archived("lake/raw/sales.orders2/part-00000.csv", "then"), None);
        for (slice, number, name) in [
            ("7", 0, "record-00007.json"),
            ("7", 2, "record-00007-2.json"),
            ("7.2.10", 1, "record-00007.00002.00010-1.json"),
        ] {
            assert_eq!(keys.record(&attempt(slice, number)), format!("{ledger}/initial/{name}"));
        }
        assert_eq!(keys.void(&attempt("7", 0)), format!("{ledger}/initial/void-00007.json"));
        let root = Keys::new("", &"t".parse().unwrap());
        assert_eq!(root.manifest(&window), "_ledger/dbo.t/initial/manifest.json");
    }
}
