-- Snowflake, once, by an administrator. Replace the names. lake_owner is the role that makes the stage, the external tables and the views.
--
-- The integration lets Snowflake read the bucket by a role of AWS. DESCRIBE INTEGRATION erp_lake shows whom that role has to trust.
CREATE STORAGE INTEGRATION erp_lake
  TYPE = EXTERNAL_STAGE
  STORAGE_PROVIDER = 'S3'
  ENABLED = TRUE
  STORAGE_AWS_ROLE_ARN = 'arn:…:iam::111122223333:role/snowflake-reads-lake'
  STORAGE_ALLOWED_LOCATIONS = ('s3://erp-lake/tidemark/');

GRANT USAGE ON INTEGRATION erp_lake TO ROLE lake_owner;
GRANT USAGE ON DATABASE erp TO ROLE lake_owner;
GRANT USAGE, CREATE STAGE, CREATE EXTERNAL TABLE, CREATE VIEW ON SCHEMA erp.lake TO ROLE lake_owner;
GRANT USAGE ON WAREHOUSE reading TO ROLE lake_owner;

-- Only with refresh.sql.
GRANT CREATE TASK ON SCHEMA erp.lake TO ROLE lake_owner;
GRANT EXECUTE TASK, EXECUTE MANAGED TASK ON ACCOUNT TO ROLE lake_owner;
