-- The login of Tidemark, and the rights that it needs and no others. Run it in the database whose tables are copied.
--
-- Before you run it:
--   1. Replace the password, and the names of the tables.
--   2. Azure SQL Database: replace the first two statements by CREATE USER tidemark WITH PASSWORD = N'<a long random password>';
--   3. Remove the comment signs of the statements below an "Only" that is true of you.
--
-- Who may run it: a member of db_owner. CREATE LOGIN also needs the server role securityadmin, which the administrator of a
-- server and the master user of Amazon RDS have.

CREATE LOGIN tidemark WITH PASSWORD = N'<a long random password>';
CREATE USER tidemark FOR LOGIN tidemark;
GO

-- One line for each table that is copied, or GRANT SELECT ON SCHEMA::sales TO tidemark for all tables of a schema.
GRANT SELECT ON OBJECT::dbo.orders TO tidemark;
GRANT SELECT ON OBJECT::sales.invoice_line TO tidemark;
GO

-- Only with change tracking: two lines for each table that has it. The keys of deleted rows can be read with the second right. Without it,
-- SQL Server hides the minimal valid version, and nothing can be copied.
-- GRANT SELECT ON OBJECT::dbo.customer TO tidemark;
-- GRANT VIEW CHANGE TRACKING ON OBJECT::dbo.customer TO tidemark;
GO

-- Only where the database has security policies (row-level security), or views over masked columns: seeing that there are, so that a window
-- that lacks rows says so. In place of the first line, VIEW DEFINITION ON SCHEMA::security is enough for the policies of that schema.
-- GRANT VIEW DEFINITION TO tidemark;
GO

-- Only with WatermarkStore=sql, after control-table.sql: reading the control table, and calling its procedure. The procedure's owner owns
-- the table as well, so no right to write the table itself is needed.
-- GRANT SELECT ON OBJECT::dbo.tidemark_watermark TO tidemark;
-- GRANT EXECUTE ON OBJECT::dbo.tidemark_write_watermark TO tidemark;
GO

-- Only in the database of a SQL sink (docs/how-to/sql-sink.md), for the login of its secret: DELETE is for change tracking only, and ALTER for
-- an identity column that is kept. With a procedure, the last two lines take the place of INSERT and UPDATE.
-- GRANT SELECT, INSERT, UPDATE, DELETE ON OBJECT::dbo.orders TO tidemark;
-- GRANT ALTER ON OBJECT::dbo.orders TO tidemark;
-- GRANT EXECUTE ON OBJECT::dbo.usp_upsert_orders TO tidemark;
-- GRANT EXECUTE ON TYPE::dbo.DataTypeforOrders TO tidemark;
