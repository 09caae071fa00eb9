-- Snowflake, once, by the role that will own the tables. erp_lake is the storage integration of your administrator (grants.sql).
CREATE STAGE tidemark
  URL = 's3://erp-lake/tidemark/'
  STORAGE_INTEGRATION = erp_lake;
