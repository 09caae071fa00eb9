//! The columns whose values nobody is to read: which they are, and which must not be masked.

use super::columns::{find, is_left_out};
use crate::error::{Error, ErrorCode, Result};
use crate::model::names::is_alike;
use crate::model::plan::Plan;
use crate::model::table::TableSpec;
use crate::model::types::{Column, Form};
use crate::model::values::{Mask, Values};
use crate::ports::source::DeclaredColumn;

/// What must be known of a table for its masks: the columns by which its rows are found, and whether there is a key for
/// hashes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// The watermark column, as the server spells it.
    pub(super) watermark: Option<&'a str>,
    /// The columns of the key of a tracked table, as the server spells them.
    pub(super) key: &'a [String],
    /// Whether the deployment names a key for hashes.
    pub(super) has_mask_key: bool,
}

/// Masks the columns that `spec` asks for: they become text. No slice is cut by a masked column, so that the plan holds
/// none of its values.
///
/// # Errors
///
/// `InvalidInput` for a column that is not copied, for the watermark, and for a column of the key whose mask would make
/// different keys equal; `InvalidConfig` when there is no key to hash with.
pub(super) fn mask(
    spec: &TableSpec,
    declared: &mut [DeclaredColumn],
    columns: &mut [Column],
    found: Found<'_>,
) -> Result<()> {
    for (name, &mask) in &spec.mask {
        let name = find(&spec.table, declared, name)
            .map_err(|error| match is_left_out(spec, name) {
                true => refused(spec, name.as_str(), "which is not copied: leave it out of mask"),
                false => error.context("mask"),
            })?
            .name
            .clone();
        let Some(column) = columns.iter_mut().find(|column| column.name == name) else {
            return Err(refused(spec, &name, "which is not copied: leave it out of mask"));
        };
        check(spec, &name, mask, found)?;
        column.form = Form::Text;
        column.values = Values::Masked(mask);
        // The key of a deleted row is all that is known of it, and is never NULL.
        column.nullable = !found.key.contains(&name);
        for declared in declared.iter_mut().filter(|declared| declared.name == name) {
            declared.cuts = false;
        }
    }
    Ok(())
}

/// Notes which columns are copied as the masks that SQL Server shows the login. Like what is masked here, they cut no slice:
/// the statistics have the values themselves.
pub(super) fn take(declared: &mut [DeclaredColumn], columns: &mut [Column], server_masked: &[String]) {
    for column in columns.iter_mut().filter(|column| server_masked.contains(&column.name)) {
        column.values = Values::ServerMask;
    }
    for declared in declared
        .iter_mut()
        .filter(|declared| server_masked.contains(&declared.name))
    {
        declared.cuts = false;
    }
}

/// Checks that a plan was frozen with the masks and the audit that `spec` asks for, because whoever adds a mask relies
/// on it from then on.
///
/// # Errors
///
/// `InvalidInput`, naming the column or the audit.
pub(crate) fn check_frozen(spec: &TableSpec, plan: &Plan) -> Result<()> {
    let changed = |what: &str| {
        let message = format!(
            "window {} of {} was frozen with another {what} than the one given now: give the window up (tidemark give-up), or put it \
             back until the window is committed",
            plan.window, plan.table
        );
        Err(Error::new(ErrorCode::InvalidInput, message))
    };
    if plan.slices.is_empty() {
        return Ok(());
    }
    for column in &plan.columns {
        let frozen = match column.values {
            Values::Masked(mask) => Some(mask),
            Values::OfSource | Values::ServerMask | Values::Audit(_) => None,
        };
        if frozen != asked(spec, plan, &column.name) {
            return changed(&format!("mask of {}", column.name));
        }
    }
    let is_audited = plan
        .columns
        .iter()
        .any(|column| matches!(column.values, Values::Audit(_)));
    if is_audited != spec.audit {
        return changed("audit");
    }
    Ok(())
}

/// Returns the mask that `spec` asks for. A name in another case means this column, unless another column has exactly
/// that name.
fn asked(spec: &TableSpec, plan: &Plan, column: &str) -> Option<Mask> {
    let is_column = |name: &str| plan.columns.iter().any(|column| column.name == name);
    let is_it = |name: &str| name == column || (is_alike(name, column) && !is_column(name));
    let found = spec.mask.iter().find(|(name, _)| is_it(name.as_str()));
    found.map(|(_, mask)| *mask)
}

