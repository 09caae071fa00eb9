-- Run it in the database of the tables. Replace tidemark by its name in the first two statements.
ALTER DATABASE tidemark SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);
ALTER DATABASE tidemark SET ALLOW_SNAPSHOT_ISOLATION ON;
GO
ALTER TABLE dbo.customer ENABLE CHANGE_TRACKING;
ALTER TABLE dbo.contract ENABLE CHANGE_TRACKING;
