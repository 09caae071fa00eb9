//! `sys.dm_sql_referenced_entities`, which tells what a view reads and of what a column is computed to whoever may see the
//! definition
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/system-dynamic-management-views/sys-dm-sql-referenced-entities-transact-sql>).

use super::{Binder, OutColumn};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Expr;
use crate::sql::catalog::{self, literal};
use crate::sql::{lexer, parser};
use crate::value::{Ty, text};

impl Binder<'_> {
    /// Binds the function. There is one row for each object, and for each column of which another is computed.
    pub(super) fn referenced_entities(&self, args: &[Expr]) -> SqlResult<(String, Vec<OutColumn>)> {
        let [entity, _] = args else {
            return Err(SqlError::of(313, &[]));
        };
        let (session, conn) = (self.session, self.session.conn());
        let entity = session.evaluate_text(entity)?.unwrap_or_default();
        let found = match parser::name(&entity) {
            Ok(name) => catalog::object(conn, &session.place(&name)?)?,
            Err(_) => None,
        };
        let mut rows = vec!["SELECT 0 c0, NULL c1, NULL c2, NULL c3, '' c4, NULL c5, 0 c6, 1 c7 WHERE 0".to_owned()];
        if let Some((id, kind, place)) = found {
            let seen = session.has_right("VIEW DEFINITION", &id.to_string());
            let quoted = |part: Option<&String>| part.map_or_else(|| "NULL".to_owned(), |part| literal(part));
            if ["V", "IF", "FN"].contains(&kind.as_str()) {
                for name in parser::sources(&catalog::definition(conn, id)?)? {
                    let mut parts = name.iter().rev().map(Some).chain([None; 4]);
                    let [entity, schema, db, server] = [(); 4].map(|()| quoted(parts.next().flatten()));
                    let id = catalog::object(conn, &session.place(&name)?)?.map_or(0, |(id, ..)| id);
                    rows.push(format!(
                        "SELECT 0, {server}, {db}, {schema}, {entity}, nullif({id}, 0), 0, 1 WHERE {seen}"
                    ));
                }
            }
            let table = catalog::table(conn, &place)?;
            for (of, computed) in table
                .iter()
                .flat_map(|t| &t.columns)
                .filter_map(|c| Some((c.id, c.computed.as_ref()?)))
            {
                for token in lexer::tokens(computed)? {
                    let used = table
                        .as_ref()
                        .and_then(|t| t.columns.iter().find(|c| text::same(&c.name, &token.tok.text())));
                    let Some(used) = used else { continue };
                    let (schema, name, used) = (literal(&place.schema), literal(&place.name), used.id);
                    rows.push(format!(
                        "SELECT {of}, NULL, NULL, {schema}, {name}, {id}, {used}, 1 WHERE {seen}"
                    ));
                }
            }
        }
        let columns = [
            ("referencing_minor_id", Ty::Int),
            ("referenced_server_name", Ty::NVarChar(128)),
            ("referenced_database_name", Ty::NVarChar(128)),
            ("referenced_schema_name", Ty::NVarChar(128)),
            ("referenced_entity_name", Ty::NVarChar(128)),
            ("referenced_id", Ty::Int),
            ("referenced_minor_id", Ty::Int),
            ("referenced_class", Ty::TinyInt),
        ];
        let columns = columns.map(|(name, ty)| OutColumn::new(name, ty, true));
        Ok((format!("({})", rows.join(" UNION ALL ")), columns.to_vec()))
    }
}