fn check(spec: &TableSpec, name: &str, mask: Mask, found: Found<'_>) -> Result<()> {
    if found.watermark == Some(name) {
        let why = "the watermark, whose values stand in plans, manifests and the names of folders: track the table by another \
                   column, or leave it out of mask";
        return Err(refused(spec, name, why));
    }
    if found.key.iter().any(|key| key == name) && mask != Mask::Hash {
        let why = "a column of the key, by which the deletions of a row are matched with the row: use hash, which keeps different \
                   keys different, or leave it out of mask";
        return Err(refused(spec, name, why));
    }
    if spec.column_types.keys().any(|own| is_alike(own.as_str(), name)) {
        return Err(refused(
            spec,
            name,
            "which is text then, and column_types chooses a form for it: leave it out of one of the two",
        ));
    }
    if mask == Mask::Hash && !found.has_mask_key {
        return Err(Error::about(ErrorCode::InvalidConfig, &spec.table, |table| {
            format!(
                "mask of {table} asks for a hash of {name}, and there is no key for it: put a random text of at least 32 bytes into a \
                 secret. Give its ARN to a deployment as the parameter MaskSecretArn, which becomes the variable MASK_SECRET_ARN, and \
                 to the command as --mask-secret, or give the command the text itself in the variable TIDEMARK_MASK_KEY"
            )
        }));
    }
    Ok(())
}

fn refused(spec: &TableSpec, name: &str, why: &str) -> Error {
    Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
        format!("mask of {table} names {name}, {why}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::columns::selected;
    use super::*;
    use crate::testing::world::spec_with;
    use crate::testing::{declared, documents};

    const KEY: [&str; 1] = ["k"];

    fn masked(settings: serde_json::Value, has_mask_key: bool) -> Result<(Vec<DeclaredColumn>, Vec<Column>)> {
        let spec = spec_with(settings);
        let mut columns = vec![
            declared("V", false),
            declared("k", false),
            declared("Email", false),
            declared("x", true),
        ];
        let mut copied = selected(&spec, &columns, spec.columns.as_deref())?;
        let key = KEY.map(str::to_owned);
        let found = Found {
            watermark: Some("V"),
            key: &key,
            has_mask_key,
        };
        mask(&spec, &mut columns, &mut copied, found)?;
        Ok((columns, copied))
    }

    #[test]
    fn a_masked_column_is_text_that_may_be_null_and_cuts_nothing() {
        let settings = serde_json::json!({"mask": {"email": "hash", "x": "null", "k": "hash"}});
        let (declared, columns) = masked(settings, true).unwrap();
        let found: Vec<_> = columns
            .iter()
            .map(|column| (column.form, column.nullable, &column.values))
            .collect();
        let of_source = &Values::OfSource;
        let hash = &Values::Masked(Mask::Hash);
        assert_eq!(
            found,
            [
                (Form::Int64, false, of_source),
                (Form::Text, false, hash),
                (Form::Text, true, hash),
                (Form::Text, true, &Values::Masked(Mask::Null)),
            ]
        );
        let cuts: Vec<_> = declared.iter().map(|column| column.cuts).collect();
        assert_eq!(cuts, [true, false, false, false]);
    }

    #[test]
    fn a_plan_that_was_frozen_with_other_masks_or_without_the_audit_is_refused() {
        let with = |settings| check_frozen(&spec_with(settings), &documents::plan("dbo.t", None, 1));
        with(serde_json::json!({})).unwrap();
        for (settings, said) in [
            (serde_json::json!({"mask": {"V": "hash"}}), "mask of v"),
            (serde_json::json!({"audit": true}), "another audit"),
        ] {
            let error = with(settings).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(error.to_string().contains(said), "{error}");
            assert!(error.to_string().contains("tidemark give-up"), "{error}");
        }
    }

    #[test]
    fn what_must_not_be_masked_is_refused_by_name() {
        use ErrorCode::{InvalidConfig, InvalidInput, SourceRejected};
        for (settings, code, said) in [
            (
                serde_json::json!({"mask": {"v": "hash"}}),
                InvalidInput,
                "names V, the watermark",
            ),
            (
                serde_json::json!({"mask": {"k": "last4"}}),
                InvalidInput,
                "names k, a column of the key",
            ),
            (serde_json::json!({"mask": {"k": "null"}}), InvalidInput, "use hash"),
            (
                serde_json::json!({"mask": {"none": "null"}}),
                SourceRejected,
                "no column 'none'",
            ),
            (
                serde_json::json!({"mask": {"x": "null"}, "exclude": ["x"]}),
                InvalidInput,
                "names x, which is not copied",
            ),
            (
                serde_json::json!({"mask": {"x": "null"}, "column_types": {"X": "portable"}}),
                InvalidInput,
                "column_types chooses a form",
            ),
        ] {
            let error = masked(settings, true).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
        let error = masked(serde_json::json!({"mask": {"email": "hash"}}), false).unwrap_err();
        assert_eq!(error.code(), InvalidConfig);
        assert!(error.to_string().contains("MaskSecretArn"), "{error}");
        masked(serde_json::json!({"mask": {"email": "last4"}}), false).unwrap();
    }
}
