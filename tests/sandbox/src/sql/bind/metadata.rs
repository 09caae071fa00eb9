//! The `@@` values and the functions about the session, the server and the catalog.

use std::sync::atomic::Ordering;

use rusqlite::types::Value;

use super::functions::arguments;
use super::{Binder, Bound};
use crate::engine;
use crate::error::{SqlError, SqlResult};
use crate::locks::locked;
use crate::sql::ast::{Call, Expr};
use crate::sql::catalog::{self, literal};
use crate::sql::parser;
use crate::value::{MAX, Ty, text};

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

    /// Binds `@@name`.
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
            "SERVERNAME" | "SERVICENAME" => self.name_value(Some("sandbox".to_owned())),
            "LOCK_TIMEOUT" => Self::int(s.options.lock_timeout.map_or(-1, |limit| limit as i64), Ty::Int),
            "DBTS" => Bound::required(format!("t_dbts({})", literal(&s.db)), Ty::VarBinary(8)),
            _ => {
                return Err(SqlError::of(137, &[&format!("@{name}")]));
            }
        })
    }

    /// Returns the constant text of an argument, because metadata functions are answered while they are bound.
    fn constant(&mut self, call: &Call, at: usize) -> SqlResult<Option<String>> {
        match call.args.get(at) {
            None | Some(Expr::Null) => Ok(None),
            Some(Expr::Str(s, _)) => Ok(Some(s.clone())),
            Some(other) => self.session.evaluate_text(other),
        }
    }

    /// Binds a function of the catalog or the session. Returns `None` if the name is not one.
    pub fn metadata_function(&mut self, name: &str, call: &Call) -> SqlResult<Option<Bound>> {
        let s = self.session;
        Ok(Some(match name {
            "DB_NAME" => {
                arguments(name, call, 0, 1)?;
                if call.args.is_empty() {
                    self.name_value(Some(s.db.clone()))
                } else {
                    self.name_by_id(call, "SELECT name FROM main._database WHERE id =")?
                }
            }
            "DB_ID" => {
                let db = match call.args.first() {
                    Some(_) => self.arg(call, 0, NAME)?.sql,
                    None => literal(&s.db),
                };
                Bound::new(format!("(SELECT id FROM main._database WHERE name = {db})"), Ty::Int)
            }
            "OBJECT_ID" => {
                arguments(name, call, 1, 2)?;
                let id = self.object_id(call)?;
                Self::maybe_int(id, Ty::Int)
            }
            "OBJECT_DEFINITION" => {
                arguments(name, call, 1, 1)?;
                let (id, seen) = (self.arg(call, 0, Ty::Int)?.sql, s.has_right("VIEW DEFINITION", "o.id"));
                let sql = format!("(SELECT o.definition FROM main._object o WHERE o.id = {id} AND {seen})");
                Bound::new(sql, Ty::NVarChar(MAX))
            }
            "OBJECT_SCHEMA_NAME" => self.name_by_id(call, "SELECT schema FROM main._object WHERE id =")?,
            "OBJECT_NAME" => self.name_by_id(call, "SELECT name FROM main._object WHERE id =")?,
            "OBJECTPROPERTY" => {
                let (id, asked) = (self.arg(call, 0, Ty::Int)?, self.constant(call, 1)?.unwrap_or_default());
                let holds = match asked.to_ascii_lowercase().as_str() {
                    "istable" => "o.type = 'U'",
                    "isview" => "o.type = 'V'",
                    "isschemabound" => "o.type = 'V' AND o.definition LIKE '/*SCHEMABINDING*/%'",
                    other => return Err(SqlError::unsupported(format!("OBJECTPROPERTY {other}"))),
                };
                let visible = s.visible();
                Bound::new(
                    format!("(SELECT {holds} FROM main._object o WHERE o.id = {}{visible})", id.sql),
                    Ty::Int,
                )
            }
            "DATABASEPROPERTYEX" => {
                let read_only = s.engine.replica.load(Ordering::Relaxed) || catalog::is_read_only(s.conn(), &s.db)?;
                self.name_value(Some(if read_only { "READ_ONLY" } else { "READ_WRITE" }.to_owned()))
            }
            "MIN_ACTIVE_ROWVERSION" => Bound::required(format!("t_min_active({})", literal(&s.db)), Ty::Binary(8)),
            "HAS_PERMS_BY_NAME" => self.has_permission(call)?,
            "SERVERPROPERTY" => {
                let (engine, major) = *locked(&s.engine.product);
                let asked = self.constant(call, 0)?.unwrap_or_default().to_ascii_lowercase();
                let value = match asked.as_str() {
                    "engineedition" => Some(engine),
                    "productmajorversion" => major,
                    other => return Err(SqlError::unsupported(format!("SERVERPROPERTY {other}"))),
                };
                Self::maybe_int(value, Ty::Int)
            }
            "USER_NAME" => self.name_value(Some(s.user()?)),
            "CHANGE_TRACKING_CURRENT_VERSION" => self.current_version(call)?,
            "CHANGE_TRACKING_MIN_VALID_VERSION" => self.min_valid_version(call)?,
            "ERROR_NUMBER" | "ERROR_MESSAGE" => self.error_fact(name),
            _ => return Ok(None),
        }))
    }

    /// Binds `HAS_PERMS_BY_NAME`, which is NULL for what does not exist or is not offered.
    fn has_permission(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("HAS_PERMS_BY_NAME", call, 3, 5)?;
        let class = self.constant(call, 1)?.unwrap_or_default().to_ascii_uppercase();
        let right = self.constant(call, 2)?.unwrap_or_default().to_ascii_uppercase();
        let named = self.constant(call, 0)?.and_then(|text| parser::name(&text).ok());
        let object = match (class.as_str(), named) {
            // In another database, the rights of this one are nothing.
            ("DATABASE", Some(db)) if !text::same(&db.join("."), &self.session.db) => {
                self.session.is_trusted().then_some(0)
            }
            ("DATABASE", _) => Some(0),
            ("OBJECT", Some(name)) => {
                catalog::object(self.session.conn(), &self.session.place(&name)?)?.map(|(id, ..)| id)
            }
            _ => None,
        };
        let Some(object) = object.map(|id| id.to_string()) else {
            return Ok(Self::maybe_int(None, Ty::Int));
        };
        if call.args.len() == 3 {
            return Ok(Bound::new(self.session.has_right(&right, &object), Ty::Int));
        }
        let (column, has) = (
            self.arg(call, 3, NAME)?,
            self.session.has_column_right(&right, &object, "c.id"),
        );
        let sql = format!(
            "(SELECT {has} FROM main._column c WHERE c.object_id = {object} AND c.name = {})",
            column.sql
        );
        Ok(Bound::new(sql, Ty::Int))
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
        let Some((id, ..)) = found.filter(|(_, kind, _)| wanted.is_none_or(|w| w == *kind)) else {
            return Ok(None);
        };
        let visible = format!(
            "SELECT id FROM main._object o WHERE o.id = ?1{}",
            self.session.visible()
        );
        if place.is_temp() {
            Ok(Some(id))
        } else {
            self.session.lookup_id(&visible, &id.to_string())
        }
    }

    /// Binds a function that returns the catalog's name for a number, which may be a column.
    fn name_by_id(&mut self, call: &Call, sql: &str) -> SqlResult<Bound> {
        arguments(&call.name[0], call, 1, 2)?;
        let id = self.arg(call, 0, Ty::Int)?;
        Ok(Bound::new(format!("({sql} {})", id.sql), NAME))
    }

    fn error_fact(&mut self, name: &str) -> Bound {
        let caught = self.session.caught.last();
        match name {
            "ERROR_NUMBER" => Self::maybe_int(caught.map(|e| i64::from(e.number)), Ty::Int),
            _ => {
                let text = caught.map_or(Value::Null, |e| Value::Text(e.message.clone()));
                Bound::new(self.param(text), Ty::NVarChar(4000))
            }
        }
    }
}
