//! `@@` values and functions that tell of the session, the server and the catalog.

use std::sync::atomic::Ordering;

use rusqlite::types::Value;

use super::functions::arguments;
use super::{Binder, Bound};
use crate::engine;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, Expr};
use crate::sql::{catalog, parser};
use crate::value::Ty;

const NAME: Ty = Ty::NVarChar(128);

impl Binder<'_> {
    fn int(value: i64, ty: Ty) -> Bound {
        Bound::required(value.to_string(), ty)
    }

    pub(super) fn maybe_int(value: Option<i64>, ty: Ty) -> Bound {
        value.map_or_else(
            || Bound {
                null: false,
                ..Bound::new("NULL", ty)
            },
            |v| Self::int(v, ty).nullable(true),
        )
    }

    fn name_value(&mut self, value: Option<String>) -> Bound {
        let sql = self.param(value.map_or(Value::Null, Value::Text));
        Bound::new(sql, Ty::NVarChar(128))
    }

    /// `@@name`
    pub fn global(&mut self, name: &str) -> SqlResult<Bound> {
        let s = self.session;
        Ok(match name {
            "VERSION" => {
                let sql = self.param(Value::Text(engine::VERSION.to_owned()));
                Bound::required(sql, Ty::NVarChar(300))
            }
            "TRANCOUNT" => Self::int(s.trancount, Ty::Int),
            "ROWCOUNT" => Self::int(s.rowcount, Ty::Int),
            "ERROR" => Self::int(i64::from(s.last_error), Ty::Int),
            "SPID" => Self::int(i64::from(s.spid), Ty::SmallInt),
            "CONNECTIONS" => Self::int(s.engine.connections.load(Ordering::Relaxed), Ty::Int),
            "IDENTITY" => self.identity_value(s.identity),
            "SERVERNAME" | "SERVICENAME" => self.name_value(Some("sandbox".to_owned())),
            "LANGUAGE" => self.name_value(Some("us_english".to_owned())),
            "LANGID" => Self::int(0, Ty::SmallInt),
            "DATEFIRST" => Self::int(7, Ty::TinyInt),
            "LOCK_TIMEOUT" => Self::int(s.options.lock_timeout, Ty::Int),
            "TEXTSIZE" => Self::int(2_147_483_647, Ty::Int),
            "MAX_PRECISION" => Self::int(38, Ty::TinyInt),
            "NESTLEVEL" => Self::int(s.nesting, Ty::Int),
            "MICROSOFTVERSION" => Self::int(0x1000_03E8, Ty::Int),
            "OPTIONS" => Self::int(5496, Ty::Int),
            "FETCH_STATUS" => Self::int(0, Ty::Int),
            "PROCID" => Self::int(0, Ty::Int),
            "DBTS" => Bound::required("t_dbts()", Ty::VarBinary(8)),
            _ => {
                return Err(
                    SqlError::new(137, format!("Must declare the scalar variable \"@@{name}\"."))
                        .class(15)
                        .state(2),
                );
            }
        })
    }

    fn identity_value(&mut self, value: Option<i64>) -> Bound {
        let ty = Ty::Decimal(38, 0);
        let value = value.map_or(Value::Null, |v| {
            Value::Blob(crate::value::datum::decimal_blob(i128::from(v)).to_vec())
        });
        Bound::new(self.param(value), ty)
    }

    /// A constant text argument; metadata functions are answered while binding.
    fn constant(&mut self, call: &Call, at: usize) -> SqlResult<Option<String>> {
        match call.args.get(at) {
            None | Some(Expr::Null) => Ok(None),
            Some(Expr::Str(s, _)) => Ok(Some(s.clone())),
            Some(other) => self.session.evaluate_text(other),
        }
    }

    /// A function of the catalog or the session, none if the name is not one.
    pub fn metadata_function(&mut self, name: &str, call: &Call) -> SqlResult<Option<Bound>> {
        let s = self.session;
        Ok(Some(match name {
            "DB_NAME" | "ORIGINAL_DB_NAME" => {
                arguments(name, call, 0, 1)?;
                if call.args.is_empty() {
                    self.name_value(Some(s.db.clone()))
                } else {
                    self.name_by_id(call, "SELECT name FROM main._database WHERE id =")?
                }
            }
            "DB_ID" => {
                let db = self.constant(call, 0)?.unwrap_or_else(|| s.db.clone());
                Self::maybe_int(
                    s.lookup_id("SELECT id FROM main._database WHERE name = ?1", &db)?,
                    Ty::Int,
                )
            }
            "OBJECT_ID" => {
                arguments(name, call, 1, 2)?;
                let id = self.object_id(call)?;
                Self::maybe_int(id, Ty::Int)
            }
            "OBJECT_NAME" => self.name_by_id(call, "SELECT name FROM main._object WHERE id =")?,
            "OBJECT_SCHEMA_NAME" => self.name_by_id(call, "SELECT schema FROM main._object WHERE id =")?,
            "SCHEMA_NAME" if call.args.is_empty() => self.name_value(Some("dbo".to_owned())),
            "SCHEMA_NAME" => {
                let db = catalog::literal(&s.db);
                self.name_by_id(
                    call,
                    &format!("SELECT name FROM main._schema WHERE db = {db} AND id % 65536 ="),
                )?
            }
            "SCHEMA_ID" => {
                let schema = self.constant(call, 0)?.unwrap_or_else(|| "dbo".to_owned());
                let sql = format!(
                    "SELECT id % 65536 FROM main._schema WHERE name = ?1 AND db = {}",
                    catalog::literal(&s.db)
                );
                Self::maybe_int(s.lookup_id(&sql, &schema)?, Ty::Int)
            }
            "TYPE_NAME" => {
                let id = self.arg(call, 0, Ty::Int)?;
                Bound::new(format!("t_typename({})", id.sql), NAME)
            }
            "COL_LENGTH" | "COL_NAME" | "COLUMNPROPERTY" => self.column_fact(name, call)?,
            "SUSER_SNAME" | "SUSER_NAME" | "SYSTEM_USER" | "ORIGINAL_LOGIN" => {
                let user = s.engine.username.clone();
                self.name_value(Some(user))
            }
            "USER_NAME" | "CURRENT_USER" | "SESSION_USER" | "USER" => self.name_value(Some("dbo".to_owned())),
            "HOST_NAME" => {
                let host = s.client_host.clone();
                self.name_value(Some(host))
            }
            "APP_NAME" | "PROGRAM_NAME" => {
                let app = s.client_app.clone();
                self.name_value(Some(app))
            }
            "SCOPE_IDENTITY" => self.identity_value(s.scope_identity),
            "IDENT_CURRENT" => {
                let table = self.constant(call, 0)?.unwrap_or_default();
                let place = s.place(&parser::name(&table)?)?;
                let current = s.table(&place, &table).ok().and_then(|t| s.engine.identity(t.id));
                self.identity_value(current)
            }
            "MIN_ACTIVE_ROWVERSION" => {
                arguments(name, call, 0, 0)?;
                Bound::required("t_min_active()", Ty::Binary(8))
            }
            "CHANGE_TRACKING_CURRENT_VERSION"
            | "CHANGE_TRACKING_MIN_VALID_VERSION"
            | "CHANGE_TRACKING_IS_COLUMN_IN_MASK" => self.tracking_function(name, call)?,
            "XACT_STATE" => Self::int(s.xact_state(), Ty::SmallInt),
            "ROWCOUNT_BIG" => Self::int(s.rowcount, Ty::BigInt),
            "ERROR_NUMBER" | "ERROR_MESSAGE" | "ERROR_SEVERITY" | "ERROR_STATE" | "ERROR_LINE" | "ERROR_PROCEDURE" => {
                self.error_fact(name)
            }
            "SERVERPROPERTY" | "DATABASEPROPERTYEX" | "CONNECTIONPROPERTY" => self.property(name, call)?,
            "IS_SRVROLEMEMBER" | "IS_MEMBER" | "IS_ROLEMEMBER" | "HAS_DBACCESS" => Self::int(1, Ty::Int),
            "HAS_PERMS_BY_NAME" => Self::int(1, Ty::Int),
            _ => return Ok(None),
        }))
    }

    fn object_id(&mut self, call: &Call) -> SqlResult<Option<i64>> {
        let Some(text) = self.constant(call, 0)? else {
            return Ok(None);
        };
        let wanted = self.constant(call, 1)?.map(|k| k.trim().to_ascii_uppercase());
        let Ok(name) = parser::name(&text) else { return Ok(None) };
        let Ok(place) = self.session.place(&name) else {
            return Ok(None);
        };
        let found = catalog::object(self.session.conn(), &place)?;
        Ok(found
            .filter(|(_, kind, _)| wanted.is_none_or(|w| w == *kind))
            .map(|(id, ..)| id))
    }

    fn column_fact(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        let s = self.session;
        if name == "COL_LENGTH" {
            let (table, column) = (
                self.constant(call, 0)?.unwrap_or_default(),
                self.constant(call, 1)?.unwrap_or_default(),
            );
            let place = s.place(&parser::name(&table)?)?;
            let found = s.table(&place, &table).ok();
            let length = found
                .as_ref()
                .and_then(|t| t.column(&column))
                .map(|c| c.ty.max_length());
            return Ok(Self::maybe_int(length, Ty::SmallInt));
        }
        let id = self.arg(call, 0, Ty::Int)?.sql;
        if name == "COL_NAME" {
            let column = self.arg(call, 1, Ty::Int)?.sql;
            let sql = format!("(SELECT name FROM main._column WHERE object_id = {id} AND id = {column})");
            return Ok(Bound::new(sql, NAME));
        }
        let column = self.arg(call, 1, NAME)?.sql;
        let fact = match self
            .constant(call, 2)?
            .unwrap_or_default()
            .to_ascii_lowercase()
            .as_str()
        {
            "columnid" => "id",
            "isidentity" => "identity",
            "allowsnull" => "nullable",
            "iscomputed" => "computed IS NOT NULL",
            other => return Err(SqlError::unsupported(format!("COLUMNPROPERTY '{other}'"))),
        };
        let sql = format!("(SELECT {fact} FROM main._column WHERE object_id = {id} AND name = {column})");
        Ok(Bound::new(sql, Ty::Int))
    }

    /// A name that the catalog has for a number, which may be a column.
    fn name_by_id(&mut self, call: &Call, sql: &str) -> SqlResult<Bound> {
        arguments(&call.name[0], call, 1, 2)?;
        let id = self.arg(call, 0, Ty::Int)?;
        Ok(Bound::new(format!("({sql} {})", id.sql), NAME))
    }

    fn error_fact(&mut self, name: &str) -> Bound {
        let caught = self.session.caught.last().cloned();
        let number = |pick: fn(&SqlError) -> i64| Self::maybe_int(caught.as_ref().map(pick), Ty::Int);
        match name {
            "ERROR_NUMBER" => number(|e| i64::from(e.number)),
            "ERROR_SEVERITY" => number(|e| i64::from(e.class)),
            "ERROR_STATE" => number(|e| i64::from(e.state)),
            "ERROR_LINE" => number(|e| i64::from(e.line)),
            "ERROR_PROCEDURE" => {
                let procedure = caught.map(|e| e.procedure).filter(|p| !p.is_empty());
                self.name_value(procedure)
            }
            _ => {
                let sql = self.param(caught.map_or(Value::Null, |e| Value::Text(e.message)));
                Bound::new(sql, Ty::NVarChar(4000))
            }
        }
    }

    fn property(&mut self, function: &str, call: &Call) -> SqlResult<Bound> {
        let at = usize::from(function == "DATABASEPROPERTYEX");
        let property = self.constant(call, at)?.unwrap_or_default().to_ascii_lowercase();
        let text = match property.as_str() {
            "productversion" => "16.0.1000.6",
            "productlevel" => "RTM",
            "edition" => "Developer Edition (64-bit)",
            "servername" | "machinename" => "sandbox",
            "collation" | "sqlcollation" => "SQL_Latin1_General_CP1_CI_AS",
            "updateability" => "READ_WRITE",
            "status" => "ONLINE",
            "recovery" => "SIMPLE",
            "net_transport" => "TCP",
            "protocol_type" => "TSQL",
            "auth_scheme" => "SQL",
            "engineedition" => return Ok(Self::int(3, Ty::Int)),
            "productmajorversion" => return Ok(self.name_value(Some("16".to_owned()))),
            "isclustered" | "ishadrenabled" | "issingleuser" | "isfulltextinstalled" => {
                return Ok(Self::int(0, Ty::Int));
            }
            "instancename" => return Ok(self.name_value(None)),
            _ => return Err(SqlError::unsupported(format!("{function} '{property}'"))),
        };
        Ok(self.name_value(Some(text.to_owned())))
    }
}
