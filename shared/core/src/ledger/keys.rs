//! Where data and ledger of a table live: pure functions from names to keys.
//!
//! Data and ledger have prefixes of their own, so that readers, crawlers and loaders that take every key below a folder find
//! data only, and a policy can guard the ledger.

use crate::checksum::crc64nvme_hex;
use crate::model::loaders::LoaderManifest;
use crate::model::names::ObjectName;
use crate::model::plan::Plan;
use crate::model::record::Attempt;
use crate::model::slice_id::SliceId;
use crate::model::table::Layout;
use crate::model::window::WindowName;

/// This is the prefix of every table's ledger, below that of the deployment. No table's folder is called so: each has a dot.
const LEDGER: &str = "_ledger";
/// This is the prefix of what was moved out of the way.
const ARCHIVE: &str = "_archive";
/// This is the partition key of a window. No column may be called so, because readers let the path win.
pub const WINDOW_KEY: &str = "tidemark_window";
/// The partition key of the day a window was frozen on.
pub const LOAD_DATE_KEY: &str = "tidemark_load_date";
/// This counts the digits of the checksum that is added to a name with other characters.
const HASH_DIGITS: usize = 12;
/// The longest segment: a folder on a disk has at most 255 bytes, and more is added to some.
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
/// Readers over S3 do not agree on escapes. So every other character is replaced by `_`, and digits of a checksum of the whole
/// name are added, as they are to a name that looks as if it had some, and to what is left of one that is very long.
#[must_use]
pub fn table_segment(table: &ObjectName) -> String {
    let (schema, name) = (table.schema().as_str(), table.name().as_str());
    let plain = |text: &str| text.replace(|c: char| !is_plain(c), "_");
    let segment = format!("{}.{}", plain(schema), plain(name));
    let is_itself = schema.chars().chain(name.chars()).all(is_plain);
    if is_itself && !ends_like_a_hash(name) && segment.len() <= MAX_SEGMENT {
        return segment;
    }
    let segment = segment.get(..MAX_SEGMENT - HASH_DIGITS - 1).unwrap_or(&segment);
    // A zero byte is in no name, so two names never run together.
    let hash = crc64nvme_hex(format!("{schema}\0{name}").as_bytes());
    format!("{segment}-{}", hash.get(..HASH_DIGITS).unwrap_or(&hash))
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn ends_like_a_hash(name: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    name.rsplit_once('-')
        .is_some_and(|(_, end)| end.len() == HASH_DIGITS && end.chars().all(is_digit))
}

/// These are the keys of one table's data and ledger.
#[derive(Debug, Clone)]
pub struct Keys {
    data: String,
    ledger: String,
    archive: String,
}

impl Keys {
    /// The keys of `table` under `prefix` (without its slashes; may be empty).
    #[must_use]
    pub fn new(prefix: &str, table: &ObjectName) -> Self {
        let prefix = prefix.trim_matches('/');
        let separator = if prefix.is_empty() { "" } else { "/" };
        let table = table_segment(table);
        Self {
            data: format!("{prefix}{separator}{table}"),
            ledger: format!("{prefix}{separator}{LEDGER}/{table}"),
            archive: format!("{prefix}{separator}{ARCHIVE}/{table}"),
        }
    }

    /// Returns `watermark.json`, where the `s3` watermark store keeps the pointer.
    #[must_use]
    pub fn watermark(&self) -> String {
        format!("{}/watermark.json", self.ledger)
    }

    /// `hold.json`, what a person has begun with the table.
    #[must_use]
    pub fn hold(&self) -> String {
        format!("{}/hold.json", self.ledger)
    }

    /// Returns what the keys of all objects of the table begin with: of its first folder, and of those that reloads began.
    #[must_use]
    pub fn data(&self) -> [String; 2] {
        [format!("{}/", self.data), format!("{}.g", self.data)]
    }

    /// Returns what the key of every document of a window begins with.
    #[must_use]
    pub fn window(&self, window: &WindowName) -> String {
        format!("{}/{window}/", self.ledger)
    }

    /// Returns where an object or document of the table goes in this folder of the archive; `None` when it is none of
    /// the table's.
    ///
    /// `_archive/{table}/{folder}/data/…` for what readers saw, `_archive/{table}/{folder}/ledger/…` for documents.
    #[must_use]
    pub fn archived(&self, key: &str, folder: &str) -> Option<String> {
        let place = |root: &str, kind: &str, begins: [&str; 2]| {
            let rest = key.strip_prefix(root)?;
            let is_its_own = begins.iter().any(|begin| rest.starts_with(begin));
            is_its_own.then(|| format!("{}/{folder}/{kind}{rest}", self.archive))
        };
        place(&self.ledger, "ledger", ["/", "/"]).or_else(|| place(&self.data, "data", ["/", ".g"]))
    }

    /// Returns `lease.json`, which says who copies the table now.
    #[must_use]
    pub fn lease(&self) -> String {
        format!("{}/lease.json", self.ledger)
    }

    /// Returns what every window's folder in the ledger begins with, before its name.
    #[must_use]
    pub fn windows(&self) -> String {
        format!("{}/", self.ledger)
    }

    /// Returns what the folder of every window of a full load in place of another begins with, before that one's name.
    #[must_use]
    pub fn reinits(&self) -> String {
        format!("{}/reinit-", self.ledger)
    }

    /// Returns `{from}/plan.json`
    #[must_use]
    pub fn plan(&self, window: &WindowName) -> String {
        format!("{}/{window}/plan.json", self.ledger)
    }

    /// `{from}/record-00000.json`; of the first slice it is split into `record-00000.00000.json`; later attempts, made after an
    /// upload expired, are `record-00000-1.json`, ….
    #[must_use]
    pub fn record(&self, attempt: &Attempt) -> String {
        self.of_attempt("record", attempt)
    }

    /// Returns `{from}/void-00000.json`: the record of this attempt no longer counts.
    #[must_use]
    pub fn void(&self, attempt: &Attempt) -> String {
        self.of_attempt("void", attempt)
    }

    /// Returns `{from}/previous.json`
    #[must_use]
    pub fn previous(&self, window: &WindowName) -> String {
        format!("{}/{window}/previous.json", self.ledger)
    }

    /// Returns `{from}/loader-redshift.json`; `symlink/tidemark_window={from}/loader-symlink.txt`, so that the folder
    /// `symlink` is that of a partitioned table, as `symlink-g1` is of the first generation that was loaded anew.
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

    /// Returns `{from}/manifest.json`
    #[must_use]
    pub fn manifest(&self, window: &WindowName) -> String {
        format!("{}/{window}/manifest.json", self.ledger)
    }

    /// Returns the folder of a generation of the table's files: the table's own, then `{table}.g1`, `{table}.g2`, …. No
    /// table has a segment with two dots.
    #[must_use]
    pub fn folder(&self, generation: u32) -> String {
        match generation {
            0 => self.data.clone(),
            later => format!("{}.g{later}", self.data),
        }
    }

    /// Returns `tidemark_window={from}/part-00000.parquet`, or below `tidemark_load_date={day}/`: all from the plan, so
    /// that everyone who copies the slice means the same object.
    #[must_use]
    pub fn part(&self, plan: &Plan, slice: &SliceId) -> String {
        let day = match plan.layout {
            Layout::Window => String::new(),
            Layout::LoadDate => format!("{LOAD_DATE_KEY}={}/", plan.load_date()),
        };
        let (data, window, extension) = (self.folder(plan.generation), &plan.window, plan.format.extension());
        let slice = slice.key_segment();
        format!("{data}/{day}{WINDOW_KEY}={window}/part-{slice}.{extension}")
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

    use super::*;
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
        // The longest names that there are, which begin alike.
        let long = |end: &str| segment(&format!("{}.{}{end}", "s".repeat(128), "t".repeat(127)));
        assert!(long("a").len() == MAX_SEGMENT && long("a") != long("b"));
        // Nobody can call a table as another one's segment.
        assert_ne!(segment(&format!("sales.[order_lines-{hash}]")), odd);
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
                created_at: "2026-11-22T23:59:59Z".into(),
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
