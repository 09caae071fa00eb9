-- The rights Tidemark's login needs, and no others. Replace the password and the names of the tables, then run it in the
-- database of the tables. Azure SQL Database: leave out CREATE LOGIN and use CREATE USER tidemark WITH PASSWORD = '...'.

CREATE LOGIN tidemark WITH PASSWORD = N'<a long random password>';
CREATE USER tidemark FOR LOGIN tidemark;
GO

-- One line per table that is copied (or GRANT SELECT ON SCHEMA::sales TO tidemark for all of a schema).
GRANT SELECT ON OBJECT::dbo.orders TO tidemark;
GRANT SELECT ON OBJECT::sales.invoice_line TO tidemark;
GO

-- Tables with change tracking need one line more: the keys of deleted rows can be read from it. The minimal valid version, and
-- with it any copy, is hidden without this right.
GRANT SELECT ON OBJECT::dbo.customer TO tidemark;
GRANT VIEW CHANGE TRACKING ON OBJECT::dbo.customer TO tidemark;
GO

-- WatermarkStore=s3: nothing more. WatermarkStore=sql: reading the control table and calling its procedure; the procedure's owner
-- owns the table as well, so no right to write the table itself is needed.
GRANT SELECT ON OBJECT::dbo.tidemark_watermark TO tidemark;
GRANT EXECUTE ON OBJECT::dbo.tidemark_write_watermark TO tidemark;
GO

-- In the database of a SQL sink (docs/how-to/sql-sink.md), for the login of its secret. DELETE is for change tracking only, ALTER for an
-- identity column that is kept; with a procedure, EXECUTE takes the place of INSERT and UPDATE.
-- GRANT SELECT, INSERT, UPDATE, DELETE ON OBJECT::dbo.orders TO tidemark;
-- GRANT ALTER ON OBJECT::dbo.orders TO tidemark;
-- GRANT EXECUTE ON OBJECT::dbo.usp_upsert_orders TO tidemark;
-- GRANT EXECUTE ON TYPE::dbo.DataTypeforOrders TO tidemark;
