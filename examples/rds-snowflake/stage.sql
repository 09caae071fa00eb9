-- Snowflake, once. The integration is an object of your administrator that lets Snowflake read the bucket.
CREATE STAGE tidemark
  URL = 's3://erp-lake/tidemark/'
  STORAGE_INTEGRATION = erp_lake;

-- Then what `tidemark sql snowflake` writes, for each table. And this, for each table, so that new files are found by themselves.
CREATE TASK refresh_invoice
  SCHEDULE = '60 MINUTE'
AS
  ALTER EXTERNAL TABLE "dbo_invoice" REFRESH;
ALTER TASK refresh_invoice RESUME;
